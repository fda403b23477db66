#include "dht/proven_hosts.h"

#include <catch2/catch.hpp>

#include <deque>

#include "core/rng.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

TEST_CASE("a host is proven for ten minutes since its last proof", "[dht]") {
  ProvenHosts hosts;
  const Time now{1000s};
  CHECK_FALSE(hosts.contains(now, 5));
  hosts.prove(now, 5);
  hosts.prove(now + 5min, 5);
  CHECK(hosts.contains(now + 15min - 1us, 5));
  CHECK_FALSE(hosts.contains(now + 15min, 5));
  CHECK_FALSE(hosts.contains(now, 6));
}

TEST_CASE("of more hosts than the limit the latest are known, whatever their hashes", "[dht]") {
  for (const std::uint64_t spread : {1ULL, 0ULL, 8'192ULL}) {
    ProvenHosts hosts;
    Rng rng(1);
    std::deque<std::uint64_t> latest;
    const Time now{1000s};
    for (std::uint64_t n = 1; n <= 3 * kProvenMax; ++n) {
      // All in one chain, in order, or at random.
      const std::uint64_t host = spread == 0 ? rng.next() : n * spread;
      hosts.prove(now, host);
      latest.push_back(host);
      if (latest.size() <= kProvenMax) continue;
      if (n % 64 == 0) CHECK_FALSE(hosts.contains(now, latest.front()));
      latest.pop_front();
    }
    std::size_t known = 0;
    for (const std::uint64_t host : latest) known += hosts.contains(now, host) ? 1U : 0U;
    CHECK(known == kProvenMax);
  }
}

}  // namespace peernet::dht::test
