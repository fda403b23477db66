#include "dht/recent_set.h"

#include <catch2/catch.hpp>

#include <deque>

#include "core/rng.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kCountMax = 4'096;

}  // namespace

TEST_CASE("a key counts for its time since it was last added", "[dht]") {
  RecentSet keys(kCountMax, 10min);
  const Time now{1000s};
  CHECK_FALSE(keys.contains(now, 5));
  keys.add(now, 5);
  keys.add(now + 5min, 5);
  CHECK(keys.contains(now + 15min - 1us, 5));
  CHECK_FALSE(keys.contains(now + 15min, 5));
  CHECK_FALSE(keys.contains(now, 6));
}

TEST_CASE("of more keys than the limit the latest count, whatever they are", "[dht]") {
  for (const std::uint64_t spread : {1ULL, 0ULL, 8'192ULL}) {
    RecentSet keys(kCountMax, 10min);
    Rng rng(1);
    std::deque<std::uint64_t> latest;
    const Time now{1000s};
    for (std::uint64_t n = 1; n <= 3 * kCountMax; ++n) {
      // All in one chain, in order, or at random.
      const std::uint64_t key = spread == 0 ? rng.next() : n * spread;
      keys.add(now, key);
      latest.push_back(key);
      if (latest.size() <= kCountMax) continue;
      if (n % 64 == 0) CHECK_FALSE(keys.contains(now, latest.front()));
      latest.pop_front();
    }
    std::size_t known = 0;
    for (const std::uint64_t key : latest) known += keys.contains(now, key) ? 1U : 0U;
    CHECK(known == kCountMax);
  }
}

}  // namespace peernet::dht::test
