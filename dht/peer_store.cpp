#include "dht/peer_store.h"

#include <algorithm>
#include <set>

#include "dht/node_id.h"

namespace peernet::dht {

PeerStore::PeerStore(const DhtId& own_id, bool special_use_is_global)
    : own_id_(own_id), special_use_is_global_(special_use_is_global) {}

bool PeerStore::would_keep(Time now, const DhtId& key, const Endpoint& peer) const {
  const DhtId place = distance(key, own_id_);
  const auto found = keys_.find(place);
  if (found == keys_.end()) return !room_for(now, place, nullptr, peer).is_refused;
  const Peers& peers = found->second;
  // Which of its ports a host will announce is not known; it may always refresh one.
  const Endpoint host = host_of(peer);
  return std::any_of(peers.begin(), peers.end(),
                     [&](const Peer& known) { return host_of(known.endpoint) == host; }) ||
         !room_for(now, place, &peers, peer).is_refused;
}

bool PeerStore::put(Time now, const DhtId& key, const Endpoint& peer) {
  const DhtId place = distance(key, own_id_);
  auto found = keys_.find(place);
  if (found != keys_.end()) {
    for (Peer& known : found->second) {
      if (known.endpoint != peer) continue;
      known.expires = now + kStoredFor;
      return true;
    }
  }
  const Room room = room_for(now, place, found == keys_.end() ? nullptr : &found->second, peer);
  if (room.is_refused) return false;
  if (room.peer_evicted != nullptr) erase_peer(found->second, Endpoint(*room.peer_evicted));
  if (room.is_key_evicted) erase_key(std::prev(keys_.end()));

  Peers& peers = keys_[place];
  const Endpoint host = host_of(peer);
  const bool is_host_known = std::any_of(peers.begin(), peers.end(), [&](const Peer& known) {
    return host_of(known.endpoint) == host;
  });
  if (!is_host_known && is_limited(peer, special_use_is_global_)) ++keys_of_host_[host];
  peers.push_back({peer, now + kStoredFor});
  ++peers_count_;
  return true;
}

void PeerStore::drop_expired(Time now) {
  for (auto key = keys_.begin(); key != keys_.end();) {
    Peers& peers = key->second;
    for (std::size_t i = 0; i < peers.size();) {
      if (peers[i].expires > now) {
        ++i;
      } else {
        erase_peer(peers, Endpoint(peers[i].endpoint));
      }
    }
    const auto here = key++;
    if (peers.empty()) keys_.erase(here);
  }
}

void PeerStore::move_to(const DhtId& own_id) {
  Keys moved;
  const DhtId shift = distance(own_id, own_id_);
  for (auto& [place, peers] : keys_) moved.emplace(distance(place, shift), std::move(peers));
  keys_ = std::move(moved);
  own_id_ = own_id;
}

std::vector<Endpoint> PeerStore::sample(Time now, const DhtId& key, std::size_t count_max, Rng& rng,
                                        const Endpoint* receiver) const {
  std::vector<Endpoint> result;
  const auto found = keys_.find(distance(key, own_id_));
  if (found == keys_.end() || count_max == 0) return result;
  std::vector<Endpoint> live;
  for (const Peer& peer : found->second) {
    if (peer.expires <= now) continue;
    if (receiver == nullptr || may_learn(peer.endpoint, *receiver, special_use_is_global_)) {
      live.push_back(peer.endpoint);
    }
  }
  if (live.size() <= count_max) return live;
  rng.shuffle(std::span(live));
  std::set<Endpoint> regions;
  std::vector<Endpoint> others;
  for (const Endpoint& peer : live) {
    const bool is_new_region = regions.insert(region_of(peer)).second;
    (is_new_region ? result : others).push_back(peer);
    if (result.size() == count_max) return result;
  }
  for (const Endpoint& peer : others) {
    if (result.size() == count_max) break;
    result.push_back(peer);
  }
  return result;
}

std::vector<DhtId> PeerStore::sample_keys(std::size_t count_max, Rng& rng) const {
  std::vector<DhtId> result;
  std::size_t left = keys_.size();
  std::size_t wanted = std::min(count_max, left);
  for (const auto& [place, peers] : keys_) {
    // Each key has the same chance: as many as are wanted of those that are left.
    if (rng.below(left--) >= wanted) continue;
    result.push_back(distance(place, own_id_));
    --wanted;
  }
  return result;
}

PeerStore::Room PeerStore::room_for(Time now, const DhtId& place, const Peers* peers,
                                    const Endpoint& peer) const {
  Room room;
  room.is_refused = true;
  if (peers != nullptr && std::any_of(peers->begin(), peers->end(),
                                      [&](const Peer& known) { return known.endpoint == peer; })) {
    room.is_refused = false;
    return room;
  }
  if (breaks_rule(now, peers, peer)) return room;
  const bool is_key_new = peers == nullptr;
  if (!is_key_new && peers->size() >= kStorePeersMax) {
    room.peer_evicted = displaced_by(*peers, peer);
    room.is_refused = room.peer_evicted == nullptr;
    return room;
  }
  if (peers_count_ >= kStorePeersTotalMax || (is_key_new && keys_.size() >= kStoreKeysMax)) {
    room.is_key_evicted = place < keys_.rbegin()->first;
    room.is_refused = !room.is_key_evicted;
    return room;
  }
  room.is_refused = false;
  return room;
}

bool PeerStore::breaks_rule(Time now, const Peers* peers, const Endpoint& peer) const {
  if (peer.port < 1024 || !peer.is_usable()) return true;
  if (!is_limited(peer, special_use_is_global_)) return false;
  const Endpoint host = host_of(peer);
  const Endpoint network = network_of(peer);
  std::size_t ports_count = 0;
  std::set<Endpoint> hosts;
  if (peers != nullptr) {
    for (const Peer& known : *peers) {
      if (known.expires <= now || network_of(known.endpoint) != network) continue;
      hosts.insert(host_of(known.endpoint));
      if (host_of(known.endpoint) == host) ++ports_count;
    }
  }
  if (ports_count > 0) return ports_count >= kStorePortsMax;
  if (hosts.size() >= kStoreHostsOfNetworkMax) return true;
  const auto keys = keys_of_host_.find(host);
  return keys != keys_of_host_.end() && keys->second >= kStoreKeysOfHostMax;
}

const Endpoint* PeerStore::displaced_by(const Peers& peers, const Endpoint& peer) const {
  std::map<Endpoint, std::size_t> count_of_region;
  for (const Peer& known : peers) ++count_of_region[region_of(known.endpoint)];
  const auto fullest =
      std::max_element(count_of_region.begin(), count_of_region.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto own = count_of_region.find(region_of(peer));
  const std::size_t own_count = own == count_of_region.end() ? 0 : own->second;
  if (own_count + 1 >= fullest->second) return nullptr;
  const Peer* soonest = nullptr;
  for (const Peer& known : peers) {
    if (region_of(known.endpoint) != fullest->first) continue;
    if (soonest == nullptr || known.expires < soonest->expires) soonest = &known;
  }
  return &soonest->endpoint;
}

void PeerStore::erase_peer(Peers& peers, const Endpoint& endpoint) {
  const auto found = std::find_if(peers.begin(), peers.end(),
                                  [&](const Peer& peer) { return peer.endpoint == endpoint; });
  if (found == peers.end()) return;
  *found = peers.back();
  peers.pop_back();
  --peers_count_;
  forget_host(peers, endpoint);
}

void PeerStore::erase_key(Keys::iterator key) {
  Peers& peers = key->second;
  while (!peers.empty()) erase_peer(peers, Endpoint(peers.back().endpoint));
  keys_.erase(key);
}

// Uncounts the host of an endpoint just erased, unless another port of it is left.
void PeerStore::forget_host(const Peers& peers, const Endpoint& endpoint) {
  const Endpoint host = host_of(endpoint);
  for (const Peer& peer : peers) {
    if (host_of(peer.endpoint) == host) return;
  }
  const auto count = keys_of_host_.find(host);
  if (count != keys_of_host_.end() && --count->second == 0) keys_of_host_.erase(count);
}

}  // namespace peernet::dht
