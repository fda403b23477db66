#pragma once

// How long nodes take to answer, and from that how long to wait before a query counts as slow. A
// node we know is judged by its own smoothed time and its variance (RFC 6298), all others by the
// last answers of anybody. Both stay within 150 to 800 ms.

#include <array>
#include <cstddef>

#include "core/time.h"

namespace peernet::dht {

inline constexpr Duration kSoftTimeoutMin = std::chrono::milliseconds(150);
inline constexpr Duration kSoftTimeoutMax = std::chrono::milliseconds(800);

class ResponseTime {
 public:
  void add(Duration took);
  Duration soft_timeout() const;

 private:
  Duration mean_{};  // zero: nothing measured
  Duration variance_{};
};

class ResponseTimes {
 public:
  static constexpr std::size_t kKept = 64;

  void add(Duration took);
  // Nine of ten recent answers came sooner than two thirds of this. Before the first: 400 ms.
  Duration soft_timeout() const;

 private:
  std::array<Duration, kKept> recent_{};
  std::size_t count_ = 0;  // of all ever added
};

}  // namespace peernet::dht
