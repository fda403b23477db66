#pragma once

// Who announced what to us. Everything a stranger can grow here is bounded: keys, peers of a key,
// ports of an address, keys of an address, addresses of a network. When the store is full, keys
// far from our own id give way to nearer ones; nothing is ever displaced by mere arrival, and a
// full key favours the regions (/16) it knows least of. Loopback and private addresses are exempt
// from the rules per address, never from those on the total.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/rng.h"
#include "core/time.h"
#include "dht/config.h"
#include "dht/contact.h"
#include "dht/hash_counts.h"
#include "dht/keyed_hash.h"
#include "dht/packed_peers.h"

namespace peernet::dht {

inline constexpr std::size_t kStorePeersMax = 256;  // under one key
inline constexpr std::size_t kStorePortsMax = 4;    // of one address under one key
inline constexpr std::size_t kStoreKeysOfHostMax = 64;
static_assert(kStoreKeysOfHostMax < HashCounts::kCountMax);
inline constexpr std::size_t kStoreHostsOfNetworkMax = 8;  // under one key
inline constexpr Duration kStoredFor = std::chrono::minutes(30);

class PeerStore {
 public:
  PeerStore(const DhtId& own_id, bool special_use_is_global, const StoreLimits& limits, Rng& rng);

  // Would an announce of this endpoint be kept? If not, no token is given.
  bool would_keep(Time now, const DhtId& key, const Endpoint& peer) const;
  // Keeps it, or refreshes it. False if it is refused.
  bool put(Time now, const DhtId& key, const Endpoint& peer);
  void drop_expired(Time now);
  // Our own id has changed.
  void move_to(const DhtId& own_id);

  // At most `count_max` live peers of the key, drawn at random, as many regions as possible first.
  // With a receiver: only such as may be told to it.
  std::vector<Endpoint> sample(Time now, const DhtId& key, std::size_t count_max, Rng& rng,
                               const Endpoint* receiver = nullptr) const;

  // At most `count_max` of the keys that have peers, drawn at random.
  std::vector<DhtId> sample_keys(std::size_t count_max, Rng& rng) const;

  std::size_t keys_count() const { return keys_.size(); }
  std::size_t peers_count() const { return peers_count_; }

 private:
  using Keys = std::map<DhtId, PackedPeers>;  // by distance from our own id
  // What a new peer needs before there is room for it.
  struct Room {
    bool is_refused = false;
    bool is_key_evicted = false;              // the farthest key goes
    std::optional<std::size_t> peer_evicted;  // this peer of the same key goes
  };

  Room room_for(Time now, const DhtId& place, const PackedPeers* peers, const Endpoint& peer) const;
  bool breaks_rule(Time now, const PackedPeers* peers, const Endpoint& peer) const;
  static std::optional<std::size_t> displaced_by(const PackedPeers& peers, const Endpoint& peer);
  void erase_peer(PackedPeers& peers, std::size_t number);
  void erase_key(Keys::iterator key);
  std::uint64_t hash(const Endpoint& host) const;

  DhtId own_id_;
  bool special_use_is_global_;
  StoreLimits limits_;
  Keys keys_;
  KeyedHash keyed_hash_;
  HashCounts keys_of_host_;  // under how many keys each limited host stands
  std::size_t peers_count_ = 0;
};

}  // namespace peernet::dht
