#include "dht/size_estimate.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

#include "dht/routing_table.h"

namespace peernet::dht::test {

namespace {

// A table that has heard of every one of `count` nodes at random places.
RoutingTable table_of(unsigned count, Rng& rng) {
  RoutingTable table(rng.tagged<DhtId>(), false);
  for (unsigned i = 0; i < count; ++i) {
    table.on_answer(Time{}, {rng.tagged<DhtId>(), Endpoint::v4(0x10000001U + (i << 12U), 7000)},
                    std::chrono::milliseconds(50));
  }
  return table;
}

}  // namespace

TEST_CASE("a table says how many nodes there are, within a factor of five", "[dht]") {
  Rng rng(1);
  CHECK(RoutingTable(rng.tagged<DhtId>(), false).population() == 0);
  for (const unsigned count : {1U, 10U, 100U, 1'000U, 10'000U}) {
    std::vector<double> ratios;
    for (int i = 0; i < 15; ++i) ratios.push_back(table_of(count, rng).population() / (count + 1));
    std::sort(ratios.begin(), ratios.end());
    CHECK(ratios.front() > 0.2);
    CHECK(ratios.back() < 5);
    CHECK(ratios[7] > 0.7);
    CHECK(ratios[7] < 1.4);
  }
}

TEST_CASE("nodes crowded around our own id do not make the network look large", "[dht]") {
  Rng rng(2);
  RoutingTable table = table_of(100, rng);
  const double before = table.population();
  for (unsigned i = 0; i < 60; ++i) {
    const Contact sybil{random_id_sharing(table.own_id(), 20 + i % 30, rng),
                        Endpoint::v4(0x50000001U + (i << 16U), 7000)};
    table.on_answer(Time{}, sybil, std::chrono::milliseconds(50));
  }
  CHECK(table.population() < before * 2);
}

TEST_CASE("lookups refine the estimate by their median and within a factor of two", "[dht]") {
  SizeEstimate size;
  CHECK(size.nodes(0) == 0);
  CHECK(size.nodes(1000) == 1000);
  // The 8th nearest at 7/1300 of the space.
  for (int i = 0; i < 9; ++i) size.on_lookup(8, 7 / 1300.0);
  CHECK(size.nodes(1000) == Approx(1300));
  SECTION("half of them may lie") {
    for (int i = 0; i < 7; ++i) size.on_lookup(8, 1e-12);
    CHECK(size.nodes(1000) == Approx(1300));
  }
  SECTION("and all of them move it by two at most") {
    for (std::size_t i = 0; i < SizeEstimate::kKept; ++i) size.on_lookup(8, 1e-12);
    CHECK(size.nodes(1000) == 2000);
    for (std::size_t i = 0; i < SizeEstimate::kKept; ++i) size.on_lookup(8, 1);
    CHECK(size.nodes(1000) == 500);
  }
  SECTION("what says nothing is not counted") {
    for (std::size_t i = 0; i < SizeEstimate::kKept; ++i) {
      size.on_lookup(1, 0.5);
      size.on_lookup(8, 0);
    }
    CHECK(size.nodes(1000) == Approx(1300));
  }
}

TEST_CASE("honest nodes are a crowd once in some hundred times at most", "[dht]") {
  CHECK(crowd_max(0) == 2);
  Rng rng(3);
  const int rounds = 2'000;
  const int nodes = 200;
  int crowded = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<double> places;
    for (int i = 0; i < nodes; ++i) places.push_back(rng.unit());
    std::sort(places.begin(), places.end());
    bool is_crowded = false;
    for (std::size_t i = 0; i < 8; ++i) {
      is_crowded |= static_cast<double>(i + 1) > crowd_max(places[i] * nodes);
    }
    crowded += is_crowded ? 1 : 0;
  }
  CHECK(crowded < rounds / 100);
}

}  // namespace peernet::dht::test
