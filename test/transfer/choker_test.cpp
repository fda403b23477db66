#include "transfer/choker.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace peernet::transfer {
namespace {

constexpr Time kNow = Time{} + std::chrono::hours(1);

constexpr std::uint64_t kAllowance = 1'000'000;

ConnId conn(std::uint64_t number) {
  return ConnId{number};
}

Network network(std::uint32_t address) {
  return network_of(Endpoint::v4(address, 7341), ConnId{}, false);
}

// A peer of its own network, interested, choked, that gave `received` bytes.
ChokeCandidate candidate(std::uint64_t number, std::uint64_t received = 0) {
  ChokeCandidate result;
  result.conn = conn(number);
  result.network = network(0x08000000U + static_cast<std::uint32_t>(number << 8U));
  result.is_interested = true;
  result.received = received;
  result.received_total = received;
  result.waiting_since = kNow - std::chrono::seconds(60);
  result.allowance = kAllowance;
  return result;
}

std::vector<ConnId> conns(const std::vector<std::uint64_t>& numbers) {
  std::vector<ConnId> result;
  result.reserve(numbers.size());
  for (const std::uint64_t number : numbers) result.push_back(conn(number));
  return result;
}

ChokeDecision leech(const std::vector<ChokeCandidate>& candidates, std::uint32_t slots,
                    std::uint64_t seed = 1, bool is_optimistic_due = false) {
  Rng rng(seed);
  return choose(candidates, {.slots = slots, .is_optimistic_due = is_optimistic_due}, kNow, rng);
}

ChokeDecision seed(const std::vector<ChokeCandidate>& candidates, std::uint32_t slots,
                   Time now = kNow) {
  Rng rng(1);
  return choose(candidates, {.is_seeding = true, .slots = slots}, now, rng);
}

TEST_CASE("nobody is unchoked who is not interested, and nobody without a slot", "[transfer]") {
  auto bored = candidate(1, 1000);
  bored.is_interested = false;
  for (const bool is_seeding : {false, true}) {
    Rng rng(1);
    CHECK(choose({}, {.is_seeding = is_seeding}, kNow, rng).unchoked.empty());
    CHECK(choose(std::vector{bored}, {.is_seeding = is_seeding}, kNow, rng).unchoked.empty());
    CHECK(choose(std::vector{candidate(2)}, {.is_seeding = is_seeding, .slots = 0}, kNow, rng)
              .unchoked.empty());
  }
}

TEST_CASE("the best givers get the regular slots", "[transfer]") {
  const std::vector<ChokeCandidate> candidates{
      candidate(1, 10), candidate(2, 500), candidate(3, 40), candidate(4, 400), candidate(5, 300)};
  for (std::uint64_t s = 0; s < 20; ++s) {
    const auto decision = leech(candidates, 4, s);
    REQUIRE(decision.unchoked.size() == 4);
    REQUIRE(decision.optimistic.has_value());
    for (const std::uint64_t giver : {2U, 4U, 5U}) {
      CHECK(std::binary_search(decision.unchoked.begin(), decision.unchoked.end(), conn(giver)));
      CHECK(decision.optimistic != conn(giver));
    }
  }
}

TEST_CASE("credit from earlier sessions breaks ties, and only those", "[transfer]") {
  auto old_friend = candidate(9, 100);
  old_friend.credit = 1U << 30U;
  auto stranger = candidate(1, 100);
  stranger.is_optimistic = false;
  // Two slots: one regular. The optimistic one is held by a third.
  auto optimistic = candidate(5, 0);
  optimistic.is_optimistic = true;
  CHECK(leech({stranger, old_friend, optimistic}, 2).unchoked == conns({5, 9}));
  stranger.received = 101;
  CHECK(leech({stranger, old_friend, optimistic}, 2).unchoked == conns({1, 5}));
}

TEST_CASE("a snubbed peer keeps no regular slot", "[transfer]") {
  auto snubbed = candidate(1, 1000);
  snubbed.is_snubbed = true;
  auto optimistic = candidate(2);
  optimistic.is_optimistic = true;
  CHECK(leech({snubbed, candidate(3, 5), optimistic}, 3).unchoked == conns({2, 3}));
}

TEST_CASE("the optimistic slot stays until it is due, then goes to another", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 1; i <= 6; ++i) candidates.push_back(candidate(i));
  candidates[2].is_optimistic = true;
  candidates[2].is_unchoked = true;
  for (std::uint64_t s = 0; s < 20; ++s) {
    CHECK(leech(candidates, 1, s).unchoked == conns({3}));
    const auto rotated = leech(candidates, 1, s, true);
    REQUIRE(rotated.unchoked.size() == 1);
    CHECK(rotated.optimistic != conn(3));
  }
  // Alone, it stays.
  CHECK(leech({candidates[2]}, 1, 1, true).optimistic == conn(3));
}

