// What a share says to its peers and what it makes of their answers: who has what, which blocks are
// asked of whom. Manifest and hashes are in swarm_metadata.cpp, blocks for others in
// swarm_serve.cpp, what becomes of blocks that came in swarm_durable.cpp.

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "transfer/swarm.h"

namespace peernet::transfer {

namespace {

// A block is told of ahead of its piece while fewer peers than these have any of the piece.
constexpr std::uint32_t kEarlyHoldersMax = 16;

// Pieces of which a newcomer is told the blocks: bounds the work for who opens a share again and
// again.
constexpr std::uint32_t kPartsToldMax = 64;

bool is_told_of_blocks(const Peer& peer, const PeerShare& share) {
  return (peer.session().capabilities & wire::kCapabilityHaveBlocks) != 0 && share.is_state_sent;
}

std::vector<wire::BlockRun> runs_of(std::uint32_t piece, const Bitfield& blocks) {
  std::vector<wire::BlockRun> runs;
  for (auto first = blocks.next_set(0); first;) {
    const std::uint32_t end = blocks.next_unset(*first).value_or(blocks.size());
    runs.push_back(
        {piece, static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(end - *first)});
    first = blocks.next_set(end);
  }
  return runs;
}

}  // namespace

Error Swarm::protocol_error(const char* what) {
  return Error{Errc::malformed, what, {}};
}

// ---- Peers come and go

void Swarm::on_open(Turn& turn, Peer& peer, PeerShare& share) {
  share.is_counted = true;
  members_.insert(peer.conn());
  if (picker_ && !share.is_manifest_said) {
    peer.send(wire::ManifestHave{*share.channel});
    share.is_manifest_said = true;
  }
  say_have_state(peer, share);
  if (is_active()) pump_metadata(turn);
}

void Swarm::on_gone(Turn& turn, Peer& peer, PeerShare& share) {
  // What it sent in this same read is not left lying: nobody else may come by to flush it.
  flush_writes(turn);
  members_.erase(peer.conn());
  if (steering_) steering_->take_all_back(peer.conn());
  spread_.on_gone(peer.conn());
  if (members_.empty()) steering_.reset();
  share.suggested.clear();
  if (picker_) {
    peer.pipeline.on_rejected(picker_->outstanding(peer.conn()));
    if (share.has) {
      picker_->remove_peer(peer.conn(), *share.has);
    } else {
      picker_->on_choked(peer.conn());
    }
  }
  forget_leaf_requests(peer.conn());
  share.leaf_requests = 0;
  share.has.reset();
  share.is_interested = false;
  share.is_interesting = false;
  share.is_counted = false;
  if (metadata_.source() == peer.conn()) {
    metadata_.drop_source();
    if (is_active()) pump_metadata(turn);
  }
}

void Swarm::on_choked(Peer& peer, PeerShare& share) {
  if (picker_) picker_->on_choked(peer.conn());
  share.suggested.clear();
}

// ---- Who has what

void Swarm::say_have_state(Peer& peer, PeerShare& share) {
  if (!picker_ || !share.has_manifest || share.is_state_sent) return;
  share.is_state_sent = true;
  std::vector<Bytes> messages;
  wire::encode_have_state(*share.channel, served_, messages);
  for (const Bytes& message : messages) peer.send_encoded(message);
}

void Swarm::on_have_state(Turn& turn, Peer& peer, PeerShare& share, Bitfield has) {
  share.collector.reset();
  share.has = std::move(has);
  picker_->add_peer(peer.conn(), *share.has);
  spread_.on_has(*share.has, peer.conn(), peer.network());
  // Of a seed as of ourselves: it says nothing of what the others lack.
  if (steering_ && !share.has->all()) {
    for (auto piece = share.has->next_set(0); piece; piece = share.has->next_set(*piece + 1)) {
      steering_->on_had(turn.now, *piece, peer.conn(), peer.network());
    }
  }
  update_interest(peer, share);
  tell_parts(turn, peer, share);
}

void Swarm::update_interest(Peer& peer, PeerShare& share) {
  const bool is_interesting =
      wants_data() && picker_ && share.has && picker_->is_interesting(peer.conn(), *share.has);
  if (is_interesting == share.is_interesting) return;
  share.is_interesting = is_interesting;
  if (is_interesting) {
    peer.send(wire::Interested{*share.channel});
  } else {
    peer.send(wire::NotInterested{*share.channel});
  }
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::BitfieldPart& message) {
  if (!picker_) return {};  // the storage has just failed
  if (share.has) return protocol_error("a second have-state");
  if (!share.collector) share.collector.emplace(served_.size());
  const auto added = share.collector->add(message);
  if (!added) return added.error();
  if (*added) on_have_state(turn, peer, share, share.collector->take());
  return {};
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::HaveAll& /*message*/) {
  if (!picker_) return {};
  if (share.has || share.collector) return protocol_error("a second have-state");
  Bitfield all(served_.size());
  all.set_all();
  on_have_state(turn, peer, share, std::move(all));
  return {};
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::HaveNone& /*message*/) {
  if (!picker_) return {};
  if (share.has || share.collector) return protocol_error("a second have-state");
  on_have_state(turn, peer, share, Bitfield(served_.size()));
  return {};
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::Have& message) {
  if (!picker_) return {};
  if (!share.has) return protocol_error("have before the have-state");
  if (message.piece >= share.has->size()) return protocol_error("have for a piece that is none");
  if (!share.has->set(message.piece)) return {};
  if (steering_) steering_->on_had(turn.now, message.piece, peer.conn(), peer.network());
  spread_.on_had(message.piece, peer.conn(), peer.network());
  picker_->on_peer_has(peer.conn(), message.piece);
  if (!share.is_interesting) update_interest(peer, share);
  return {};
}

Result<void> Swarm::on_message(Turn& /*turn*/, Peer& peer, PeerShare& share,
                               const wire::HaveBlocks& message) {
  if (!picker_) return {};
  if (!share.has) return protocol_error("have_blocks before the have-state");
  const Layout& layout = metadata_.manifest().layout();
  const wire::BlockRun& run = message.run;
  if (run.piece >= share.has->size() ||
      std::uint32_t{run.first_block} + run.count > layout.blocks_count(run.piece)) {
    return protocol_error("have_blocks of blocks that do not exist");
  }
  if (share.has->test(run.piece)) return {};
  spread_.on_had(run, peer.conn(), peer.network());
  if (picker_->have().test(run.piece)) return {};
  picker_->on_peer_has_blocks(peer.conn(), run);
  if (!share.is_interesting) update_interest(peer, share);
  return {};
}

// Blocks of a piece that is not whole yet are told to those that lack them as long as few have any
// of it: later there are enough others to ask, and `have` will do.
bool Swarm::is_told_early(std::uint32_t piece) const {
  return picker_->copies(piece) + picker_->partial_copies(piece) < kEarlyHoldersMax;
}

void Swarm::tell_blocks(Turn& turn, const wire::BlockRun& run) {
  if (!is_told_early(run.piece)) return;
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    tell_blocks(turn, peer, *peer.find_share(record_.id), run);
  }
}

