#include "transfer/pipeline.h"

#include <algorithm>
#include <cmath>

#include "transfer/layout.h"

namespace peernet::transfer {
namespace {

// Seconds. Long enough to be steady, short enough to follow a peer that slows down.
constexpr unsigned kRateWindow = 3;
// No path is longer; what a slow peer takes to send one block is not a round trip.
constexpr Duration kRoundTripMax = std::chrono::seconds(2);
constexpr std::uint32_t kRoomPart = 4;  // of the window is asked for at a time
constexpr double kMeanGain = 1.0 / 8;   // RFC 6298
constexpr double kDeviationGain = 1.0 / 4;

}  // namespace

void Pipeline::restart() {
  requests_.clear();
  in_flight_ = 0;
  times_late_ = 0;
  given_up_ = 0;
  meter_ = RateMeter{};  // the silence before is not its rate
  window_ = std::max(kWindowInitial, window_ / 2);
  is_slow_start_ = true;
}

void Pipeline::on_request(Time now, std::uint32_t blocks_count) {
  // What a caller asks beyond the maximum cannot be timed, and is not counted.
  const std::uint32_t count = std::min(blocks_count, kWindowMax - in_flight());
  if (count == 0) return;
  if (requests_.empty()) waiting_since_ = now;
  requests_.push_back({now, count});
  in_flight_ += count;
}

std::uint32_t Pipeline::room() const {
  // One that is doubted is asked for little, to see whether it comes.
  if (is_doubted()) return requests_.empty() ? kWindowMin : 0;
  const std::uint32_t free = window_ > in_flight() ? window_ - in_flight() : 0;
  const auto requests_count = static_cast<std::uint32_t>(requests_.size());
  const std::uint32_t free_requests = kRequestsMax - std::min(requests_count, kRequestsMax);
  if (free < window_ / kRoomPart || free_requests < kRequestsMax / kRoomPart) return 0;
  return std::min(free, free_requests);
}

void Pipeline::on_block(Time now, std::uint32_t bytes) {
  meter_.add(now, bytes);
  on_any_block(now);
  if (requests_.empty()) return;
  // As full as room() lets it be: the window, not the supply, holds the peer back.
  const bool was_full = in_flight() + window_ / kRoomPart + 1 >= window_;
  const Duration delay = now - requests_.front().at;
  --in_flight_;
  if (--requests_.front().blocks_count == 0) requests_.pop_front();
  learn_delay(delay);
  delay_min_ = std::min(delay_min_, delay);
  if (is_slow_start_) {
    if (delay > delay_min_ + kWindowMargin) {
      is_slow_start_ = false;
    } else if (was_full) {
      window_ = std::min(window_ + 1, kWindowMax);
    }
  }
  if (!is_slow_start_) adapt(now);
}

void Pipeline::on_rejected(std::uint32_t blocks_count) {
  std::uint32_t left = std::min(blocks_count, in_flight_);
  in_flight_ -= left;
  while (left > 0) {
    const std::uint32_t count = std::min(left, requests_.back().blocks_count);
    requests_.back().blocks_count -= count;
    if (requests_.back().blocks_count == 0) requests_.pop_back();
    left -= count;
  }
}

void Pipeline::on_counted(std::uint32_t blocks_count) {
  if (blocks_count < in_flight()) on_rejected(in_flight() - blocks_count);
}

void Pipeline::on_late_block(Time now) {
  if (given_up_ == 0) return;
  --given_up_;
  on_any_block(now);
}

void Pipeline::on_any_block(Time now) {
  waiting_since_ = now;
  times_late_ = 0;
}

void Pipeline::on_given_up(Time now, std::uint32_t blocks_count) {
  on_rejected(blocks_count);
  given_up_ = std::min(given_up_ + blocks_count, kWindowMax);
  waiting_since_ = now;
  ++times_late_;
  window_ = kWindowMin;
  is_slow_start_ = true;
}

bool Pipeline::is_late(Time now) const {
  return !requests_.empty() && now - waiting_since_ > patience();
}

Duration Pipeline::patience() const {
  Duration once = kPatienceInitial;
  if (delay_mean_) {
    const double wait = std::min(*delay_mean_ + 4 * delay_deviation_, seconds(kPatienceMax));
    once = std::max(kPatienceMin, Duration(static_cast<std::int64_t>(wait * 1e6)));
  }
  // More doublings would pass the maximum in any case.
  return std::min(once * (1 << std::min(times_late_, 6U)), kPatienceMax);
}

void Pipeline::learn_delay(Duration delay) {
  const double took = seconds(delay);
  if (!delay_mean_) {
    delay_mean_ = took;
    delay_deviation_ = took / 2;
    return;
  }
  delay_deviation_ += (std::abs(took - *delay_mean_) - delay_deviation_) * kDeviationGain;
  *delay_mean_ += (took - *delay_mean_) * kMeanGain;
}

void Pipeline::on_round_trip(Duration round_trip) {
  delay_min_ = std::min(delay_min_, round_trip);
}

void Pipeline::adapt(Time now) {
  // Bytes that arrive in the time of a round trip and the margin: with the window so long, the
  // other end always has a margin's worth of requests to answer, and no more.
  const double horizon = seconds(std::min(delay_min_, kRoundTripMax)) + seconds(kWindowMargin);
  const double blocks = meter_.rate(now, kRateWindow) * horizon / kBlockSize;
  window_ =
      std::max(kWindowMin, static_cast<std::uint32_t>(std::min(blocks + 1, double{kWindowMax})));
}

}  // namespace peernet::transfer
