#include "transfer/progress.h"

#include <catch2/catch.hpp>

#include <vector>

#include "core/codec.h"

namespace peernet::transfer {
namespace {

constexpr std::uint32_t kPieceLength = 4 * kBlockSize;
// Pieces 0, 1 and 2 (of one block and one byte), no file, and piece 3 (three blocks and a bit).
const std::vector<std::uint64_t> kSizes{2 * std::uint64_t{kPieceLength} + kBlockSize + 1, 0,
                                        kPieceLength - 5};

Bitfield bits(std::uint32_t size, const std::vector<std::uint32_t>& set) {
  Bitfield result(size);
  for (const std::uint32_t index : set) result.set(index);
  return result;
}

}  // namespace

TEST_CASE("parts come back as they were packed", "[transfer]") {
  const Layout layout(kPieceLength, kSizes);
  const Parts parts{{0, bits(4, {1, 3})}, {2, bits(2, {1})}, {3, bits(4, {0, 1, 2})}};
  const Bytes packed = pack_parts(parts);
  CHECK(to_hex(packed) ==
        "0000000050"
        "0000000240"
        "00000003e0");
  CHECK(unpack_parts(packed, layout) == parts);
  CHECK(pack_parts({}).empty());
  CHECK(unpack_parts({}, layout).empty());
}

TEST_CASE("parts that are cut short or do not fit the share are none", "[transfer]") {
  const Layout layout(kPieceLength, kSizes);
  const Bytes good = pack_parts({{0, bits(4, {1, 3})}, {3, bits(4, {0})}});
  for (std::size_t size = 1; size < good.size(); ++size) {
    const Parts parts = unpack_parts(BytesView(good).first(size), layout);
    CHECK(parts.size() == (size == 5 ? 1U : 0U));  // what ends with a piece is a record of less
  }
  const std::string bad = GENERATE("0000000400",             // no such piece
                                   "0000000058",             // more blocks than it has
                                   "0000000000",             // no block
                                   "00000000f0",             // all of them
                                   "00000003800000000080",   // out of order
                                   "00000000800000000080");  // twice
  CHECK(unpack_parts(*from_hex(bad), layout).empty());
}

TEST_CASE("parts are of as many pieces as can be under way, and of no more", "[transfer]") {
  constexpr std::uint32_t most = kPartsBlocksMax / 2;
  const Layout layout(2 * kBlockSize,
                      std::vector<std::uint64_t>{std::uint64_t{most + 1} * 2 * kBlockSize});
  Parts parts;
  for (std::uint32_t piece = 0; piece < most; ++piece) parts.emplace(piece, bits(2, {0}));
  CHECK(unpack_parts(pack_parts(parts), layout) == parts);
  parts.emplace(most, bits(2, {0}));
  CHECK(unpack_parts(pack_parts(parts), layout).empty());
}

TEST_CASE("what lies beyond the end of a file is not there", "[transfer]") {
  const Layout layout(kPieceLength, kSizes);
  Progress progress{bits(4, {0, 1}), {{2, bits(2, {0})}, {3, bits(4, {0, 3})}}};
  const Progress before = progress;
  progress.cut(layout, kSizes);
  CHECK(progress == before);
  progress.cut(layout, std::vector<std::uint64_t>{kSizes[0] - 1, 0, kSizes[2] - 1});
  CHECK(progress == Progress{bits(4, {0, 1}), {{2, bits(2, {0})}, {3, bits(4, {0})}}});
  progress.cut(layout, std::vector<std::uint64_t>{2 * kPieceLength - 1});
  CHECK(progress == Progress{bits(4, {0}), {}});
}

TEST_CASE("bytes of parts count short last blocks, and what is lost is not there", "[transfer]") {
  const Layout layout(kPieceLength, kSizes);
  Progress progress{bits(4, {1}), {{2, bits(2, {1})}, {3, bits(4, {0, 3})}}};
  CHECK(bytes_of(progress.parts, layout) == 1 + kBlockSize + kBlockSize - 5);
  CHECK(progress.lose(2));
  CHECK(progress.lose(1));
  CHECK_FALSE(progress.lose(0));
  CHECK(progress == Progress{Bitfield(4), {{3, bits(4, {0, 3})}}});
}

}  // namespace peernet::transfer