void Swarm::tell_blocks(Turn& turn, Peer& peer, const PeerShare& share, const wire::BlockRun& run) {
  if (!is_told_of_blocks(peer, share) || !share.has || share.has->test(run.piece)) return;
  if (const Bitfield* part = picker_->blocks_of(peer.conn(), run.piece)) {
    const auto end = std::uint32_t{run.first_block} + run.count;
    if (part->next_unset(run.first_block).value_or(end) >= end) return;
  }
  peer.send(wire::HaveBlocks{*share.channel, run});
  peer.flush(turn.out);
}

// Seeds see by it who passes on what they sent, and it may wait for the next request.
void Swarm::tell_seeds(Turn& turn, const wire::BlockRun& run) {
  if (!is_told_early(run.piece)) return;
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    const PeerShare& share = *peer.find_share(record_.id);
    if (!is_told_of_blocks(peer, share) || !share.has || !share.has->all()) continue;
    peer.send_later(wire::HaveBlocks{*share.channel, run});
  }
}

bool Swarm::is_seed(const Turn& turn, ConnId conn) const {
  const auto peer = turn.peers.find(conn);
  if (peer == turn.peers.end()) return false;
  const PeerShare* share = peer->second.find_share(record_.id);
  return share != nullptr && share->has && share->has->all();
}

