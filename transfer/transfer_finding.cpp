// Peers found otherwise than by the share's own key in the DHT: by peers, by the keys of its
// segments, on the local network.

#include <utility>

#include "transfer/share_key.h"
#include "transfer/transfer.h"

namespace peernet::transfer {

// ---- Peer exchange

// Where the connected peers of a share listen. An address we dialled is proven; of who dialled us
// the host is, and the port is its own word.
std::set<Endpoint> Transfer::listeners_of(const ShareId& share) const {
  std::set<Endpoint> there;
  for (const auto& [conn, peer] : peers_) {
    if (peer.phase() != Peer::Phase::open) continue;
    const PeerShare* known = peer.find_share(share);
    if (known == nullptr || !known->is_open()) continue;
    if (const auto listen = peer.listen_endpoint()) there.insert(*listen);
  }
  return there;
}

void Transfer::tell_peers(Turn& t) {
  if (!config_.has_pex) return;
  std::map<ShareId, std::set<Endpoint>> there;
  for (auto& [conn, peer] : peers_) {
    if (peer.phase() != Peer::Phase::open) continue;
    for (auto& [id, share] : peer.shares()) {
      // Whoever has everything looks for nobody.
      if (!share.is_open() || !share.pex_told.is_due(t.now)) continue;
      if (share.has && share.has->all()) continue;
      const auto [place, is_first] = there.try_emplace(id);
      if (is_first) place->second = listeners_of(id);
      auto message =
          share.pex_told.next(t.now, place->second, peer.endpoint(), peer.listen_endpoint(),
                              config_.special_use_is_global, rng_);
      if (!message) continue;
      message->channel = *share.channel;
      peer.send(*message);
      peer.flush(t.out);
    }
  }
}

void Transfer::on_pex(Turn& t, Peer& peer, const wire::Pex& message) {
  PeerShare* share = peer.find_channel(message.channel);
  if (!config_.has_pex || share == nullptr || !share->is_open()) return;
  if (share->pex_heard_at && t.now - *share->pex_heard_at < kPexInterval - kPexEarly) return;
  share->pex_heard_at = t.now;
  Swarm* swarm = find_swarm(share->id);
  if (swarm == nullptr || !swarm->wants_data()) return;
  const auto named = peer.pex_named.take(message, peer.endpoint(), config_.special_use_is_global);
  for (const Endpoint& endpoint : named) offer(t, *swarm, endpoint, Dialer::Source::pex);
  dial(t);
}

// ---- Piece discovery

void Transfer::say_and_seek_segments(Time now, const Swarm& swarm) {
  if (!swarm.is_exchanging() || swarm.held().size() < kSegmentedPiecesMin) return;
  const ShareId& id = swarm.id();
  const auto [place, is_first] = segments_.try_emplace(id);
  for (std::uint8_t i = 0; is_first && i < kSegmentsCount; ++i) {
    by_segment_.emplace(segment_key(id, i), id);
  }
  for (const std::uint8_t segment : place->second.say(now, swarm.held())) {
    events_.emplace_back(AnnounceWanted{segment_key(id, segment)});
  }
  const auto lost = swarm.pieces_without_holder();
  for (std::size_t i = 0; i < kSegmentsSoughtMax; ++i) {
    const auto segment = place->second.seek(now, lost, swarm.held().size());
    if (segment) events_.emplace_back(PeersWanted{segment_key(id, *segment)});
  }
}

// The share is complete, or not active any more: whoever has all of it is found by its own key.
void Transfer::end_segments(const ShareId& share) {
  const auto found = segments_.find(share);
  if (found == segments_.end()) return;
  for (const std::uint8_t segment : found->second.said()) {
    events_.emplace_back(AnnounceOver{segment_key(share, segment)});
  }
  for (std::uint8_t i = 0; i < kSegmentsCount; ++i) by_segment_.erase(segment_key(share, i));
  segments_.erase(found);
}

// ---- The local network

void Transfer::say_on_lan(Time now, const Swarm& swarm) {
  if (!lan_) return;
  if (swarm.is_active()) {
    lan_->set(now, swarm.id(), swarm.wants_data() && swarm.peers_count() < kPeersEnough);
  } else {
    lan_->remove(swarm.id());
  }
}

void Transfer::on_multicast(Time now, const Endpoint& from, BytesView bytes, Effects& out) {
  if (!lan_ || is_stopping_) return;
  Turn t = turn(now, out);
  const auto heard = lan_->on_datagram(now, t.wall, from, bytes);
  if (!heard || !may_learn(heard->peer, from, config_.special_use_is_global)) return;
  for (const ShareId& id : heard->shares) {
    Swarm* swarm = find_swarm(id);
    if (swarm == nullptr || !swarm->wants_data()) continue;
    offer(t, *swarm, heard->peer, Dialer::Source::lan);
  }
  dial(t);
}

}  // namespace peernet::transfer
