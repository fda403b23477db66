#pragma once

// Layout is the arithmetic between pieces, blocks, leaves and places in files (BEP 52), and nothing
// else. Each file starts a new piece; an empty file has none. Pieces and leaves are numbered over
// all files in file-tree order, blocks within their piece. Memory grows with the files, never with
// the pieces.

#include <cstdint>
#include <span>
#include <vector>

#include "core/merkle.h"

namespace peernet::transfer {

using merkle::kBlockSize;

inline constexpr std::uint32_t kPieceLengthMin = kBlockSize;
inline constexpr std::uint32_t kPieceLengthMax = 16U << 20U;
inline constexpr std::uint32_t kBlocksPerPieceMax = kPieceLengthMax / kBlockSize;
// Bounds the memory of whatever is kept for each piece; 64 TiB in the largest pieces.
inline constexpr std::uint32_t kPiecesCountMax = 1U << 22U;
inline constexpr std::uint64_t kShareSizeMax = std::uint64_t{1} << 53U;

struct Piece {
  std::uint32_t file_index = 0;
  std::uint64_t offset = 0;  // in the file
  std::uint32_t size = 0;    // bytes, at least 1
  std::uint32_t blocks_count = 0;
  std::uint64_t first_leaf = 0;  // over all files
  bool is_only_piece_of_file = false;
};

class Layout {
 public:
  struct File {
    std::uint64_t size = 0;
    std::uint32_t first_piece = 0;  // an empty file: of the next file
    std::uint32_t pieces_count = 0;
    std::uint64_t first_leaf = 0;
    std::uint64_t leaves_count = 0;
    // Index of the file's first node in the concatenated piece layers; a file of at most one piece
    // has none there.
    std::uint32_t first_layer_node = 0;
    std::uint32_t layer_nodes_count = 0;
  };

  Layout() = default;
  // Requires: is_possible(piece_length, sizes).
  Layout(std::uint32_t piece_length, std::span<const std::uint64_t> sizes);

  // piece_length a power of two in [kPieceLengthMin, kPieceLengthMax], at most kShareSizeMax bytes
  // and kPiecesCountMax pieces in all.
  static bool is_possible(std::uint32_t piece_length, std::span<const std::uint64_t> sizes);

  std::uint32_t piece_length() const { return piece_length_; }
  std::uint32_t blocks_per_piece() const { return piece_length_ / kBlockSize; }
  std::uint32_t pieces_count() const { return pieces_count_; }
  std::uint32_t files_count() const { return static_cast<std::uint32_t>(files_.size()); }
  std::uint64_t total_size() const { return total_size_; }
  std::uint64_t leaves_count() const { return leaves_count_; }
  // Nodes in the concatenated piece layers, 32 bytes each.
  std::uint32_t layer_nodes_count() const { return layer_nodes_count_; }

  // Requires: file_index < files_count().
  const File& file(std::uint32_t file_index) const;
  // Requires: piece_index < pieces_count(). O(log files).
  Piece piece(std::uint32_t piece_index) const;
  std::uint32_t piece_size(std::uint32_t piece_index) const { return piece(piece_index).size; }
  std::uint32_t blocks_count(std::uint32_t piece_index) const {
    return piece(piece_index).blocks_count;
  }
  // Bytes of a block: kBlockSize, or less for the last of a file. 0 if there is no such piece or
  // block, so that what a peer says can be asked directly.
  std::uint32_t block_size(std::uint32_t piece_index, std::uint32_t block_index) const;
  // Requires: leaf_index < leaves_count().
  std::uint32_t piece_of_leaf(std::uint64_t leaf_index) const;
  // Requires: offset < file(file_index).size.
  std::uint32_t piece_at(std::uint32_t file_index, std::uint64_t offset) const;

 private:
  std::vector<File> files_;
  std::uint32_t piece_length_ = kPieceLengthMin;
  std::uint32_t pieces_count_ = 0;
  std::uint32_t layer_nodes_count_ = 0;
  std::uint64_t leaves_count_ = 0;
  std::uint64_t total_size_ = 0;
};

// What of `whole` stands in the block with this index.
inline std::uint32_t block_size_in(std::uint32_t whole, std::uint32_t block_index) {
  const std::uint64_t begin = std::uint64_t{block_index} * kBlockSize;
  if (begin >= whole) return 0;
  return whole - begin < kBlockSize ? static_cast<std::uint32_t>(whole - begin) : kBlockSize;
}

}  // namespace peernet::transfer