void Swarm::tell_part(Turn& turn, std::uint32_t piece, const Bitfield& blocks) {
  for (const wire::BlockRun& run : runs_of(piece, blocks)) tell_blocks(turn, run);
}

void Swarm::tell_parts(Turn& turn, Peer& peer, const PeerShare& share) {
  if (share.has->all() || !is_told_of_blocks(peer, share)) return;
  std::uint32_t told = 0;
  for (const auto& [piece, blocks] : picker_->parts()) {
    if (++told > kPartsToldMax) return;
    if (picker_->state(piece) != Picker::PieceState::active || !is_told_early(piece)) continue;
    for (const wire::BlockRun& run : runs_of(piece, blocks)) tell_blocks(turn, peer, share, run);
  }
}

// ---- Blocks in

std::uint32_t Swarm::request(Turn& turn, Peer& peer, PeerShare& share, std::uint32_t blocks_max) {
  if (!picker_ || !wants_data() || !share.has || blocks_max == 0) return 0;
  if (picker_->is_declining_all(turn.now, peer.conn())) return 0;
  std::vector<wire::BlockRun> runs;
  const bool is_steered =
      !share.suggested.empty() && !picker_->is_endgame() && !picker_->is_urgent(*share.has);
  if (is_steered) runs = pick_suggested(turn, peer, share, blocks_max);
  if (!is_steered || share.suggested.empty()) {
    request_leaves(turn, peer, share, 2 * peer.pipeline.window());
    runs = picker_->pick(peer.conn(), *share.has, blocks_max, turn.now);
  }
  std::uint32_t requested = 0;
  for (const wire::BlockRun& run : runs) {
    const bool is_trial =
        peer.pipeline.is_doubted() && turn.now - peer.last_block < peer.pipeline.patience();
    if (peer.pipeline.in_flight() == 0 && !is_trial) peer.last_block = turn.now;
    peer.send(wire::Request{*share.channel, run});
    peer.pipeline.on_request(turn.now, run.count);
    requested += run.count;
  }
  return requested;
}

// Of the run, what another has who serves us and is not late itself; one look at each member.
Bitfield Swarm::at_others(const Turn& turn, ConnId than, const wire::BlockRun& run) const {
  Bitfield blocks(run.count);
  for (const ConnId conn : members_) {
    const Peer& other = turn.peers.at(conn);
    const PeerShare* share = other.find_share(record_.id);
    const bool serves = conn != than && !other.is_choking && !other.pipeline.is_doubted();
    if (!serves || !share->has) continue;
    if (share->has->test(run.piece)) {
      blocks.set_all();
      return blocks;
    }
    const Bitfield* const part = picker_->blocks_of(conn, run.piece);
    for (std::uint16_t i = 0; part != nullptr && i < run.count; ++i) {
      if (part->test(std::uint32_t{run.first_block} + i)) blocks.set(i);
    }
  }
  return blocks;
}

std::uint32_t Swarm::give_up_late(Turn& turn, Peer& peer) {
  const PeerShare* share = peer.find_share(record_.id);
  if (!picker_ || share == nullptr || !share->channel) return 0;
  std::uint32_t blocks_count = 0;
  const auto give_up = [&](const wire::BlockRun& run) {
    if (run.count == 0) return;
    picker_->on_rejected(peer.conn(), run);
    peer.send(wire::Cancel{*share->channel, run});
    blocks_count += run.count;
  };
  for (const wire::BlockRun& run : picker_->requests(peer.conn())) {
    const Bitfield others = at_others(turn, peer.conn(), run);
    wire::BlockRun elsewhere{run.piece, run.first_block, 0};
    for (std::uint16_t i = 0; i < run.count; ++i) {
      const auto block = static_cast<std::uint16_t>(run.first_block + i);
      if (others.test(i)) {
        ++elsewhere.count;
        continue;
      }
      give_up(elsewhere);
      elsewhere = {run.piece, static_cast<std::uint16_t>(block + 1), 0};
    }
    give_up(elsewhere);
  }
  return blocks_count;
}

