#include "dht/node_id.h"

#include <array>
#include <bit>

#include "core/check.h"
#include "core/hash.h"

namespace peernet::dht {

namespace {

constexpr std::array<std::uint8_t, 4> kV4Mask{0x03, 0x0f, 0x3f, 0xff};
constexpr std::array<std::uint8_t, 8> kV6Mask{0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff};

// The bits BEP 42 demands of the first three bytes; `choice` is the last byte of the id.
std::array<std::uint8_t, 3> bound_bytes(const Endpoint& address, std::uint8_t choice) {
  const BytesView mask = address.is_v6 ? BytesView(kV6Mask) : BytesView(kV4Mask);
  std::array<std::uint8_t, 8> masked{};
  for (std::size_t i = 0; i < mask.size(); ++i) {
    masked[i] = static_cast<std::uint8_t>(address.address[i] & mask[i]);
  }
  masked[0] |= static_cast<std::uint8_t>((choice & 7U) << 5U);
  const std::uint32_t crc = crc32c(BytesView(masked).first(mask.size()));
  return {static_cast<std::uint8_t>(crc >> 24U), static_cast<std::uint8_t>(crc >> 16U),
          static_cast<std::uint8_t>(crc >> 8U & 0xf8U)};
}

}  // namespace

DhtId distance(const DhtId& a, const DhtId& b) {
  DhtId result;
  for (std::size_t i = 0; i < DhtId::kSize; ++i) {
    result.bytes[i] = static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]);
  }
  return result;
}

std::uint64_t distance_prefix(const DhtId& a, const DhtId& b) {
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < sizeof(result); ++i) {
    result = result << 8U | static_cast<std::uint64_t>(a.bytes[i] ^ b.bytes[i]);
  }
  return result;
}

double distance_share(const DhtId& a, const DhtId& b) {
  return static_cast<double>(distance_prefix(a, b)) * 0x1p-64;
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

bool is_bound_to(const DhtId& id, const Endpoint& address) {
  const auto bound = bound_bytes(address, id.bytes.back());
  return id.bytes[0] == bound[0] && id.bytes[1] == bound[1] && (id.bytes[2] & 0xf8U) == bound[2];
}

DhtId random_id_bound_to(const Endpoint& address, Rng& rng) {
  auto id = rng.tagged<DhtId>();
  const auto bound = bound_bytes(address, id.bytes.back());
  id.bytes[0] = bound[0];
  id.bytes[1] = bound[1];
  id.bytes[2] = static_cast<std::uint8_t>(bound[2] | (id.bytes[2] & 7U));
  return id;
}

}  // namespace peernet::dht
