#include "dht/peer_store.h"

#include <algorithm>
#include <array>

#include "core/codec.h"
#include "dht/node_id.h"

namespace peernet::dht {

namespace {

// Adds a number to a few. False: it was among them.
bool add_new(std::vector<std::uint64_t>& numbers, std::uint64_t number) {
  if (std::find(numbers.begin(), numbers.end(), number) != numbers.end()) return false;
  numbers.push_back(number);
  return true;
}

}  // namespace

PeerStore::PeerStore(const DhtId& own_id, bool special_use_is_global, const StoreLimits& limits,
                     Rng& rng)
    : own_id_(own_id),
      special_use_is_global_(special_use_is_global),
      limits_(limits),
      keyed_hash_(rng) {}

bool PeerStore::would_keep(Time now, const DhtId& key, const Endpoint& peer) const {
  const DhtId place = distance(key, own_id_);
  const auto found = keys_.find(place);
  if (found == keys_.end()) return !room_for(now, place, nullptr, peer).is_refused;
  const PackedPeers& peers = found->second;
  // Which of its ports a host will announce is not known; it may always refresh one.
  return peers.has_host(host_of(peer)) || !room_for(now, place, &peers, peer).is_refused;
}

bool PeerStore::put(Time now, const DhtId& key, const Endpoint& peer) {
  const DhtId place = distance(key, own_id_);
  auto found = keys_.find(place);
  if (found != keys_.end()) {
    if (const auto known = found->second.find(peer)) {
      found->second.renew(*known, now + kStoredFor);
      return true;
    }
  }
  const Room room = room_for(now, place, found == keys_.end() ? nullptr : &found->second, peer);
  if (room.is_refused) return false;
  if (room.peer_evicted) erase_peer(found->second, *room.peer_evicted);
  if (room.is_key_evicted) erase_key(std::prev(keys_.end()));

  PackedPeers& peers = keys_[place];
  const Endpoint host = host_of(peer);
  if (is_limited(peer, special_use_is_global_) && !peers.has_host(host)) {
    keys_of_host_.increment(hash(host));
  }
  peers.add(peer, now + kStoredFor);
  ++peers_count_;
  return true;
}

void PeerStore::drop_expired(Time now) {
  for (auto key = keys_.begin(); key != keys_.end();) {
    PackedPeers& peers = key->second;
    for (std::size_t i = 0; i < peers.size();) {
      if (peers.expires(i) > now) {
        ++i;
      } else {
        erase_peer(peers, i);
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
  const PackedPeers& peers = found->second;
  live.reserve(peers.size());
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (peers.expires(i) <= now) continue;
    const Endpoint peer = peers.endpoint(i);
    if (receiver == nullptr || may_learn(peer, *receiver, special_use_is_global_)) {
      live.push_back(peer);
    }
  }
  if (live.size() <= count_max) return live;
  rng.shuffle(std::span(live));
  std::vector<std::uint64_t> regions;
  std::vector<Endpoint> others;
  for (const Endpoint& peer : live) {
    const bool is_new_region = add_new(regions, location_of(peer, special_use_is_global_).region);
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

PeerStore::Room PeerStore::room_for(Time now, const DhtId& place, const PackedPeers* peers,
                                    const Endpoint& peer) const {
  Room room;
  room.is_refused = true;
  if (peers != nullptr && peers->find(peer)) {
    room.is_refused = false;
    return room;
  }
  if (breaks_rule(now, peers, peer)) return room;
  const bool is_key_new = peers == nullptr;
  if (!is_key_new && peers->size() >= kStorePeersMax) {
    room.peer_evicted = displaced_by(*peers, peer);
    room.is_refused = !room.peer_evicted;
    return room;
  }
  if (peers_count_ >= limits_.peers || (is_key_new && keys_.size() >= limits_.keys)) {
    room.is_key_evicted = place < keys_.rbegin()->first;
    room.is_refused = !room.is_key_evicted;
    return room;
  }
  room.is_refused = false;
  return room;
}

bool PeerStore::breaks_rule(Time now, const PackedPeers* peers, const Endpoint& peer) const {
  if (peer.port < 1024 || !peer.is_usable()) return true;
  const Location location = location_of(peer, special_use_is_global_);
  if (!location.is_limited) return false;
  std::size_t ports_count = 0;
  std::vector<std::uint64_t> hosts;
  if (peers != nullptr) {
    for (std::size_t i = 0; i < peers->size(); ++i) {
      const Location known = location_of(peers->endpoint(i), special_use_is_global_);
      if (known.network != location.network || peers->expires(i) <= now) continue;
      add_new(hosts, known.host);
      if (known.host == location.host) ++ports_count;
    }
  }
  if (ports_count > 0) return ports_count >= kStorePortsMax;
  if (hosts.size() >= kStoreHostsOfNetworkMax) return true;
  return keys_of_host_.count(hash(host_of(peer))) >= kStoreKeysOfHostMax;
}

std::optional<std::size_t> PeerStore::displaced_by(const PackedPeers& peers, const Endpoint& peer) {
  std::map<Endpoint, std::size_t> count_of_region;
  for (std::size_t i = 0; i < peers.size(); ++i) ++count_of_region[region_of(peers.endpoint(i))];
  const auto fullest =
      std::max_element(count_of_region.begin(), count_of_region.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto own = count_of_region.find(region_of(peer));
  const std::size_t own_count = own == count_of_region.end() ? 0 : own->second;
  if (own_count + 1 >= fullest->second) return std::nullopt;
  std::optional<std::size_t> soonest;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (region_of(peers.endpoint(i)) != fullest->first) continue;
    if (!soonest || peers.expires(i) < peers.expires(*soonest)) soonest = i;
  }
  return soonest;
}

void PeerStore::erase_peer(PackedPeers& peers, std::size_t number) {
  const Endpoint peer = peers.endpoint(number);
  peers.erase(number);
  --peers_count_;
  const Endpoint host = host_of(peer);
  if (is_limited(peer, special_use_is_global_) && !peers.has_host(host)) {
    keys_of_host_.decrement(hash(host));
  }
}

void PeerStore::erase_key(Keys::iterator key) {
  PackedPeers& peers = key->second;
  while (!peers.empty()) erase_peer(peers, peers.size() - 1);
  keys_.erase(key);
}

std::uint64_t PeerStore::hash(const Endpoint& host) const {
  Reader address(host.address);
  return keyed_hash_(std::array<std::uint64_t, 2>{address.u64(), host.is_v6 ? 1U : 0U});
}

}  // namespace peernet::dht
