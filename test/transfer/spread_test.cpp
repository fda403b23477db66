#include "transfer/spread.h"

#include <catch2/catch.hpp>

#include "transfer/layout.h"

namespace peernet::transfer {
namespace {

constexpr ConnId kA{1};
constexpr ConnId kB{2};
constexpr ConnId kC{3};
constexpr std::uint32_t kPieceSize = 2 * kBlockSize + 100;

Network net(ConnId conn) {
  return {Endpoint{}, conn};
}

Spread::Block block(std::uint32_t piece, std::uint32_t index) {
  return {piece, index, kPieceSize};
}

void send_piece(Spread& spread, std::uint32_t piece, ConnId to, bool is_alone = true) {
  for (std::uint32_t i = 0; i < 3; ++i) spread.on_sent(block(piece, i), to, net(to), is_alone);
}

TEST_CASE("a piece that one peer alone had from us was passed on by it", "[transfer]") {
  Spread spread;
  send_piece(spread, 7, kA);
  CHECK(spread.kept(kA) == kPieceSize);
  spread.on_had(7, kA, net(kA));  // what it says of itself proves nothing
  CHECK(spread.passed_on(kA) == 0);
  spread.on_had(7, kB, net(kB));
  CHECK(spread.kept(kA) == 0);
  CHECK(spread.passed_on(kA) == kPieceSize);
  spread.on_had(7, kC, net(kC));
  CHECK(spread.passed_on(kA) == kPieceSize);
  CHECK(spread.passed_on(kB) == 0);
}

TEST_CASE("a block that another has was passed on before its piece is whole", "[transfer]") {
  Spread spread;
  spread.on_sent(block(7, 0), kA, net(kA), true);
  spread.on_sent(block(7, 2), kA, net(kA), true);
  CHECK(spread.kept(kA) == kBlockSize + 100);
  spread.on_had(wire::BlockRun{7, 0, 3}, kA, net(kA));
  CHECK(spread.passed_on(kA) == 0);
  spread.on_had(wire::BlockRun{8, 0, 3}, kB, net(kB));  // of another piece
  spread.on_had(wire::BlockRun{7, 1, 1}, kB, net(kB));  // not sent: from nobody we know
  CHECK(spread.passed_on(kA) == 0);
  spread.on_had(wire::BlockRun{7, 1, 2}, kB, net(kB));
  spread.on_had(wire::BlockRun{7, 1, 2}, kC, net(kC));
  CHECK(spread.kept(kA) == kBlockSize);
  CHECK(spread.passed_on(kA) == 100);
  // The piece stays its own: what is sent of it from now on may be passed on too.
  spread.on_sent(block(7, 1), kA, net(kA), true);
  CHECK(spread.kept(kA) == 2 * kBlockSize);
  spread.on_had(7, kB, net(kB));
  CHECK(spread.kept(kA) == 0);
  CHECK(spread.passed_on(kA) == kPieceSize);
}

TEST_CASE("a block sent twice to the same peer counts once", "[transfer]") {
  Spread spread;
  spread.on_sent(block(7, 0), kA, net(kA), true);
  spread.on_sent(block(7, 0), kA, net(kA), true);
  CHECK(spread.kept(kA) == kBlockSize);
}

TEST_CASE("a piece that others had already proves nothing", "[transfer]") {
  Spread spread;
  send_piece(spread, 7, kA, false);
  spread.on_had(7, kB, net(kB));
  spread.on_had(wire::BlockRun{7, 0, 3}, kB, net(kB));
  CHECK(spread.passed_on(kA) == 0);
  CHECK(spread.kept(kA) == 0);
}

TEST_CASE("what we sent to a second peer as well proves nothing of the first", "[transfer]") {
  Spread spread;
  send_piece(spread, 7, kA);
  spread.on_sent(block(7, 1), kB, net(kB), true);
  CHECK(spread.kept(kB) == 0);
  spread.on_had(7, kC, net(kC));
  spread.on_had(wire::BlockRun{7, 0, 3}, kC, net(kC));
  CHECK(spread.passed_on(kA) == 0);
  CHECK(spread.passed_on(kB) == 0);
  // Until then it kept it to itself.
  CHECK(spread.kept(kA) == kPieceSize);
}

TEST_CASE("passing on within one's own network counts for nothing", "[transfer]") {
  Spread spread;
  send_piece(spread, 7, kA);
  spread.on_had(7, kB, net(kA));
  spread.on_had(wire::BlockRun{7, 0, 3}, kB, net(kA));
  CHECK(spread.passed_on(kA) == 0);
  CHECK(spread.kept(kA) == kPieceSize);
  spread.on_had(7, kC, net(kC));
  CHECK(spread.passed_on(kA) == kPieceSize);
}

TEST_CASE("a peer that comes with a piece has it from whoever was given it", "[transfer]") {
  Spread spread;
  send_piece(spread, 1, kA);
  send_piece(spread, 2, kA);
  Bitfield has(4);
  has.set(2);
  spread.on_has(has, kB, net(kB));
  CHECK(spread.passed_on(kA) == kPieceSize);
  CHECK(spread.kept(kA) == kPieceSize);
}

TEST_CASE("who has gone is forgotten, and its pieces may be given to another", "[transfer]") {
  Spread spread;
  send_piece(spread, 1, kA);
  spread.on_gone(kA);
  CHECK(spread.kept(kA) == 0);
  send_piece(spread, 1, kB);
  CHECK(spread.kept(kB) == kPieceSize);
}

}  // namespace
}  // namespace peernet::transfer
