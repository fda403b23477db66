#include "dht/routing_table.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace peernet::dht::test {

using namespace std::chrono_literals;
using Outcome = RoutingTable::Outcome;

namespace {

constexpr Time kStart{1000s};
constexpr Duration kTook = 50ms;

// A table, and nodes for it, each in a /16 of its own.
struct Fixture {
  Rng rng{1};
  DhtId own = rng.tagged<DhtId>();
  RoutingTable table{own, false};
  unsigned count = 0;

  Contact contact(unsigned bucket) {
    ++count;
    return {random_id_sharing(own, bucket, rng), Endpoint::v4(0x3c000001U + (count << 16U), 7000)};
  }
  Contact listed(unsigned bucket, Time now = kStart) {
    const Contact result = contact(bucket);
    REQUIRE(table.on_answer(now, result, kTook) == Outcome::listed);
    return result;
  }
};

}  // namespace

TEST_CASE("a full bucket keeps the nodes it has known longest", "[dht]") {
  Fixture f;
  std::vector<Contact> old;
  for (std::size_t i = 0; i < kBucketSize; ++i) old.push_back(f.listed(3));
  const Contact newcomer = f.contact(3);
  CHECK_FALSE(f.table.has_room_for(newcomer));
  CHECK(f.table.on_answer(kStart, newcomer, kTook) == Outcome::spare);
  CHECK(f.table.size() == kBucketSize);
  CHECK_FALSE(f.table.contains(newcomer));
  CHECK(std::all_of(old.begin(), old.end(), [&](auto& c) { return f.table.contains(c); }));
  // Other buckets have room.
  CHECK(f.table.on_answer(kStart, f.contact(4), kTook) == Outcome::listed);
}

TEST_CASE("a node leaves after two failures in a row and the newest spare takes its place",
          "[dht]") {
  Fixture f;
  std::vector<Contact> old;
  for (std::size_t i = 0; i < kBucketSize; ++i) old.push_back(f.listed(3));
  std::vector<Contact> spares;
  for (std::size_t i = 0; i < kSparesMax + 1; ++i) {
    spares.push_back(f.contact(3));
    CHECK(f.table.on_answer(kStart, spares.back(), kTook) == Outcome::spare);
  }
  CHECK_FALSE(f.table.on_failure(kStart, old[2]));
  CHECK(f.table.on_answer(kStart, old[2], kTook) == Outcome::known);
  CHECK_FALSE(f.table.on_failure(kStart, old[2]));
  CHECK(f.table.on_failure(kStart, old[2]));
  CHECK_FALSE(f.table.contains(old[2]));
  CHECK(f.table.contains(spares.back()));
  CHECK(f.table.size() == kBucketSize);
  // One more spare was offered than is kept: after eight promotions the first is not there.
  for (std::size_t i = 0; i < kSparesMax; ++i) {
    const Contact failing = i < 2 ? old[i] : old[i == 2 ? 3 : i];
    f.table.on_failure(kStart, failing);
    f.table.on_failure(kStart, failing);
  }
  CHECK_FALSE(f.table.contains(spares.front()));
}

TEST_CASE("a questionable node of a full bucket is named for a test, oldest first", "[dht]") {
  Fixture f;
  const Contact oldest = f.listed(3);
  for (std::size_t i = 1; i < kBucketSize; ++i) f.listed(3, kStart + 1min);
  const Contact newcomer = f.contact(3);
  CHECK_FALSE(f.table.rival_of(newcomer, kStart + 15min - 1us));
  CHECK(f.table.rival_of(newcomer, kStart + 15min) == oldest);
  CHECK(f.table.rival_of(newcomer, kStart + 20min) == oldest);
  f.table.on_answer(kStart + 20min, oldest, kTook);
  CHECK(f.table.rival_of(newcomer, kStart + 20min) != oldest);
  // A bucket with room has no rivals.
  CHECK_FALSE(f.table.rival_of(f.contact(4), kStart + 20min));
}

TEST_CASE("a known id does not move to another endpoint while it answers where it is", "[dht]") {
  Fixture f;
  const Contact known = f.listed(3);
  const Contact moved{known.id, f.contact(3).endpoint};
  CHECK(f.table.on_answer(kStart, moved, kTook) == Outcome::unwanted);
  CHECK_FALSE(f.table.has_room_for(moved));
  CHECK(f.table.contains(known));
  CHECK_FALSE(f.table.contains(moved));
  // It is tested first; when it has failed, the other may come.
  CHECK(f.table.rival_of(moved, kStart + 10s) == known);
  f.table.on_failure(kStart, known);
  f.table.on_failure(kStart, known);
  CHECK(f.table.has_room_for(moved));
  CHECK(f.table.on_answer(kStart, moved, kTook) == Outcome::listed);
}

TEST_CASE("a node that answers with a new id replaces its old one", "[dht]") {
  Fixture f;
  const Contact old = f.listed(3);
  const Contact renamed{random_id_sharing(f.own, 5, f.rng), old.endpoint};
  CHECK(f.table.on_answer(kStart, renamed, kTook) == Outcome::listed);
  CHECK_FALSE(f.table.contains(old));
  CHECK(f.table.size() == 1);
}

