// One engine from its start on: whom it asks to come into the network, and to stay in it.

#include <catch2/catch.hpp>

#include <map>
#include <string>

#include "dht/dht.h"
#include "dht/krpc.h"
#include "dht/node_id.h"
#include "test/dht/engine.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

TEST_CASE("saved nodes are asked first, sixteen at once, and the bootstrap node a second later",
          "[dht]") {
  std::vector<DhtRecord::Node> saved;
  for (unsigned i = 0; i < 40; ++i) saved.push_back({make_id(i), global_endpoint(i)});
  Engine engine({test::bootstrap_at(global_endpoint(200))}, false, saved);
  auto first = engine.sent();
  REQUIRE(first.size() == kJoinAtOnce);
  for (unsigned i = 0; i < kJoinAtOnce; ++i) CHECK(first[i].to == global_endpoint(i));
  engine.pass(1s);
  const auto second = engine.sent();
  // The bootstrap node is asked two questions.
  REQUIRE(second.size() == kJoinAtOnce + 2);
  CHECK(second[0].to == global_endpoint(200));
  CHECK(second[1].to == global_endpoint(200));
  CHECK(second[2].to == global_endpoint(16));
  // Until somebody answers they are what is worth saving.
  CHECK(engine.dht.snapshot().nodes.size() == 40);
}

TEST_CASE("no more nodes are remembered than the limit", "[dht]") {
  std::vector<DhtRecord::Node> saved;
  for (unsigned i = 0; i < kRememberedMax + 1; ++i)
    saved.push_back({make_id(i), global_endpoint(i)});
  Engine engine({}, false, saved);
  CHECK(engine.dht.snapshot().nodes.size() == kRememberedMax);
}

TEST_CASE("when the last node is lost those of better times are asked at once", "[dht]") {
  Engine engine;
  engine.list(contact(1));
  engine.pass(60min);
  engine.known.clear();
  while (engine.dht.stats().is_joined) {
    engine.out.clear();
    engine.now = engine.dht.deadline();
    engine.dht.on_time(engine.now, engine.out);
  }
  CHECK(std::holds_alternative<Query>(engine.only(contact(1).endpoint).message));
  CHECK(engine.dht.deadline() <= engine.now + 1s);
  CHECK(engine.dht.snapshot().nodes.size() == 1);
}

TEST_CASE("a bootstrap name is resolved, and again when nobody there answers", "[dht]") {
  Engine engine({{"seed.example", 7341}});
  REQUIRE(engine.out.size() == 1);
  const auto resolve = std::get<Resolve>(engine.out[0]);
  CHECK(resolve.host == "seed.example");
  CHECK(resolve.port == 7341);
  CHECK(JobIds::owner(resolve.job) == JobOwner::dht);
  engine.out.clear();
  // It is not asked for twice at a time.
  engine.pass(5s);
  CHECK(engine.out.empty());

  engine.dht.on_resolved(engine.now, resolve.job, {}, engine.out);
  engine.pass(10s);
  REQUIRE(engine.out.size() == 1);
  const auto again = std::get<Resolve>(engine.out[0]);
  CHECK(again.job != resolve.job);
  engine.out.clear();
  std::vector<Endpoint> many;
  for (unsigned i = 0; i < kResolvedMax + 1; ++i) many.push_back(global_endpoint(i));
  engine.dht.on_resolved(engine.now, again.job, many, engine.out);
  CHECK(engine.sent().size() == 2 * kResolvedMax);
  // An answer nobody waits for.
  engine.dht.on_resolved(engine.now, again.job, many, engine.out);
  CHECK(engine.out.empty());
}

TEST_CASE(
    "who knows nobody asks a silent bootstrap node ever more rarely, and once a minute at least",
    "[dht]") {
  Engine engine({test::bootstrap_at(global_endpoint(200))});
  std::vector<Time> attempts;
  std::size_t queries = 0;  // of the last attempt
  const Time end = engine.now + 5min;
  while (engine.now < end) {
    const std::size_t sent = engine.sent().size();
    const bool is_new = attempts.empty() || engine.now - attempts.back() >= 1s;
    if (sent > 0 && is_new) {
      attempts.push_back(engine.now);
      queries = 0;
    }
    queries += sent;
    CHECK(queries <= 8);
    engine.now = engine.dht.deadline();
    engine.dht.on_time(engine.now, engine.out);
  }
  REQUIRE(attempts.size() >= 9);
  const Duration waits[] = {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s};
  for (std::size_t i = 0; i < std::size(waits); ++i) {
    CHECK(attempts[i + 1] - attempts[i] == waits[i]);
  }
}

TEST_CASE("a node named by the owner is asked who it is", "[dht]") {
  Engine engine;
  engine.dht.add_node(engine.now, global_endpoint(1), engine.out);
  const Sent asked = engine.only(global_endpoint(1));
  engine.dht.add_node(engine.now, global_endpoint(1), engine.out);
  engine.dht.add_node(engine.now, Endpoint::v4(0x08080808, 80), engine.out);
  CHECK(engine.out.empty());
  engine.answer(asked, make_id(1));
  CHECK(engine.dht.stats().nodes == 1);
}

TEST_CASE("pings to those who come by themselves are limited", "[dht]") {
  Engine engine;
  std::size_t pings = 0;
  for (unsigned i = 0; i < 1000; ++i) {
    engine.query(global_endpoint(i), make_id(i), Ping{});
    for (const Sent& sent : engine.sent()) {
      pings += std::holds_alternative<Query>(sent.message) ? 1U : 0U;
    }
  }
  CHECK(pings <= kProbesBurst + 1);
  CHECK(pings >= kProbesBurst - 1);
}

TEST_CASE("an engine without peers, nodes or commands asks for little time", "[dht]") {
  Engine engine;
  unsigned wakes = 0;
  const Time end = engine.now + 60min;
  while (engine.dht.deadline() < end) {
    engine.now = engine.dht.deadline();
    engine.dht.on_time(engine.now, engine.out);
    ++wakes;
  }
  CHECK(wakes < 30);
  CHECK(engine.out.empty());
}

TEST_CASE("a new id is drawn unless one was saved, and it is kept", "[dht]") {
  Effects out;
  Dht fresh({}, Rng(1), test::quiet_log());
  fresh.start(Time{}, {}, out);
  CHECK(fresh.stats().id != DhtId{});
  Dht again({}, Rng(2), test::quiet_log());
  again.start(Time{}, fresh.snapshot(), out);
  CHECK(again.stats().id == fresh.stats().id);
}

}  // namespace peernet::dht::test
