#pragma once

// The space of 160-bit ids: nodes and keys live in the same space, and how far apart two of them
// are is their exclusive or, read as a big-endian number (Maymounkov and Mazieres 2002, BEP 5).

#include "core/bytes.h"
#include "core/rng.h"

namespace peernet::dht {

inline constexpr unsigned kIdBits = 160;

DhtId distance(const DhtId& a, const DhtId& b);

// Is `a` nearer to `target` than `b` is?
bool is_nearer(const DhtId& a, const DhtId& b, const DhtId& target);

// How many leading bits two ids share: 0 to 160, 160 only for equal ids.
unsigned shared_bits(const DhtId& a, const DhtId& b);

// A random id that shares exactly `bits` leading bits with `id`. Requires: bits < kIdBits.
DhtId random_id_sharing(const DhtId& id, unsigned bits, Rng& rng);

}  // namespace peernet::dht
