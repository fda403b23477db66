#include "daemon/uv/address.h"

#include <uv.h>

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace peernet::daemon {

socklen_t to_socket_address(const Endpoint& endpoint, sockaddr_storage& out) {
  out = {};
  if (endpoint.is_v6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(out);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(endpoint.port);
    std::copy(endpoint.address.begin(), endpoint.address.end(),
              std::begin(address.sin6_addr.s6_addr));
    return sizeof(sockaddr_in6);
  }
  auto& address = reinterpret_cast<sockaddr_in&>(out);
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  std::memcpy(&address.sin_addr, endpoint.address.data(), sizeof(address.sin_addr));
  return sizeof(sockaddr_in);
}

Endpoint from_socket_address(const sockaddr* address) {
  if (address->sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(*address);
    std::array<std::uint8_t, 16> bytes{};
    std::copy(std::begin(v6.sin6_addr.s6_addr), std::end(v6.sin6_addr.s6_addr), bytes.begin());
    return Endpoint::v6(bytes, ntohs(v6.sin6_port));
  }
  if (address->sa_family != AF_INET) return {};
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(*address);
  return Endpoint::v4(ntohl(v4.sin_addr.s_addr), ntohs(v4.sin_port));
}

Error network_error(int status, const std::string& what) {
  Errc code = Errc::io;
  switch (status) {
    case UV_EOF:
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECONNABORTED: code = Errc::closed; break;
    case UV_ECONNREFUSED: code = Errc::refused; break;
    case UV_ENETUNREACH:
    case UV_EHOSTUNREACH:
    case UV_EHOSTDOWN:
    case UV_ENETDOWN:
    case UV_EADDRNOTAVAIL:
    case UV_EAFNOSUPPORT: code = Errc::unavailable; break;
    case UV_ETIMEDOUT: code = Errc::timed_out; break;
    case UV_EACCES:
    case UV_EPERM: code = Errc::denied; break;
    case UV_EADDRINUSE: code = Errc::exists; break;
    case UV_ECANCELED: code = Errc::cancelled; break;
    default: break;
  }
  return {code, what + ": " + uv_strerror(status), ""};
}

}  // namespace peernet::daemon
