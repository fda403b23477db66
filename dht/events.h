#pragma once

// What the DHT engine found out, for its owner.

#include <cstdint>
#include <variant>
#include <vector>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/time.h"
#include "dht/item.h"

namespace peernet::dht {

// Peers under a key, as they come in; each is told once in a lookup.
struct PeersFound {
  DhtId key;
  std::vector<Endpoint> peers;
};

// A lookup the owner asked for has ended, whatever it found.
struct LookupDone {
  DhtId key;
  std::uint32_t nodes_asked = 0;
  std::uint32_t nodes_answered = 0;
  std::uint32_t peers_found = 0;
  std::uint32_t stored = 0;  // nodes that acknowledged the announce
  Duration took{};
  bool is_announce = false;
};

// snapshot() is worth saving: when the table has become usable, then at most once a minute.
struct NodesChanged {};

// At least one node answers: for the first time, or again after all were lost.
struct Joined {
  std::uint32_t nodes = 0;
};

// A node was listed while so few are known that each of them is among the nearest to every key:
// what we announce belongs there too.
struct Grown {
  std::uint32_t nodes = 0;
};

// An item under a target somebody asked for, checked. Of a mutable one this comes again when a
// newer one is found; the last told is the newest known.
struct ItemFound {
  DhtId target;
  Item item;
};

// What get_item() or put_item() began has ended, whatever it found.
struct ItemDone {
  DhtId target;
  std::uint32_t nodes_asked = 0;
  std::uint32_t nodes_answered = 0;
  std::uint32_t stored = 0;   // nodes that acknowledged the put
  std::uint32_t refused = 0;  // nodes that answered the put with an error
  std::int64_t error = 0;     // the code of the last of them: 301, 302...
  Duration took{};
  bool is_put = false;
  bool is_found = false;
};

using Event =
    std::variant<PeersFound, LookupDone, NodesChanged, Joined, Grown, ItemFound, ItemDone>;

}  // namespace peernet::dht
