// What a share says to its peers and what it makes of their answers: who has what, blocks in,
// blocks out. Manifest and hashes are in swarm_metadata.cpp.

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "transfer/swarm.h"

namespace peernet::transfer {

namespace {

constexpr std::size_t kWriteBlocksMax = 64;  // in one disk job
// With so many jobs at the disk, fewer blocks than the goal wait until one of them has reported: a
// job for each handful of blocks costs more in hand-overs than in work.
constexpr std::uint32_t kWriteJobsBusy = 2;
constexpr std::size_t kWriteBlocksGoal = 32;
// A block is told of ahead of its piece while fewer peers than these have any of the piece.
constexpr std::uint32_t kEarlyHoldersMax = 4;
// Blocks suggested beyond what is asked for: together the peers are suggested no more than so much
// of the share, as nobody else begins with it.
constexpr std::uint64_t kSteerAheadPart = 8;
constexpr std::uint32_t kSteerAheadMin = 4;
constexpr std::uint32_t kSteerAheadMax = 16;
// What strangers may have, of a leecher all of them together, of a seed each.
constexpr std::uint64_t kAllowancePart = 8;  // of the share
constexpr std::uint64_t kAllowanceMin = std::uint64_t{64} << 10U;
constexpr std::uint64_t kAllowanceMax = std::uint64_t{8} << 20U;
constexpr std::uint64_t kAllowancePieces = 2;
constexpr std::size_t kWriteLeavesMax = 4096;  // leaves in one disk job

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
  share.steered.clear();
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
  share.steered.erase(message.piece);
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
  if (share.has->test(run.piece) || picker_->have().test(run.piece)) return {};
  picker_->on_peer_has_blocks(peer.conn(), run);
  if (!share.is_interesting) update_interest(peer, share);
  return {};
}

// Blocks of a piece that is not whole yet, to those that lack them, as long as few have any of it:
// later there are enough others to ask, and `have` will do.
void Swarm::tell_blocks(Turn& turn, const wire::BlockRun& run) {
  const std::uint32_t holders = picker_->copies(run.piece) + picker_->partial_copies(run.piece);
  if (holders >= kEarlyHoldersMax) return;
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    PeerShare& share = *peer.find_share(record_.id);
    const bool is_understood =
        (peer.session().capabilities & wire::kCapabilityHaveBlocks) != 0 && share.is_state_sent;
    if (!is_understood || !share.has || share.has->test(run.piece)) continue;
    if (const Bitfield* part = picker_->blocks_of(conn, run.piece)) {
      const auto end = std::uint32_t{run.first_block} + run.count;
      if (part->next_unset(run.first_block).value_or(end) >= end) continue;
    }
    peer.send(wire::HaveBlocks{*share.channel, run});
    peer.flush(turn.out);
  }
}

// ---- Blocks in

std::uint32_t Swarm::request(Turn& turn, Peer& peer, PeerShare& share, std::uint32_t blocks_max) {
  if (!picker_ || !wants_data() || !share.has || blocks_max == 0) return 0;
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
    peer.send(wire::Request{*share.channel, run});
    requested += run.count;
  }
  if (requested > 0) {
    const bool is_trial =
        peer.pipeline.is_doubted() && turn.now - peer.last_block < peer.pipeline.patience();
    if (peer.pipeline.in_flight() == 0 && !is_trial) peer.last_block = turn.now;
    peer.pipeline.on_request(turn.now, requested);
  }
  return requested;
}

// Has another the piece, who serves us and is not late itself?
bool Swarm::can_others_give(const Turn& turn, ConnId than, std::uint32_t piece) const {
  return std::ranges::any_of(members_, [&](ConnId conn) {
    const Peer& other = turn.peers.at(conn);
    const PeerShare* share = other.find_share(record_.id);
    return conn != than && !other.is_choking && !other.pipeline.is_doubted() && share->has &&
           share->has->test(piece);
  });
}