TEST_CASE("a global host is listed once, and a network once in a bucket", "[dht]") {
  Fixture f;
  const auto at = [&](unsigned bucket, std::uint32_t address, std::uint16_t port) {
    return f.table.on_answer(
        kStart, {random_id_sharing(f.own, bucket, f.rng), Endpoint::v4(address, port)}, kTook);
  };
  CHECK(at(3, 0x3c010101, 7000) == Outcome::listed);
  CHECK(at(4, 0x3c010101, 7001) == Outcome::unwanted);
  CHECK(at(3, 0x3c010102, 7000) == Outcome::unwanted);
  CHECK(at(4, 0x3c010102, 7000) == Outcome::listed);
  CHECK(at(3, 0x3c010201, 7000) == Outcome::listed);
  // Private addresses and loopback are exempt.
  for (std::uint16_t port = 7000; port < 7004; ++port) {
    CHECK(at(6, 0x7f000001, port) == Outcome::listed);
    CHECK(at(7, 0x0a000001, port) == Outcome::listed);
  }
  RoutingTable strict(f.own, true);
  const auto first = random_id_sharing(f.own, 6, f.rng);
  CHECK(strict.on_answer(kStart, {first, Endpoint::v4(0x7f000001, 7000)}, kTook) ==
        Outcome::listed);
  const auto second = random_id_sharing(f.own, 7, f.rng);
  CHECK(strict.on_answer(kStart, {second, Endpoint::v4(0x7f000001, 7001)}, kTook) ==
        Outcome::unwanted);
}

TEST_CASE("ports under 1024 and our own id are never listed", "[dht]") {
  Fixture f;
  Contact low = f.contact(3);
  low.endpoint.port = 1023;
  CHECK(f.table.on_answer(kStart, low, kTook) == Outcome::unwanted);
  low.endpoint.port = 1024;
  CHECK(f.table.on_answer(kStart, low, kTook) == Outcome::listed);
  CHECK(f.table.on_answer(kStart, {f.own, f.contact(3).endpoint}, kTook) == Outcome::unwanted);
}

TEST_CASE("the closest nodes are those a sort of all nodes gives", "[dht]") {
  Fixture f;
  std::vector<Contact> all;
  for (unsigned bucket = 0; bucket < 12; ++bucket) {
    for (unsigned i = 0; i < 1 + bucket % 8; ++i) all.push_back(f.listed(bucket));
  }
  for (int round = 0; round < 200; ++round) {
    const DhtId target = round == 0       ? f.own
                         : round % 2 == 0 ? f.rng.tagged<DhtId>()
                                          : random_id_sharing(f.own, 11, f.rng);
    std::sort(all.begin(), all.end(),
              [&](const Contact& a, const Contact& b) { return is_nearer(a.id, b.id, target); });
    const auto closest = f.table.closest(target, 8);
    REQUIRE(closest.size() == 8);
    CHECK(std::equal(closest.begin(), closest.end(), all.begin()));
  }
  CHECK(f.table.closest(f.own, 1000).size() == all.size());
}

TEST_CASE("nobody is told of nodes more local than he is, of himself, or of failing ones",
          "[dht]") {
  Fixture f;
  const Contact global = f.listed(0);
  const Contact failing = f.listed(0);
  f.table.on_failure(kStart, failing);
  const auto list = [&](std::uint32_t address) {
    const Contact contact{random_id_sharing(f.own, 0, f.rng), Endpoint::v4(address, 7000)};
    REQUIRE(f.table.on_answer(kStart, contact, kTook) == Outcome::listed);
  };
  list(0xc0a80105);
  list(0x7f000001);
  CHECK(f.table.closest(f.own, 8).size() == 4);
  CHECK(f.table.closest(f.own, 8, Endpoint::v4(0x08080808, 7000)) == std::vector{global});
  CHECK(f.table.closest(f.own, 8, global.endpoint).empty());
  CHECK(f.table.closest(f.own, 8, Endpoint::v4(0xc0a80106, 7000)).size() == 2);
  CHECK(f.table.closest(f.own, 8, Endpoint::v4(0x7f000001, 7001)).size() == 3);
}

TEST_CASE("upkeep tests the node unheard for longest, each once in five seconds", "[dht]") {
  Fixture f;
  const Contact first = f.listed(1, kStart);
  const Contact second = f.listed(2, kStart + 1s);
  CHECK_FALSE(f.table.next_to_test(kStart + 15min - 1us));
  const Time due = kStart + 15min + 1s;
  CHECK(f.table.next_to_test(due) == first);
  CHECK(f.table.next_to_test(due) == second);
  CHECK_FALSE(f.table.next_to_test(due + 4s));
  CHECK(f.table.next_to_test(due + 5s) == first);
  CHECK(f.table.good_count(due) == 0);
  f.table.on_answer(due, first, kTook);
  CHECK(f.table.good_count(due) == 1);
}

