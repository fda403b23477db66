#include "dht/packed_peers.h"

#include <catch2/catch.hpp>

#include "dht/contact.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

Endpoint v6(std::uint8_t last, std::uint16_t port) {
  std::array<std::uint8_t, 16> address{0x20, 1, 0xd, 0xb8};
  address[7] = last;
  return Endpoint::v6(address, port);
}

}  // namespace

TEST_CASE("packed peers come out as they went in, of both families", "[dht]") {
  PackedPeers peers;
  CHECK(peers.empty());
  for (std::uint16_t i = 0; i < 40; ++i) {
    peers.add(v6(static_cast<std::uint8_t>(i), 7000), Time(100s + i * 1s));
    peers.add(Endpoint::v4(0x3c000001U + i, 7000), Time(200s + i * 1s));
  }
  CHECK(peers.size() == 80);
  for (std::uint16_t i = 0; i < 40; ++i) {
    const auto four = peers.find(Endpoint::v4(0x3c000001U + i, 7000));
    const auto six = peers.find(v6(static_cast<std::uint8_t>(i), 7000));
    REQUIRE(four);
    REQUIRE(six);
    CHECK(peers.endpoint(*four) == Endpoint::v4(0x3c000001U + i, 7000));
    CHECK(peers.expires(*four) == Time(200s + i * 1s));
    CHECK(peers.endpoint(*six) == v6(static_cast<std::uint8_t>(i), 7000));
    CHECK(peers.expires(*six) == Time(100s + i * 1s));
  }
  CHECK_FALSE(peers.find(Endpoint::v4(0x3c000001U, 7001)));
  CHECK(peers.has_host(host_of(Endpoint::v4(0x3c000001U, 9000))));
  CHECK(peers.has_host(host_of(v6(3, 1))));
  CHECK_FALSE(peers.has_host(host_of(v6(40, 7000))));
}

TEST_CASE("a packed peer never expires before it should", "[dht]") {
  PackedPeers peers;
  peers.add(v6(1, 7000), Time(100s + 1us));
  CHECK(peers.expires(0) == Time(101s));
  peers.renew(0, Time(300s));
  CHECK(peers.expires(0) == Time(300s));
  CHECK(peers.size() == 1);
}

TEST_CASE("an erased packed peer is gone, and no other", "[dht]") {
  PackedPeers peers;
  for (std::uint16_t i = 0; i < 3; ++i) {
    peers.add(Endpoint::v4(0x3c000001U + i, 7000), Time(200s));
    peers.add(v6(static_cast<std::uint8_t>(i), 7000), Time(200s));
  }
  peers.erase(*peers.find(Endpoint::v4(0x3c000001U, 7000)));
  peers.erase(*peers.find(v6(2, 7000)));
  CHECK(peers.size() == 4);
  CHECK_FALSE(peers.find(Endpoint::v4(0x3c000001U, 7000)));
  CHECK_FALSE(peers.find(v6(2, 7000)));
  CHECK(peers.find(Endpoint::v4(0x3c000003U, 7000)));
  CHECK(peers.find(v6(0, 7000)));
}

}  // namespace peernet::dht::test
