#pragma once

// The peers of one key, packed: 10 bytes each in IPv4, 22 in IPv6, and when each of them expires,
// to the second. They have numbers from 0 on, which change when one is erased.

#include <cstdint>
#include <optional>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/time.h"

namespace peernet::dht {

class PackedPeers {
 public:
  std::size_t size() const { return v4_.size() / kSizeV4 + v6_.size() / kSizeV6; }
  bool empty() const { return v4_.empty() && v6_.empty(); }
  Endpoint endpoint(std::size_t number) const;
  // Not before it should, and less than a second after.
  Time expires(std::size_t number) const;

  std::optional<std::size_t> find(const Endpoint& endpoint) const;
  // A peer of this host (host_of) is here.
  bool has_host(const Endpoint& host) const;

  void add(const Endpoint& endpoint, Time expires);
  void renew(std::size_t number, Time expires);
  // The last of its family takes its number.
  void erase(std::size_t number);

 private:
  static constexpr std::size_t kSizeV4 = 4 + 2 + 4;  // address, port, seconds
  static constexpr std::size_t kSizeV6 = 16 + 2 + 4;
  // One entry.
  BytesView at(std::size_t number) const;

  Bytes v4_;
  Bytes v6_;
};

}  // namespace peernet::dht
