#include "transfer/declined.h"

#include "core/check.h"

namespace peernet::transfer {

void Declined::add(Time now, const wire::BlockRun& run, std::uint32_t blocks_count) {
  PN_CHECK(run.count > 0 && std::uint32_t{run.first_block} + run.count <= blocks_count);
  forget_old(now);
  auto found = pieces_.find(run.piece);
  if (found == pieces_.end()) {
    if (is_full()) return;
    found = pieces_.emplace(run.piece, Piece{now, Bitfield(blocks_count)}).first;
    found->second.others.set_all();
  }
  for (std::uint32_t i = 0; i < run.count; ++i) found->second.others.reset(run.first_block + i);
}

void Declined::forget_old(Time now) {
  std::erase_if(pieces_, [&](const auto& entry) { return now - entry.second.at >= kDeclinedTime; });
}

const Bitfield* Declined::others(std::uint32_t piece) const {
  const auto found = pieces_.find(piece);
  return found == pieces_.end() ? nullptr : &found->second.others;
}

}  // namespace peernet::transfer