TEST_CASE("an optimistic peer that earned a regular slot leaves its own to another", "[transfer]") {
  auto earned = candidate(1, 1000);
  earned.is_optimistic = true;
  const auto decision = leech({earned, candidate(2)}, 2);
  CHECK(decision.unchoked == conns({1, 2}));
  CHECK(decision.optimistic == conn(2));
}

TEST_CASE("newcomers are three times as likely to get the optimistic slot", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 0; i < 10; ++i) {
    candidates.push_back(candidate(i));
    candidates.back().is_newcomer = i < 5;
  }
  int newcomers = 0;
  constexpr int rounds = 4000;
  Rng rng(1);
  for (int i = 0; i < rounds; ++i) {
    const auto decision = choose(candidates, {.slots = 1}, kNow, rng);
    REQUIRE(decision.optimistic.has_value());
    if (*decision.optimistic < conn(5)) ++newcomers;
  }
  CHECK(newcomers > rounds * 72 / 100);
  CHECK(newcomers < rounds * 78 / 100);
}

TEST_CASE("many identities in one network have the chance of one", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint32_t i = 0; i < 90; ++i) {
    candidates.push_back(candidate(100 + i));
    candidates.back().network = network(0x09000000U + i);  // one /24
    candidates.back().is_newcomer = true;
  }
  for (std::uint64_t i = 0; i < 9; ++i) {
    candidates.push_back(candidate(i));
    candidates.back().is_newcomer = true;
  }
  const auto many_of = [&](const std::vector<ChokeCandidate>& from) {
    int many = 0;
    Rng rng(2);
    for (int i = 0; i < 2000; ++i) {
      const auto decision = choose(from, {.slots = 1}, kNow, rng);
      if (*decision.optimistic >= conn(100)) ++many;
    }
    return many;
  };
  const int many = many_of(candidates);
  CHECK(many > 140);
  CHECK(many < 260);  // 1 in 10

  // Addresses of a local network are exempt, unless the test switch makes them count as global.
  const auto set_local = [&](bool is_global) {
    for (std::uint32_t i = 0; i < 90; ++i) {
      const Endpoint endpoint = Endpoint::v4(0x0a000000U + i, 7341);  // 10.0.0.0/24
      candidates[i].network = network_of(endpoint, candidates[i].conn, is_global);
    }
  };
  set_local(false);
  CHECK(many_of(candidates) > 1700);
  set_local(true);
  CHECK(many_of(candidates) < 260);
}

TEST_CASE("slots that nobody has earned are lent", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 1; i <= 4; ++i) candidates.push_back(candidate(i));
  CHECK(leech(candidates, 4).unchoked == conns({1, 2, 3, 4}));
}

// ---- Debts

std::vector<ConnId> debtors_of(const ChokeDecision& decision) {
  std::vector<ConnId> debtors;
  for (const auto& [conn, room] : decision.room) {
    if (room == 0) debtors.push_back(conn);
  }
  return debtors;
}

ChokeDecision without_debtors(const std::vector<ChokeCandidate>& candidates, bool is_seeding) {
  Rng rng(1);
  const ChokeRound round{.is_seeding = is_seeding, .slots = 4, .are_debtors_served = false};
  return choose(candidates, round, kNow, rng);
}

TEST_CASE("a stranger is lent its allowance and owes what it is sent beyond it", "[transfer]") {
  auto stranger = candidate(1);
  stranger.is_unchoked = true;
  const auto other = candidate(2);
  stranger.sent_total = kAllowance - 1;
  CHECK(without_debtors({stranger, other}, false).unchoked == conns({1, 2}));
  ++stranger.sent_total;
  const auto decision = without_debtors({stranger, other}, false);
  CHECK(debtors_of(decision) == conns({1}));
  CHECK(decision.unchoked == conns({2}));
  CHECK(without_debtors({stranger, other}, true).unchoked == conns({2}));

  // It is served while nobody else wants anything, or does not need all of the uplink.
  CHECK(without_debtors({stranger}, false).unchoked == conns({1}));
  CHECK(leech({stranger, other}, 4).unchoked == conns({1, 2}));
  CHECK(seed({stranger, other}, 4).unchoked == conns({1, 2}));
}