std::uint32_t Swarm::give_up_late(Turn& turn, Peer& peer) {
  const PeerShare* share = peer.find_share(record_.id);
  if (!picker_ || share == nullptr || !share->channel) return 0;
  std::uint32_t blocks_count = 0;
  for (const wire::BlockRun& run : picker_->requests(peer.conn())) {
    if (!can_others_give(turn, peer.conn(), run.piece)) continue;
    picker_->on_rejected(peer.conn(), run);
    peer.send(wire::Cancel{*share->channel, run});
    blocks_count += run.count;
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
    if (share.asked_again_at > turn.now || share.leaf_requests >= kLeafRequestsMax) break;
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

void Swarm::steer(Turn& turn, Peer& peer, PeerShare& share) {
  if (!picker_ || !served_.all() || !share.is_open() || !share.is_interested || !share.has) return;
  if (members_.size() < 2) return;
  if (!steering_) {
    Rng rng(steering_seed_);
    steering_ = std::make_unique<Steering>(served_.size(), rng);
    for (std::uint32_t piece = 0; piece < served_.size(); ++piece) {
      if (picker_->copies(piece) > 0) steering_->skip(piece);
    }
  }
  std::uint32_t ahead = 0;
  for (const auto& [piece, blocks_left] : share.steered) ahead += blocks_left;
  const std::uint64_t part =
      metadata_.manifest().layout().total_size() / kBlockSize / kSteerAheadPart;
  const auto least = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(part / members_.size(), kSteerAheadMin, kSteerAheadMax));
  const std::uint32_t queued = peer.upload.blocks_count();
  const std::uint32_t wanted = queued + std::max(least, queued / 2);
  while (ahead < wanted) {
    const auto piece = steering_->next(turn.now, peer.conn(), *share.has);
    if (!piece) return;
    peer.send(wire::Suggest{*share.channel, *piece});
    const std::uint32_t blocks_count = metadata_.manifest().layout().blocks_count(*piece);
    share.steered[*piece] = blocks_count;
    ahead += blocks_count;
  }
}

// Together the strangers that a leecher is connected to may have a part of the share from it, so
// that nobody gets far who asks everybody and gives nothing. At a seed it is as many pieces as it
// takes to show that one passes them on.
std::uint64_t Swarm::allowance(const Peers& peers) const {
  if (!picker_) return 0;
  std::uint64_t leechers = 0;
  for (const ConnId conn : members_) {
    const PeerShare* share = peers.at(conn).find_share(record_.id);
    if (share != nullptr && share->has && !share->has->all()) ++leechers;
  }
  const Layout& layout = metadata_.manifest().layout();
  const std::uint64_t part = layout.total_size() / kAllowancePart;
  const std::uint64_t bytes =
      std::clamp(part / std::max<std::uint64_t>(leechers, 1), kAllowanceMin, kAllowanceMax);
  if (wants_data()) return bytes;
  return std::max(bytes, kAllowancePieces * metadata_.manifest().piece_length());
}

void Swarm::give_up_kept(const Peer& peer) {
  if (!steering_ || !metadata_.is_complete()) return;
  steering_->take_all_back(peer.conn());
}

void Swarm::on_choking(const Peer& peer, PeerShare& share) {
  if (steering_ && metadata_.is_complete()) {
    for (const auto& [piece, blocks_left] : share.steered) {
      if (blocks_left == metadata_.manifest().layout().blocks_count(piece)) {
        steering_->take_back(piece, peer.conn());
      }
    }
  }
  share.steered.clear();
}

Result<void> Swarm::on_message(Turn& /*turn*/, Peer& peer, PeerShare& /*share*/,
                               const wire::Reject& message) {
  if (!picker_) return {};
  const Layout& layout = metadata_.manifest().layout();
  const wire::BlockRun& run = message.run;
  if (run.piece >= layout.pieces_count() ||
      std::uint32_t{run.first_block} + run.count > layout.blocks_count(run.piece)) {
    return protocol_error("a reject of blocks that do not exist");
  }
  picker_->on_rejected(peer.conn(), run);
  // After a choke it may serve them again later; otherwise they are gone.
  if (!peer.is_choking) picker_->forget_blocks(peer.conn(), run.piece);
  peer.pipeline.on_rejected(run.count);
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
  const auto leaves = leaves_.find(block.piece);
  PN_CHECK(leaves != leaves_.end());
  const Piece piece = layout.piece(block.piece);
  turn.load.writing += block.data_size;
  PendingBlock pending;
  pending.block = {block.piece, block.block,         block.data_size,
                   peer.conn(), peer.session().peer, peer.endpoint()};
  pending.file_index = piece.file_index;
  pending.write = {piece.offset + std::uint64_t{block.block} * kBlockSize, std::move(record),
                   block.data_begin, block.data_size, leaves->second[block.block]};
  pending_blocks_.push_back(std::move(pending));
  return {};
}

void Swarm::flush_writes(Turn& turn) {
  if (!pending_leaves_.empty()) {
    const Layout& layout = metadata_.manifest().layout();
    std::ranges::sort(pending_leaves_);
    std::size_t i = 0;
    while (i < pending_leaves_.size()) {
      WriteLeavesJob job;
      WriteLeaves write{JobId{}, record_.storage, layout.piece(pending_leaves_[i]).first_leaf, {}};
      for (; i < pending_leaves_.size() && write.leaves.size() < kWriteLeavesMax; ++i) {
        const std::uint32_t piece = pending_leaves_[i];
        if (layout.piece(piece).first_leaf != write.first + write.leaves.size()) break;
        const auto& leaves = leaves_.at(piece);
        write.leaves.insert(write.leaves.end(), leaves.begin(), leaves.end());
        job.pieces.push_back(piece);
      }
      write.job = add_job(turn, std::move(job));
      turn.out.push_back(std::move(write));
    }
    pending_leaves_.clear();
  }
  if (pending_blocks_.empty()) return;
  if (write_jobs_ >= kWriteJobsBusy && pending_blocks_.size() < kWriteBlocksGoal) return;
  std::ranges::sort(pending_blocks_, [](const PendingBlock& a, const PendingBlock& b) {
    return std::pair(a.file_index, a.write.offset) < std::pair(b.file_index, b.write.offset);
  });
  std::size_t i = 0;
  while (i < pending_blocks_.size()) {
    WriteJob job;
    WriteBlocks write{JobId{}, record_.storage, pending_blocks_[i].file_index, {}};
    for (; i < pending_blocks_.size() && write.blocks.size() < kWriteBlocksMax; ++i) {
      PendingBlock& pending = pending_blocks_[i];
      if (pending.file_index != write.file_index) break;
      job.blocks.push_back(pending.block);
      write.blocks.push_back(std::move(pending.write));
    }
    write.job = add_job(turn, std::move(job));
    ++write_jobs_;
    turn.out.push_back(std::move(write));
  }
  pending_blocks_.clear();
}

void Swarm::drop_pending(Turn& turn) {
  for (const PendingBlock& pending : pending_blocks_) turn.load.writing -= pending.block.size;
  pending_blocks_.clear();
  pending_leaves_.clear();
}

void Swarm::on_blocks_written(Turn& turn, WriteJob& job, FileResult& result, Outcome& outcome) {
  if (!result) {
    for (const WrittenBlock& block : job.blocks) picker_->on_block_failed(block.piece, block.block);
    fail(turn, result.error());
    return;
  }
  const auto* written = std::get_if<BlocksWritten>(&*result);
  PN_CHECK(written != nullptr);
  const Layout& layout = metadata_.manifest().layout();
  std::vector<wire::BlockRun> early;  // blocks of pieces that are not whole
  std::vector<bool> is_wrong(job.blocks.size(), false);
  for (const std::uint32_t index : written->mismatched) is_wrong.at(index) = true;
  for (std::size_t i = 0; i < job.blocks.size(); ++i) {
    const WrittenBlock& block = job.blocks[i];
    if (is_wrong[i]) {
      wasted_ += block.size;
      picker_->on_block_failed(block.piece, block.block);
      outcome.liars.push_back({block.conn, block.peer, block.endpoint});
      continue;
    }
    downloaded_ += block.size;
    down_.add(turn.now, block.size);
    last_data_ = turn.now;
    if (const auto peer = turn.peers.find(block.conn); peer != turn.peers.end()) {
      peer->second.received.add(turn.now, block.size);
    }
    verified_.set(static_cast<std::uint32_t>(layout.piece(block.piece).first_leaf + block.block));
    if (picker_->on_block_written(block.piece, block.block)) {
      on_piece_written(turn, block.piece);
    } else if (!early.empty() && early.back().piece == block.piece &&
               early.back().first_block + early.back().count == block.block) {
      ++early.back().count;
    } else {
      early.push_back({block.piece, block.block, 1});
    }
  }
  for (const wire::BlockRun& run : early) {
    if (picker_->state(run.piece) == Picker::PieceState::active) tell_blocks(turn, run);
  }
}

void Swarm::on_piece_written(Turn& turn, std::uint32_t piece) {
  if (leaves_unwritten_.contains(piece)) {
    waiting_for_leaves_.insert(piece);
  } else {
    on_piece_had(turn, piece);
  }
}

void Swarm::on_leaves_written(Turn& turn, const WriteLeavesJob& job, const FileResult& result) {
  if (!result) {
    fail(turn, result.error());
    return;
  }
  for (const std::uint32_t piece : job.pieces) {
    leaves_unwritten_.erase(piece);
    if (waiting_for_leaves_.erase(piece) > 0) {
      on_piece_had(turn, piece);
    } else if (const auto state = picker_->state(piece);
               state == Picker::PieceState::missing || state == Picker::PieceState::unwanted) {
      leaves_.erase(piece);  // released while it waited
    }
  }
}

void Swarm::on_piece_had(Turn& turn, std::uint32_t piece) {
  leaves_.erase(piece);
  served_.set(piece);
  const std::uint32_t size = metadata_.manifest().layout().piece_size(piece);
  done_bytes_ += size;
  dirty_bytes_ += size;
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    PeerShare& share = *peer.find_share(record_.id);
    if (share.is_state_sent) peer.send(wire::Have{*share.channel, piece});
    if (share.is_interesting) update_interest(peer, share);
    peer.flush(turn.out);
  }
  maybe_sync(turn);
  if (is_sequential_) update_urgent();
  serve_reads(turn);
  if (holds_wanted(served_)) tell_state(turn);
}

