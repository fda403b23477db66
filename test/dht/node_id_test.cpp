#include "dht/node_id.h"

#include <catch2/catch.hpp>

namespace peernet::dht::test {

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

TEST_CASE("a random id shares exactly as many bits as asked for", "[dht]") {
  Rng rng(3);
  const auto id = rng.tagged<DhtId>();
  for (unsigned bits = 0; bits < kIdBits; ++bits) {
    CHECK(shared_bits(id, random_id_sharing(id, bits, rng)) == bits);
  }
  CHECK(shared_bits(id, id) == kIdBits);
}

}  // namespace peernet::dht::test
