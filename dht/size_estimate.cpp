#include "dht/size_estimate.h"

#include <algorithm>
#include <cmath>

namespace peernet::dht {

void SizeEstimate::on_lookup(std::size_t rank, double share) {
  if (rank < 2 || share <= 0) return;
  // The distance of the k-th nearest of n is about k/n; (k-1)/distance is n without bias.
  recent_[count_ % kKept] = static_cast<double>(rank - 1) / share;
  ++count_;
}

double SizeEstimate::nodes(double population) const {
  const std::size_t known = std::min(count_, kKept);
  if (known == 0 || population <= 0) return population;
  auto sorted = recent_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(known / 2);
  std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(known));
  return std::clamp(*middle, population / kFrame, population * kFrame);
}

double crowd_max(double expected) {
  return expected + 3 * std::sqrt(expected) + 2;
}

}  // namespace peernet::dht