TEST_CASE("in a full bucket a node with a right to its id takes the place of one without",
          "[dht]") {
  Fixture f;
  std::vector<Contact> old;
  for (std::size_t i = 0; i < kBucketSize; ++i) old.push_back(f.listed(4));
  Contact bound;
  do {
    bound.endpoint = Endpoint::v4(0x50000001U + (++f.count << 16U), 7000);
    bound.id = random_id_bound_to(bound.endpoint, f.rng);
  } while (shared_bits(bound.id, f.own) != 4);
  CHECK(f.table.has_room_for(bound));
  CHECK(f.table.on_answer(kStart, bound, kTook) == Outcome::listed);
  CHECK(f.table.size() == kBucketSize);
  CHECK(f.table.contains(bound));
  // The newest of those without gave way, and would be the first to come back.
  CHECK_FALSE(f.table.contains(old.back()));
  CHECK(f.table.forget(kStart, old.front()));
  CHECK(f.table.contains(old.back()));
}

TEST_CASE("of nodes about equally near, those with a right to their ids are told first", "[dht]") {
  Fixture f;
  Contact bound;
  do {
    bound.endpoint = Endpoint::v4(0x50000001U + (++f.count << 16U), 7000);
    bound.id = random_id_bound_to(bound.endpoint, f.rng);
  } while (shared_bits(bound.id, f.own) != 1);
  REQUIRE(f.table.on_answer(kStart, bound, kTook) == Outcome::listed);
  for (std::size_t i = 0; i < kBucketSize; ++i) f.listed(0);
  DhtId target = f.own;
  target.bytes[0] ^= 0x80U;
  const auto told = f.table.closest(target, kBucketSize, Endpoint::v4(0x60000001, 7000));
  REQUIRE(told.size() == kBucketSize);
  // Bucket 0 alone would fill the answer; the bound node in the next one is among the 16 nearest.
  CHECK(std::find(told.begin(), told.end(), bound) != told.end());
  CHECK(std::is_sorted(told.begin(), told.end(), [&](const Contact& a, const Contact& b) {
    return is_nearer(a.id, b.id, target);
  }));
  const auto asked = f.table.closest(target, kBucketSize);
  CHECK(std::find(asked.begin(), asked.end(), bound) == asked.end());
}

TEST_CASE("nodes stay listed when our own id changes, as far as there is room", "[dht]") {
  Fixture f;
  std::vector<Contact> contacts;
  for (unsigned bucket = 0; bucket < 10; ++bucket) {
    for (int i = 0; i < 4; ++i) contacts.push_back(f.listed(bucket));
  }
  const auto moved = random_id_sharing(f.own, 4, f.rng);
  f.table.move_to(moved);
  CHECK(f.table.own_id() == moved);
  // All beyond bucket 4 are now in bucket 4, and those of bucket 4 beyond it.
  CHECK(f.table.size() == 16 + 4 + kBucketSize);
  for (unsigned i = 0; i < 16; ++i) CHECK(f.table.contains(contacts[i]));
}

TEST_CASE("the first buckets are wide, and each takes as many as it may", "[dht]") {
  CHECK(bucket_size(0) == 64);
  CHECK(bucket_size(1) == 32);
  CHECK(bucket_size(2) == 16);
  CHECK(bucket_size(3) == kBucketSize);
  CHECK(bucket_size(kIdBits - 1) == kBucketSize);
  Fixture f;
  for (unsigned bucket = 0; bucket < 5; ++bucket) {
    std::size_t listed = 0;
    for (unsigned i = 0; i < 200; ++i) {
      const auto outcome = f.table.on_answer(kStart, f.contact(bucket), kTook);
      listed += outcome == Outcome::listed ? 1U : 0U;
    }
    CHECK(listed == bucket_size(bucket));
    CHECK(f.table.is_full(bucket));
  }
}

TEST_CASE("a table is as deep as its 8th nearest node", "[dht]") {
  Fixture f;
  CHECK(f.table.depth() == 0);
  f.listed(40);
  for (std::size_t i = 0; i < kBucketSize - 2; ++i) f.listed(5);
  CHECK(f.table.depth() == 0);
  f.listed(2);
  CHECK(f.table.depth() == 2);
  f.listed(5);
  CHECK(f.table.depth() == 5);
}

TEST_CASE("of nodes crowded at one place a bucket lists two, and others still find room", "[dht]") {
  Fixture f;
  for (const unsigned bucket : {0U, 6U}) {
    const DhtId key = random_id_sharing(f.own, bucket, f.rng);
    std::size_t listed = 0;
    for (unsigned i = 0; i < 20; ++i) {
      Contact sybil = f.contact(bucket);
      sybil.id = random_id_sharing(key, bucket + 20, f.rng);
      CHECK(f.table.has_room_for(sybil) == (i < kTwinsMax));
      listed += f.table.on_answer(kStart, sybil, kTook) == Outcome::listed ? 1U : 0U;
    }
    CHECK(listed == kTwinsMax);
    f.listed(bucket);
  }
}

}  // namespace peernet::dht::test
