#pragma once

// Limits are bytes a second each way: of the node, of one share over all peers, or of each peer
// over all shares. RateLimits keeps to them. What is sent or asked for counts under all that
// concern it.

#include <cstdint>
#include <optional>

#include "core/rate.h"
#include "core/time.h"

namespace peernet::transfer {

// nullopt: no limit.
struct Limits {
  std::optional<std::uint64_t> up;
  std::optional<std::uint64_t> down;
  bool operator==(const Limits&) const = default;
};

// Of each peer, over all shares; and whether any limit counts for peers on the local network, which
// are those at private, link-local and loopback addresses.
struct PeerLimits {
  Limits each;
  bool is_lan_limited = true;
  bool operator==(const PeerLimits&) const = default;
};

struct RateLimits {
  TokenBucket up;
  TokenBucket down;

  explicit RateLimits(const Limits& rates = {})
      : up(rates.up, burst_of(rates.up)), down(rates.down, burst_of(rates.down)) {}
  void change(Time now, const Limits& rates) {
    up.change(now, rates.up, burst_of(rates.up));
    down.change(now, rates.down, burst_of(rates.down));
  }
  Limits rates() const { return {up.rate(), down.rate()}; }

  // A tenth of a second's worth: over ten seconds a limit is kept to a hundredth.
  static std::uint64_t burst_of(std::optional<std::uint64_t> rate) { return rate.value_or(0) / 10; }
};

}  // namespace peernet::transfer
