#include "dht/hash_counts.h"

#include <catch2/catch.hpp>

#include <map>
#include <vector>

#include "core/rng.h"

namespace peernet::dht::test {

TEST_CASE("counts by hash are those of a map, however they come and go", "[dht]") {
  // At random, and all in one chain.
  for (const bool is_chain : {false, true}) {
    HashCounts counts;
    std::map<std::uint64_t, unsigned> expected;
    Rng rng(1);
    std::vector<std::uint64_t> hashes;
    for (std::uint64_t i = 0; i < 300; ++i)
      hashes.push_back(is_chain ? i << 40U : rng.next() | 255U);
    for (int step = 0; step < 20'000; ++step) {
      // It fills first, and then empties.
      const std::uint64_t hash = hashes[rng.below(hashes.size())];
      if (rng.below(10) < (step < 10'000 ? 7U : 3U)) {
        if (expected[hash] == HashCounts::kCountMax) continue;
        counts.increment(hash);
        ++expected[hash];
      } else {
        counts.decrement(hash);
        if (expected[hash] > 0) --expected[hash];
      }
    }
    std::size_t size = 0;
    for (const std::uint64_t hash : hashes) {
      CHECK(counts.count(hash) == expected[hash]);
      size += expected[hash] > 0 ? 1U : 0U;
    }
    CHECK(counts.size() == size);
  }
}

}  // namespace peernet::dht::test
