#include "daemon/uv/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include "daemon/uv/address.h"

namespace peernet::daemon {

std::vector<InterfaceAddress> interface_addresses() {
  std::vector<InterfaceAddress> result;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return result;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
    if (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6) continue;
    if (result.size() == kInterfaceAddressesMax) break;
    InterfaceAddress own{from_socket_address(one->ifa_addr), if_nametoindex(one->ifa_name),
                         (one->ifa_flags & IFF_LOOPBACK) != 0,
                         (one->ifa_flags & IFF_MULTICAST) != 0};
    own.address.port = 0;
    if (own.interface_index != 0) result.push_back(own);
  }
  freeifaddrs(all);
  return result;
}

}  // namespace peernet::daemon