void Swarm::lose_piece(Turn& turn, std::uint32_t piece) {
  if (!served_.reset(piece)) return;
  done_bytes_ -= metadata_.manifest().layout().piece_size(piece);
  if (record_.stage == ShareStage::complete && !is_repairing_) {
    picker_->give_up(piece);
  } else {
    picker_->set_missing(piece);
  }
  durable_.reset(piece);
  // What is being saved was so before.
  for (auto& [job, saved] : saves_) {
    if (piece < saved.have.size()) saved.have.reset(piece);
  }
  durable_bytes_ = bytes_of(durable_);
  save(turn, SaveKind::progress, progress_record(durable_), durable_);
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    update_interest(peer, *peer.find_share(record_.id));
    peer.flush(turn.out);
  }
  tell_state(turn);
}

// ---- Blocks out

bool Swarm::can_serve(const wire::BlockRun& run) const {
  if (!is_active() || !is_open_ || !picker_ || run.piece >= served_.size()) return false;
  const Layout& layout = metadata_.manifest().layout();
  if (std::uint32_t{run.first_block} + run.count > layout.blocks_count(run.piece)) return false;
  return served_.test(run.piece) || picker_->has_blocks(run);
}

JobId Swarm::read(Turn& turn, ConnId conn, const wire::BlockRun& run) {
  const Layout& layout = metadata_.manifest().layout();
  const Piece piece = layout.piece(run.piece);
  ReadJob read;
  read.conn = conn;
  read.run = run;
  read.file_index = piece.file_index;
  read.offset = piece.offset + std::uint64_t{run.first_block} * kBlockSize;
  read.first_leaf = piece.first_leaf + run.first_block;
  const std::uint64_t end = std::min<std::uint64_t>(
      piece.size, (std::uint64_t{run.first_block} + run.count) * kBlockSize);
  read.size = static_cast<std::uint32_t>(end - std::uint64_t{run.first_block} * kBlockSize);
  read.is_verified = true;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    read.is_verified =
        read.is_verified && verified_.test(static_cast<std::uint32_t>(read.first_leaf + i));
  }
  const JobId job = turn.next_job(record_.id);
  read.ticket = job;
  issue_read(turn, job, std::move(read));
  return job;
}

