#pragma once

// What the scenarios of the DHT are played on and measured with: a network of honest nodes, keys
// that they announce, put and seek, and what came of it all.

#include <cstddef>
#include <set>
#include <vector>

#include "test/sim/dht_scenarios.h"

namespace peernet::dht_sim {

inline double ms(Duration duration) {
  return static_cast<double>(duration.count()) / 1000;
}

inline constexpr Duration kSettle = std::chrono::seconds(70);    // after the last start
inline constexpr Duration kPatience = std::chrono::seconds(15);  // for the last lookup of a batch
inline constexpr Duration kSpacing = std::chrono::milliseconds(50);

// A network of honest nodes that has had time to settle.
struct Network {
  World world;
  std::vector<HostId> nodes;
  std::set<HostId> natted;
  std::vector<HostId> reachable;

  explicit Network(const Setting& setting);

  // The first node, or in a large network any two.
  std::vector<Endpoint> bootstrap();
  HostId pick(const std::vector<HostId>& from) { return from[world.rng().below(from.size())]; }
  HostId pick_alive();
  std::vector<Endpoint> endpoints();
};

struct Key {
  DhtId key;
  dht::Item item;  // whose target the key is
  HostId announcer = 0;
};

std::vector<Key> draw_keys(Network& network, std::size_t count);
std::vector<LookupId> announce(Network& network, std::vector<Key>& keys);
std::vector<ItemId> put(Network& network, std::vector<Key>& keys);
LookupId seek(Network& network, const Key& key);
ItemId seek_item(Network& network, const Key& key);
std::vector<LookupId> miss_all(Network& network, std::size_t count, Duration spacing);

template <class Seek>
std::vector<std::size_t> seek_all(Network& network, const std::vector<Key>& keys,
                                  std::size_t seekers, Duration spacing, const Seek& one) {
  std::vector<std::size_t> ids;
  for (std::size_t i = 0; i < seekers; ++i) {
    for (const Key& key : keys) {
      ids.push_back(one(network, key));
      network.world.run_for(spacing);
    }
  }
  return ids;
}

Hits hits_of(const World& world, const std::vector<LookupId>& lookups);
Hits item_hits_of(const World& world, const std::vector<ItemId>& items);
Misses misses_of(const World& world, const std::vector<LookupId>& lookups);
Announces announces_of(const World& world, const std::vector<LookupId>& lookups);
Announces puts_of(const World& world, const std::vector<ItemId>& items);

}  // namespace peernet::dht_sim
