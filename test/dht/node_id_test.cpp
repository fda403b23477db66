#include "dht/node_id.h"

#include <catch2/catch.hpp>

#include "test/support/support.h"

namespace peernet::dht::test {

namespace {

// The vectors BEP 42 publishes, and what differs from them by one of the bits that count, or do
// not.
struct Bound {
  const char* address;
  const char* id;
  bool is_bound;
};
constexpr Bound kBound[] = {
    {"124.31.75.21:1", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401", true},
    {"21.75.31.124:1", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256", true},
    {"65.23.51.170:1", "a5d43220bc8f112a3d426c84764f8c2a1150e616", true},
    {"84.124.73.14:1", "1b0321dd1bb1fe518101ceef99462b947a01ff41", true},
    {"43.213.53.83:1", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a", true},
    {"124.31.75.21:1", "5fbfb7f10c5d6a4ec8a88e4c6ab4c28b95eee401", false},
    {"124.31.75.21:1", "5fbfb8f10c5d6a4ec8a88e4c6ab4c28b95eee401", true},
    {"124.31.75.21:1", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee400", false},
    {"124.31.75.21:1", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee409", true},
    {"21.75.31.124:1", "5a3ce1c14e7a08645677bbd1cfe7d8f956d53256", false},
    {"21.75.31.124:1", "5a3ceec14e7a08645677bbd1cfe7d8f956d53256", true},
    {"21.75.31.124:1", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53257", false},
    {"21.75.31.124:1", "5a3ce9c14e7a08645677bbd1cfe7d8f956d5325e", true},
    {"65.23.51.170:1", "a5d43a20bc8f112a3d426c84764f8c2a1150e616", false},
    {"65.23.51.170:1", "a5d43520bc8f112a3d426c84764f8c2a1150e616", true},
    {"65.23.51.170:1", "a5d43220bc8f112a3d426c84764f8c2a1150e617", false},
    {"65.23.51.170:1", "a5d43220bc8f112a3d426c84764f8c2a1150e61e", true},
    {"84.124.73.14:1", "1b0329dd1bb1fe518101ceef99462b947a01ff41", false},
    {"84.124.73.14:1", "1b0326dd1bb1fe518101ceef99462b947a01ff41", true},
    {"84.124.73.14:1", "1b0321dd1bb1fe518101ceef99462b947a01ff40", false},
    {"84.124.73.14:1", "1b0321dd1bb1fe518101ceef99462b947a01ff49", true},
    {"43.213.53.83:1", "e56f64bf5b7c4be0237986d5243b87aa6d51305a", false},
    {"43.213.53.83:1", "e56f6bbf5b7c4be0237986d5243b87aa6d51305a", true},
    {"43.213.53.83:1", "e56f6cbf5b7c4be0237986d5243b87aa6d51305b", false},
    {"43.213.53.83:1", "e56f6cbf5b7c4be0237986d5243b87aa6d513052", true},
};

}  // namespace

TEST_CASE("distance is symmetric and zero only for equal ids", "[dht]") {
  Rng rng(1);
  const auto a = rng.tagged<DhtId>();
  const auto b = rng.tagged<DhtId>();
  CHECK(distance(a, b) == distance(b, a));
  CHECK(distance(a, a) == DhtId{});
  CHECK(distance(a, b) != DhtId{});
}

TEST_CASE("nearer means a smaller distance", "[dht]") {
  Rng rng(2);
  for (int i = 0; i < 1000; ++i) {
    const auto a = rng.tagged<DhtId>();
    const auto b = rng.tagged<DhtId>();
    const auto target = rng.tagged<DhtId>();
    CHECK(is_nearer(a, b, target) == (distance(a, target) < distance(b, target)));
    CHECK_FALSE(is_nearer(a, a, target));
  }
}

TEST_CASE("a distance as a share of the space agrees with the shared bits", "[dht]") {
  Rng rng(5);
  const auto id = rng.tagged<DhtId>();
  CHECK(distance_share(id, id) == 0);
  for (unsigned bits = 0; bits < 60; ++bits) {
    const double share = distance_share(id, random_id_sharing(id, bits, rng));
    CHECK(share >= 0.5 / static_cast<double>(std::uint64_t{1} << bits));
    CHECK(share <= 1 / static_cast<double>(std::uint64_t{1} << bits));
  }
}

TEST_CASE("a random id shares exactly as many bits as asked for", "[dht]") {
  Rng rng(3);
  const auto id = rng.tagged<DhtId>();
  for (unsigned bits = 0; bits < kIdBits; ++bits) {
    CHECK(shared_bits(id, random_id_sharing(id, bits, rng)) == bits);
  }
  CHECK(shared_bits(id, id) == kIdBits);
}

TEST_CASE("ids are bound to addresses as BEP 42's vectors say", "[dht]") {
  for (const Bound& bound : kBound) {
    INFO(bound.address << " " << bound.id);
    const auto address = Endpoint::parse(bound.address);
    REQUIRE(address);
    CHECK(is_bound_to(peernet::test::tagged<DhtId>(bound.id), *address) == bound.is_bound);
  }
}

TEST_CASE("an id drawn for an address is bound to it, and to no other", "[dht]") {
  Rng rng(4);
  for (const char* text : {"60.1.2.3:1", "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:1"}) {
    const auto address = Endpoint::parse(text);
    REQUIRE(address);
    for (int i = 0; i < 100; ++i) {
      const DhtId id = random_id_bound_to(*address, rng);
      CHECK(is_bound_to(id, *address));
      CHECK_FALSE(is_bound_to(id, Endpoint::v4(0x3c010204, 1)));
    }
  }
  // Of an IPv6 address the network counts, and not the host in it.
  const auto a = Endpoint::parse("[2001:db8:85a3:8d3::1]:1");
  const auto b = Endpoint::parse("[2001:db8:85a3:8d3:ffff::2]:1");
  CHECK(is_bound_to(random_id_bound_to(*a, rng), *b));
}

}  // namespace peernet::dht::test
