// Who cannot be reached asks only, while it is young (BEP 43).

#include "dht/reach.h"

#include <catch2/catch.hpp>

#include "test/dht/engine.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

const Endpoint kOutside = Endpoint::v4(0x3c630101, 7000);
const Endpoint kInside = Endpoint::v4(0xc0a80105, 7000);

// Eight nodes in as many regions have answered, and said that we are seen there.
void be_seen(Engine& engine, const Endpoint& address) {
  for (unsigned n = 1; n <= kVotesNeeded; ++n) {
    engine.dht.add_node(engine.now, global_endpoint(n), engine.out);
    for (const Sent& asked : engine.sent()) {
      if (asked.to != global_endpoint(n)) continue;
      Reply reply;
      reply.txid = std::get<Query>(asked.message).txid;
      reply.sender = make_id(n);
      reply.seen_as = address;
      engine.receive(asked.to, encode(reply));
    }
    engine.sent();
    engine.now += 10s;
  }
  engine.sent();
}

bool is_answering(Engine& engine, const Endpoint& from) {
  engine.query(from, make_id(77), Ping{});
  for (const Sent& sent : engine.sent()) {
    if (sent.to == from && std::holds_alternative<Reply>(sent.message)) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("who is seen at an address it does not have asks only, for ten minutes", "[dht]") {
  Engine engine;
  const Time started = engine.now;
  engine.dht.set_own_addresses(engine.now, {kInside});
  CHECK_FALSE(engine.dht.stats().is_hidden);
  be_seen(engine, kOutside);
  REQUIRE(engine.dht.stats().is_hidden);
  CHECK_FALSE(is_answering(engine, global_endpoint(3)));
  CHECK(engine.dht.deadline() <= started + kYoungFor);
  engine.dht.get_peers(engine.now, make_id(5), engine.out);
  const auto asked = engine.sent();
  REQUIRE_FALSE(asked.empty());
  for (const Sent& sent : asked) CHECK(std::get<Query>(sent.message).is_read_only);

  engine.pass(started + kYoungFor - engine.now);
  engine.sent();
  CHECK_FALSE(engine.dht.stats().is_hidden);
  CHECK(is_answering(engine, global_endpoint(3)));
}

TEST_CASE("who is asked by a stranger can be reached, and answers", "[dht]") {
  Engine engine;
  engine.dht.set_own_addresses(engine.now, {kInside});
  be_seen(engine, kOutside);
  REQUIRE(engine.dht.stats().is_hidden);
  CHECK(is_answering(engine, global_endpoint(100)));
  CHECK_FALSE(engine.dht.stats().is_hidden);
  CHECK(is_answering(engine, global_endpoint(3)));
}

TEST_CASE("who is seen at an address of its own, or knows none, hides from nobody", "[dht]") {
  Engine with;
  with.dht.set_own_addresses(with.now, {kInside, kOutside});
  be_seen(with, kOutside);
  CHECK_FALSE(with.dht.stats().is_hidden);
  CHECK(is_answering(with, global_endpoint(3)));
  Engine without;
  be_seen(without, kOutside);
  CHECK_FALSE(without.dht.stats().is_hidden);
}

}  // namespace peernet::dht::test