void Swarm::issue_read(Turn& turn, JobId job, ReadJob read) {
  turn.out.push_back(ReadBlocks{job, record_.storage, read.file_index, read.offset, read.size,
                                read.first_leaf, read.is_verified});
  jobs_.emplace(job, NumberedJob{generation_, std::move(read)});
}

void Swarm::on_read(Turn& turn, ReadJob job, FileResult& result, Outcome& outcome) {
  if (!result) {
    if (!job.read) outcome.read = ReadDone{job.conn, job.ticket, std::nullopt};
    on_read_failed(turn, job, result.error());
    return;
  }
  auto* read = std::get_if<BlocksRead>(&*result);
  PN_CHECK(read != nullptr);
  if (read->is_changed) {
    // The file is not the one that was verified: every block of it is hashed again before it goes.
    const Layout::File& file = metadata_.manifest().layout().file(job.file_index);
    for (std::uint64_t i = 0; i < file.leaves_count; ++i) {
      verified_.reset(static_cast<std::uint32_t>(file.first_leaf + i));
    }
    job.is_verified = false;
    issue_read(turn, turn.next_job(record_.id), std::move(job));
    return;
  }
  PN_CHECK(read->data.size() == job.size);
  if (!job.is_verified) {
    reread_ += job.size;
    const std::uint64_t leaves_count = (std::uint64_t{job.size} + kBlockSize - 1) / kBlockSize;
    for (std::uint64_t i = 0; i < leaves_count; ++i) {
      verified_.set(static_cast<std::uint32_t>(job.first_leaf + i));
    }
  }
  if (!job.read) {
    outcome.read = ReadDone{job.conn, job.ticket, std::move(read->data)};
    return;
  }
  Bytes& bytes = read->data;
  bytes.erase(bytes.begin(), bytes.begin() + job.skipped);
  const std::uint64_t file_size = metadata_.manifest().layout().file(job.file_index).size;
  answer_read(turn, *job.read, FileBytes{std::move(bytes), file_size});
}

