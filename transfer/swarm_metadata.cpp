// What a share asks and answers before any block can be: the manifest, the piece layers, and the
// leaf hashes of each piece.

#include <algorithm>
#include <utility>

#include "transfer/swarm.h"

namespace peernet::transfer {

namespace {

constexpr Duration kHashRejectWait = std::chrono::seconds(10);

// Is the hash of the piece its one leaf? Not so for a short last piece of a longer file, whose hash
// is that of the padded tree.
bool is_leaf_known(const Layout& layout, std::uint32_t piece_index) {
  const Piece piece = layout.piece(piece_index);
  return piece.blocks_count == 1 && (piece.is_only_piece_of_file || layout.blocks_per_piece() == 1);
}

}  // namespace

// ---- Manifest and piece layers

// Of those that say that they have it; who was late before comes after the others.
std::optional<ConnId> Swarm::best_source(const Turn& turn) const {
  std::optional<ConnId> best;
  Time best_late_at = kNever;
  for (const ConnId conn : members_) {
    const PeerShare* share = turn.peers.at(conn).find_share(record_.id);
    if (!share->has_manifest || share->asked_again_at > turn.now) continue;
    if (share->late_at >= best_late_at || metadata_.source() == conn) continue;
    best = conn;
    best_late_at = share->late_at;
  }
  return best;
}

// What is late may still come: it is given up only for somebody who was not late before, or after
// long.
void Swarm::change_source(Turn& turn) {
  const auto other = best_source(turn);
  if (!other) return;
  const auto share_of = [&](ConnId conn) { return turn.peers.at(conn).find_share(record_.id); };
  const bool is_fresh = share_of(*other)->late_at == Time{};
  if (!is_fresh && !metadata_.is_stalled(turn.now, kRequestPatience)) return;
  share_of(*metadata_.source())->late_at = turn.now;
  metadata_.drop_source();
}

void Swarm::pump_metadata(Turn& turn) {
  if (metadata_.is_complete()) return;
  if (!metadata_.source()) {
    const auto best = best_source(turn);
    if (!best) return;
    metadata_.begin(turn.now, *best);
  }
  Peer& peer = turn.peers.at(*metadata_.source());
  const PeerShare& share = *peer.find_share(record_.id);
  for (wire::ManifestRequest& request : metadata_.manifest_requests()) {
    request.channel = *share.channel;
    peer.send(request);
  }
  for (wire::HashRequest& request : metadata_.layer_requests()) {
    request.channel = *share.channel;
    peer.send(request);
  }
  peer.flush(turn.out);
}

void Swarm::on_metadata(Turn& turn) {
  metadata_.drop_source();
  const Manifest& manifest = metadata_.manifest();
  if (manifest.layout().leaves_count() > UINT32_MAX) {
    fail(turn, Error{Errc::too_large, "the share is too large for this version", {}},
         Failing::for_good);
    return;
  }
  record_.name = manifest.name();
  select_files();
  durable_ = {Bitfield(manifest.layout().pieces_count()), {}};
  durable_bytes_ = 0;
  save_record(turn, SaveKind::record);
  turn.events.emplace_back(ManifestKnown{record_.id});
  if (is_listing_) {
    close_peers(turn, wire::ShareCloseReason::stopped);
    return;
  }
  open_storage(turn);
  tell_state(turn);
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::ManifestHave& /*message*/) {
  share.has_manifest = true;
  say_have_state(peer, share);
  pump_metadata(turn);
  return {};
}

Result<void> Swarm::on_message(Turn& /*turn*/, Peer& peer, PeerShare& share,
                               const wire::ManifestRequest& message) {
  wire::ManifestData answer{*share.channel, 0, 0, {}};
  if (metadata_.has_manifest()) {
    const Bytes& encoded = metadata_.manifest().encoded();
    if (message.offset >= encoded.size()) return protocol_error("a manifest request past the end");
    const std::size_t size = std::min<std::size_t>(message.size, encoded.size() - message.offset);
    answer.total = static_cast<std::uint32_t>(encoded.size());
    answer.offset = message.offset;
    answer.bytes = BytesView(encoded).subspan(message.offset, size);
  }
  peer.send(answer);
  return {};
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::ManifestData& message) {
  if (metadata_.source() != peer.conn()) return {};
  if (auto taken = metadata_.on_manifest_data(turn.now, message); !taken) {
    if (metadata_.is_unacceptable()) {
      metadata_.drop_source();
      fail(turn, taken.error(), Failing::for_good);
      return {};
    }
    metadata_.drop_source();
    if (taken.error().code != Errc::not_found) return taken;
    share.has_manifest = false;
  }
  if (metadata_.is_complete()) {
    on_metadata(turn);
  } else {
    pump_metadata(turn);
  }
  return {};
}

// ---- Hashes

void Swarm::forget_leaf_requests(ConnId conn) {
  if (!arriving_) return;
  std::erase_if(arriving_->leaf_requests, [&](const auto& entry) {
    if (entry.second.conn != conn) return false;
    if (picker_) picker_->abandon(entry.first);
    return true;
  });
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::HashRequest& message) {
  const wire::HashSpan& span = message.span;
  const auto reject = [&] { peer.send(wire::HashReject{*share.channel, span}); };
  if (!metadata_.is_complete()) {
    reject();
    return {};
  }
  const Layout& layout = metadata_.manifest().layout();
  if (span.kind == wire::HashKind::piece_layers) {
    if (std::uint64_t{span.first} + span.count > layout.layer_nodes_count()) {
      return protocol_error("a hash request past the end of the piece layers");
    }
    wire::Hashes answer{*share.channel, span, {}};
    const BytesView nodes =
        BytesView(metadata_.layers().encoded())
            .subspan(std::size_t{span.first} * Hash::kSize, std::size_t{span.count} * Hash::kSize);
    for (std::size_t i = 0; i < span.count; ++i) {
      answer.hashes.push_back(*Hash::from(nodes.subspan(i * Hash::kSize, Hash::kSize)));
    }
    peer.send(answer);
    return {};
  }
  if (span.first >= layout.pieces_count() || span.count != layout.blocks_count(span.first)) {
    return protocol_error("a hash request for leaves that do not exist");
  }
  if (!picker_ || peer.hash_requests >= kHashRequestsMax) {
    reject();
    return {};
  }
  if (const std::vector<Hash>* const leaves = leaves_of(span.first)) {
    peer.send(wire::Hashes{*share.channel, span, *leaves});
    return {};
  }
  if (!served_.test(span.first)) {
    reject();
    return {};
  }
  if (is_leaf_known(layout, span.first)) {
    peer.send(wire::Hashes{
        *share.channel, span, {metadata_.layers().piece_hash(metadata_.manifest(), span.first)}});
    return {};
  }
  ++peer.hash_requests;
  turn.out.push_back(ReadLeaves{add_job(turn, ReadLeavesJob{peer.conn(), span}), record_.storage,
                                layout.piece(span.first).first_leaf, span.count});
  return {};
}

void Swarm::on_leaves_read(Turn& turn, const ReadLeavesJob& job, FileResult& result) {
  const auto found = turn.peers.find(job.conn);
  if (found == turn.peers.end()) return;
  Peer& peer = found->second;
  if (peer.hash_requests > 0) --peer.hash_requests;
  const PeerShare* share = peer.find_share(record_.id);
  if (share == nullptr || !share->is_open()) return;
  auto* read = result ? std::get_if<LeavesRead>(&*result) : nullptr;
  // What the disk gives is checked as what a peer gives: a damaged leaf file harms nobody.
  if (read != nullptr &&
      metadata_.layers().check_leaves(metadata_.manifest(), job.span.first, read->leaves)) {
    peer.send(wire::Hashes{*share->channel, job.span, std::move(read->leaves)});
  } else {
    peer.send(wire::HashReject{*share->channel, job.span});
  }
  peer.flush(turn.out);
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::Hashes& message) {
  if (message.span.kind == wire::HashKind::piece_layers) {
    if (metadata_.source() != peer.conn()) return {};
    if (auto taken = metadata_.on_hashes(turn.now, message); !taken) {
      metadata_.drop_source();
      return taken;
    }
    if (metadata_.is_complete()) {
      if (!picker_ && !is_opening_ && !is_open_) on_metadata(turn);
    } else {
      pump_metadata(turn);
    }
    return {};
  }
  if (!arriving_) return {};
  auto& requests = arriving_->leaf_requests;
  const auto found = requests.find(message.span.first);
  if (found == requests.end() || found->second.conn != peer.conn()) return {};  // late
  const std::uint32_t piece = message.span.first;
  if (!metadata_.layers().check_leaves(metadata_.manifest(), piece, message.hashes)) {
    return Error{Errc::corrupt, "it sent leaf hashes that do not belong to the piece", {}};
  }
  requests.erase(found);
  if (share.leaf_requests > 0) --share.leaf_requests;
  on_leaves(turn, piece, message.hashes);
  return {};
}

Result<void> Swarm::on_message(Turn& turn, Peer& peer, PeerShare& share,
                               const wire::HashReject& message) {
  share.asked_again_at = turn.now + kHashRejectWait;
  if (message.span.kind == wire::HashKind::piece_layers) {
    if (metadata_.source() == peer.conn()) {
      metadata_.drop_source();
      pump_metadata(turn);
    }
    return {};
  }
  if (!arriving_) return {};
  auto& requests = arriving_->leaf_requests;
  const auto found = requests.find(message.span.first);
  if (found == requests.end() || found->second.conn != peer.conn()) return {};
  requests.erase(found);
  if (share.leaf_requests > 0) --share.leaf_requests;
  if (picker_) picker_->abandon(message.span.first);
  return {};
}

void Swarm::on_leaves(Turn& /*turn*/, std::uint32_t piece, std::vector<Hash> leaves) {
  if (!picker_->activate(piece)) return;
  Arriving& arriving = this->arriving();
  arriving.leaves[piece] = std::move(leaves);
  // Of a piece that was released and is started again they may be on their way to the disk still.
  if (arriving.leaves_unwritten.insert(piece).second) arriving.pending_leaves.push_back(piece);
}

void Swarm::request_leaves(Turn& turn, Peer& peer, PeerShare& share, std::uint32_t blocks_wanted) {
  if (share.asked_again_at > turn.now || !peer.may_ask_leaves()) return;
  const Layout& layout = metadata_.manifest().layout();
  for (const std::uint32_t piece : picker_->urgent_missing(*share.has)) {
    if (!peer.may_ask_leaves()) return;
    if (!request_leaves_of(turn, peer, share, piece)) break;
  }
  std::uint32_t ahead = picker_->blocks_ready(peer.conn(), *share.has, blocks_wanted) +
                        share.leaf_requests * layout.blocks_per_piece();
  if (ahead >= blocks_wanted) return;
  if (!picker_->has_room()) {
    for (const std::uint32_t piece : picker_->release_idle()) forget_leaves(piece);
    // Begun pieces that nobody here can finish do not keep us from all others for ever.
    for (const std::uint32_t piece : picker_->stranded()) {
      if (picker_->has_room()) break;
      lose_piece(turn, piece);
    }
  }
  while (ahead < blocks_wanted && peer.may_ask_leaves()) {
    // What it has in part is the rarest.
    auto pieces = picker_->wanted_in_part(peer.conn(), kLeafRequestsMax);
    if (pieces.empty()) pieces = picker_->wanted_pieces(*share.has, kLeafRequestsMax);
    if (pieces.empty()) return;
    for (const std::uint32_t piece : pieces) {
      if (ahead >= blocks_wanted || !peer.may_ask_leaves()) return;
      if (!request_leaves_of(turn, peer, share, piece)) return;
      ahead += layout.blocks_count(piece);
    }
  }
}

// False when there is no room for another piece, or it is not missing.
bool Swarm::request_leaves_of(Turn& turn, Peer& peer, PeerShare& share, std::uint32_t piece) {
  if (!picker_->prepare(piece)) return false;
  const Layout& layout = metadata_.manifest().layout();
  if (is_leaf_known(layout, piece)) {
    on_leaves(turn, piece, {metadata_.layers().piece_hash(metadata_.manifest(), piece)});
    return true;
  }
  const auto blocks_count = static_cast<std::uint16_t>(layout.blocks_count(piece));
  peer.send(wire::HashRequest{*share.channel, {wire::HashKind::leaves, piece, blocks_count}});
  arriving().leaf_requests[piece] = {peer.conn(), turn.now};
  ++share.leaf_requests;
  return true;
}

}  // namespace peernet::transfer
