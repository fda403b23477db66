#include "transfer/bans.h"

#include <algorithm>

namespace peernet::transfer {
namespace {

// An IPv6 subscriber holds at least a /64.
Endpoint host_of(const Endpoint& endpoint) {
  return endpoint.prefix(endpoint.is_v6 ? 64 : 32);
}

}  // namespace

void Bans::on_bad_block(Time now, const PeerId& peer, const Endpoint& from) {
  expire(now);
  const auto [held, is_new] = peers_.try_emplace(peer, now);
  if (!is_new) oldest_peers_.erase({held->second, peer});
  held->second = now;
  oldest_peers_.emplace(now, peer);
  if (peers_.size() > kPeersMax) {
    peers_.erase(oldest_peers_.begin()->second);
    oldest_peers_.erase(oldest_peers_.begin());
  }

  if (!special_use_is_global_ && from.locality() != Locality::global) return;
  const Endpoint key = host_of(from);
  Host& host = hosts_[key];
  oldest_hosts_.erase({host.last, key});
  host.score = std::min(host.score + 1, kHostScoreMax);
  host.last = now;
  oldest_hosts_.emplace(now, key);
  if (hosts_.size() > kHostsMax) {
    hosts_.erase(oldest_hosts_.begin()->second);
    oldest_hosts_.erase(oldest_hosts_.begin());
  }
}

bool Bans::is_banned(Time now, const PeerId& peer) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && now < found->second + kPeerBan;
}

bool Bans::is_banned(Time now, const Endpoint& from) const {
  const auto found = hosts_.find(host_of(from));
  return found != hosts_.end() && found->second.score >= kHostScoreMax &&
         now < found->second.last + kHostBan;
}

void Bans::expire(Time now) {
  while (!oldest_peers_.empty() && oldest_peers_.begin()->first + kPeerBan <= now) {
    peers_.erase(oldest_peers_.begin()->second);
    oldest_peers_.erase(oldest_peers_.begin());
  }
  while (!oldest_hosts_.empty() && oldest_hosts_.begin()->first + kScoreLife <= now) {
    hosts_.erase(oldest_hosts_.begin()->second);
    oldest_hosts_.erase(oldest_hosts_.begin());
  }
}

}  // namespace peernet::transfer
