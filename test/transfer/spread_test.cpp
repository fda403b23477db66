#include "transfer/spread.h"

#include <catch2/catch.hpp>

namespace peernet::transfer {
namespace {

constexpr ConnId kA{1};
constexpr ConnId kB{2};
constexpr ConnId kC{3};

Network net(ConnId conn) {
  return {Endpoint{}, conn};
}

TEST_CASE("a piece that one peer alone had from us was passed on by it", "[transfer]") {
  Spread spread;
  spread.on_sent(7, kA, net(kA), 100, true);
  spread.on_sent(7, kA, net(kA), 50, true);
  CHECK(spread.kept(kA) == 150);
  spread.on_had(7, kA, net(kA));  // what it says of itself proves nothing
  CHECK(spread.passed_on(kA) == 0);
  spread.on_had(7, kB, net(kB));
  CHECK(spread.kept(kA) == 0);
  CHECK(spread.passed_on(kA) == 150);
  spread.on_had(7, kC, net(kC));
  CHECK(spread.passed_on(kA) == 150);
  CHECK(spread.passed_on(kB) == 0);
}

TEST_CASE("a piece that others had already proves nothing", "[transfer]") {
  Spread spread;
  spread.on_sent(7, kA, net(kA), 100, false);
  spread.on_had(7, kB, net(kB));
  CHECK(spread.passed_on(kA) == 0);
  CHECK(spread.kept(kA) == 0);
}

TEST_CASE("what we sent to a second peer as well proves nothing of the first", "[transfer]") {
  Spread spread;
  spread.on_sent(7, kA, net(kA), 100, true);
  spread.on_sent(7, kB, net(kB), 100, true);
  CHECK(spread.kept(kB) == 0);
  spread.on_had(7, kC, net(kC));
  CHECK(spread.passed_on(kA) == 0);
  CHECK(spread.passed_on(kB) == 0);
  // Until then it kept it to itself.
  CHECK(spread.kept(kA) == 100);
}

TEST_CASE("passing on within one's own network counts for nothing", "[transfer]") {
  Spread spread;
  spread.on_sent(7, kA, net(kA), 100, true);
  spread.on_had(7, kB, net(kA));
  CHECK(spread.passed_on(kA) == 0);
  CHECK(spread.kept(kA) == 100);
  spread.on_had(7, kC, net(kC));
  CHECK(spread.passed_on(kA) == 100);
}

TEST_CASE("a peer that comes with a piece has it from whoever was given it", "[transfer]") {
  Spread spread;
  spread.on_sent(1, kA, net(kA), 100, true);
  spread.on_sent(2, kA, net(kA), 100, true);
  Bitfield has(4);
  has.set(2);
  spread.on_has(has, kB, net(kB));
  CHECK(spread.passed_on(kA) == 100);
  CHECK(spread.kept(kA) == 100);
}

TEST_CASE("who has gone is forgotten, and its pieces may be given to another", "[transfer]") {
  Spread spread;
  spread.on_sent(1, kA, net(kA), 100, true);
  spread.on_gone(kA);
  CHECK(spread.kept(kA) == 0);
  spread.on_sent(1, kB, net(kB), 100, true);
  CHECK(spread.kept(kB) == 100);
}

}  // namespace
}  // namespace peernet::transfer
