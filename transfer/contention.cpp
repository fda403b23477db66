#include "transfer/contention.h"

#include <algorithm>
#include <cmath>

namespace peernet::transfer {

void Contention::on_look(Time now, const Sent& sent) {
  const double elapsed = seconds(now - looked_at_);
  looked_at_ = now;
  const double good = static_cast<double>(sent.good) / elapsed;
  best_ *= std::exp2(-elapsed / seconds(kBestHalved));
  const double all = good + static_cast<double>(sent.owing) / elapsed;
  rate_ += (all - rate_) * (1 - std::exp(-elapsed / seconds(kSmooth)));
  best_ = std::max(best_, rate_);
  if (are_served_) {
    if (now - since_ >= patience_ && sent.owing > 0) change(now, false);
  } else if (good < kTakenMin * best_) {
    patience_ = now - since_ < kTrial ? std::min(2 * patience_, kServeMax) : kServe;
    change(now, true);
  }
}

void Contention::change(Time now, bool are_served) {
  are_served_ = are_served;
  since_ = now;
}

}  // namespace peernet::transfer
