#pragma once

// PartialHave is what one peer has of pieces that it does not have whole: the blocks it told by
// `have_blocks`. As each block is verified alone it may be passed on at once, which fills the
// uplinks of a swarm whose pieces are few and new.

#include <cstddef>
#include <cstdint>
#include <map>

#include "transfer/bitfield.h"
#include "transfer/wire.h"

namespace peernet::transfer {

// Pieces in progress that are kept of one peer; of more than these nothing is remembered until it
// has them whole. 1024 blocks each: 32 KiB.
inline constexpr std::size_t kPartialPiecesMax = 256;

class PartialHave {
 public:
  // Requires: the run lies within a piece of so many blocks. False when there are too many pieces.
  bool add(const wire::BlockRun& run, std::uint32_t blocks_count);
  void forget(std::uint32_t piece) { pieces_.erase(piece); }
  // Its blocks of this piece; null when nothing was told.
  const Bitfield* find(std::uint32_t piece) const;
  // All pieces of which it has something, with the blocks; none is empty.
  const std::map<std::uint32_t, Bitfield>& pieces() const { return pieces_; }

 private:
  std::map<std::uint32_t, Bitfield> pieces_;
};

}  // namespace peernet::transfer
