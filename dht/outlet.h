#pragma once

// The one way datagrams leave the engine: it counts them, holds them to the size every path
// carries, and seals them in a private network.

#include <cstdint>
#include <optional>
#include <utility>

#include "core/effects.h"
#include "core/time.h"
#include "dht/seal.h"

namespace peernet::dht {

class Outlet {
 public:
  Outlet() = default;
  // Of a private network.
  explicit Outlet(Seal seal) : seal_(std::move(seal)) {}

  // Requires: an answer has at most kDatagramOutMax bytes, sealed, a query of ours kPutOutMax.
  void send(Time now, const Endpoint& to, Direction direction, Bytes bytes, Effects& out);

  Seal* seal() { return seal_ ? &*seal_ : nullptr; }
  // What sealing adds to each datagram.
  std::size_t overhead() const { return seal_ ? kSealOverhead : 0; }
  std::uint64_t bytes_count() const { return bytes_count_; }

 private:
  std::optional<Seal> seal_;
  std::uint64_t bytes_count_ = 0;
};

}  // namespace peernet::dht
