#pragma once

// Endpoints as the system has them, and the system's network errors as ours.

#include <sys/socket.h>

#include <string>

#include "core/endpoint.h"
#include "core/result.h"

namespace peernet::daemon {

// Returns the size of what was filled in.
socklen_t to_socket_address(const Endpoint& endpoint, sockaddr_storage& out);
// An endpoint of port 0 for families other than IPv4 and IPv6.
Endpoint from_socket_address(const sockaddr* address);

// From a negative libuv status or the negative of an errno. `what` says what was tried.
Error network_error(int status, const std::string& what);

}  // namespace peernet::daemon
