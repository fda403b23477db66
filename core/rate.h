#pragma once

// RateMeter measures bytes per second over a sliding window; TokenBucket enforces a limit.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/time.h"

namespace peernet {

// Bytes per second over at most `kSlots` seconds, in one-second slots; younger meters divide by
// their age, but never by less than a second. Requires: times never go back.
class RateMeter {
 public:
  static constexpr std::size_t kSlots = 20;

  void add(Time now, std::uint64_t bytes);
  // Mean over the last `window` seconds. Requires: window in [1, kSlots].
  double rate(Time now, unsigned window = 5) const;
  // What came in the last `window` seconds, and in the started second before them.
  std::uint64_t bytes_in(Time now, unsigned window) const;
  std::uint64_t total() const { return total_; }

 private:
  // The second now running and the kSlots before it, each at its number modulo the size. None
  // before the first byte: most shares never see one.
  std::vector<std::uint64_t> slots_;
  std::int64_t newest_ = -1;  // second of the newest slot
  std::optional<Time> first_;
  std::uint64_t total_ = 0;
};

// Holds at most `burst` units and gains `rate` a second. take() may overdraw by one item, so that a
// block larger than what is left still goes; what follows waits until the debt is paid.
class TokenBucket {
 public:
  // rate 0: nothing ever passes. nullopt: unlimited. burst 0: one second's worth. Rates and bursts
  // over kUnitsMax count as kUnitsMax.
  static constexpr std::uint64_t kUnitsMax = 1'000'000'000'000;
  explicit TokenBucket(std::optional<std::uint64_t> rate = std::nullopt, std::uint64_t burst = 0);

  bool is_limited() const { return rate_.has_value(); }
  std::optional<std::uint64_t> rate() const { return rate_; }
  // Another rate from now on. A debt stays, as far as the new rate pays it in a second: whoever
  // raises a limit does not wait for what the old one left behind.
  void change(Time now, std::optional<std::uint64_t> rate, std::uint64_t burst = 0);
  bool may_take(Time now);
  void take(Time now, std::uint64_t units);
  // When may_take() will next be true; `now` if it is.
  Time ready_at(Time now);

 private:
  void refill(Time now);

  std::optional<std::uint64_t> rate_;
  // In millionths of a unit: whole numbers, so that ready_at() is exact.
  std::int64_t burst_ = 0;
  std::int64_t level_ = 0;
  Time updated_{};
};

}  // namespace peernet