void Swarm::on_read_failed(Turn& turn, const ReadJob& job, const Error& error) {
  const Layout& layout = metadata_.manifest().layout();
  const std::uint32_t piece = layout.piece_at(job.file_index, job.offset);
  const bool is_one_piece =
      job.offset + job.size <= layout.piece(piece).offset + layout.piece_size(piece);
  if (job.read) readers_.on_failed(*job.read);
  if (error.code != Errc::corrupt) {
    fail(turn, error);
  } else if (!is_one_piece) {
    // Which of them is wrong, the next read tells, which is of one piece.
  } else if (record_.stage == ShareStage::complete) {
    fail(turn, Error{Errc::corrupt, "a file was changed after it was shared: " + error.what,
                     "put it back as it was; or peernet verify --repair puts it right"});
  } else {
    lose_piece(turn, piece);
  }
  serve_reads(turn);
}

void Swarm::on_sent_block(Time now, const Peer& peer, PeerShare& share, std::uint32_t piece,
                          std::uint64_t bytes) {
  const bool is_alone = picker_ && picker_->copies(piece) == 0;
  spread_.on_sent(piece, peer.conn(), peer.network(), bytes, is_alone);
  if (steering_) steering_->on_sent(now, piece, peer.conn(), peer.network());
  uploaded_ += bytes;
  up_.add(now, bytes);
  const auto steered = share.steered.find(piece);
  if (steered != share.steered.end() && --steered->second == 0) share.steered.erase(steered);
}

}  // namespace peernet::transfer
