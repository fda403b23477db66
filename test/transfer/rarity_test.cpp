#include "transfer/rarity.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace peernet::transfer {
namespace {

ConnId conn(std::uint64_t number) {
  return ConnId{number};
}

Bitfield full(std::uint32_t size) {
  Bitfield result(size);
  result.set_all();
  return result;
}

TEST_CASE("the rarest pieces come first", "[transfer]") {
  constexpr std::uint32_t pieces_count = 40;
  Rarity rarity(full(pieces_count), Rng(1).draw_seed());
  rarity.reset_missing(3);
  // Piece p is with 1 + p % 7 peers.
  std::map<std::uint32_t, Bitfield> peers;
  for (std::uint32_t i = 0; i < 7; ++i) {
    Bitfield has(pieces_count);
    for (std::uint32_t piece = 0; piece < pieces_count; ++piece) {
      if (i <= piece % 7) has.set(piece);
    }
    if (i == 0) has.reset(pieces_count - 1);
    rarity.add_peer(conn(i), has);
    peers.emplace(i, has);
  }
  const Bitfield& has = peers.at(0);
  const auto rarest = rarity.rarest(has, pieces_count);
  CHECK(rarest.size() == has.count_set() - 1);
  CHECK(std::is_sorted(rarest.begin(), rarest.end(), [&](std::uint32_t a, std::uint32_t b) {
    return rarity.availability(a) < rarity.availability(b);
  }));
  CHECK(std::set<std::uint32_t>(rarest.begin(), rarest.end()).size() == rarest.size());
}

TEST_CASE("ties in rarity are broken differently by different nodes", "[transfer]") {
  std::set<std::uint32_t> chosen;
  std::set<std::uint32_t> by_chance;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Rarity rarity(full(64), Rng(seed).draw_seed());
    Bitfield has = full(64);
    has.reset(0);
    rarity.add_peer(conn(1), has);
    chosen.insert(rarity.rarest(has, 1).front());
    by_chance.insert(rarity.any(has, 1).front());
  }
  CHECK(chosen.size() > 15);
  CHECK(by_chance.size() > 15);
}

TEST_CASE("what all have who are connected comes in its order, from behind what was taken last",
          "[transfer]") {
  Rarity rarity(full(64), Rng(1).draw_seed());
  rarity.add_peer(conn(1), full(64));
  Bitfield most = full(64);
  most.reset(20);
  rarity.add_peer(conn(2), most);
  rarity.reset_missing(20);
  rarity.reset_missing(61);
  using Pieces = std::vector<std::uint32_t>;
  CHECK(rarity.rarest(full(64), 4) == Pieces{62, 63, 0, 1});
  CHECK(rarity.rarest(most, 4) == Pieces{62, 63, 0, 1});
  // Somebody lacks what we lack: any of those may be wanted of us.
  rarity.set_missing(20);
  CHECK(rarity.rarest(full(64), 1) == Pieces{20});
  rarity.on_peer_has(conn(2), 20);
  CHECK(rarity.rarest(full(64), 4) == Pieces{62, 63, 0, 1});
  rarity.add_peer(conn(3), Bitfield(64));
  CHECK(rarity.rarest(full(64), 4) != Pieces{62, 63, 0, 1});
}

TEST_CASE("a piece begins at any of its blocks, unless it is with everybody", "[transfer]") {
  Rarity rarity(full(8), Rng(3).draw_seed());
  rarity.add_peer(conn(1), full(8));
  CHECK(rarity.first_block(5, 16) == 0);
  Bitfield has = full(8);
  has.reset(5);
  rarity.add_peer(conn(2), has);
  // Whether or not anything is left to choose from.
  for (std::uint32_t piece = 0; piece < 8; ++piece) rarity.reset_missing(piece);
  std::set<std::uint32_t> first;
  for (int i = 0; i < 200; ++i) {
    first.insert(rarity.first_block(5, 4));
    CHECK(rarity.first_block(6, 4) == 0);
  }
  CHECK(first == std::set<std::uint32_t>{0, 1, 2, 3});
}

TEST_CASE("a share starts at any of its pieces", "[transfer]") {
  std::set<std::uint32_t> chosen;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Rarity rarity(full(64), Rng(seed).draw_seed());
    rarity.add_peer(conn(1), full(64));
    chosen.insert(rarity.rarest(full(64), 1).front());
  }
  CHECK(chosen.size() > 15);
}

TEST_CASE("availability follows what peers have, gain and take away", "[transfer]") {
  constexpr std::uint32_t pieces_count = 60;
  Rng rng(5);
  Rarity rarity(full(pieces_count), Rng(1).draw_seed());
  std::map<std::uint64_t, Bitfield> peers;
  for (int round = 0; round < 3000; ++round) {
    const std::uint64_t number = rng.below(12);
    auto found = peers.find(number);
    if (found == peers.end()) {
      Bitfield has(pieces_count);
      const std::uint64_t odds = rng.below(5);
      for (std::uint32_t piece = 0; piece < pieces_count; ++piece) {
        if (odds == 4 || rng.below(4) < odds) has.set(piece);
      }
      rarity.add_peer(conn(number), has);
      peers.emplace(number, has);
    } else if (const auto lacks =
                   found->second.next_unset(static_cast<std::uint32_t>(rng.below(pieces_count)));
               lacks && rng.below(5) > 0) {
      found->second.set(*lacks);
      rarity.on_peer_has(conn(number), *lacks);
    } else {
      rarity.remove_peer(conn(number), found->second);
      peers.erase(found);
    }
    const auto piece = static_cast<std::uint32_t>(rng.below(pieces_count));
    if (rarity.missing().test(piece)) {
      rarity.reset_missing(piece);
    } else {
      rarity.set_missing(piece);
    }

    std::uint32_t held_by_none = 0;
    std::uint32_t missing_held = 0;
    Bitfield all_of_them(pieces_count);
    for (std::uint32_t p = 0; p < pieces_count; ++p) {
      const auto holders = static_cast<std::uint32_t>(std::count_if(
          peers.begin(), peers.end(), [p](const auto& entry) { return entry.second.test(p); }));
      REQUIRE(rarity.availability(p) == holders);
      if (holders > 0) all_of_them.set(p);
      if (!rarity.missing().test(p)) continue;
      ++(holders > 0 ? missing_held : held_by_none);
    }
    REQUIRE(rarity.missing_without_holder_count() == held_by_none);
    const auto rarest = rarity.rarest(all_of_them, pieces_count);
    for (const std::uint32_t p : rarest) REQUIRE(rarity.missing().test(p));
    REQUIRE(std::is_sorted(rarest.begin(), rarest.end(), [&](std::uint32_t a, std::uint32_t b) {
      return rarity.availability(a) < rarity.availability(b);
    }));
    REQUIRE(rarest.size() == missing_held);
  }
}

TEST_CASE("a peer with little of a large share is served by its own pieces", "[transfer]") {
  constexpr std::uint32_t pieces_count = 1U << 20U;
  Rarity rarity(full(pieces_count), Rng(1).draw_seed());
  Bitfield has(pieces_count);
  for (const std::uint32_t piece : {77U, 500'000U, pieces_count - 1}) has.set(piece);
  rarity.add_peer(conn(1), has);
  auto wanted = rarity.any(has, 9);
  std::sort(wanted.begin(), wanted.end());
  CHECK(wanted == std::vector<std::uint32_t>{77, 500'000, pieces_count - 1});
}

}  // namespace
}  // namespace peernet::transfer
