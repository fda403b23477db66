#pragma once

// LagMeter remembers how late the loop's timer was the last times: what a peer or a client waits
// when one turn takes long. The resolution is that of the timer, a millisecond.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/time.h"

namespace peernet::daemon {

class LagMeter {
 public:
  static constexpr std::size_t kSamplesMax = 1024;

  void add(Duration late) {
    samples_[next_] = late;
    next_ = (next_ + 1) % kSamplesMax;
    count_ = std::min(count_ + 1, kSamplesMax);
  }
  // Of the samples that are kept; zero while there is none.
  Duration p99() const {
    if (count_ == 0) return {};
    auto sorted = samples_;
    const std::size_t at = (count_ - 1) * 99 / 100;
    const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(at);
    std::nth_element(sorted.begin(), place, sorted.begin() + static_cast<std::ptrdiff_t>(count_));
    return *place;
  }

 private:
  std::array<Duration, kSamplesMax> samples_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
};

}  // namespace peernet::daemon
