#include "transfer/layout.h"

#include <algorithm>
#include <bit>

#include "core/check.h"

namespace peernet::transfer {
namespace {

std::uint64_t parts_of(std::uint64_t size, std::uint64_t part_size) {
  return size / part_size + (size % part_size == 0 ? 0 : 1);
}

}  // namespace

bool Layout::is_possible(std::uint32_t piece_length, std::span<const std::uint64_t> sizes) {
  if (!std::has_single_bit(piece_length)) return false;
  if (piece_length < kPieceLengthMin || piece_length > kPieceLengthMax) return false;
  std::uint64_t size_left = kShareSizeMax;
  std::uint64_t pieces_left = kPiecesCountMax;
  for (const std::uint64_t size : sizes) {
    const std::uint64_t pieces = parts_of(size, piece_length);
    if (size > size_left || pieces > pieces_left) return false;
    size_left -= size;
    pieces_left -= pieces;
  }
  return true;
}

Layout::Layout(std::uint32_t piece_length, std::span<const std::uint64_t> sizes)
    : piece_length_(piece_length) {
  PN_CHECK(is_possible(piece_length, sizes));
  files_.reserve(sizes.size());
  for (const std::uint64_t size : sizes) {
    File file;
    file.size = size;
    file.first_piece = pieces_count_;
    file.pieces_count = static_cast<std::uint32_t>(parts_of(size, piece_length));
    file.first_leaf = leaves_count_;
    file.leaves_count = parts_of(size, kBlockSize);
    file.first_layer_node = layer_nodes_count_;
    file.layer_nodes_count = file.pieces_count > 1 ? file.pieces_count : 0;
    pieces_count_ += file.pieces_count;
    leaves_count_ += file.leaves_count;
    layer_nodes_count_ += file.layer_nodes_count;
    total_size_ += size;
    files_.push_back(file);
  }
}

const Layout::File& Layout::file(std::uint32_t file_index) const {
  PN_CHECK(file_index < files_.size());
  return files_[file_index];
}

Piece Layout::piece(std::uint32_t piece_index) const {
  PN_CHECK(piece_index < pieces_count_);
  // The last file that begins at or before this piece is not empty: an empty one begins where the
  // next file does.
  const auto after = std::upper_bound(
      files_.begin(), files_.end(), piece_index,
      [](std::uint32_t index, const File& file) { return index < file.first_piece; });
  const File& file = *(after - 1);
  Piece piece;
  piece.file_index = static_cast<std::uint32_t>(after - files_.begin()) - 1;
  piece.offset = std::uint64_t{piece_index - file.first_piece} * piece_length_;
  piece.size =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_length_, file.size - piece.offset));
  piece.blocks_count = static_cast<std::uint32_t>(parts_of(piece.size, kBlockSize));
  piece.first_leaf = file.first_leaf + piece.offset / kBlockSize;
  piece.is_only_piece_of_file = file.pieces_count == 1;
  return piece;
}

std::uint32_t Layout::block_size(std::uint32_t piece_index, std::uint32_t block_index) const {
  return piece_index < pieces_count_ ? block_size_in(piece(piece_index).size, block_index) : 0;
}

std::uint32_t Layout::piece_of_leaf(std::uint64_t leaf_index) const {
  PN_CHECK(leaf_index < leaves_count_);
  const auto after = std::upper_bound(
      files_.begin(), files_.end(), leaf_index,
      [](std::uint64_t index, const File& file) { return index < file.first_leaf; });
  const File& file = *(after - 1);
  return file.first_piece +
         static_cast<std::uint32_t>((leaf_index - file.first_leaf) / blocks_per_piece());
}

std::uint32_t Layout::piece_at(std::uint32_t file_index, std::uint64_t offset) const {
  const File& in = file(file_index);
  PN_CHECK(offset < in.size);
  return in.first_piece + static_cast<std::uint32_t>(offset / piece_length_);
}

}  // namespace peernet::transfer
