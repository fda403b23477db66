#include "transfer/layout.h"

#include <catch2/catch.hpp>

#include <cstdint>
#include <vector>

namespace peernet::transfer {
namespace {

constexpr std::uint32_t k64KiB = 64U << 10U;

TEST_CASE("each file starts a new piece and an empty file has none", "[transfer]") {
  const std::vector<std::uint64_t> sizes{0, k64KiB + 1, 0, 0, 100, 3 * k64KiB, 0};
  const Layout layout(k64KiB, sizes);

  CHECK(layout.pieces_count() == 2 + 1 + 3);
  CHECK(layout.files_count() == 7);
  CHECK(layout.total_size() == 4 * k64KiB + 101);
  CHECK(layout.leaves_count() == 5 + 1 + 12);
  CHECK(layout.layer_nodes_count() == 5);
  CHECK(layout.blocks_per_piece() == 4);
  CHECK(layout.file(0).pieces_count == 0);
  CHECK(layout.file(1).first_piece == 0);
  CHECK(layout.file(2).first_piece == 2);
  CHECK(layout.file(4).first_piece == 2);
  CHECK(layout.file(4).layer_nodes_count == 0);
  CHECK(layout.file(5).first_layer_node == 2);
  CHECK(layout.file(5).first_leaf == 6);
}

TEST_CASE("a piece knows its place, its size and its leaves", "[transfer]") {
  const std::vector<std::uint64_t> sizes{0, k64KiB + 1, 0, 100, 3 * k64KiB};
  const Layout layout(k64KiB, sizes);

  const Piece second = layout.piece(1);
  CHECK(second.file_index == 1);
  CHECK(second.offset == k64KiB);
  CHECK(second.size == 1);
  CHECK(second.blocks_count == 1);
  CHECK(second.first_leaf == 4);
  CHECK_FALSE(second.is_only_piece_of_file);

  const Piece only = layout.piece(2);
  CHECK(only.file_index == 3);
  CHECK(only.size == 100);
  CHECK(only.first_leaf == 5);
  CHECK(only.is_only_piece_of_file);

  const Piece last = layout.piece(5);
  CHECK(last.file_index == 4);
  CHECK(last.offset == 2 * k64KiB);
  CHECK(last.size == k64KiB);
  CHECK(last.blocks_count == 4);
}

TEST_CASE("pieces, leaves and offsets lead back to each other", "[transfer]") {
  const std::vector<std::uint64_t> sizes{5 * k64KiB + 20'000, 0, 1, 16'384, 16'385, 0, 2 * k64KiB};
  const Layout layout(k64KiB, sizes);
  std::uint64_t leaf = 0;
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < layout.pieces_count(); ++i) {
    const Piece piece = layout.piece(i);
    CHECK(piece.first_leaf == leaf);
    CHECK(layout.piece_at(piece.file_index, piece.offset) == i);
    CHECK(layout.piece_at(piece.file_index, piece.offset + piece.size - 1) == i);
    std::uint32_t sum = 0;
    for (std::uint32_t block = 0; block < piece.blocks_count; ++block) {
      CHECK(layout.piece_of_leaf(leaf++) == i);
      CHECK(layout.block_size(i, block) > 0);
      sum += layout.block_size(i, block);
    }
    CHECK(sum == piece.size);
    bytes += sum;
  }
  CHECK(leaf == layout.leaves_count());
  CHECK(bytes == layout.total_size());
}

TEST_CASE("what a peer may ask and does not exist has size 0", "[transfer]") {
  const std::vector<std::uint64_t> sizes{20'000};
  const Layout layout(k64KiB, sizes);
  CHECK(layout.block_size(0, 0) == kBlockSize);
  CHECK(layout.block_size(0, 1) == 20'000 - kBlockSize);
  CHECK(layout.block_size(0, 2) == 0);
  CHECK(layout.block_size(0, UINT32_MAX) == 0);
  CHECK(layout.block_size(1, 0) == 0);
  CHECK(layout.block_size(UINT32_MAX, 0) == 0);
}

TEST_CASE("piece lengths are powers of two between 16 KiB and 16 MiB", "[transfer]") {
  const std::vector<std::uint64_t> sizes{1};
  CHECK(Layout::is_possible(kPieceLengthMin, sizes));
  CHECK(Layout::is_possible(kPieceLengthMax, sizes));
  CHECK_FALSE(Layout::is_possible(kPieceLengthMin / 2, sizes));
  CHECK_FALSE(Layout::is_possible(kPieceLengthMax * 2, sizes));
  CHECK_FALSE(Layout::is_possible(kPieceLengthMin + 1, sizes));
  CHECK_FALSE(Layout::is_possible(0, sizes));
  CHECK_FALSE(Layout::is_possible(1U << 31U, sizes));
}

TEST_CASE("a share has at most kPiecesCountMax pieces and kShareSizeMax bytes", "[transfer]") {
  const std::uint64_t full = std::uint64_t{kPiecesCountMax} * kPieceLengthMin;
  CHECK(Layout::is_possible(kPieceLengthMin, std::vector<std::uint64_t>{full}));
  CHECK_FALSE(Layout::is_possible(kPieceLengthMin, std::vector<std::uint64_t>{full + 1}));
  CHECK_FALSE(Layout::is_possible(kPieceLengthMin, std::vector<std::uint64_t>{full, 1}));
  CHECK(Layout::is_possible(kPieceLengthMin, std::vector<std::uint64_t>{full, 0}));
  CHECK_FALSE(Layout::is_possible(kPieceLengthMax, std::vector<std::uint64_t>{kShareSizeMax + 1}));
  CHECK_FALSE(Layout::is_possible(kPieceLengthMax, std::vector<std::uint64_t>{UINT64_MAX, 2}));
}

}  // namespace
}  // namespace peernet::transfer
