#pragma once

// Network is whose part of something a peer draws on: many identities in one network count as one.
// It is a /24 or /48; an address that is exempt from such rules (SECURITY.md 1.4) stands for
// itself.

#include <utility>

#include "core/effects.h"
#include "core/endpoint.h"

namespace peernet::transfer {

using Network = std::pair<Endpoint, ConnId>;

inline Network network_of(const Endpoint& endpoint, ConnId conn, bool special_use_is_global) {
  if (!special_use_is_global && endpoint.locality() != Locality::global) return {Endpoint{}, conn};
  return {network_of(endpoint), ConnId{}};
}

}  // namespace peernet::transfer
