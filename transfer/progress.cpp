#include "transfer/progress.h"

#include <iterator>
#include <utility>

#include "core/codec.h"

namespace peernet::transfer {

bool Progress::lose(std::uint32_t piece) {
  const bool was_part = parts.erase(piece) > 0;
  return (piece < pieces.size() && pieces.reset(piece)) || was_part;
}

void Progress::cut(const Layout& layout, std::span<const std::uint64_t> file_sizes) {
  for (std::uint32_t i = 0; i < layout.files_count(); ++i) {
    const std::uint64_t size = i < file_sizes.size() ? file_sizes[i] : 0;
    const Layout::File& file = layout.file(i);
    for (std::uint32_t p = 0; p < file.pieces_count; ++p) {
      const Piece piece = layout.piece(file.first_piece + p);
      if (piece.offset + piece.size > size) pieces.reset(file.first_piece + p);
    }
  }
  for (auto at = parts.begin(); at != parts.end();) {
    auto& [index, blocks] = *at;
    const Piece piece = layout.piece(index);
    const std::uint64_t size =
        piece.file_index < file_sizes.size() ? file_sizes[piece.file_index] : 0;
    for (auto block = blocks.next_set(0); block; block = blocks.next_set(*block + 1)) {
      const std::uint64_t begin = piece.offset + std::uint64_t{*block} * kBlockSize;
      if (begin + layout.block_size(index, *block) > size) blocks.reset(*block);
    }
    at = blocks.none() ? parts.erase(at) : std::next(at);
  }
}

std::uint64_t bytes_of(const Parts& parts, const Layout& layout) {
  std::uint64_t bytes = 0;
  for (const auto& [piece, blocks] : parts) {
    bytes += std::uint64_t{blocks.count_set()} * kBlockSize;
    // Only the last block of a file is shorter than the others.
    const std::uint32_t last = blocks.size() - 1;
    if (blocks.test(last)) bytes -= kBlockSize - layout.block_size(piece, last);
  }
  return bytes;
}

Bytes pack_parts(const Parts& parts) {
  Bytes packed;
  Writer writer(packed);
  for (const auto& [piece, blocks] : parts) {
    writer.u32(piece);
    writer.bytes(blocks.pack());
  }
  return packed;
}

Parts unpack_parts(BytesView packed, const Layout& layout) {
  Parts parts;
  std::uint32_t blocks_left = kPartsBlocksMax;
  for (Reader reader(packed); reader.remaining() > 0;) {
    const std::uint32_t piece = reader.u32();
    const bool is_next = reader.ok() && piece < layout.pieces_count() &&
                         (parts.empty() || piece > parts.rbegin()->first);
    if (!is_next) return {};
    const std::uint32_t count = layout.blocks_count(piece);
    auto blocks = Bitfield::unpack(reader.bytes(Bitfield::packed_size(count)), count);
    if (!blocks || blocks->none() || blocks->all() || count > blocks_left) return {};
    blocks_left -= count;
    parts.emplace_hint(parts.end(), piece, *std::move(blocks));
  }
  return parts;
}

}  // namespace peernet::transfer
