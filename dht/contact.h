#pragma once

// A contact is a DHT node we have heard of: its id and its endpoint. A location is what its address
// counts as for the limits of SECURITY.md 1.4: a host, its network, and the region around that.

#include <compare>
#include <cstdint>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "dht/node_id.h"

namespace peernet::dht {

struct Contact {
  DhtId id;
  Endpoint endpoint;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 trips over defaulted comparisons
  auto operator<=>(const Contact&) const = default;
};

// A /16, or /32 in IPv6.
inline Endpoint region_of(const Endpoint& endpoint) {
  return endpoint.prefix(endpoint.is_v6 ? 32 : 16);
}

// Loopback and private addresses are exempt from every rule per address or prefix.
inline bool is_limited(const Endpoint& endpoint, bool special_use_is_global) {
  return special_use_is_global || endpoint.locality() == Locality::global;
}

// What counts as one for the rules, as numbers that compare fast. Of one address family.
struct Location {
  std::uint64_t host = 0;
  std::uint64_t network = 0;
  std::uint64_t region = 0;
  bool is_limited = false;
};
Location location_of(const Endpoint& endpoint, bool special_use_is_global);

// Has this node the right to its id, as far as BEP 42 says? Exempt addresses have any.
inline bool has_right_to_id(const Contact& contact, bool special_use_is_global) {
  return !is_limited(contact.endpoint, special_use_is_global) ||
         is_bound_to(contact.id, contact.endpoint);
}

}  // namespace peernet::dht
