#pragma once

// Declined is what one peer has and would not give just now: it rejected the request without a
// choke, as a seed does with what others can pass on. Those blocks are asked of others, and of it
// again after a while.

#include <cstddef>
#include <cstdint>
#include <map>

#include "core/time.h"
#include "transfer/bitfield.h"
#include "transfer/wire.h"

namespace peernet::transfer {

// So long a peer is not asked again for what it declined.
inline constexpr Duration kDeclinedTime = std::chrono::seconds(1);
// Pieces that are kept of one peer; who declines of so many is asked for nothing until some are
// forgotten.
inline constexpr std::size_t kDeclinedPiecesMax = 256;

class Declined {
 public:
  // Requires: the run lies within a piece of so many blocks.
  void add(Time now, const wire::BlockRun& run, std::uint32_t blocks_count);
  // Of what was declined kDeclinedTime ago nothing is known any more. (All of a piece counts from
  // the first.)
  void forget_old(Time now);
  // The blocks of this piece that were not declined; null: all.
  const Bitfield* others(std::uint32_t piece) const;
  bool is_empty() const { return pieces_.empty(); }
  bool is_full() const { return pieces_.size() >= kDeclinedPiecesMax; }

 private:
  struct Piece {
    Time at{};
    Bitfield others;
  };
  std::map<std::uint32_t, Piece> pieces_;
};

}  // namespace peernet::transfer
