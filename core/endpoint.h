#pragma once

// Endpoint is an IPv4 or IPv6 address with a port. An IPv4-mapped IPv6 address is always stored as
// IPv4, so that no ban, quota or comparison can be walked around. Locality is the rule of
// SECURITY.md 1.4: what a stranger tells us is dialled only if it is no more local than he is.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"

namespace peernet {

// Ordered from most to least local.
enum class Locality : std::uint8_t { loopback, local, global };

struct Endpoint {
  std::array<std::uint8_t, 16> address{};  // the first 4 bytes for IPv4, the rest zero
  std::uint16_t port = 0;                  // host order
  bool is_v6 = false;

  // NOLINTNEXTLINE(modernize-use-nullptr): it takes the comparison with 0 for a pointer
  auto operator<=>(const Endpoint&) const = default;

  static Endpoint v4(std::uint32_t host_order_address, std::uint16_t port);
  // Normalises ::ffff:a.b.c.d to IPv4.
  static Endpoint v6(const std::array<std::uint8_t, 16>& address, std::uint16_t port);
  // "1.2.3.4:80" or "[::1]:80". No names. Port 0 is accepted.
  static std::optional<Endpoint> parse(std::string_view text);
  // BEP 5 and BEP 32 compact forms: 6 or 18 bytes, network order.
  static std::optional<Endpoint> unpack(BytesView compact);

  void pack(Bytes& out) const;
  std::string to_string() const;          // address and port
  std::string address_to_string() const;  // address alone
  BytesView address_view() const { return {address.data(), is_v6 ? 16U : 4U}; }

  Locality locality()
      const;  // loopback; RFC 1918, link-local, ULA, CGN (RFC 6598); everything else
  // Can something be sent there at all: not unspecified, multicast, broadcast, reserved; port not
  // 0.
  bool is_usable() const;
  // The address with all but the first `bits` bits zero and port 0: key of per-prefix limits.
  Endpoint prefix(unsigned bits) const;
};

// What counts as one for limits per host and per network (SECURITY.md 1.4): an IPv6 subscriber
// holds at least a /64, and often a /48.
inline Endpoint host_of(const Endpoint& endpoint) {
  return endpoint.prefix(endpoint.is_v6 ? 64 : 32);
}
inline Endpoint network_of(const Endpoint& endpoint) {
  return endpoint.prefix(endpoint.is_v6 ? 48 : 24);
}

// May an address learnt from `source` be listed or dialled? `special_use_is_global` is the testing
// switch that makes every address count as global. Ports under 1024 never.
bool may_learn(const Endpoint& learnt, const Endpoint& source, bool special_use_is_global);

}  // namespace peernet
