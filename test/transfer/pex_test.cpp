#include "transfer/pex.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

namespace peernet::transfer {
namespace {

constexpr Time kNow{std::chrono::hours(1)};

Endpoint at(const std::string& text) {
  return *Endpoint::parse(text);
}

Endpoint global(std::uint32_t number, std::uint16_t port = 7341) {
  return Endpoint::v4(0xc6330000U + number, port);  // 198.51.0.0/16
}

struct Teller {
  std::optional<wire::Pex> next(Time now, const std::set<Endpoint>& there,
                                const Endpoint& to = at("203.0.113.9:5000")) {
    return told.next(now, there, to, self, false, rng);
  }
  PexTold told;
  std::optional<Endpoint> self;
  Rng rng{1};
};

std::set<Endpoint> crowd(std::uint32_t count) {
  std::set<Endpoint> there;
  for (std::uint32_t i = 0; i < count; ++i) there.insert(global(i));
  return there;
}

wire::Pex naming(std::uint32_t first, std::uint32_t count) {
  wire::Pex message;
  for (std::uint32_t i = 0; i < count; ++i) message.added.push_back(global(first + i));
  return message;
}

}  // namespace

TEST_CASE("a peer is told once of each other, at once, and then of what is new", "[transfer]") {
  Teller teller;
  CHECK(teller.told.is_due(kNow));
  const auto first = teller.next(kNow, crowd(3));
  REQUIRE(first);
  CHECK(first->added.size() == 3);
  CHECK(first->dropped.empty());
  CHECK_FALSE(teller.told.is_due(kNow + kPexInterval - Duration(1)));
  CHECK(teller.told.is_due(kNow + kPexInterval));
  CHECK_FALSE(teller.next(kNow + kPexInterval, crowd(3)));
  // Nothing was said, so that news need not wait another minute.
  CHECK(teller.told.is_due(kNow + kPexInterval + kPexLook));
  auto there = crowd(4);
  there.erase(global(0));
  const auto second = teller.next(kNow + 2 * kPexInterval, there);
  REQUIRE(second);
  CHECK(second->added == std::vector{global(3)});
  CHECK(second->dropped == std::vector{global(0)});
}

TEST_CASE("a message names at most 50, and a peer is told of at most 200", "[transfer]") {
  Teller teller;
  std::set<Endpoint> told;
  Time now = kNow;
  for (int i = 0; i < 4; ++i, now += kPexInterval) {
    const auto message = teller.next(now, crowd(300));
    REQUIRE(message);
    CHECK(message->added.size() == wire::kPexCountMax);
    told.insert(message->added.begin(), message->added.end());
  }
  CHECK(told.size() == kPexRememberedMax);
  CHECK_FALSE(teller.next(now, crowd(300)));
  const auto gone = teller.next(now, {});
  REQUIRE(gone);
  CHECK(gone->dropped.size() == wire::kPexCountMax);
}

TEST_CASE("nobody is told of itself, nor of what is more local than it is", "[transfer]") {
  Teller teller;
  teller.self = global(1);
  std::set<Endpoint> there = crowd(2);
  there.insert({at("127.0.0.1:7341"), at("10.0.0.5:7341"), at("[fe80::1]:7341"), global(9, 80)});
  const auto message = teller.next(kNow, there);
  REQUIRE(message);
  CHECK(message->added == std::vector{global(0)});
  Teller near;
  const auto local = near.next(kNow, there, at("10.0.0.9:5000"));
  REQUIRE(local);
  CHECK(std::ranges::find(local->added, at("10.0.0.5:7341")) != local->added.end());
  CHECK(std::ranges::find(local->added, at("127.0.0.1:7341")) == local->added.end());
}

TEST_CASE("what a peer names counts up to 200, over all its messages", "[transfer]") {
  PexNamed named;
  const Endpoint from = at("203.0.113.9:5000");
  for (std::uint32_t i = 0; i < 4; ++i) {
    CHECK(named.take(naming(i * 50, 50), from, false).size() == 50);
  }
  CHECK(named.size() == kPexRememberedMax);
  CHECK(named.take(naming(200, 1), from, false).empty());
  // One that counts already may be named again, for another share.
  CHECK(named.take(naming(7, 1), from, false).size() == 1);
  wire::Pex swap = naming(200, 2);
  swap.dropped = {global(7)};
  CHECK(named.take(swap, from, false) == std::vector{global(200)});
  CHECK(named.size() == kPexRememberedMax);
}

TEST_CASE(
    "a global peer names no loopback, private, link-local or multicast address, and no low port",
    "[transfer]") {
  wire::Pex message;
  for (const char* text :
       {"127.0.0.1:7341", "10.1.2.3:7341", "172.16.0.1:7341", "192.168.1.1:7341",
        "169.254.1.1:7341", "100.64.0.1:7341", "[::1]:7341", "[fe80::1]:7341", "[fd00::1]:7341",
        "224.0.0.1:7341", "239.255.73.41:7340", "255.255.255.255:7341", "0.0.0.0:7341",
        "[ff12::7341]:7340", "[::ffff:127.0.0.1]:7341", "198.51.100.1:0", "198.51.100.1:22",
        "198.51.100.1:1023"}) {
    message.added.push_back(at(text));
  }
  PexNamed named;
  CHECK(named.take(message, at("203.0.113.9:5000"), false).empty());
  CHECK(named.take(message, at("[2001:db8:1::1]:5000"), false).empty());
  CHECK(named.size() == 0);
  message.added = {at("198.51.100.1:1024")};
  CHECK(named.take(message, at("203.0.113.9:5000"), false).size() == 1);
}

}  // namespace peernet::transfer
