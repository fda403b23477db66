#pragma once

// The addresses that this machine's interfaces have.

#include <cstdint>
#include <vector>

#include "core/endpoint.h"

namespace peernet::daemon {

inline constexpr std::size_t kInterfaceAddressesMax = 256;  // more of them are left out

struct InterfaceAddress {
  Endpoint address;  // of port 0
  std::uint32_t interface_index = 0;
  bool is_loopback = false;
  bool can_multicast = false;
};

// Of interfaces that are up. Empty if the system does not say.
std::vector<InterfaceAddress> interface_addresses();

}  // namespace peernet::daemon
