#include "transfer/bans.h"

#include <catch2/catch.hpp>

#include "test/support/support.h"

namespace peernet::transfer {
namespace {

using test::tagged;

constexpr Time kStart{std::chrono::hours(5)};

Endpoint at(std::string_view text) {
  return *Endpoint::parse(text);
}

PeerId peer(std::uint64_t number) {
  return tagged<PeerId>(number);
}

TEST_CASE("the first wrong block bans the identity for an hour and not its address", "[transfer]") {
  Bans bans(false);
  bans.on_bad_block(kStart, peer(1), at("8.8.8.8:5000"));

  CHECK(bans.is_banned(kStart, peer(1)));
  CHECK(bans.is_banned(kStart + Bans::kPeerBan - Duration(1), peer(1)));
  CHECK_FALSE(bans.is_banned(kStart + Bans::kPeerBan, peer(1)));
  CHECK_FALSE(bans.is_banned(kStart, peer(2)));
  CHECK_FALSE(bans.is_banned(kStart, at("8.8.8.8:5000")));
}

TEST_CASE("three wrong blocks ban an address for ten minutes, on every port", "[transfer]") {
  Bans bans(false);
  bans.on_bad_block(kStart, peer(1), at("8.8.8.8:5000"));
  bans.on_bad_block(kStart, peer(2), at("8.8.8.8:5001"));
  CHECK_FALSE(bans.is_banned(kStart, at("8.8.8.8:5000")));
  bans.on_bad_block(kStart, peer(3), at("8.8.8.8:5002"));

  CHECK(bans.is_banned(kStart, at("8.8.8.8:9999")));
  CHECK_FALSE(bans.is_banned(kStart, at("8.8.8.9:9999")));
  CHECK(bans.is_banned(kStart + Bans::kHostBan - Duration(1), at("8.8.8.8:9999")));
  CHECK_FALSE(bans.is_banned(kStart + Bans::kHostBan, at("8.8.8.8:9999")));

  // One more is enough after that, and many more change nothing about the length.
  const Time later = kStart + Bans::kHostBan;
  for (std::uint64_t i = 0; i < 1000; ++i) bans.on_bad_block(later, peer(4), at("8.8.8.8:5000"));
  CHECK(bans.is_banned(later, at("8.8.8.8:5000")));
  CHECK_FALSE(bans.is_banned(later + Bans::kHostBan, at("8.8.8.8:5000")));
}

TEST_CASE("a score is forgotten an hour after the last wrong block", "[transfer]") {
  Bans bans(false);
  bans.on_bad_block(kStart, peer(1), at("8.8.8.8:5000"));
  bans.on_bad_block(kStart, peer(2), at("8.8.8.8:5000"));
  const Time later = kStart + Bans::kScoreLife;
  bans.on_bad_block(later, peer(3), at("8.8.8.8:5000"));

  CHECK_FALSE(bans.is_banned(later, at("8.8.8.8:5000")));
  CHECK(bans.peers() == 1);  // the other two have run out too
}

TEST_CASE("an IPv6 /64 is one address and a mapped IPv4 address is IPv4", "[transfer]") {
  Bans bans(false);
  bans.on_bad_block(kStart, peer(1), at("[2001:db8:0:1::1]:5000"));
  bans.on_bad_block(kStart, peer(2), at("[2001:db8:0:1::2]:5000"));
  bans.on_bad_block(kStart, peer(3), at("[2001:db8:0:1:ffff::3]:5000"));
  CHECK(bans.is_banned(kStart, at("[2001:db8:0:1::4]:5000")));
  CHECK_FALSE(bans.is_banned(kStart, at("[2001:db8:0:2::4]:5000")));

  for (std::uint64_t i = 0; i < 3; ++i) {
    bans.on_bad_block(kStart, peer(i), at("[::ffff:8.8.8.8]:5000"));
  }
  CHECK(bans.is_banned(kStart, at("8.8.8.8:1")));
}

TEST_CASE("loopback and private addresses are banned only when they count as global",
          "[transfer]") {
  Bans bans(false);
  Bans strict(true);
  for (std::uint64_t i = 0; i < 3; ++i) {
    bans.on_bad_block(kStart, peer(i), at("127.0.0.1:5000"));
    strict.on_bad_block(kStart, peer(i), at("127.0.0.1:5000"));
  }
  CHECK_FALSE(bans.is_banned(kStart, at("127.0.0.1:5000")));
  CHECK(bans.is_banned(kStart, peer(2)));
  CHECK(bans.hosts() == 0);
  CHECK(strict.is_banned(kStart, at("127.0.0.1:5000")));
}

TEST_CASE("bans hold so many identities and addresses, and the oldest go", "[transfer]") {
  static_assert(Bans::kPeersMax == Bans::kHostsMax);
  Bans bans(false);
  Time now = kStart;
  const auto host = [](std::uint64_t number) {
    return Endpoint::v4(0x08000000U + static_cast<std::uint32_t>(number), 5000);
  };
  for (std::uint64_t i = 0; i < Bans::kPeersMax; ++i) {
    bans.on_bad_block(now += Duration(1), peer(i), host(i));
  }
  bans.on_bad_block(now += Duration(1), peer(0), host(0));  // no longer the oldest
  CHECK(bans.peers() == Bans::kPeersMax);
  CHECK(bans.hosts() == Bans::kHostsMax);
  CHECK(bans.is_banned(now, peer(1)));

  bans.on_bad_block(now += Duration(1), peer(Bans::kPeersMax), host(Bans::kHostsMax));
  CHECK(bans.peers() == Bans::kPeersMax);
  CHECK(bans.hosts() == Bans::kHostsMax);
  CHECK_FALSE(bans.is_banned(now, peer(1)));
  CHECK(bans.is_banned(now, peer(0)));
  CHECK(bans.is_banned(now, peer(Bans::kPeersMax)));
}

TEST_CASE("a ban by hand lasts as long as it was said to, or until it is lifted", "[transfer]") {
  Bans bans(false);
  REQUIRE(bans.ban(kStart, peer(1), kStart + std::chrono::hours(2)));
  REQUIRE(bans.ban(kStart, peer(2), kNever));
  CHECK(bans.banned(kStart).size() == 2);
  CHECK(bans.is_banned(kStart + std::chrono::minutes(119), peer(1)));
  CHECK_FALSE(bans.is_banned(kStart + std::chrono::hours(2), peer(1)));
  CHECK(bans.is_banned(kStart + std::chrono::hours(10'000), peer(2)));

  CHECK(bans.lift(kStart, peer(2)));
  CHECK_FALSE(bans.is_banned(kStart, peer(2)));
  CHECK_FALSE(bans.lift(kStart, peer(2)));
  // What it did itself is forgiven too.
  bans.on_bad_block(kStart, peer(3), at("8.8.8.8:5000"));
  CHECK(bans.lift(kStart, peer(3)));
  CHECK_FALSE(bans.is_banned(kStart, peer(3)));
}

TEST_CASE("bans by hand have a limit, and those that have run out make room", "[transfer]") {
  Bans bans(false);
  for (std::uint64_t i = 0; i < Bans::kByHandMax; ++i) {
    REQUIRE(bans.ban(kStart, peer(i), kStart + Duration(1)));
  }
  const auto over = bans.ban(kStart, peer(Bans::kByHandMax), kNever);
  REQUIRE_FALSE(over);
  CHECK(over.error().code == Errc::too_large);
  CHECK(bans.ban(kStart, peer(1), kNever));
  CHECK(bans.ban(kStart + Duration(1), peer(Bans::kByHandMax), kNever));
}

}  // namespace
}  // namespace peernet::transfer
