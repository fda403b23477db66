#include "transfer/segments.h"

#include <algorithm>

#include "core/check.h"

namespace peernet::transfer {

std::uint8_t segment_of(std::uint32_t piece, std::uint32_t pieces_count) {
  PN_CHECK(piece < pieces_count);
  return static_cast<std::uint8_t>(std::uint64_t{piece} * kSegmentsCount / pieces_count);
}

std::vector<std::uint8_t> fullest_segments(const Bitfield& held) {
  std::array<std::uint32_t, kSegmentsCount> sizes{};
  std::array<std::uint32_t, kSegmentsCount> counts{};
  for (std::uint32_t piece = 0; piece < held.size(); ++piece) {
    const std::uint8_t segment = segment_of(piece, held.size());
    ++sizes[segment];
    if (held.test(piece)) ++counts[segment];
  }
  std::vector<std::uint8_t> fullest;
  for (std::uint8_t i = 0; i < kSegmentsCount; ++i) {
    if (counts[i] > 0 && counts[i] * 2 >= sizes[i]) fullest.push_back(i);
  }
  // They are as good as equal in size: a piece more or less.
  std::ranges::stable_sort(fullest, [&](auto a, auto b) { return counts[a] > counts[b]; });
  if (fullest.size() > kSegmentsSaidMax) fullest.resize(kSegmentsSaidMax);
  return fullest;
}

std::vector<std::uint8_t> Segments::say(Time now, const Bitfield& held) {
  const auto is_said = [now](const std::optional<Time>& at) {
    return at && now - *at < kSegmentSayInterval;
  };
  auto said_count = static_cast<std::size_t>(std::ranges::count_if(said_at_, is_said));
  std::vector<std::uint8_t> due;
  for (const std::uint8_t segment : fullest_segments(held)) {
    if (said_count >= kSegmentsSaidMax) break;
    if (is_said(said_at_[segment])) continue;
    said_at_[segment] = now;
    ++said_count;
    due.push_back(segment);
  }
  return due;
}

std::optional<std::uint8_t> Segments::seek(Time now, const std::vector<std::uint32_t>& lost,
                                           std::uint32_t pieces_count) {
  std::array<bool, kSegmentsCount> is_wanted{};
  for (const std::uint32_t piece : lost) is_wanted[segment_of(piece, pieces_count)] = true;
  for (unsigned i = 1; i <= kSegmentsCount; ++i) {
    const auto segment = static_cast<std::uint8_t>((last_sought_ + i) % kSegmentsCount);
    const auto& at = sought_at_[segment];
    if (!is_wanted[segment] || (at && now - *at < kSegmentSeekInterval)) continue;
    sought_at_[segment] = now;
    last_sought_ = segment;
    return segment;
  }
  return std::nullopt;
}

std::vector<std::uint8_t> Segments::said() const {
  std::vector<std::uint8_t> all;
  for (std::uint8_t i = 0; i < kSegmentsCount; ++i) {
    if (said_at_[i]) all.push_back(i);
  }
  return all;
}

}  // namespace peernet::transfer
