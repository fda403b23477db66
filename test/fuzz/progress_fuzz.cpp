// Parts of pieces that were read are packed as the same bytes, and fit the layout.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/check.h"
#include "transfer/progress.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace transfer = peernet::transfer;
  const peernet::BytesView packed(data, size);
  // Pieces of four blocks, in files that end within a piece and within a block.
  constexpr std::uint32_t piece_length = 4 * transfer::kBlockSize;
  const std::vector<std::uint64_t> sizes{5 * std::uint64_t{piece_length} + 1, 0, piece_length - 7};
  const transfer::Layout layout(piece_length, sizes);
  const transfer::Parts parts = transfer::unpack_parts(packed, layout);
  if (parts.empty()) return 0;
  const peernet::Bytes again = transfer::pack_parts(parts);
  PN_CHECK(std::equal(again.begin(), again.end(), packed.begin(), packed.end()));
  PN_CHECK(transfer::bytes_of(parts, layout) < layout.total_size());
  transfer::Progress progress{transfer::Bitfield(layout.pieces_count()), parts};
  progress.cut(layout, sizes);
  PN_CHECK(progress.parts == parts);
  progress.cut(layout, {});
  PN_CHECK(progress.parts.empty());
  return 0;
}
