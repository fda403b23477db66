#pragma once

// Progress is what of a share is written: its whole pieces, and blocks of pieces that are not whole
// yet. The store keeps what of it is durable; from there a download goes on.

#include <cstdint>
#include <map>
#include <span>

#include "core/bytes.h"
#include "transfer/bitfield.h"
#include "transfer/layout.h"

namespace peernet::transfer {

// By piece the blocks that are written: some of them, and never all.
using Parts = std::map<std::uint32_t, Bitfield>;

// Of all pieces in Parts, their missing blocks included: as many as may be under way. Packed they
// take at most 5 bytes for two blocks, 160 KiB.
inline constexpr std::uint32_t kPartsBlocksMax = 65'536;

struct Progress {
  Bitfield pieces{};
  Parts parts{};

  bool operator==(const Progress&) const = default;

  // Nothing of the piece is there. Gives whether anything was.
  bool lose(std::uint32_t piece);
  // What lies beyond the end of its file is not there. A file without a size has none.
  void cut(const Layout& layout, std::span<const std::uint64_t> file_sizes);
};

std::uint64_t bytes_of(const Parts& parts, const Layout& layout);

// For each piece, in order: u32 piece, and its blocks as a bitfield on the wire.
Bytes pack_parts(const Parts& parts);
// None if that is not what the bytes are, or if they do not fit the layout.
Parts unpack_parts(BytesView packed, const Layout& layout);

}  // namespace peernet::transfer
