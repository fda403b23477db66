#include "core/nearest.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

namespace peernet {

// Optimal string alignment: three rows of the usual table, because a swap looks two rows back.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  a = a.substr(0, kNearestSizeMax);
  b = b.substr(0, kNearestSizeMax);
  using Row = std::array<std::size_t, kNearestSizeMax + 1>;
  Row before{};
  Row previous{};
  Row row{};
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, replaced});
      const bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (is_swap) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = previous;
    previous = row;
  }
  return previous[b.size()];
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string_view candidate : candidates) {
    const std::size_t dot = candidate.rfind('.');
    const std::string_view last =
        dot == std::string_view::npos ? candidate : candidate.substr(dot + 1);
    // A whole match counts for more than a match of the last part.
    const std::size_t distance =
        std::min(2 * edit_distance(word, candidate), 2 * edit_distance(word, last) + 1);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace peernet
