#include "dht/response_time.h"

#include <algorithm>

namespace peernet::dht {

namespace {

constexpr Duration kUnmeasured = std::chrono::milliseconds(400);

Duration clamped(Duration timeout) {
  return std::clamp(timeout, kSoftTimeoutMin, kSoftTimeoutMax);
}

}  // namespace

void ResponseTime::add(Duration took) {
  took = std::max(took, Duration(1));
  if (mean_ == Duration::zero()) {
    mean_ = took;
    // RFC 6298 begins with half of it; that makes the dead ones among new nodes twice as slow to
    // go.
    variance_ = took / 4;
    return;
  }
  const Duration off = took > mean_ ? took - mean_ : mean_ - took;
  variance_ = (variance_ * 3 + off) / 4;
  mean_ = (mean_ * 7 + took) / 8;
}

Duration ResponseTime::soft_timeout() const {
  if (mean_ == Duration::zero()) return kUnmeasured;
  return clamped(mean_ + variance_ * 4);
}

void ResponseTimes::add(Duration took) {
  recent_[count_ % kKept] = took;
  ++count_;
}

Duration ResponseTimes::soft_timeout() const {
  const std::size_t known = std::min(count_, kKept);
  if (known == 0) return kUnmeasured;
  auto sorted = recent_;
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(known * 9 / 10);
  std::nth_element(sorted.begin(), place, sorted.begin() + static_cast<std::ptrdiff_t>(known));
  return clamped(*place * 3 / 2);
}

}  // namespace peernet::dht
