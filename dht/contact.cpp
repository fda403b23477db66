#include "dht/contact.h"

#include "core/codec.h"

namespace peernet::dht {

Location location_of(const Endpoint& endpoint, bool special_use_is_global) {
  const std::uint64_t first = Reader(endpoint.address).u64();
  const auto of = [&](unsigned bits) { return first >> (64 - bits); };
  const bool is_limiting = is_limited(endpoint, special_use_is_global);
  if (endpoint.is_v6) return {of(64), of(48), of(32), is_limiting};
  return {of(32), of(24), of(16), is_limiting};
}

}  // namespace peernet::dht
