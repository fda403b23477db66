#include "dht/address_vote.h"

#include <catch2/catch.hpp>

#include "test/dht/network.h"

namespace peernet::dht::test {

namespace {

const Endpoint kOurs = Endpoint::v4(0x50010203, 1234);
const Endpoint kOther = Endpoint::v4(0x50010204, 1234);

}  // namespace

TEST_CASE("eight regions that agree say what our address is, seven do not", "[dht]") {
  AddressVote vote(false);
  for (unsigned n = 0; n < kVotesNeeded; ++n) {
    CHECK_FALSE(vote.winner());
    vote.add(global_endpoint(n), kOurs);
    // The port a NAT chose for each does not matter.
    vote.add(global_endpoint(n), Endpoint::v4(0x50010203, static_cast<std::uint16_t>(2000 + n)));
  }
  CHECK(vote.winner() == Endpoint::v4(0x50010203, 0));
}

TEST_CASE("a region has one vote, however many of its nodes speak", "[dht]") {
  AddressVote vote(false);
  for (std::uint32_t n = 1; n < 200; ++n) vote.add(Endpoint::v4(0x3c000000 + n * 99, 7000), kOurs);
  CHECK(vote.size() == 1);
  CHECK_FALSE(vote.winner());
}

TEST_CASE("eight liars among honest nodes do not move us", "[dht]") {
  AddressVote vote(false);
  for (unsigned n = 0; n < 9; ++n) vote.add(global_endpoint(n), kOurs);
  for (unsigned n = 9; n < 17; ++n) vote.add(global_endpoint(n), kOther);
  CHECK(vote.winner() == kOurs.prefix(128));
  vote.add(global_endpoint(17), kOther);
  CHECK_FALSE(vote.winner());
}

TEST_CASE("votes are counted up to a limit, the latest of them", "[dht]") {
  AddressVote vote(false);
  for (unsigned n = 0; n < kVotesMax; ++n) vote.add(global_endpoint(n), kOurs);
  CHECK(vote.size() == kVotesMax);
  for (unsigned n = 0; n < kVotesMax; ++n) vote.add(global_endpoint(1'000 + n), kOther);
  CHECK(vote.size() == kVotesMax);
  CHECK(vote.winner() == kOther.prefix(128));
}

TEST_CASE("special-use addresses neither vote nor are voted for, unless a test says so", "[dht]") {
  for (const bool is_global : {false, true}) {
    AddressVote by_local(is_global);
    AddressVote of_local(is_global);
    for (unsigned n = 0; n < 20; ++n) {
      by_local.add(Endpoint::v4(0xac100001U + (n << 16U), 7000), kOurs);
      of_local.add(global_endpoint(n), local_endpoint(1));
    }
    CHECK(by_local.winner().has_value() == is_global);
    CHECK(of_local.winner().has_value() == is_global);
  }
}

}  // namespace peernet::dht::test
