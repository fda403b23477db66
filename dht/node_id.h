#pragma once

// The space of 160-bit ids: nodes and keys live in the same space, and how far apart two of them
// are is their exclusive or, read as a big-endian number (Maymounkov and Mazieres 2002, BEP 5). An
// id may be bound to the address it is used at (BEP 42), so that nobody chooses where in it he
// stands.

#include <cstdint>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/rng.h"

namespace peernet::dht {

inline constexpr unsigned kIdBits = 160;

DhtId distance(const DhtId& a, const DhtId& b);

// The first 64 bits of the distance, and all of it as a share of the whole space: 0 to 1.
std::uint64_t distance_prefix(const DhtId& a, const DhtId& b);
double distance_share(const DhtId& a, const DhtId& b);

// Is `a` nearer to `target` than `b` is?
bool is_nearer(const DhtId& a, const DhtId& b, const DhtId& target);

// How many leading bits two ids share: 0 to 160, 160 only for equal ids.
unsigned shared_bits(const DhtId& a, const DhtId& b);

// A random id that shares exactly `bits` leading bits with `id`. Requires: bits < kIdBits.
DhtId random_id_sharing(const DhtId& id, unsigned bits, Rng& rng);

// Is this an id BEP 42 allows at this address: its first 21 bits and the low 3 of its last byte
// follow from the address. The port does not count.
bool is_bound_to(const DhtId& id, const Endpoint& address);
DhtId random_id_bound_to(const Endpoint& address, Rng& rng);

}  // namespace peernet::dht
