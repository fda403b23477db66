#pragma once

// Time is handed in and cannot be asked for: the clock behind it has no now(). It counts
// microseconds of a monotonic clock from the start of the process (or of the simulated world).
// WallTime is for people, for records, and for the replay window of private handshakes.

#include <chrono>
#include <cstdint>

namespace peernet {

using Duration = std::chrono::microseconds;

struct Clock {
  using duration = Duration;        // NOLINT(readability-identifier-naming)
  using rep = duration::rep;        // NOLINT(readability-identifier-naming)
  using period = duration::period;  // NOLINT(readability-identifier-naming)
  using time_point =
      std::chrono::time_point<Clock, Duration>;  // NOLINT(readability-identifier-naming)
  static constexpr bool is_steady = true;
};

using Time = Clock::time_point;
inline constexpr Time kNever = Time::max();

// Milliseconds since 1970-01-01T00:00:00Z.
struct WallTime {
  std::int64_t unix_ms = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): it takes the comparison with 0 for a pointer
  auto operator<=>(const WallTime&) const = default;
};

inline double seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

}  // namespace peernet
