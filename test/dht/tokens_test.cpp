#include "dht/tokens.h"

#include <catch2/catch.hpp>

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

constexpr Time kStart{1000min};
const Endpoint kWhose = Endpoint::v4(0x01020304, 5000);

}  // namespace

TEST_CASE("a token is good for five to ten minutes", "[dht]") {
  Rng rng(1);
  const Tokens tokens(rng);
  const auto key = rng.tagged<DhtId>();
  const Mac early = tokens.make(kStart, kWhose, key);
  CHECK(tokens.is_valid(kStart, kWhose, key, early.view()));
  CHECK(tokens.is_valid(kStart + 10min - 1us, kWhose, key, early.view()));
  CHECK_FALSE(tokens.is_valid(kStart + 10min, kWhose, key, early.view()));
  const Mac late = tokens.make(kStart + 5min - 1us, kWhose, key);
  CHECK(tokens.is_valid(kStart + 10min - 1us, kWhose, key, late.view()));
  CHECK_FALSE(tokens.is_valid(kStart + 10min, kWhose, key, late.view()));
}

TEST_CASE("a token is good for one address and one key, at any port", "[dht]") {
  Rng rng(2);
  const Tokens tokens(rng);
  const auto key = rng.tagged<DhtId>();
  const Mac token = tokens.make(kStart, kWhose, key);
  CHECK(tokens.is_valid(kStart, Endpoint::v4(0x01020304, 6000), key, token.view()));
  CHECK_FALSE(tokens.is_valid(kStart, Endpoint::v4(0x01020305, 5000), key, token.view()));
  CHECK_FALSE(tokens.is_valid(kStart, kWhose, rng.tagged<DhtId>(), token.view()));
  CHECK_FALSE(tokens.is_valid(kStart, kWhose, key, token.view().first(15)));
  CHECK_FALSE(tokens.is_valid(kStart, kWhose, key, {}));
  const Tokens others(rng);
  CHECK_FALSE(others.is_valid(kStart, kWhose, key, token.view()));
}

}  // namespace peernet::dht::test
