#include "core/rate.h"

#include <algorithm>

#include "core/check.h"

namespace peernet {

namespace {

constexpr std::int64_t kMicro = 1'000'000;
constexpr std::int64_t kLevelMin = -static_cast<std::int64_t>(TokenBucket::kUnitsMax) * kMicro;

std::int64_t second_of(Time time) {
  return time.time_since_epoch().count() / kMicro;
}

}  // namespace

void RateMeter::add(Time now, std::uint64_t bytes) {
  const std::int64_t second = second_of(now);
  if (!first_) {
    first_ = now;
    slots_.resize(kSlots + 1);
  }
  const auto slots_count = static_cast<std::int64_t>(slots_.size());
  if (second - newest_ >= slots_count) {
    std::ranges::fill(slots_, 0U);
    newest_ = second;
  }
  while (newest_ < second) slots_[static_cast<std::size_t>(++newest_ % slots_count)] = 0;
  slots_[static_cast<std::size_t>(newest_ % slots_count)] += bytes;
  total_ += bytes;
}

double RateMeter::rate(Time now, unsigned window) const {
  if (!first_) return 0.0;
  const auto started = Duration(now.time_since_epoch().count() % kMicro);
  const double covered = static_cast<double>(window) + seconds(started);
  const double divisor = std::max(1.0, std::min(covered, seconds(now - *first_)));
  return static_cast<double>(bytes_in(now, window)) / divisor;
}

std::uint64_t RateMeter::bytes_in(Time now, unsigned window) const {
  PN_CHECK(window >= 1 && window <= kSlots);
  if (!first_) return 0;
  const auto slots_count = static_cast<std::int64_t>(slots_.size());
  const std::int64_t oldest = std::max({second_of(now) - static_cast<std::int64_t>(window),
                                        newest_ - slots_count + 1, std::int64_t{0}});
  std::uint64_t sum = 0;
  for (std::int64_t second = oldest; second <= newest_; ++second) {
    sum += slots_[static_cast<std::size_t>(second % slots_count)];
  }
  return sum;
}

TokenBucket::TokenBucket(std::optional<std::uint64_t> rate, std::uint64_t burst) : rate_(rate) {
  if (!rate_) return;
  rate_ = std::min(*rate_, kUnitsMax);
  const std::uint64_t held = burst == 0 ? *rate_ : std::min(burst, kUnitsMax);
  burst_ = static_cast<std::int64_t>(held) * kMicro;
  level_ = burst_;
}

void TokenBucket::change(Time now, std::optional<std::uint64_t> rate, std::uint64_t burst) {
  const std::int64_t level = rate_ ? level_ : 0;
  *this = TokenBucket(rate, burst);
  updated_ = now;
  if (!rate_) return;
  const std::int64_t debt_max = static_cast<std::int64_t>(*rate_) * kMicro;
  level_ = std::clamp(level, -debt_max, std::int64_t{0});
}

bool TokenBucket::may_take(Time now) {
  if (!rate_) return true;
  refill(now);
  return *rate_ > 0 && level_ > 0;
}

void TokenBucket::take(Time now, std::uint64_t units) {
  if (!rate_) return;
  refill(now);
  level_ -= static_cast<std::int64_t>(std::min(units, kUnitsMax)) * kMicro;
  level_ = std::max(level_, kLevelMin);
}

Time TokenBucket::ready_at(Time now) {
  if (may_take(now)) return now;
  if (*rate_ == 0) return kNever;
  const auto rate = static_cast<std::int64_t>(*rate_);
  const std::int64_t missing = 1 - level_;
  return now + Duration((missing + rate - 1) / rate);
}

void TokenBucket::refill(Time now) {
  if (now <= updated_) return;
  const std::int64_t elapsed = (now - updated_).count();
  updated_ = now;
  const auto rate = static_cast<std::int64_t>(*rate_);
  if (rate == 0) return;
  const std::int64_t missing = burst_ - level_;
  // A unit a second is a millionth a microsecond: the same number counts both.
  if (elapsed > missing / rate) {
    level_ = burst_;
  } else {
    level_ += elapsed * rate;
  }
}

}  // namespace peernet
