#pragma once

// The one clock: microseconds of the monotonic clock since it was made. Only the shell has it.

#include <uv.h>

#include <chrono>

#include "core/time.h"

namespace peernet::daemon {

class MonotonicClock {
 public:
  Time now() const { return at(uv_hrtime()); }
  // For a libuv timer: milliseconds from the loop's own time until `deadline`, never early.
  std::uint64_t milliseconds_until(Time deadline, uv_loop_t* loop) const {
    const auto due = static_cast<std::uint64_t>(
        std::chrono::ceil<std::chrono::milliseconds>(deadline.time_since_epoch()).count());
    const std::uint64_t now = uv_now(loop);
    const std::uint64_t at = due + start_ns_ / kMillisecondNs + 1;
    return at > now ? at - now : 0;
  }

 private:
  static constexpr std::uint64_t kMicrosecondNs = 1000;
  static constexpr std::uint64_t kMillisecondNs = 1'000'000;
  Time at(std::uint64_t ns) const {
    return Time(Duration(static_cast<std::int64_t>((ns - start_ns_) / kMicrosecondNs)));
  }

  std::uint64_t start_ns_ = uv_hrtime();
};

inline WallTime wall_now() {
  return {std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

}  // namespace peernet::daemon
