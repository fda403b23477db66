#pragma once

// Pipeline says how many blocks to keep asked of one peer: measured rate x (round trip + margin),
// found by doubling at first. It goes by delay: a window that only lengthens the queue at the other
// end is taken back, so that a slow peer never holds many blocks.

#include <cstdint>
#include <deque>

#include "core/rate.h"
#include "core/time.h"

namespace peernet::transfer {

inline constexpr std::uint32_t kWindowMin = 4;
inline constexpr std::uint32_t kWindowInitial = 8;
inline constexpr std::uint32_t kWindowMax = 256;  // what a peer must accept (SECURITY.md 1.4)
inline constexpr Duration kWindowMargin = std::chrono::milliseconds(500);

class Pipeline {
 public:
  // Unchoked, or asked again after a pause: what is out counts as gone, the search begins anew.
  void restart();
  void on_request(Time now, std::uint32_t blocks_count);
  void on_block(Time now, std::uint32_t bytes);
  void on_rejected(std::uint32_t blocks_count);  // also cancelled or expired
  void on_round_trip(Duration round_trip);       // of a ping

  // Blocks that may be out now, in [kWindowMin, kWindowMax].
  std::uint32_t window() const { return window_; }
  std::uint32_t in_flight() const { return static_cast<std::uint32_t>(requested_.size()); }
  // How many more to ask for: none until a quarter of the window is free, so that what is asked is
  // runs of blocks and not single ones.
  std::uint32_t room() const;
  double rate(Time now) const { return meter_.rate(now); }

 private:
  void adapt(Time now);

  std::deque<Time> requested_;  // oldest first; at most kWindowMax
  RateMeter meter_;
  Duration delay_min_ = Duration::max();  // round trip as far as we know it
  std::uint32_t window_ = kWindowInitial;
  bool is_slow_start_ = true;
};

}  // namespace peernet::transfer
