#include "transfer/bans.h"

#include <algorithm>

namespace peernet::transfer {
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

Result<void> Bans::ban(Time now, const PeerId& peer, Time until) {
  expire(now);
  if (by_hand_.size() >= kByHandMax && !by_hand_.contains(peer)) {
    return Error{Errc::too_large, "as many peers are banned by hand as may be", "lift some"};
  }
  by_hand_[peer] = until;
  return {};
}

bool Bans::lift(Time now, const PeerId& peer) {
  const bool was_banned = is_banned(now, peer);
  by_hand_.erase(peer);
  if (const auto found = peers_.find(peer); found != peers_.end()) {
    oldest_peers_.erase({found->second, peer});
    peers_.erase(found);
  }
  return was_banned;
}

std::vector<Bans::Banned> Bans::banned(Time now) const {
  std::vector<Banned> all;
  for (const auto& [peer, until] : by_hand_) {
    if (now < until) all.push_back({peer, until, true});
  }
  for (const auto& [peer, last] : peers_) {
    if (now < last + kPeerBan) all.push_back({peer, last + kPeerBan, false});
  }
  return all;
}

bool Bans::is_banned(Time now, const PeerId& peer) const {
  if (const auto by_hand = by_hand_.find(peer);
      by_hand != by_hand_.end() && now < by_hand->second) {
    return true;
  }
  const auto found = peers_.find(peer);
  return found != peers_.end() && now < found->second + kPeerBan;
}

bool Bans::is_banned(Time now, const Endpoint& from) const {
  const auto found = hosts_.find(host_of(from));
  return found != hosts_.end() && found->second.score >= kHostScoreMax &&
         now < found->second.last + kHostBan;
}

void Bans::expire(Time now) {
  std::erase_if(by_hand_, [&](const auto& entry) { return entry.second <= now; });
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
