#include "dht/peer_store.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "dht/node_id.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

constexpr Time kStart{1000s};

struct Fixture {
  explicit Fixture(const StoreLimits& limits = {}) : store(own, false, limits, rng) {}

  Rng rng{1};
  DhtId own = rng.tagged<DhtId>();
  PeerStore store;

  DhtId key(unsigned bits_shared = 0) { return random_id_sharing(own, bits_shared, rng); }
};

// Every n in a /16 of its own.
Endpoint peer(std::uint32_t n, std::uint16_t port = 6881) {
  return Endpoint::v4(0x20000001U + (n << 16U), port);
}

}  // namespace

TEST_CASE("what was announced is found for thirty minutes", "[dht]") {
  Fixture f;
  const DhtId key = f.key();
  CHECK(f.store.put(kStart, key, peer(1)));
  CHECK(f.store.sample(kStart + 30min - 1us, key, 8, f.rng) == std::vector{peer(1)});
  CHECK(f.store.sample(kStart + 30min, key, 8, f.rng).empty());
  CHECK(f.store.sample(kStart, f.key(), 8, f.rng).empty());
  f.store.drop_expired(kStart + 30min - 1us);
  CHECK(f.store.peers_count() == 1);
  f.store.drop_expired(kStart + 30min);
  CHECK(f.store.peers_count() == 0);
  CHECK(f.store.keys_count() == 0);
}

TEST_CASE("announcing again refreshes a peer", "[dht]") {
  Fixture f;
  const DhtId key = f.key();
  CHECK(f.store.put(kStart, key, peer(1)));
  CHECK(f.store.put(kStart + 20min, key, peer(1)));
  CHECK(f.store.peers_count() == 1);
  CHECK(f.store.sample(kStart + 45min, key, 8, f.rng).size() == 1);
}

TEST_CASE("an address has at most four ports under a key and 64 keys", "[dht]") {
  Fixture f;
  const DhtId key = f.key();
  for (std::uint16_t i = 0; i < kStorePortsMax; ++i) {
    CHECK(f.store.put(kStart, key, peer(1, static_cast<std::uint16_t>(5000 + i))));
  }
  CHECK_FALSE(f.store.put(kStart, key, peer(1, 5004)));
  // It still gets a token, to refresh what it has.
  CHECK(f.store.would_keep(kStart, key, peer(1, 5004)));
  CHECK(f.store.put(kStart, key, peer(1, 5000)));

  for (std::size_t i = 1; i < kStoreKeysOfHostMax; ++i)
    CHECK(f.store.put(kStart, f.key(), peer(1)));
  CHECK_FALSE(f.store.would_keep(kStart, f.key(), peer(1)));
  CHECK_FALSE(f.store.put(kStart, f.key(), peer(1)));
  CHECK(f.store.put(kStart, f.key(), peer(2)));
  // When they have expired there is room again.
  f.store.drop_expired(kStart + 30min);
  CHECK(f.store.put(kStart + 30min, f.key(), peer(1)));
}

TEST_CASE("a network has at most eight addresses under a key", "[dht]") {
  Fixture f;
  const DhtId key = f.key();
  for (std::uint32_t i = 0; i < kStoreHostsOfNetworkMax; ++i) {
    CHECK(f.store.put(kStart, key, Endpoint::v4(0x3c010101U + i, 6881)));
  }
  CHECK_FALSE(f.store.would_keep(kStart, key, Endpoint::v4(0x3c010150, 6881)));
  CHECK_FALSE(f.store.put(kStart, key, Endpoint::v4(0x3c010150, 6881)));
  CHECK(f.store.put(kStart, key, Endpoint::v4(0x3c010201, 6881)));
}

TEST_CASE("private addresses are exempt from the rules per address, not from the totals", "[dht]") {
  Fixture f;
  const DhtId key = f.key();
  for (std::uint32_t i = 0; i < kStorePeersMax; ++i) {
    CHECK(f.store.put(kStart, key, Endpoint::v4(0x7f000001, static_cast<std::uint16_t>(5000 + i))));
  }
  CHECK_FALSE(f.store.put(kStart, key, Endpoint::v4(0x7f000001, 4000)));
  CHECK(f.store.sample(kStart, key, 1000, f.rng).size() == kStorePeersMax);
}

TEST_CASE("ports under 1024 are not kept", "[dht]") {
  Fixture f;
  CHECK_FALSE(f.store.put(kStart, f.key(), peer(1, 1023)));
  CHECK(f.store.put(kStart, f.key(), peer(1, 1024)));
}

