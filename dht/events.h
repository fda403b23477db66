#pragma once

// What the DHT engine found out, for its owner.

#include <cstdint>
#include <optional>
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
  // Nodes that acknowledged the announce, of those it is meant for. Told when 6 of 8 have; what is
  // still on its way goes on.
  std::uint32_t stored = 0;
  std::uint32_t store_targets = 0;
  std::uint32_t hops = 0;  // queries in a row that led to the 8 nearest
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

// What became of one query of a lookup that is traced. Those still in flight when the lookup ends
// are not told.
struct LookupStep {
  enum class Outcome : std::uint8_t { answered, stranger, refused, failed };
  DhtId key;
  Endpoint node;
  std::optional<DhtId> id;   // the one it was expected to have
  Outcome outcome{};         // stranger: it answered under another id
  Duration took{};           // since it was asked
  std::uint32_t nodes = 0;   // it told us of
  std::uint32_t peers = 0;   // likewise
  bool is_announce = false;  // it was told, not asked
};

// The end of a ping the owner asked for.
struct Pinged {
  std::uint64_t number = 0;  // the owner's
  Endpoint endpoint;
  std::optional<DhtId> id;  // nothing: no answer, or an error
  Duration took{};
};

using Event = std::variant<PeersFound, LookupDone, NodesChanged, Joined, Grown, ItemFound, ItemDone,
                           LookupStep, Pinged>;

}  // namespace peernet::dht
