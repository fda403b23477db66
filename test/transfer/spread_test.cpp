#include "transfer/spread.h"

#include <catch2/catch.hpp>

namespace peernet::transfer {
namespace {

constexpr ConnId kA{1};
constexpr ConnId kB{2};
constexpr ConnId kC{3};

TEST_CASE("a piece that one peer alone had from us was passed on by it", "[transfer]") {
  Spread spread;
  spread.on_sent(7, kA, 100, true);
  spread.on_sent(7, kA, 50, true);
  CHECK(spread.kept(kA) == 150);
  spread.on_had(7, kA);  // what it says of itself proves nothing
  CHECK(spread.passed_on(kA) == 0);
  spread.on_had(7, kB);
  CHECK(spread.kept(kA) == 0);
  CHECK(spread.passed_on(kA) == 150);
  spread.on_had(7, kC);
  CHECK(spread.passed_on(kA) == 150);
  CHECK(spread.passed_on(kB) == 0);
}

TEST_CASE("a piece that others had already proves nothing", "[transfer]") {
  Spread spread;
  spread.on_sent(7, kA, 100, false);
  spread.on_had(7, kB);
  CHECK(spread.passed_on(kA) == 0);
  CHECK(spread.kept(kA) == 0);
}

TEST_CASE("only the first that was given a piece answers for it", "[transfer]") {
  Spread spread;
  spread.on_sent(7, kA, 100, true);
  spread.on_sent(7, kB, 100, true);
  CHECK(spread.kept(kB) == 0);
  spread.on_had(7, kC);
  CHECK(spread.passed_on(kA) == 100);
  CHECK(spread.passed_on(kB) == 0);
}

TEST_CASE("a peer that comes with a piece has it from whoever was given it", "[transfer]") {
  Spread spread;
  spread.on_sent(1, kA, 100, true);
  spread.on_sent(2, kA, 100, true);
  Bitfield has(4);
  has.set(2);
  spread.on_has(has, kB);
  CHECK(spread.passed_on(kA) == 100);
  CHECK(spread.kept(kA) == 100);
}

TEST_CASE("who has gone is forgotten, and its pieces may be given to another", "[transfer]") {
  Spread spread;
  spread.on_sent(1, kA, 100, true);
  spread.on_gone(kA);
  CHECK(spread.kept(kA) == 0);
  spread.on_sent(1, kB, 100, true);
  CHECK(spread.kept(kB) == 100);
}

}  // namespace
}  // namespace peernet::transfer