TEST_CASE("a full key gives room to a region it knows less of, at the cost of the fullest",
          "[dht]") {
  Fixture f;
  const DhtId key = f.key();
  // 32 networks of one /16, eight addresses each.
  for (std::uint32_t i = 0; i < kStorePeersMax; ++i) {
    CHECK(f.store.put(kStart, key, Endpoint::v4(0x3c010000U + (i / 8 << 8U) + 1 + i % 8, 6881)));
  }
  const Endpoint same_region = Endpoint::v4(0x3c01ff01, 6881);
  CHECK_FALSE(f.store.would_keep(kStart, key, same_region));
  CHECK_FALSE(f.store.put(kStart, key, same_region));
  CHECK(f.store.would_keep(kStart, key, peer(1)));
  CHECK(f.store.put(kStart, key, peer(1)));
  CHECK(f.store.peers_count() == kStorePeersMax);
  const auto all = f.store.sample(kStart, key, 1000, f.rng);
  CHECK(std::find(all.begin(), all.end(), peer(1)) != all.end());
}

TEST_CASE("a full store keeps the keys nearest to its own id and gives no token for others",
          "[dht]") {
  Fixture f;
  for (std::size_t i = 0; i < kStoreKeysMax; ++i) {
    CHECK(f.store.put(kStart, f.key(5), peer(static_cast<std::uint32_t>(i % 4096))));
  }
  CHECK(f.store.keys_count() == kStoreKeysMax);
  const DhtId far = f.key(4);
  CHECK_FALSE(f.store.would_keep(kStart, far, peer(5000)));
  CHECK_FALSE(f.store.put(kStart, far, peer(5000)));
  const DhtId near = f.key(6);
  CHECK(f.store.would_keep(kStart, near, peer(5000)));
  CHECK(f.store.put(kStart, near, peer(5000)));
  CHECK(f.store.keys_count() == kStoreKeysMax);
  CHECK(f.store.peers_count() == kStoreKeysMax);
  CHECK(f.store.sample(kStart, near, 8, f.rng).size() == 1);
}

TEST_CASE("no more peers are stored in all than the limit", "[dht]") {
  Fixture f;
  const std::size_t keys_needed = kStorePeersTotalMax / kStorePeersMax;
  for (std::size_t k = 0; k < keys_needed; ++k) {
    const DhtId key = f.key(5);
    for (std::uint32_t i = 0; i < kStorePeersMax; ++i) {
      const auto port = static_cast<std::uint16_t>(5000 + i);
      REQUIRE(f.store.put(kStart, key, Endpoint::v4(0x7f000001, port)));
    }
  }
  CHECK(f.store.peers_count() == kStorePeersTotalMax);
  CHECK_FALSE(f.store.put(kStart, f.key(4), peer(1)));
  CHECK(f.store.put(kStart, f.key(6), peer(1)));
  CHECK(f.store.peers_count() <= kStorePeersTotalMax);
}

TEST_CASE("an operator's limits of the store count", "[dht]") {
  Fixture few({.keys = 16, .peers = 20, .items = 16});
  for (int i = 0; i < 40; ++i) few.store.put(kStart, few.key(), peer(1));
  CHECK(few.store.keys_count() == 16);
  const DhtId key = few.key(6);
  for (std::uint32_t i = 0; i < 40; ++i) few.store.put(kStart, key, peer(i));
  CHECK(few.store.peers_count() == 20);

  Fixture many({.keys = kStoreKeysMax + 1});
  for (std::uint32_t i = 0; i < kStoreKeysMax + 2; ++i) {
    many.store.put(kStart, many.key(5), peer(i % 4096));
  }
  CHECK(many.store.keys_count() == kStoreKeysMax + 1);
}

TEST_CASE("a sample spreads over as many regions as there are and is not always the same",
          "[dht]") {
  Fixture f;
  const DhtId key = f.key();
  for (std::uint32_t i = 0; i < 20; ++i) f.store.put(kStart, key, peer(i));
  for (std::uint32_t i = 0; i < 64; ++i) {
    f.store.put(kStart, key, Endpoint::v4(0x3c010000U + (i << 8U) + 1, 6881));
  }
  const auto first = f.store.sample(kStart, key, 16, f.rng);
  CHECK(first.size() == 16);
  std::set<Endpoint> regions;
  for (const Endpoint& endpoint : first) regions.insert(region_of(endpoint));
  CHECK(regions.size() == 16);
  CHECK(f.store.sample(kStart, key, 16, f.rng) != first);
}

TEST_CASE("nobody is told of peers more local than he is", "[dht]") {
  Fixture f;
  const DhtId key = f.key();
  const Endpoint lan = Endpoint::v4(0xc0a80105, 6881);
  f.store.put(kStart, key, lan);
  f.store.put(kStart, key, peer(1));
  const Endpoint stranger = peer(2);
  CHECK(f.store.sample(kStart, key, 8, f.rng, &stranger) == std::vector{peer(1)});
  const Endpoint neighbour = Endpoint::v4(0xc0a80106, 6881);
  CHECK(f.store.sample(kStart, key, 8, f.rng, &neighbour).size() == 2);
}

}  // namespace peernet::dht::test
