// What the engine says about itself.

#include <algorithm>

#include "transfer/transfer.h"

namespace peernet::transfer {

std::string_view word(Reject why) {
  switch (why) {
    case Reject::stopping: return "stopping";
    case Reject::banned: return "banned";
    case Reject::address_limit: return "address_limit";
    case Reject::evicted: return "evicted";
    case Reject::handshake_rate: return "handshake_rate";
    case Reject::handshake: return "handshake";
    case Reject::late: return "late";
    case Reject::peers_limit: return "peers_limit";
    case Reject::duplicate: return "duplicate";
    case Reject::protocol: return "protocol";
    case Reject::unread: return "unread";
    case Reject::silent: return "silent";
    case Reject::unknown_share: return "unknown_share";
    case Reject::request: break;
  }
  return "request";
}

TransferStats Transfer::stats() const {
  TransferStats stats = counted_;
  for (const auto& [conn, peer] : peers_) stats.wire_out += peer.written();
  for (const auto& [id, swarm] : swarms_) {
    stats.verified_in += swarm.verified();
    stats.wasted_in += swarm.wasted();
    stats.reread += swarm.reread();
    stats.pieces_durable += swarm.pieces_durable();
  }
  stats.dialling = gate_.dialling();
  stats.unproven_in = gate_.unproven();
  stats.established_in = gate_.established_in();
  stats.established_out = gate_.established_out();
  stats.bans = bans_.peers();
  stats.bans_of_hosts = bans_.hosts();
  stats.addresses_known = dialer_.known();
  stats.imports = importers_.size();
  stats.block_bytes_held = block_bytes_held();
  return stats;
}

std::optional<Limits> Transfer::share_limits(const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return std::nullopt;
  return swarm->limits();
}

std::vector<ShareStatus> Transfer::shares(Time now) const {
  std::vector<ShareStatus> result;
  result.reserve(order_.size());
  for (const ShareId& id : order_) result.push_back(swarms_.at(id).status(now, peers_, dialer_));
  return result;
}

std::optional<ShareStatus> Transfer::share(Time now, const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return std::nullopt;
  return swarm->status(now, peers_, dialer_);
}

std::optional<WhyFacts> Transfer::why(Time now, const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return std::nullopt;
  WhyFacts facts = swarm->why(now, peers_, dialer_);
  if (const auto at = retries_.at(id)) facts.next_retry = at;
  facts.next_lookup = lookups_.at(id);
  if (facts.next_lookup && facts.status.state != ShareState::seeding &&
      facts.status.state != ShareState::partial) {
    facts.next_retry =
        facts.next_retry ? std::min(*facts.next_retry, *facts.next_lookup) : facts.next_lookup;
  }
  return facts;
}

std::vector<PeerStatus> Transfer::peers(Time now) const {
  std::vector<PeerStatus> result;
  for (const auto& [conn, peer] : peers_) {
    if (peer.phase() != Peer::Phase::open) continue;
    PeerStatus status;
    status.id = peer.session().peer;
    status.endpoint = peer.endpoint();
    status.is_inbound = peer.is_inbound();
    if (const auto source = dialer_.source(peer.endpoint()); source && !peer.is_inbound()) {
      status.found_by = word(*source);
    }
    status.is_choked = peer.is_choked;
    status.is_interested = peer.is_interested();
    status.is_choking = peer.is_choking;
    status.is_interesting = peer.is_interesting();
    status.rate_down = peer.received.rate(now);
    status.rate_up = peer.sent.rate(now);
    status.downloaded = peer.received.total();
    status.uploaded = peer.sent.total();
    status.requests_out = peer.pipeline.in_flight();
    status.round_trip = peer.round_trip;
    status.connected = now - peer.since();
    for (const auto& [id, share] : peer.shares()) {
      const Swarm* swarm = find_swarm(id);
      if (share.is_open() && swarm != nullptr) {
        status.shares.push_back({id, swarm->peer_done(share)});
      }
    }
    result.push_back(std::move(status));
  }
  return result;
}

std::uint32_t Transfer::peers_count() const {
  return static_cast<std::uint32_t>(by_peer_.size());
}

std::vector<ShareId> Transfer::share_ids() const {
  return order_;
}

std::optional<std::string> Transfer::link(const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return std::nullopt;
  Link link;
  link.id = id;
  link.name_hint = swarm->record().name;
  if (swarm->metadata().has_manifest()) {
    link.size_hint = swarm->metadata().manifest().layout().total_size();
  }
  return format_link(link);
}

std::optional<ShareFiles> Transfer::files(const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr || !swarm->metadata().has_manifest()) return std::nullopt;
  return swarm->files();
}

double Transfer::rate_down(Time now) const {
  double rate = 0;
  for (const auto& [id, swarm] : swarms_) rate += swarm.rate_down(now);
  return rate;
}

double Transfer::rate_up(Time now) const {
  double rate = 0;
  for (const auto& [id, swarm] : swarms_) rate += swarm.rate_up(now);
  return rate;
}

}  // namespace peernet::transfer
