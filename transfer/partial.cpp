#include "transfer/partial.h"

#include "core/check.h"

namespace peernet::transfer {

bool PartialHave::add(const wire::BlockRun& run, std::uint32_t blocks_count) {
  PN_CHECK(run.count > 0 && std::uint32_t{run.first_block} + run.count <= blocks_count);
  auto found = pieces_.find(run.piece);
  if (found == pieces_.end()) {
    if (pieces_.size() >= kPartialPiecesMax) return false;
    found = pieces_.emplace(run.piece, Bitfield(blocks_count)).first;
  }
  for (std::uint32_t i = 0; i < run.count; ++i) found->second.set(run.first_block + i);
  return true;
}

const Bitfield* PartialHave::find(std::uint32_t piece) const {
  const auto found = pieces_.find(piece);
  return found == pieces_.end() ? nullptr : &found->second;
}

}  // namespace peernet::transfer
