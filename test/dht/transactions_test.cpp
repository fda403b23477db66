#include "dht/transactions.h"

#include <catch2/catch.hpp>

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

constexpr Time kStart{1000s};
const Endpoint kNode = Endpoint::v4(0x01020304, 5000);
const Endpoint kOther = Endpoint::v4(0x01020304, 5001);
constexpr Why kLookup{Why::Kind::lookup, 7};

}  // namespace

TEST_CASE("an answer counts once, from the endpoint asked, under the id sent", "[dht]") {
  Rng rng(1);
  Transactions transactions;
  const auto txid = transactions.begin(kStart, kNode, std::nullopt, kLookup, 200ms, rng);
  REQUIRE(txid);
  CHECK(transactions.is_asking(kNode));
  CHECK_FALSE(transactions.match(txid->view(), kOther));
  CHECK_FALSE(transactions.match(txid->view().first(7), kNode));
  CHECK_FALSE(transactions.match(rng.tagged<Txid>().view(), kNode));
  CHECK_FALSE(transactions.match({}, kNode));

  const auto answered = transactions.match(txid->view(), kNode);
  REQUIRE(answered);
  CHECK(answered->why.search == 7);
  CHECK_FALSE(transactions.match(txid->view(), kNode));
  CHECK_FALSE(transactions.is_asking(kNode));
  CHECK(transactions.deadline() == kNever);
}

TEST_CASE("a query becomes slow, lapses, and fails after three seconds", "[dht]") {
  Rng rng(1);
  Transactions transactions;
  const auto txid = transactions.begin(kStart, kNode, std::nullopt, kLookup, 200ms, rng);
  CHECK(transactions.deadline() == kStart + 200ms);
  CHECK_FALSE(transactions.next_stage(kStart + 199ms));
  CHECK(transactions.next_stage(kStart + 200ms)->stage == Transaction::Stage::slow);
  CHECK_FALSE(transactions.next_stage(kStart + 299ms));
  CHECK(transactions.next_stage(kStart + 300ms)->stage == Transaction::Stage::lapsed);
  SECTION("an answer counts until then") {
    CHECK(transactions.match(txid->view(), kNode));
  }
  SECTION("and no longer") {
    CHECK(transactions.deadline() == kStart + 3s);
    CHECK(transactions.next_stage(kStart + 3s)->stage == Transaction::Stage::failed);
    CHECK_FALSE(transactions.match(txid->view(), kNode));
    CHECK(transactions.size() == 0);
  }
}

TEST_CASE("no more queries are in flight than the limit", "[dht]") {
  Rng rng(1);
  Transactions transactions;
  std::optional<Txid> first;
  for (std::size_t i = 0; i < kTransactionsMax; ++i) {
    const auto txid = transactions.begin(kStart, kNode, std::nullopt, kLookup, 200ms, rng);
    REQUIRE(txid);
    if (!first) first = txid;
  }
  CHECK_FALSE(transactions.begin(kStart, kNode, std::nullopt, kLookup, 200ms, rng));
  CHECK(transactions.match(first->view(), kNode));
  CHECK(transactions.begin(kStart, kNode, std::nullopt, kLookup, 200ms, rng));
}

}  // namespace peernet::dht::test
