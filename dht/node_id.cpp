#include "dht/node_id.h"

#include <bit>

#include "core/check.h"

namespace peernet::dht {

DhtId distance(const DhtId& a, const DhtId& b) {
  DhtId result;
  for (std::size_t i = 0; i < DhtId::kSize; ++i) {
    result.bytes[i] = static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]);
  }
  return result;
}

bool is_nearer(const DhtId& a, const DhtId& b, const DhtId& target) {
  for (std::size_t i = 0; i < DhtId::kSize; ++i) {
    if (a.bytes[i] == b.bytes[i]) continue;
    return (a.bytes[i] ^ target.bytes[i]) < (b.bytes[i] ^ target.bytes[i]);
  }
  return false;
}

unsigned shared_bits(const DhtId& a, const DhtId& b) {
  for (unsigned i = 0; i < DhtId::kSize; ++i) {
    const auto differing = static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]);
    if (differing != 0) return i * 8 + static_cast<unsigned>(std::countl_zero(differing));
  }
  return kIdBits;
}

DhtId random_id_sharing(const DhtId& id, unsigned bits, Rng& rng) {
  PN_CHECK(bits < kIdBits);
  auto result = rng.tagged<DhtId>();
  const std::size_t whole = bits / 8;
  for (std::size_t i = 0; i < whole; ++i) result.bytes[i] = id.bytes[i];
  // In the byte where they part: the shared bits above, the next bit turned, chance below.
  const unsigned turned = 0x80U >> (bits % 8);
  const unsigned below = turned - 1;
  const unsigned byte = id.bytes[whole];
  result.bytes[whole] =
      static_cast<std::uint8_t>(((byte ^ turned) & ~below) | (result.bytes[whole] & below));
  return result;
}

}  // namespace peernet::dht