// As long as the peer has something to suggest, it is asked for nothing else: what it suggests goes
// to nobody else, and what others were suggested comes from them.
std::vector<wire::BlockRun> Swarm::pick_suggested(Turn& turn, Peer& peer, PeerShare& share,
                                                  std::uint32_t blocks_max) {
  std::erase_if(share.suggested, [&](std::uint32_t piece) {
    return picker_->have().test(piece) || !share.has->test(piece);
  });
  for (const std::uint32_t piece : share.suggested) {
    if (share.asked_again_at > turn.now || !peer.may_ask_leaves()) break;
    if (picker_->state(piece) != Picker::PieceState::missing) continue;
    if (!request_leaves_of(turn, peer, share, piece)) break;
  }
  auto runs = picker_->pick_of(share.suggested, peer.conn(), *share.has, blocks_max, turn.now);
  const bool is_waiting = picker_->outstanding(peer.conn()) > 0 || share.leaf_requests > 0;
  // Others are at all of it.
  if (runs.empty() && !is_waiting) share.suggested.clear();
  return runs;
}

Result<void> Swarm::on_message(Turn& /*turn*/, Peer& /*peer*/, PeerShare& share,
                               const wire::Suggest& message) {
  if (!picker_ || !share.has) return {};
  if (message.piece >= share.has->size()) return protocol_error("suggests a piece that is none");
  share.suggest(message.piece);
  return {};
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::Reject& message) {
  if (!picker_) return {};
  const Layout& layout = metadata_.manifest().layout();
  const wire::BlockRun& run = message.run;
  if (run.piece >= layout.pieces_count() ||
      std::uint32_t{run.first_block} + run.count > layout.blocks_count(run.piece)) {
    return protocol_error("a reject of blocks that do not exist");
  }
  // What was out: a reject may also name what was cancelled, or never asked.
  const std::uint32_t before = picker_->outstanding(peer.conn());
  picker_->on_rejected(peer.conn(), run);
  const std::uint32_t rejected = before - picker_->outstanding(peer.conn());
  peer.pipeline.on_rejected(rejected);
  // After a choke it may serve them again later.
  if (rejected == 0 || peer.is_choking) return {};
  if (share.has && share.has->test(run.piece)) {
    picker_->on_declined(turn.now, peer.conn(), run);
  } else {
    picker_->forget_blocks(peer.conn(), run.piece);
  }
  return {};
}

Result<void> Swarm::on_block(Turn& turn, Peer& peer, PeerShare& share,
                             const wire::PieceBlock& block, Bytes record) {
  static_cast<void>(share);
  if (!picker_) {
    wasted_ += block.data_size;
    return {};
  }
  const Layout& layout = metadata_.manifest().layout();
  if (layout.block_size(block.piece, block.block) != block.data_size) {
    return protocol_error("a block of the wrong size, or of no piece");
  }
  const Picker::Received received =
      picker_->on_block_received(peer.conn(), block.piece, block.block);
  if (received.was_requested) {
    peer.pipeline.on_block(turn.now, block.data_size);
    peer.last_block = turn.now;
    peer.is_snubbed = false;
  } else {
    peer.pipeline.on_late_block(turn.now);
  }
  if (!received.is_wanted) {
    wasted_ += block.data_size;
    return {};
  }
  for (const ConnId other : received.cancel_at) {
    Peer& slower = turn.peers.at(other);
    slower.send(
        wire::Cancel{*slower.find_share(record_.id)->channel, {block.piece, block.block, 1}});
    slower.flush(turn.out);
  }
  const std::vector<Hash>* const leaves = leaves_of(block.piece);
  PN_CHECK(leaves != nullptr);
  const Piece piece = layout.piece(block.piece);
  begin_writing(turn, block.data_size);
  PendingBlock pending;
  pending.block = {block.piece, block.block,         block.data_size,
                   peer.conn(), peer.session().peer, peer.endpoint()};
  pending.file_index = piece.file_index;
  pending.write = {piece.offset + std::uint64_t{block.block} * kBlockSize, std::move(record),
                   block.data_begin, block.data_size, (*leaves)[block.block]};
  arriving().pending_blocks.push_back(std::move(pending));
  return {};
}

}  // namespace peernet::transfer
