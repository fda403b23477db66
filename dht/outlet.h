#pragma once

// The one way datagrams leave the engine: it counts them, and holds them to the size every path
// carries. Private networks seal here.

#include <cstdint>

#include "core/effects.h"

namespace peernet::dht {

class Outlet {
 public:
  // Requires: at most kDatagramOutMax bytes; of a put kPutOutMax.
  void send(const Endpoint& to, Bytes bytes, Effects& out);

  std::uint64_t bytes_count() const { return bytes_count_; }

 private:
  std::uint64_t bytes_count_ = 0;
};

}  // namespace peernet::dht