TEST_CASE("those in debt come after all others", "[transfer]") {
  auto debtor = candidate(1, 500);  // the only one that gave anything
  debtor.sent_total = kAllowance + kSeedReturn * 500;
  debtor.is_unchoked = true;
  debtor.waiting_since = kNow - std::chrono::hours(1);
  CHECK(leech({debtor, candidate(2), candidate(3)}, 2).unchoked == conns({2, 3}));
  CHECK(seed({debtor, candidate(2), candidate(3)}, 2).unchoked == conns({2, 3}));
}

TEST_CASE("whoever gives may take twice as much, now and in a later session", "[transfer]") {
  auto giver = candidate(1, 1000);
  giver.is_unchoked = true;
  giver.sent_total = kAllowance + kReturn * 1000 - 1;
  CHECK(debtors_of(without_debtors({giver}, false)).empty());
  ++giver.sent_total;
  CHECK(debtors_of(without_debtors({giver}, false)) == conns({1}));
  giver.credit = 1;
  CHECK(debtors_of(without_debtors({giver}, false)).empty());
}

TEST_CASE("debts of earlier sessions count up to the allowance", "[transfer]") {
  auto returned = candidate(1);
  returned.is_unchoked = true;
  returned.owed_before = 100 * kAllowance;
  CHECK(debtors_of(without_debtors({returned}, false)) == conns({1}));
  returned.received_total = 1;
  CHECK(debtors_of(without_debtors({returned}, false)).empty());
  returned.sent_total = kReturn;
  CHECK(debtors_of(without_debtors({returned}, false)) == conns({1}));
}

TEST_CASE("to a seed, giving is passing on", "[transfer]") {
  auto peer = candidate(1);
  peer.is_unchoked = true;
  peer.sent_total = kAllowance + 399;
  CHECK(debtors_of(without_debtors({peer}, true)) == conns({1}));
  peer.passed_on = 100;
  CHECK(debtors_of(without_debtors({peer}, true)).empty());
  // What it keeps to itself is a debt whatever else it did.
  peer.passed_on = 400;
  peer.kept = kAllowance + 399;
  CHECK(debtors_of(without_debtors({peer}, true)).empty());
  ++peer.kept;
  CHECK(debtors_of(without_debtors({peer}, true)) == conns({1}));
}

TEST_CASE("what a seed sent a moment ago is no debt yet", "[transfer]") {
  auto peer = candidate(1);
  peer.is_unchoked = true;
  peer.sent_total = kAllowance + 999;
  peer.kept = peer.sent_total;
  peer.sent_lately = 1000;
  CHECK(debtors_of(without_debtors({peer}, true)).empty());
  CHECK(debtors_of(without_debtors({peer}, false)) == conns({1}));  // a leecher waits for nothing
  --peer.sent_lately;
  CHECK(debtors_of(without_debtors({peer}, true)) == conns({1}));
}

TEST_CASE("who was choked for its debts comes back with a quarter of its allowance", "[transfer]") {
  auto peer = candidate(1);
  peer.sent_total = kAllowance;
  CHECK(debtors_of(without_debtors({peer}, false)) == conns({1}));
  peer.received_total = kAllowance / 4 / kReturn + 1;
  CHECK(debtors_of(without_debtors({peer}, false)).empty());
}

TEST_CASE("the strangers of one network share an allowance", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    candidates.push_back(candidate(i));
    candidates.back().is_unchoked = true;
    candidates.back().network = network(0x09000000U);
    candidates.back().sent_total = kAllowance / 3;
  }
  CHECK(debtors_of(without_debtors(candidates, false)).empty());
  candidates[0].sent_total += 2;
  CHECK(debtors_of(without_debtors(candidates, false)) == conns({1, 2, 3}));
  // One that gave is no stranger.
  candidates[1].received_total = kAllowance;
  CHECK(debtors_of(without_debtors(candidates, false)).empty());
}

TEST_CASE("a lent slot stays where it is while there is no reason to move it", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 1; i <= 10; ++i) candidates.push_back(candidate(i));
  candidates[7].is_unchoked = true;
  candidates[8].is_unchoked = true;
  candidates[9].is_unchoked = true;
  candidates[9].is_optimistic = true;
  for (std::uint64_t s = 0; s < 10; ++s)
    CHECK(leech(candidates, 3, s).unchoked == conns({8, 9, 10}));
}

