#include "transfer/segments.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <numeric>

namespace peernet::transfer {
namespace {

constexpr Time kNow{std::chrono::hours(1)};

Bitfield holding(std::uint32_t size, std::uint32_t first, std::uint32_t count) {
  Bitfield held(size);
  for (std::uint32_t i = 0; i < count; ++i) held.set(first + i);
  return held;
}

std::vector<std::uint32_t> pieces(std::uint32_t first, std::uint32_t count) {
  std::vector<std::uint32_t> list(count);
  std::iota(list.begin(), list.end(), first);
  return list;
}

}  // namespace

TEST_CASE("sixteen segments cover every piece, as equal as can be", "[transfer]") {
  for (const std::uint32_t count : {257U, 1000U, 4'194'304U}) {
    CAPTURE(count);
    std::array<std::uint32_t, kSegmentsCount> sizes{};
    std::uint8_t last = 0;
    for (std::uint32_t piece = 0; piece < count; ++piece) {
      const std::uint8_t segment = segment_of(piece, count);
      REQUIRE(segment >= last);
      last = segment;
      ++sizes.at(segment);
    }
    CHECK(last == kSegmentsCount - 1);
    const auto [least, most] = std::ranges::minmax(sizes);
    CHECK(most - least <= 1);
  }
}

TEST_CASE("a segment is worth saying when half of it is held, and the fullest four are",
          "[transfer]") {
  CHECK(fullest_segments(Bitfield(320)).empty());
  CHECK(fullest_segments(holding(320, 0, 9)).empty());
  CHECK(fullest_segments(holding(320, 0, 10)) == std::vector<std::uint8_t>{0});
  // The second whole, the first and third by half, the fourth by less.
  Bitfield held = holding(320, 10, 40);
  CHECK(fullest_segments(held) == std::vector<std::uint8_t>{1, 0, 2});
  CHECK(fullest_segments(holding(320, 0, 320)).size() == kSegmentsSaidMax);
}

TEST_CASE("at most four segments are said in 25 minutes, however the download moves on",
          "[transfer]") {
  Segments segments;
  std::size_t said = 0;
  for (std::uint32_t i = 0; i < 16; ++i) {
    const Time now = kNow + std::chrono::minutes(i);
    said += segments.say(now, holding(320, i * 20, 20)).size();
  }
  CHECK(said == kSegmentsSaidMax);
  CHECK(segments.said().size() == kSegmentsSaidMax);
  CHECK(segments.say(kNow + kSegmentSayInterval, holding(320, 0, 20)) ==
        std::vector<std::uint8_t>{0});
  CHECK(segments.say(kNow + kSegmentSayInterval, holding(320, 0, 20)).empty());
}

TEST_CASE("segments with lost pieces are sought in turns, each at most once a minute",
          "[transfer]") {
  Segments segments;
  CHECK_FALSE(segments.seek(kNow, {}, 320));
  const auto lost = pieces(30, 25);  // of the second and the third
  CHECK(segments.seek(kNow, lost, 320) == 1);
  CHECK(segments.seek(kNow, lost, 320) == 2);
  CHECK_FALSE(segments.seek(kNow, lost, 320));
  CHECK(segments.seek(kNow + kSegmentSeekInterval, lost, 320) == 1);
}

}  // namespace peernet::transfer
