#pragma once

// Piece discovery by DHT: a share of many pieces has 16 segments, each with a key of its own.
// Whoever has a part of the share is announced under the few segments of which it holds most, and
// whoever misses a piece that no connected peer has looks its segment up. Never one record for each
// piece: what a share may cost the DHT is bounded here.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/time.h"
#include "transfer/bitfield.h"
#include "transfer/share_key.h"

namespace peernet::transfer {

inline constexpr std::uint32_t kSegmentedPiecesMin = 257;
inline constexpr std::size_t kSegmentsSaidMax = 4;    // in kSegmentSayInterval
inline constexpr std::size_t kSegmentsSoughtMax = 4;  // each time the share looks for peers
inline constexpr Duration kSegmentSayInterval = std::chrono::minutes(25);
inline constexpr Duration kSegmentSeekInterval = std::chrono::minutes(1);  // of one segment

// Segments are of equal size, up to a piece. Requires: piece < pieces_count.
std::uint8_t segment_of(std::uint32_t piece, std::uint32_t pieces_count);
// The segments of which most is held, and at least half, at most kSegmentsSaidMax; the fullest
// first.
std::vector<std::uint8_t> fullest_segments(const Bitfield& held);

// What was said and sought of one share.
class Segments {
 public:
  // Which to announce now.
  std::vector<std::uint8_t> say(Time now, const Bitfield& held);
  // Which to look up now; they take turns. `lost` are pieces that nobody connected has.
  std::optional<std::uint8_t> seek(Time now, const std::vector<std::uint32_t>& lost,
                                   std::uint32_t pieces_count);
  std::vector<std::uint8_t> said() const;  // ever

 private:
  std::array<std::optional<Time>, kSegmentsCount> said_at_;
  std::array<std::optional<Time>, kSegmentsCount> sought_at_;
  std::uint8_t last_sought_ = kSegmentsCount - 1;
};

}  // namespace peernet::transfer
