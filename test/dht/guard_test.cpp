#include "dht/guard.h"

#include <catch2/catch.hpp>

#include <vector>

#include "dht/krpc.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

constexpr Time kStart{1000s};

struct Fixture {
  Rng rng{1};
  Guard guard{false, true, rng};

  // How many of `count` queries at once are admitted, from addresses `step` apart.
  unsigned admitted(Time now, std::uint32_t first, std::uint32_t step, unsigned count) {
    unsigned result = 0;
    for (unsigned i = 0; i < count; ++i) {
      result += guard.admit(now, Endpoint::v4(first + i * step, 7000)) ? 1U : 0U;
    }
    return result;
  }
};

const Endpoint kSource = Endpoint::v4(0x3c010101, 7000);

}  // namespace

TEST_CASE("a source is answered 20 times at once and 10 times a second", "[dht]") {
  Fixture f;
  CHECK(f.admitted(kStart, 0x3c010101, 0, 100) == 20);
  CHECK(f.admitted(kStart + 1s, 0x3c010101, 0, 100) == 10);
  CHECK(f.admitted(kStart + 60s, 0x3c010101, 0, 100) == 20);
}

TEST_CASE("a /24 has four times and a /16 sixteen times the budget of a source", "[dht]") {
  Fixture f;
  CHECK(f.admitted(kStart, 0x3c010101, 1, 200) == 80);
  CHECK(f.admitted(kStart + 1s, 0x3c010101, 1, 200) == 40);
  CHECK(f.admitted(kStart, 0x3c020001, 0x100, 256) == 256);
  CHECK(f.admitted(kStart, 0x3c020002, 0x100, 256) == 64);
}

TEST_CASE("a table of debts grows with their number, and forgets none when it does", "[dht]") {
  DebtTable debts(1'024, 10, 20);
  Rng rng(1);
  std::vector<std::uint64_t> hashes;
  for (int i = 0; i < 1'000; ++i) hashes.push_back(rng.next());
  debts.owe(kStart, hashes[0], 20);
  CHECK(debts.cells_count() == 64);
  for (const std::uint64_t hash : hashes) debts.owe(kStart, hash, 1);
  CHECK(debts.cells_count() == 1'024);
  CHECK(debts.room(kStart, hashes[0]) == 0);
  for (const std::uint64_t hash : hashes) CHECK(debts.room(kStart, hash) <= 19);
  CHECK(debts.room(kStart + 2s, hashes[0]) == 20);
}

TEST_CASE("four hundred flooding sources starve neither a proven nor most unproven ones", "[dht]") {
  Fixture f;
  const auto source = [](std::uint32_t n) { return Endpoint::v4(0x50000001U + (n << 16U), 7000); };
  for (std::uint32_t n = 0; n < 50; ++n) f.guard.prove(kStart, source(n));
  unsigned proven = 0;
  unsigned unproven = 0;
  for (int second = 0; second < 5; ++second) {
    const Time now = kStart + second * 1s;
    for (std::uint32_t n = 0; n < 400; ++n) {
      for (int i = 0; i < 100; ++i)
        f.guard.admit(now, Endpoint::v4(0x3c000001U + (n << 16U), 1024));
    }
    for (std::uint32_t n = 0; n < 50; ++n) proven += f.guard.admit(now, source(n)) ? 1U : 0U;
    for (std::uint32_t n = 50; n < 100; ++n) unproven += f.guard.admit(now, source(n)) ? 1U : 0U;
  }
  CHECK(proven == 250);
  CHECK(unproven >= 225);
}

TEST_CASE("an unproven source gets at most 4.5 times its query, a proven one a whole datagram",
          "[dht]") {
  Fixture f;
  CHECK(f.guard.answer_size_max(kStart, kSource, 95, 0) == 427);
  CHECK(f.guard.answer_size_max(kStart, kSource, 95, 65) == 427 - 65);
  f.guard.prove(kStart, kSource);
  CHECK(f.guard.answer_size_max(kStart, kSource, 95, 0) == kDatagramOutMax);
  CHECK(f.guard.is_proven(kStart + 10min - 1us, kSource));
  CHECK_FALSE(f.guard.is_proven(kStart + 10min, kSource));
  CHECK(f.guard.answer_size_max(kStart + 10min, kSource, 1'500, 0) == kDatagramOutMax);
}

TEST_CASE("in a burst an unproven source gets at most 1.5 times its bytes", "[dht]") {
  for (const std::size_t query_size : {56U, 95U, 300U, 1'400U}) {
    Fixture f;
    std::size_t in = 0;
    std::size_t sent = 0;
    for (int i = 0; i < 1000; ++i) {
      in += query_size;
      if (!f.guard.admit(kStart, kSource)) continue;
      const std::size_t size = f.guard.answer_size_max(kStart, kSource, query_size, 0);
      f.guard.on_answered(kStart, kSource, size);
      sent += size;
      if (i == 19) CHECK(sent <= in * 2 + kUnprovenBytesBurst);
    }
    CHECK(sent * 2 <= in * 3);
  }
}

TEST_CASE("a /24 without proof gets two answers over 500 bytes in ten seconds", "[dht]") {
  Fixture f;
  unsigned large = 0;
  for (std::uint32_t i = 0; i < 10; ++i) {
    const Endpoint source = Endpoint::v4(0x3c010101 + i, 7000);
    REQUIRE(f.guard.admit(kStart, source));
    const std::size_t size = f.guard.answer_size_max(kStart, source, 300, 0);
    f.guard.on_answered(kStart, source, size);
    large += size > kLargeAnswer ? 1U : 0U;
  }
  CHECK(large == 2);
}

TEST_CASE("private and loopback sources are exempt, unless told otherwise", "[dht]") {
  Rng rng(1);
  const Endpoint loopback = Endpoint::v4(0x7f000001, 7000);
  Guard guard(false, true, rng);
  Guard strict(true, true, rng);
  unsigned strictly = 0;
  for (int i = 0; i < 1000; ++i) {
    CHECK(guard.admit(kStart, loopback));
    strictly += strict.admit(kStart, loopback) ? 1U : 0U;
  }
  CHECK(strictly == 20);
  CHECK(guard.is_proven(kStart, loopback));
  CHECK_FALSE(strict.is_proven(kStart, loopback));
}

TEST_CASE("no more proofs are remembered than the limit, the newest ones", "[dht]") {
  Fixture f;
  const auto source = [](std::uint32_t n) { return Endpoint::v4(0x20000001U + (n << 8U), 7000); };
  for (std::uint32_t n = 0; n <= kProvenMax; ++n) {
    f.guard.prove(kStart + Duration(n), source(n));
  }
  const Time now = kStart + 1s;
  CHECK_FALSE(f.guard.is_proven(now, source(0)));
  CHECK(f.guard.is_proven(now, source(1)));
  CHECK(f.guard.is_proven(now, source(kProvenMax)));
}

}  // namespace peernet::dht::test
