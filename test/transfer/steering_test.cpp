#include "transfer/steering.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "transfer/peer.h"

namespace peernet::transfer {
namespace {

constexpr ConnId kA{1};
constexpr ConnId kB{2};
constexpr ConnId kC{3};
constexpr Time kStart{std::chrono::seconds(100)};
constexpr std::uint32_t kBlocks = 2;  // of each piece

// Each in a network of its own.
Network net(ConnId conn) {
  return {Endpoint{}, conn};
}

std::set<std::uint32_t> take(Steering& steering, ConnId peer, const Bitfield& has,
                             std::size_t count) {
  std::set<std::uint32_t> pieces;
  while (pieces.size() < count) {
    const auto piece = steering.next(kStart, peer, has);
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
  CHECK_FALSE(steering.next(kStart, kA, nothing));
}

TEST_CASE("what a peer has, or anybody has, is not handed to it", "[transfer]") {
  Rng rng(2);
  Steering steering(10, rng);
  Bitfield has(10);
  for (std::uint32_t piece = 0; piece < 8; ++piece) has.set(piece);
  steering.skip(9);
  CHECK(take(steering, kA, has, 10) == std::set<std::uint32_t>{8});
  CHECK(take(steering, kB, Bitfield(10), 10).size() == 8);
}

TEST_CASE("what left with a peer, or was not sent, is handed out again", "[transfer]") {
  Rng rng(3);
  Steering steering(6, rng);
  const Bitfield nothing(6);
  const auto a = take(steering, kA, nothing, 3);
  const auto b = take(steering, kB, nothing, 3);
  steering.on_had(kStart, *a.begin(), kB, net(kB));
  steering.take_all_back(kA);
  std::set<std::uint32_t> again(std::next(a.begin()), a.end());
  CHECK(take(steering, kB, nothing, 6) == again);
  steering.take_back(*b.begin(), kB);
  steering.take_back(*again.begin(), kA);  // it is another's
  CHECK(take(steering, kA, nothing, 6) == std::set<std::uint32_t>{*b.begin()});
}

TEST_CASE("a search for what one peer lacks has an end", "[transfer]") {
  Rng rng(4);
  constexpr std::uint32_t count = 3 * kSteerScanMax;
  Steering steering(count, rng);
  Bitfield has(count);
  has.set_all();
  CHECK_FALSE(steering.next(kStart, kA, has));
  // All but a few are had by somebody: the few are found, however far they lie.
  for (std::uint32_t piece = 3; piece < count; ++piece) steering.skip(piece);
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

TEST_CASE("a piece is its holder's to pass on until a peer of another network has it",
          "[transfer]") {
  Rng rng(1);
  Steering steering(1, rng);
  const Bitfield nothing(1);
  REQUIRE(steering.next(kStart, kA, nothing) == 0U);
  steering.on_sent(kStart, {0, 0, kBlocks}, kA, net(kA));
  steering.on_had(kStart, 0, kA, net(kA));
  steering.on_had(kStart, 0, kB, net(kA));
  SECTION("what is kept is handed to others when its holder is given up") {
    steering.take_all_back(kA);
    Bitfield has(1);
    has.set(0);
    CHECK_FALSE(steering.next(kStart, kA, has));
    CHECK(steering.next(kStart, kC, nothing) == 0U);
  }
  SECTION("what was passed on is nobody's") {
    steering.on_had(kStart, 0, kC, net(kC));
    steering.take_all_back(kA);
    CHECK_FALSE(steering.next(kStart + 2 * kPassOnTime, kC, nothing));
  }
}

TEST_CASE("a second peer that got a piece here as well does not prove that it was passed on",
          "[transfer]") {
  Rng rng(1);
  Steering steering(1, rng);
  const Bitfield nothing(1);
  steering.on_sent(kStart, {0, 0, kBlocks}, kA, net(kA));
  steering.on_sent(kStart, {0, 0, kBlocks}, kB, net(kB));
  steering.on_had(kStart, 0, kA, net(kA));
  steering.on_had(kStart, 0, kB, net(kB));
  const Time later = kStart + kPassOnTime;
  SECTION("nobody else has it") {
    CHECK(steering.next(later, kC, nothing) == 0U);
    // Those before are still known as having it from here.
    steering.on_had(later, 0, kA, net(kA));
    CHECK(steering.next(later + kPassOnTime, kB, nothing) == 0U);
  }
  SECTION("a third has it from one of them") {
    steering.on_had(later, 0, kC, net(kC));
    CHECK_FALSE(steering.next(later, kC, nothing));
  }
  SECTION("what was sent to many is spread") {
    for (std::uint64_t n = 10; n < 10 + kSentToMax; ++n) {
      steering.on_sent(kStart, {0, 0, kBlocks}, ConnId{n}, net(ConnId{n}));
    }
    CHECK_FALSE(steering.was_sent(0, 1));  // unless some of it was sent to nobody
    steering.on_sent(kStart, {0, 1, kBlocks}, kC, net(kC));
    CHECK_FALSE(steering.is_handed(0));
    CHECK_FALSE(steering.next(later, kC, nothing));
  }
}

TEST_CASE("what was handed to a peer and it has from another is in the swarm", "[transfer]") {
  Rng rng(1);
  Steering steering(1, rng);
  REQUIRE(steering.next(kStart, kA, Bitfield(1)) == 0U);
  steering.on_had(kStart, 0, kA, net(kA));  // nothing was sent
  CHECK_FALSE(steering.next(kStart + kPassOnTime, kB, Bitfield(1)));
}

TEST_CASE("handing out and taking back, however often, leaves each piece there once",
          "[transfer]") {
  Rng rng(1);
  Steering steering(3, rng);
  for (int round = 0; round < 100; ++round) {
    for (std::uint32_t piece = 0; piece < 3; ++piece) {
      steering.on_had(kStart, piece, kA, net(kA));
    }
    steering.take_all_back(kA);
  }
  CHECK(take(steering, kB, Bitfield(3), 10).size() == 3);
}

TEST_CASE("what one peer sits on goes to others when nothing else is left", "[transfer]") {
  Rng rng(1);
  Steering steering(2, rng);
  const Bitfield nothing(2);
  const std::uint32_t slow = *steering.next(kStart, kA, nothing);
  const Time later = kStart + kPassOnTime;
  const auto fresh = steering.next(later, kB, nothing);
  REQUIRE(fresh.has_value());
  CHECK(*fresh != slow);
  SECTION("for as long as it gets more of it, it does not sit on it") {
    steering.on_sent(kStart + Duration(1), {slow, 0, kBlocks}, kB,
                     net(kB));  // another gets it unasked
    CHECK(steering.next(later, kB, nothing) == slow);
  }
  SECTION("what it gets no more of is another's") {
    steering.on_sent(kStart + Duration(1), {slow, 0, kBlocks}, kA, net(kA));
    CHECK_FALSE(steering.next(later, kB, nothing));
    CHECK_FALSE(steering.next(later + Duration(1), kA, nothing));
    CHECK(steering.next(later + Duration(1), kB, nothing) == slow);
    CHECK_FALSE(steering.next(later + Duration(1), kC, nothing));
  }
}

TEST_CASE("what a peer took unasked is handed to others only if it keeps it", "[transfer]") {
  Rng rng(1);
  Steering steering(1, rng);
  steering.on_had(kStart, 0, kA, net(kA));
  const Bitfield nothing(1);
  CHECK_FALSE(steering.next(kStart, kB, nothing));
  CHECK(steering.next(kStart + kPassOnTime, kB, nothing) == 0U);
}

TEST_CASE("whom a piece was sent to is remembered when it is taken back", "[transfer]") {
  Rng rng(1);
  Steering steering(1, rng);
  const Bitfield nothing(1);
  REQUIRE(steering.next(kStart, kA, nothing) == 0);
  steering.on_sent(kStart, {0, 0, kBlocks}, kA, net(kA));
  SECTION("who has it then has it from us") {
    steering.take_all_back(kA);
    REQUIRE(steering.next(kStart, kB, nothing) == 0);
    steering.on_had(kStart, 0, kA, net(kA));
    steering.take_all_back(kB);
    CHECK(steering.next(kStart, kC, nothing) == 0);
  }
  SECTION("who was not sent it has it from them") {
    steering.take_all_back(kA);
    steering.on_had(kStart, 0, kC, net(kC));
    CHECK_FALSE(steering.next(kStart + std::chrono::hours(1), kB, nothing));
  }
}

TEST_CASE("pieces to pass on are remembered up to a limit", "[transfer]") {
  Rng rng(1);
  constexpr std::uint32_t count = kHandedMax + 10;
  Steering steering(count, rng);
  for (std::uint32_t piece = 0; piece < count; ++piece) {
    steering.on_had(kStart + Duration(piece), piece, kA, net(kA));
  }
  std::uint32_t handed = 0;
  const Time later = kStart + Duration(count) + kPassOnTime;
  const auto first = steering.next(later, kB, Bitfield(count));
  CHECK(first == 10U);  // those before it were forgotten
  steering.take_all_back(kA);
  while (steering.next(later, kB, Bitfield(count))) ++handed;
  CHECK(handed == kHandedMax - 1);
}

TEST_CASE("what was suggested is ahead until it is sent, had or void", "[transfer]") {
  Rng rng(1);
  Steering steering(3, rng);
  const Bitfield nothing(3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    steering.on_suggested(*steering.next(kStart, kA, nothing), kA, kBlocks);
  }
  CHECK(steering.blocks_ahead(kA) == 6);
  CHECK(steering.suggestions_count(kA) == 3);
  CHECK(steering.blocks_ahead(kB) == 0);
  steering.on_sent(kStart, {0, 0, kBlocks}, kA, net(kA));
  CHECK(steering.blocks_ahead(kA) == 5);
  steering.on_sent(kStart, {0, 1, kBlocks}, kB, net(kB));  // another's
  CHECK(steering.blocks_ahead(kA) == 5);
  steering.on_had(kStart, 1, kA, net(kA));
  CHECK(steering.blocks_ahead(kA) == 3);
  SECTION("all of it is sent") {
    steering.on_sent(kStart, {0, 1, kBlocks}, kA, net(kA));
    CHECK(steering.suggestions_count(kA) == 1);
  }
  SECTION("a choke gives back what nothing was sent of") {
    steering.on_choked(kA);
    CHECK(steering.suggestions_count(kA) == 0);
    CHECK(take(steering, kB, nothing, 3) == std::set<std::uint32_t>{2});
  }
  SECTION("whoever leaves has none") {
    steering.take_all_back(kA);
    CHECK(steering.suggestions_count(kA) == 0);
  }
}

TEST_CASE("the last round is as long as blocks go out that nobody was sent", "[transfer]") {
  constexpr Duration gap = std::chrono::milliseconds(200);
  Rng rng(1);
  Steering steering(2, rng);
  const Bitfield nothing(2);
  const std::uint32_t first = *steering.next(kStart, kA, nothing);
  const std::uint32_t second = 1 - first;
  steering.on_sent(kStart, {first, 0, kBlocks}, kA, net(kA));
  CHECK_FALSE(steering.is_last_round(kStart, gap));  // there is a piece to hand out
  REQUIRE(steering.next(kStart, kB, nothing) == second);
  CHECK(steering.is_last_round(kStart, gap));
  SECTION("one after the other") {
    CHECK(steering.is_last_round(kStart + gap - Duration(1), gap));
    CHECK_FALSE(steering.is_last_round(kStart + gap, gap));
    steering.on_sent(kStart + gap, {first, 0, kBlocks}, kB, net(kB));  // not for the first time
    CHECK_FALSE(steering.is_last_round(kStart + gap, gap));
    steering.on_sent(kStart + gap, {second, 1, kBlocks}, kB, net(kB));
    CHECK(steering.is_last_round(kStart + gap, gap));
  }
  SECTION("not while a piece is nobody's again") {
    steering.take_all_back(kA);
    CHECK_FALSE(steering.is_last_round(kStart, gap));
    REQUIRE(steering.next(kStart, kB, nothing) == first);
    CHECK(steering.is_last_round(kStart, gap));
  }
  SECTION("and not for ever") {
    const Time end = kStart + kLastRound;
    steering.on_sent(end - Duration(1), {second, 1, kBlocks}, kB, net(kB));
    CHECK(steering.is_last_round(end - Duration(1), gap));
    CHECK_FALSE(steering.is_last_round(end, gap));
    SECTION("but anew when something was given back") {
      steering.take_all_back(kA);
      REQUIRE(steering.next(end, kB, nothing) == first);
      steering.on_sent(end, {first, 1, kBlocks}, kB, net(kB));
      CHECK(steering.is_last_round(end, gap));
    }
  }
}

TEST_CASE("a block was sent to somebody, or is in the swarm", "[transfer]") {
  Rng rng(1);
  Steering steering(2, rng);
  const Bitfield nothing(2);
  REQUIRE(take(steering, kA, nothing, 2).size() == 2);
  steering.on_sent(kStart, {0, 0, kBlocks}, kA, net(kA));
  CHECK(steering.was_sent(0, 0));
  CHECK_FALSE(steering.was_sent(0, 1));
  CHECK_FALSE(steering.was_sent(1, 0));
  SECTION("not when it went only to who passes nothing on") {
    steering.on_sent(kStart, {1, 0, kBlocks, false}, kA, net(kA));
    CHECK_FALSE(steering.was_sent(1, 0));
    steering.on_sent(kStart, {1, 0, kBlocks, true}, kB, net(kB));
    CHECK(steering.was_sent(1, 0));
  }
  SECTION("or somebody came with it") {
    steering.skip(1);
    CHECK(steering.was_sent(1, 0));
    CHECK_FALSE(steering.is_handed(1));
  }
  SECTION("not when whoever had it is gone") {
    steering.take_all_back(kA);
    REQUIRE(take(steering, kB, nothing, 2).size() == 2);
    CHECK_FALSE(steering.was_sent(0, 0));
  }
  SECTION("unless another was sent it too") {
    steering.on_sent(kStart, {0, 0, kBlocks}, kC, net(kC));
    steering.take_all_back(kA);
    REQUIRE(take(steering, kB, nothing, 2).size() == 2);
    CHECK(steering.was_sent(0, 0));
    CHECK_FALSE(steering.was_sent(0, 1));
  }
}

TEST_CASE("whoever was sent nearly all of its own helps with what another was not sent",
          "[transfer]") {
  Rng rng(1);
  Steering steering(4, rng);
  const Bitfield nothing(4);
  const auto hand = [&](ConnId peer) {
    const std::uint32_t piece = *steering.next(kStart, peer, nothing);
    steering.on_suggested(piece, peer, 8);
    return piece;
  };
  const std::uint32_t slow_1 = hand(kA);
  const std::uint32_t slow_2 = hand(kA);
  const std::uint32_t other = hand(kC);
  const std::uint32_t own = hand(kB);
  const auto send = [&](std::uint32_t piece, ConnId peer, std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t block = from; block < to; ++block) {
      steering.on_sent(kStart, {piece, block, 8}, peer, net(peer));
    }
  };
  send(own, kB, 0, 3);
  CHECK_FALSE(steering.help(kB, nothing));  // 5 are left
  send(own, kB, 3, 4);
  SECTION("first those of whoever has the most before it, then what fewest help with") {
    const auto first = steering.help(kB, nothing);
    REQUIRE((first == slow_1 || first == slow_2));
    const auto second = steering.help(kB, nothing);
    CHECK(second == slow_1 + slow_2 - *first);
    CHECK(steering.help(kB, nothing) == other);
    // It stays its owner's: what it is sent of it counts as passed on by none but that one.
    steering.take_all_back(kB);
    CHECK(steering.next(kStart, kC, nothing) == own);
    steering.take_all_back(kA);
    CHECK(take(steering, kC, nothing, 4) == std::set{slow_1, slow_2});
  }
  SECTION("not with what it has, was suggested already, or what was sent whole") {
    Bitfield has(4);
    has.set(slow_1);
    send(other, kC, 0, 8);
    CHECK(steering.help(kB, has) == slow_2);
    send(own, kB, 4, 8);
    steering.on_suggested(slow_2, kB, 4);
    CHECK_FALSE(steering.help(kB, has));
  }
  SECTION("what was declined is not before it any more") {
    steering.on_suggested(slow_1, kB, 2);
    CHECK(steering.blocks_ahead(kB) == 6);
    CHECK_FALSE(steering.help(kB, nothing));
    steering.on_declined(slow_1, kB);
    CHECK(steering.blocks_ahead(kB) == 5);
    steering.on_declined(slow_1, kB);
    CHECK(steering.suggestions_count(kB) == 1);
    steering.on_declined(slow_1, kB);  // not suggested any more
    steering.on_declined(slow_1, kC);  // nor to it ever
    CHECK(steering.blocks_ahead(kB) == 4);
    CHECK(steering.help(kB, nothing));
  }
  SECTION("not while a piece is nobody's") {
    steering.take_all_back(kA);
    CHECK_FALSE(steering.help(kB, nothing));
  }
}

TEST_CASE("pieces that were sent whole hide none with which one could help", "[transfer]") {
  constexpr std::uint32_t count = 1000;
  Rng rng(1);
  Steering steering(count, rng);
  const Bitfield nothing(count);
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    last = *steering.next(kStart, kA, nothing);
    if (i + 1 == count) break;
    for (const std::uint32_t block : {0U, 1U}) {
      steering.on_sent(kStart, {last, block, kBlocks}, kA, net(kA));
    }
  }
  CHECK(steering.help(kB, nothing) == last);
}

}  // namespace peernet::transfer
