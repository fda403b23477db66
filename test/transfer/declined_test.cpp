#include "transfer/declined.h"

#include <catch2/catch.hpp>

#include <chrono>

namespace peernet::transfer {
namespace {

constexpr Time kStart{std::chrono::seconds(100)};
constexpr std::uint32_t kBlocks = 4;  // of each piece

}  // namespace

TEST_CASE("of a piece the blocks that were not declined are left", "[transfer]") {
  Declined declined;
  CHECK(declined.is_empty());
  declined.add(kStart, {7, 1, 2}, kBlocks);
  CHECK(declined.others(6) == nullptr);
  REQUIRE(declined.others(7) != nullptr);
  CHECK(declined.others(7)->count_set() == 2);
  CHECK_FALSE(declined.others(7)->test(1));
  CHECK_FALSE(declined.others(7)->test(2));
  declined.add(kStart, {7, 0, 4}, kBlocks);
  CHECK(declined.others(7)->none());
}

TEST_CASE("what was declined is forgotten after a while, piece by piece", "[transfer]") {
  Declined declined;
  declined.add(kStart, {7, 0, 1}, kBlocks);
  declined.add(kStart + Duration(1), {7, 1, 1}, kBlocks);
  declined.add(kStart + Duration(1), {8, 0, 1}, kBlocks);
  declined.forget_old(kStart + kDeclinedTime - Duration(1));
  CHECK(declined.others(7) != nullptr);
  declined.forget_old(kStart + kDeclinedTime);
  CHECK(declined.others(7) == nullptr);
  CHECK(declined.others(8) != nullptr);
  declined.forget_old(kStart + kDeclinedTime + Duration(1));
  CHECK(declined.is_empty());
}

TEST_CASE("of no more than kDeclinedPiecesMax pieces is it kept what was declined", "[transfer]") {
  Declined declined;
  for (std::uint32_t piece = 0; piece <= kDeclinedPiecesMax; ++piece) {
    CHECK(declined.is_full() == (piece == kDeclinedPiecesMax));
    declined.add(kStart, {piece, 0, 1}, kBlocks);
  }
  CHECK(declined.others(kDeclinedPiecesMax - 1) != nullptr);
  CHECK(declined.others(kDeclinedPiecesMax) == nullptr);
  declined.add(kStart, {0, 1, 1}, kBlocks);  // of one that is kept
  CHECK(declined.others(0)->count_set() == 2);
}

}  // namespace peernet::transfer
