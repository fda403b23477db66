#include "dht/item_store.h"

#include <catch2/catch.hpp>

#include <string>

#include "dht/node_id.h"
#include "test/dht/network.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

constexpr Time kNow{1000s};
using Outcome = ItemStore::Outcome;

Item numbered(unsigned n) {
  return immutable_item(as_bytes("i" + std::to_string(n) + "e"));
}

Item version(std::int64_t seq, std::string_view value = "1:a") {
  return mutable_item(Key{}, {}, seq, as_bytes(value));
}

// Endpoints of one host each, no two in one /24.
Endpoint host(unsigned n) {
  return global_endpoint(n);
}

ItemStore filled() {
  ItemStore store(make_id(1), true, {});
  for (unsigned n = 0; n < kItemsMax; ++n) {
    REQUIRE(store.put(kNow, numbered(n), std::nullopt, host(n)) == Outcome::stored);
  }
  return store;
}

}  // namespace

TEST_CASE("so many items as the operator says are kept", "[dht]") {
  ItemStore store(make_id(1), true, {.items = 16});
  for (unsigned n = 0; n < 40; ++n) store.put(kNow, numbered(n), std::nullopt, host(n));
  CHECK(store.size() == 16);
}

TEST_CASE("an item is kept for two hours since the last put", "[dht]") {
  ItemStore store(make_id(1), true, {});
  const Item item = numbered(1);
  const DhtId target = item_target(item);
  CHECK(store.put(kNow, item, std::nullopt, host(1)) == Outcome::stored);
  CHECK(store.put(kNow + 1h, item, std::nullopt, host(2)) == Outcome::stored);
  CHECK(store.size() == 1);
  CHECK(store.find(kNow + 3h - 1us, target) != nullptr);
  CHECK(store.find(kNow + 3h, target) == nullptr);
  store.drop_expired(kNow + 3h - 1us);
  CHECK(store.size() == 1);
  store.drop_expired(kNow + 3h);
  CHECK(store.size() == 0);
}

TEST_CASE("a mutable item gives way only to a newer one", "[dht]") {
  ItemStore store(make_id(1), true, {});
  CHECK(store.put(kNow, version(5), std::nullopt, host(1)) == Outcome::stored);
  CHECK(store.put(kNow, version(4), std::nullopt, host(1)) == Outcome::seq_too_low);
  CHECK(store.put(kNow, version(5, "1:b"), std::nullopt, host(1)) == Outcome::seq_too_low);
  CHECK(store.put(kNow, version(5), std::nullopt, host(1)) == Outcome::stored);
  CHECK(store.put(kNow, version(6, "1:b"), std::nullopt, host(1)) == Outcome::stored);
  CHECK(store.find(kNow, item_target(version(5)))->seq == 6);
  CHECK(store.size() == 1);
}

TEST_CASE("cas compares with the number that is stored, if one is", "[dht]") {
  ItemStore store(make_id(1), true, {});
  CHECK(store.put(kNow, version(5), 77, host(1)) == Outcome::stored);
  CHECK(store.put(kNow, version(6), 4, host(1)) == Outcome::cas_mismatch);
  CHECK(store.put(kNow, version(6), 5, host(1)) == Outcome::stored);
  CHECK(store.put(kNow, version(4), 5, host(1)) == Outcome::cas_mismatch);
}

TEST_CASE("a full item store gives the farthest item for a nearer one", "[dht]") {
  ItemStore store = filled();
  const auto place = [&](const Item& item) { return distance(item_target(item), make_id(1)); };
  DhtId farthest;
  for (unsigned n = 0; n < kItemsMax; ++n) farthest = std::max(farthest, place(numbered(n)));
  unsigned nearer = kItemsMax;
  while (place(numbered(nearer)) > farthest) ++nearer;
  unsigned farther = kItemsMax;
  while (place(numbered(farther)) < farthest) ++farther;

  CHECK_FALSE(store.would_keep(kNow, item_target(numbered(farther)), host(9'000)));
  CHECK(store.put(kNow, numbered(farther), std::nullopt, host(9'000)) == Outcome::full);
  CHECK(store.would_keep(kNow, item_target(numbered(nearer)), host(9'000)));
  CHECK(store.put(kNow, numbered(nearer), std::nullopt, host(9'000)) == Outcome::stored);
  CHECK(store.size() == kItemsMax);
  CHECK(store.find(kNow, distance(farthest, make_id(1))) == nullptr);
  CHECK(store.find(kNow, item_target(numbered(nearer))) != nullptr);
}

TEST_CASE("a host has 32 items and a network 64", "[dht]") {
  ItemStore store(make_id(1), true, {});
  const auto at = [](unsigned last) { return Endpoint::v4(0x3c010200 + last, 7000); };
  for (unsigned n = 0; n < kItemsOfHostMax; ++n) {
    CHECK(store.put(kNow, numbered(n), std::nullopt, at(1)) == Outcome::stored);
  }
  CHECK_FALSE(store.would_keep(kNow, item_target(numbered(1'000)), at(1)));
  CHECK(store.put(kNow, numbered(1'000), std::nullopt, at(1)) == Outcome::full);
  // What is there may be put again.
  CHECK(store.would_keep(kNow, item_target(numbered(0)), at(1)));
  for (unsigned n = 0; n < kItemsOfNetworkMax - kItemsOfHostMax; ++n) {
    CHECK(store.put(kNow, numbered(100 + n), std::nullopt, at(2 + n)) == Outcome::stored);
  }
  CHECK(store.put(kNow, numbered(1'000), std::nullopt, at(200)) == Outcome::full);
  CHECK(store.put(kNow, numbered(1'000), std::nullopt, host(1)) == Outcome::stored);
}

TEST_CASE("private addresses have no share of the item store", "[dht]") {
  ItemStore store(make_id(1), false, {});
  for (unsigned n = 0; n <= kItemsOfNetworkMax; ++n) {
    CHECK(store.put(kNow, numbered(n), std::nullopt, local_endpoint(1)) == Outcome::stored);
  }
}

TEST_CASE("items are found also after our own id has changed", "[dht]") {
  ItemStore store = filled();
  store.move_to(make_id(2));
  for (unsigned n = 0; n < kItemsMax; ++n) {
    CHECK(store.find(kNow, item_target(numbered(n))) != nullptr);
  }
}

}  // namespace peernet::dht::test
