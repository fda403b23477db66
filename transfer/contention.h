#pragma once

// Contention decides whether those in debt (choker.h) are served: only where those in good standing
// leave much of the uplink. What it can carry is taken to be the most that it carried lately, over
// longer than it takes to fill buffers on the way. From time to time it is tried without the
// debtors, as nobody knows else what the others would take; if that leaves the uplink half empty,
// the debtors come back, for longer each time.

#include <cstdint>

#include "core/time.h"

namespace peernet::transfer {

class Contention {
 public:
  static constexpr Duration kLook = std::chrono::seconds(2);  // between two looks at the rates
  // Debtors are served for so long before it is tried without them: at first, and at most.
  static constexpr Duration kServe = std::chrono::seconds(4);
  static constexpr Duration kServeMax = std::chrono::minutes(5);
  // After so long without them, nothing is known any more of how a trial ends.
  static constexpr Duration kTrial = std::chrono::minutes(1);
  // Of what the uplink can carry, those in good standing take less than this: there is room.
  static constexpr double kTakenMin = 0.5;
  static constexpr Duration kSmooth = std::chrono::seconds(10);
  static constexpr Duration kBestHalved =
      std::chrono::minutes(10);  // the most is forgotten by half

  // Bytes sent since the last look.
  struct Sent {
    std::uint64_t good = 0;   // to those in good standing
    std::uint64_t owing = 0;  // to those in debt
  };
  bool is_due(Time now) const { return now - looked_at_ >= kLook; }
  // Requires: is_due.
  void on_look(Time now, const Sent& sent);
  bool are_debtors_served() const { return are_served_; }

 private:
  void change(Time now, bool are_served);

  bool are_served_ = false;
  Time since_{};      // are_served_ has been as it is
  Time looked_at_{};  // before the first look: long ago
  Duration patience_ = kServe;
  double rate_ = 0;  // bytes a second to all, smoothed
  double best_ = 0;  // the most of these
};

}  // namespace peernet::transfer
