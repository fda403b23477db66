#include "transfer/active_pieces.h"

#include <catch2/catch.hpp>

#include <chrono>

namespace peernet::transfer {
namespace {

ConnId conn(std::uint64_t number) {
  return ConnId{number};
}

Time at(int seconds) {
  return Time{} + std::chrono::seconds(seconds);
}

// Asks the peer for so many blocks of the piece.
std::vector<BlockRun> take(ActivePieces& pieces, std::uint32_t piece, std::uint64_t peer,
                           std::uint32_t count, int seconds) {
  std::vector<BlockRun> runs;
  CHECK(pieces.take(piece, nullptr, conn(peer), count, at(seconds), runs) == count);
  return runs;
}

TEST_CASE("what a peer sends that is not there is not wanted", "[transfer]") {
  ActivePieces pieces(16);
  pieces.add(0, 4);
  CHECK_FALSE(pieces.on_block_received(conn(1), 0, 4).is_wanted);
  CHECK_FALSE(pieces.on_block_received(conn(1), 0, UINT32_MAX).is_wanted);
  CHECK_FALSE(pieces.on_block_received(conn(1), 1, 0).is_wanted);
  CHECK_FALSE(pieces.on_block_received(conn(1), UINT32_MAX, 0).is_wanted);
  pieces.on_rejected(conn(1), {UINT32_MAX, 0, 5});
  pieces.on_rejected(conn(1), {0, 0, 1024});
  CHECK(pieces.missing_count(0, nullptr) == 4);
  // A block that was not asked for and is missing may be kept; the caller learns of it.
  const auto gift = pieces.on_block_received(conn(1), 0, 3);
  CHECK(gift.is_wanted);
  CHECK_FALSE(gift.was_requested);
}

TEST_CASE("runs are contiguous, within one piece and not longer than asked", "[transfer]") {
  ActivePieces pieces(16);
  pieces.add(1, 64);
  pieces.add(0, 64);
  std::vector<BlockRun> runs;
  CHECK(pieces.take(1, nullptr, conn(1), 70, at(0), runs) == 64);
  CHECK(pieces.take(0, nullptr, conn(1), 6, at(0), runs) == 6);
  CHECK(runs ==
        std::vector<BlockRun>{{1, 0, 16}, {1, 16, 16}, {1, 32, 16}, {1, 48, 16}, {0, 0, 6}});
  CHECK(take(pieces, 0, 2, 5, 0) == std::vector<BlockRun>{{0, 6, 5}});
}

TEST_CASE("a piece is asked for from the block it begins with, and round", "[transfer]") {
  ActivePieces pieces(16);
  pieces.add(0, 8, 5);
  CHECK(take(pieces, 0, 1, 2, 0) == std::vector<BlockRun>{{0, 5, 2}});
  CHECK(take(pieces, 0, 2, 3, 0) == std::vector<BlockRun>{{0, 7, 1}, {0, 0, 2}});
  Bitfield part(8);
  for (const std::uint32_t block : {1U, 3U, 6U}) part.set(block);
  std::vector<BlockRun> runs;
  CHECK(pieces.take(0, &part, conn(3), 8, at(0), runs) == 1);
  CHECK(runs == std::vector<BlockRun>{{0, 3, 1}});
  // What was asked for before and is missing again is not forgotten.
  pieces.on_rejected(conn(1), {0, 5, 2});
  CHECK(take(pieces, 0, 2, 4, 0) == std::vector<BlockRun>{{0, 4, 3}, {0, 2, 1}});
}

TEST_CASE("a request that is not answered expires once, and its late block is welcome",
          "[transfer]") {
  ActivePieces pieces(16);
  pieces.add(0, 4);
  pieces.add(1, 4);
  take(pieces, 0, 1, 3, 0);
  take(pieces, 0, 2, 1, 10);
  REQUIRE(pieces.oldest_request(conn(1)) == at(0));
  CHECK_FALSE(pieces.oldest_request(conn(3)));
  CHECK(pieces.expire(at(0) - Duration(1)).empty());

  const auto expired = pieces.expire(at(9));
  REQUIRE(expired.size() == 1);
  CHECK(expired.front().peer == conn(1));
  CHECK(expired.front().run == BlockRun{0, 0, 3});
  CHECK(pieces.expire(at(9)).empty());
  CHECK(pieces.outstanding(conn(1)) == 0);
  CHECK(pieces.missing_count(0, nullptr) == 3);

  const auto late = pieces.on_block_received(conn(1), 0, 0);
  CHECK(late.is_wanted);
  CHECK_FALSE(late.was_requested);
  CHECK(take(pieces, 0, 2, 2, 11) == std::vector<BlockRun>{{0, 1, 2}});
  CHECK(pieces.expire(at(99)).size() == 2);  // block 3, asked at 10, then the run of 1 and 2
}

TEST_CASE("what is written of a piece is counted in bytes", "[transfer]") {
  const Layout layout(64U << 10U, std::vector<std::uint64_t>{(64U << 10U) + 20'000});
  ActivePieces pieces(16);
  pieces.add(1, layout.blocks_count(1));
  take(pieces, 1, 1, 2, 0);
  CHECK(pieces.bytes_written(layout) == 0);
  REQUIRE(pieces.on_block_received(conn(1), 1, 1).is_wanted);
  CHECK(pieces.bytes_written(layout) == 0);
  CHECK_FALSE(pieces.on_block_written(1, 1));
  CHECK(pieces.bytes_written(layout) == 20'000 - kBlockSize);
}

}  // namespace
}  // namespace peernet::transfer