TEST_CASE("the order of the candidates decides nothing", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 1; i <= 12; ++i) candidates.push_back(candidate(i, i % 3 * 100));
  Rng rng(4);
  for (const bool is_seeding : {false, true}) {
    Rng first_rng(9);
    const auto first = choose(candidates, {.is_seeding = is_seeding}, kNow, first_rng);
    for (int i = 0; i < 10; ++i) {
      rng.shuffle(std::span(candidates));
      Rng again_rng(9);
      const auto again = choose(candidates, {.is_seeding = is_seeding}, kNow, again_rng);
      CHECK(again.unchoked == first.unchoked);
      CHECK(again.optimistic == first.optimistic);
    }
  }
}

TEST_CASE("a seed serves those that wait longest, whatever their speed", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 1; i <= 6; ++i) {
    candidates.push_back(candidate(i, (7 - i) * 1000));
    candidates.back().waiting_since = kNow - std::chrono::seconds(10 * i);
  }
  const auto decision = seed(candidates, 2);
  CHECK(decision.unchoked == conns({5, 6}));
  CHECK_FALSE(decision.optimistic.has_value());
}

TEST_CASE("a turn at a seed lasts its time, and then whoever waits comes first", "[transfer]") {
  auto served = candidate(1);
  served.is_unchoked = true;
  served.unchoked_since = kNow - kSeedTurn + Duration(1);
  auto waiting = candidate(2);
  waiting.waiting_since = kNow - std::chrono::hours(1);
  CHECK(seed({served, waiting}, 1).unchoked == conns({1}));
  CHECK(seed({served, waiting}, 1, kNow + Duration(1)).unchoked == conns({2}));
  CHECK(seed({served, waiting}, 2).unchoked == conns({1, 2}));
  CHECK(seed({served}, 1, kNow + std::chrono::hours(1)).unchoked == conns({1}));
}

// Simulates rounds of 10 s and counts how many each peer was unchoked.
std::map<ConnId, int> turns_of(std::vector<ChokeCandidate> candidates, std::uint32_t slots,
                               int rounds) {
  std::map<ConnId, int> turns;
  Rng rng(1);
  Time now = kNow;
  for (int i = 0; i < rounds; ++i, now += kChokeInterval) {
    const auto decision = choose(candidates, {.is_seeding = true, .slots = slots}, now, rng);
    for (ChokeCandidate& c : candidates) {
      const bool is_unchoked =
          std::binary_search(decision.unchoked.begin(), decision.unchoked.end(), c.conn);
      if (is_unchoked) ++turns[c.conn];
      if (is_unchoked && !c.is_unchoked) c.unchoked_since = now;
      if (!is_unchoked && c.is_unchoked) {
        c.last_served = now;
        c.waiting_since = now;
      }
      c.is_unchoked = is_unchoked;
    }
  }
  return turns;
}

TEST_CASE("over time a seed gives everyone the same turns", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 0; i < 10; ++i) candidates.push_back(candidate(i));
  const auto turns = turns_of(candidates, 3, 300);
  REQUIRE(turns.size() == 10);
  for (const auto& [peer, count] : turns) {
    CHECK(count > 80);
    CHECK(count < 100);
  }
}

TEST_CASE("over time a seed gives a network of many identities one peer's turns", "[transfer]") {
  std::vector<ChokeCandidate> candidates;
  for (std::uint64_t i = 0; i < 9; ++i) candidates.push_back(candidate(i));
  for (std::uint32_t i = 0; i < 50; ++i) {
    candidates.push_back(candidate(100 + i));
    candidates.back().network = network(0x09000000U + i);
    candidates.back().waiting_since = kNow - std::chrono::hours(10);
  }
  int of_many = 0;
  int of_others = 0;
  for (const auto& [peer, count] : turns_of(candidates, 3, 300)) {
    (peer < conn(100) ? of_others : of_many) += count;
  }
  CHECK(of_many + of_others == 900);
  CHECK(of_many < 120);

  // Idle slots are given to them all the same.
  CHECK(seed(candidates, 40).unchoked.size() == 40);
}

TEST_CASE("coming back under a new identity gains no turn at a seed", "[transfer]") {
  auto served_long_ago = candidate(1);
  served_long_ago.last_served = kNow - std::chrono::seconds(40);
  served_long_ago.waiting_since = *served_long_ago.last_served;
  auto just_came = candidate(2);
  just_came.waiting_since = kNow - std::chrono::seconds(5);
  CHECK(seed({served_long_ago, just_came}, 1).unchoked == conns({1}));
}

}  // namespace
}  // namespace peernet::transfer
