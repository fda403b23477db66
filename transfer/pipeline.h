#pragma once

// Pipeline says how many blocks to keep asked of one peer: measured rate x (round trip + margin),
// found by doubling at first. It goes by delay: a window that only lengthens the queue at the other
// end is taken back, so that a slow peer never holds many blocks. From how long blocks took it
// knows as well, as a retransmission timer does (RFC 6298), when it is time to ask others.

#include <cstdint>
#include <deque>
#include <optional>

#include "core/rate.h"
#include "core/time.h"

namespace peernet::transfer {

inline constexpr std::uint32_t kWindowMin = 4;
inline constexpr std::uint32_t kWindowInitial = 8;
// Blocks: a path of 100 ms and 1 Gbit/s holds 763.
inline constexpr std::uint32_t kWindowMax = 1024;
// Requests that a peer must accept (SECURITY.md 1.4), each for a run of blocks.
inline constexpr std::uint32_t kRequestsMax = 256;
inline constexpr Duration kWindowMargin = std::chrono::milliseconds(500);

// Without a block, before what is out is asked of others: the mean time that a block took and four
// times its deviation, within these bounds; twice as long each time that nothing came.
inline constexpr Duration kPatienceInitial = std::chrono::seconds(10);  // none has come yet
inline constexpr Duration kPatienceMin = std::chrono::seconds(3);
inline constexpr Duration kPatienceMax = std::chrono::seconds(60);

class Pipeline {
 public:
  // Unchoked, or asked again after a pause: what is out counts as gone, the search begins anew.
  void restart();
  void on_request(Time now, std::uint32_t blocks_count);  // one request
  void on_block(Time now, std::uint32_t bytes);
  void on_rejected(std::uint32_t blocks_count);  // also cancelled or expired
  // One came that is not asked of the peer any more, or never was. If as many have not come yet as
  // were given up, the peer is late no more.
  void on_late_block(Time now);
  // So many are out, as the pickers know it: those that others were quicker with leave no answer.
  void on_counted(std::uint32_t blocks_count);
  // is_late, and so many blocks that others have are asked of them.
  void on_given_up(Time now, std::uint32_t blocks_count);
  void on_round_trip(Duration round_trip);  // of a ping

  // Blocks that may be out now, in [kWindowMin, kWindowMax].
  std::uint32_t window() const { return window_; }
  std::uint32_t in_flight() const { return in_flight_; }
  // How many more to ask for: none until a quarter of the window is free, so that what is asked is
  // runs of blocks and not single ones; nor until a quarter of kRequestsMax is free, and no more
  // than may each be a request of its own.
  std::uint32_t room() const;
  double rate(Time now) const { return meter_.rate(now); }
  // Nothing has come for so long that what is out is better asked of others.
  bool is_late(Time now) const;
  // It was late, and nothing has come since.
  bool is_doubted() const { return times_late_ > 0; }
  Duration patience() const;

 private:
  void on_any_block(Time now);
  void adapt(Time now);
  void learn_delay(Duration delay);

  struct Request {
    Time at;
    std::uint32_t blocks_count = 0;  // not answered yet; answers count for the oldest request
  };
  std::deque<Request> requests_;  // oldest first
  std::uint32_t in_flight_ = 0;   // blocks of all of them; at most kWindowMax
  RateMeter meter_;
  Duration delay_min_ = Duration::max();  // round trip as far as we know it
  std::uint32_t window_ = kWindowInitial;
  bool is_slow_start_ = true;
  std::optional<double> delay_mean_;  // s, from request to block
  double delay_deviation_ = 0;        // s
  Time waiting_since_{};              // the last block, or the request before which none was out
  unsigned times_late_ = 0;           // in a row
  std::uint32_t given_up_ = 0;        // blocks, that have not come since
};

}  // namespace peernet::transfer
