#include "dht/ends.h"

#include <catch2/catch.hpp>

#include "test/dht/network.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

constexpr Families kBoth{true, true};
constexpr Families kV4Only{true, false};

LookupDone lookup(unsigned key, std::uint32_t asked, Duration took) {
  LookupDone done;
  done.key = make_id(key);
  done.nodes_asked = asked;
  done.stored = 6;
  done.store_targets = 8;
  done.took = took;
  return done;
}

ItemDone item(unsigned target, bool is_put) {
  ItemDone done;
  done.target = make_id(target);
  done.is_put = is_put;
  done.stored = 8;
  return done;
}

}  // namespace

TEST_CASE("a lookup ends when both families are through, with the sum of both", "[dht]") {
  Ends ends;
  ends.begin_lookup(make_id(1), kBoth);
  CHECK_FALSE(ends.on_done(lookup(1, 10, 1s), 0, kBoth));
  const auto end = ends.on_done(lookup(1, 5, 2s), 1, kBoth);
  REQUIRE(end);
  CHECK(end->nodes_asked == 15);
  CHECK(end->stored == 12);
  CHECK(end->store_targets == 16);
  CHECK(end->took == 2s);
  CHECK(ends.size() == 0);
  CHECK_FALSE(ends.on_done(lookup(1, 5, 2s), 1, kBoth));
}

TEST_CASE("nobody waits for a family without nodes", "[dht]") {
  Ends ends;
  ends.begin_lookup(make_id(1), kBoth);
  CHECK(ends.on_done(lookup(1, 10, 1s), 0, kV4Only));
  ends.begin_get(make_id(2), kBoth);
  CHECK(ends.on_done(item(2, false), 0, kV4Only));
  CHECK(ends.size() == 0);
}

TEST_CASE("a lookup that is joined ends once, one that was forgotten never", "[dht]") {
  Ends ends;
  ends.begin_lookup(make_id(1), kBoth);
  CHECK_FALSE(ends.on_done(lookup(1, 10, 1s), 0, kBoth));
  // Joined while one family is through already: that one looks again.
  ends.begin_lookup(make_id(1), kBoth);
  CHECK_FALSE(ends.on_done(lookup(1, 5, 1s), 1, kBoth));
  CHECK(ends.on_done(lookup(1, 10, 1s), 0, kBoth)->nodes_asked == 25);
  ends.begin_lookup(make_id(1), kBoth);
  ends.forget_lookup(make_id(1));
  CHECK_FALSE(ends.on_done(lookup(1, 10, 1s), 0, kBoth));
}

TEST_CASE("each put of one item has its own end", "[dht]") {
  Ends ends;
  ends.begin_put(make_id(1), kBoth);
  ends.begin_put(make_id(1), kBoth);
  CHECK_FALSE(ends.on_done(item(1, true), 0, kBoth));
  CHECK_FALSE(ends.on_done(item(1, true), 0, kBoth));
  CHECK(ends.on_done(item(1, true), 1, kBoth)->stored == 16);
  CHECK(ends.on_done(item(1, true), 1, kBoth)->stored == 16);
  CHECK(ends.size() == 0);
}

TEST_CASE("an item both families find is told once, a newer one again", "[dht]") {
  Ends ends;
  ItemFound found{make_id(1), mutable_item(Key{}, {}, 3, as_bytes("1:a"))};
  CHECK_FALSE(ends.on_found(found));
  ends.begin_get(make_id(1), kBoth);
  CHECK(ends.on_found(found));
  CHECK_FALSE(ends.on_found(found));
  found.item.seq = 2;
  CHECK_FALSE(ends.on_found(found));
  found.item.seq = 4;
  CHECK(ends.on_found(found));
}

}  // namespace peernet::dht::test
