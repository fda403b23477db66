#include "transfer/steering.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "transfer/peer.h"

namespace peernet::transfer {
namespace {

constexpr ConnId kA{1};
constexpr ConnId kB{2};

std::set<std::uint32_t> take(Steering& steering, ConnId peer, const Bitfield& has,
                             std::size_t count) {
  std::set<std::uint32_t> pieces;
  while (pieces.size() < count) {
    const auto piece = steering.next(peer, has);
    if (!piece) break;
    CHECK(pieces.insert(*piece).second);
  }
  return pieces;
}

}  // namespace

TEST_CASE("every piece is handed to one peer, once", "[transfer]") {
  Rng rng(1);
  Steering steering(100, rng);
  const Bitfield nothing(100);
  const auto a = take(steering, kA, nothing, 60);
  const auto b = take(steering, kB, nothing, 60);
  CHECK(a.size() == 60);
  CHECK(b.size() == 40);
  CHECK(std::none_of(b.begin(), b.end(), [&](std::uint32_t piece) { return a.contains(piece); }));
  CHECK_FALSE(steering.next(kA, nothing));
}

TEST_CASE("what a peer has, or anybody has, is not handed to it", "[transfer]") {
  Rng rng(2);
  Steering steering(10, rng);
  Bitfield has(10);
  for (std::uint32_t piece = 0; piece < 8; ++piece) has.set(piece);
  steering.on_had(9);
  CHECK(take(steering, kA, has, 10) == std::set<std::uint32_t>{8});
  CHECK(take(steering, kB, Bitfield(10), 10).size() == 8);
}

TEST_CASE("what left with a peer, or was not sent, is handed out again", "[transfer]") {
  Rng rng(3);
  Steering steering(6, rng);
  const Bitfield nothing(6);
  const auto a = take(steering, kA, nothing, 3);
  const auto b = take(steering, kB, nothing, 3);
  steering.on_had(*a.begin());
  steering.on_gone(kA);
  std::set<std::uint32_t> again(std::next(a.begin()), a.end());
  CHECK(take(steering, kB, nothing, 6) == again);
  steering.take_back(*b.begin());
  steering.take_back(*a.begin());  // somebody has it
  CHECK(take(steering, kA, nothing, 6) == std::set<std::uint32_t>{*b.begin()});
}

TEST_CASE("a search for what one peer lacks has an end", "[transfer]") {
  Rng rng(4);
  constexpr std::uint32_t count = 3 * kSteerScanMax;
  Steering steering(count, rng);
  Bitfield has(count);
  has.set_all();
  CHECK_FALSE(steering.next(kA, has));
  // All but a few are had by somebody: the few are found, however far they lie.
  for (std::uint32_t piece = 3; piece < count; ++piece) steering.on_had(piece);
  std::set<std::uint32_t> found;
  for (int tries = 0; tries < 3; ++tries) {
    const auto some = take(steering, kB, Bitfield(count), 3);
    found.insert(some.begin(), some.end());
  }
  CHECK(found == std::set<std::uint32_t>{0, 1, 2});
}

TEST_CASE("of a peer's suggestions the newest are kept", "[transfer]") {
  PeerShare share;
  for (std::uint32_t piece = 0; piece < kSuggestionsMax; ++piece) share.suggest(piece);
  share.suggest(7);  // known
  REQUIRE(share.suggested.size() == kSuggestionsMax);
  CHECK(share.suggested.front() == 0);
  share.suggest(kSuggestionsMax);
  REQUIRE(share.suggested.size() == kSuggestionsMax);
  CHECK(share.suggested.front() == 1);
  CHECK(share.suggested.back() == kSuggestionsMax);
}

TEST_CASE("what is given up is handed to another, even after its holder has it", "[transfer]") {
  Rng rng(1);
  Steering steering(1, rng);
  const Bitfield nothing(1);
  REQUIRE(steering.next(kA, nothing) == 0U);
  steering.on_had(0);
  CHECK_FALSE(steering.next(kB, nothing).has_value());
  steering.give_up(0);
  steering.give_up(0);
  Bitfield has(1);
  has.set(0);
  CHECK_FALSE(steering.next(kA, has).has_value());
  CHECK(steering.next(kB, nothing) == 0U);
  CHECK_FALSE(steering.next(kB, nothing).has_value());
}

}  // namespace peernet::transfer
