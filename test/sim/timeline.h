#pragma once

// Timeline is virtual time: one heap of (time, order, happening). Nothing sleeps; step() jumps to
// the earliest happening and lets it happen. What is due at the same time happens in the order in
// which it was planned, so that a run depends on nothing but its seed.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/time.h"

namespace peernet::sim {

// A world does not begin at zero, so that a zero Time taken for "never" shows.
inline constexpr Time kWorldStart = Time{} + std::chrono::seconds(1000);

class Timeline {
 public:
  using Happening = std::function<void()>;

  Time now() const { return now_; }
  // Requires: when is not kNever. A time that has passed means now.
  void at(Time when, Happening happening) {
    PN_CHECK(when != kNever);
    heap_.push_back({std::max(when, now_), ++order_, std::move(happening)});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
  }
  void after(Duration delay, Happening happening) { at(now_ + delay, std::move(happening)); }

  Time next() const { return heap_.empty() ? kNever : heap_.front().when; }
  std::size_t size() const { return heap_.size(); }

  // False when nothing is planned any more.
  bool step() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    Planned planned = std::move(heap_.back());
    heap_.pop_back();
    now_ = planned.when;
    planned.happening();
    return true;
  }

  // Lets time pass up to `until` without a happening. Requires: none is due before.
  void advance(Time until) {
    PN_CHECK(until <= next());
    now_ = std::max(now_, until);
  }

 private:
  struct Planned {
    Time when;
    std::uint64_t order;
    Happening happening;
  };
  struct Later {
    bool operator()(const Planned& a, const Planned& b) const {
      return a.when != b.when ? a.when > b.when : a.order > b.order;
    }
  };

  Time now_ = kWorldStart;
  std::uint64_t order_ = 0;
  std::vector<Planned> heap_;
};

}  // namespace peernet::sim
