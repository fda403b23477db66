#include "transfer/readers.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <list>

#include "core/effects.h"
#include "transfer/picker.h"

namespace peernet::transfer {
namespace {

constexpr std::uint32_t k1MiB = 1U << 20U;
constexpr ReaderId kAnn{1};
constexpr ReaderId kBen{2};
constexpr ConnId kPeer{1};
constexpr ConnId kOther{2};

Time at(int seconds) {
  return Time{} + std::chrono::seconds(seconds);
}

Bitfield full(std::uint32_t size) {
  Bitfield result(size);
  result.set_all();
  return result;
}

// Two files of 64 pieces each.
Layout two_files() {
  return Layout(k1MiB, std::vector<std::uint64_t>{64ULL * k1MiB, 64ULL * k1MiB});
}

Readers::Read read_of(ReaderId reader) {
  Readers::Read read;
  read.reader = reader;
  read.size = 1;
  return read;
}

Picker picker_of(std::uint32_t pieces) {
  static std::list<Layout> layouts;  // which outlive their pickers
  layouts.emplace_back(64U << 10U, std::vector<std::uint64_t>{std::uint64_t{pieces} << 16U});
  return {layouts.back(), Bitfield(pieces), Rng(1).draw_seed()};
}

TEST_CASE("a reader's window begins where it stands and ends with its file", "[transfer]") {
  const Layout layout = two_files();
  Readers readers;
  REQUIRE(readers.add(ReadId{1}, read_of(kAnn)));
  CHECK(readers.urgent(full(128)).empty());  // it stands nowhere yet

  readers.place(kAnn, layout, 0, 3ULL * k1MiB + 5);
  CHECK(readers.urgent(full(128)) ==
        std::vector<std::uint32_t>{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18});
  readers.place(kAnn, layout, 0, 62ULL * k1MiB);
  CHECK(readers.urgent(full(128)) == std::vector<std::uint32_t>{62, 63});
  readers.place(kAnn, layout, 1, 0);
  CHECK(readers.urgent(full(128)).front() == 64);
  readers.remove(kAnn);
  CHECK(readers.urgent(full(128)).empty());
  CHECK(readers.reads().empty());
}

TEST_CASE("several readers take turns, the nearest piece of each first", "[transfer]") {
  const Layout layout = two_files();
  Readers readers;
  REQUIRE(readers.add(ReadId{1}, read_of(kAnn)));
  REQUIRE(readers.add(ReadId{2}, read_of(kBen)));
  readers.place(kAnn, layout, 0, 0);
  readers.place(kBen, layout, 1, 0);
  Bitfield lacking = full(128);
  lacking.reset(0);
  const auto urgent = readers.urgent(lacking);
  REQUIRE(urgent.size() == 31);
  CHECK(std::vector(urgent.begin(), urgent.begin() + 4) ==
        std::vector<std::uint32_t>{1, 64, 2, 65});

  readers.place(kBen, layout, 0, 0);  // both in one place want it once
  CHECK(readers.urgent(lacking).size() == 15);
}

TEST_CASE("a share has so many readers and not one more, and so many urgent pieces", "[transfer]") {
  const Layout layout(64U << 10U, std::vector<std::uint64_t>{std::uint64_t{100'000} << 16U});
  Readers readers;
  for (std::uint64_t i = 0; i < kReadersMax; ++i) {
    REQUIRE(readers.add(ReadId{i}, read_of(ReaderId{i})));
    readers.place(ReaderId{i}, layout, 0, i * 500 << 16U);
  }
  CHECK_FALSE(readers.add(ReadId{kReadersMax}, read_of(ReaderId{kReadersMax})));
  CHECK(readers.add(ReadId{kReadersMax}, read_of(ReaderId{0})));
  CHECK(readers.urgent(full(100'000)).size() == kUrgentMax);
}

TEST_CASE("urgent pieces are picked in their order, before what was begun earlier", "[transfer]") {
  Picker picker = picker_of(8);
  picker.add_peer(kPeer, full(8));
  for (const std::uint32_t piece : {0U, 5U, 3U, 4U}) REQUIRE(picker.activate(piece));
  picker.set_urgent({2, 3, 4});
  CHECK(picker.urgent_missing(full(8)) == std::vector<std::uint32_t>{2});
  CHECK(picker.is_urgent(full(8)));
  CHECK(picker.pick(kPeer, full(8), 12, at(0)) ==
        std::vector<BlockRun>{{3, 0, 4}, {4, 0, 4}, {0, 0, 4}});

  for (const std::uint32_t piece : {2U, 3U, 4U}) picker.set_have(piece);
  CHECK_FALSE(picker.is_urgent(full(8)));
}

TEST_CASE(
    "a late urgent block is asked of a second peer, one that is not late or not urgent is not",
    "[transfer]") {
  Picker picker = picker_of(8);
  picker.add_peer(kPeer, full(8));
  picker.add_peer(kOther, full(8));
  REQUIRE(picker.activate(0));
  REQUIRE(picker.activate(1));
  picker.set_urgent({1});
  REQUIRE(picker.pick(kPeer, full(8), 8, at(0)) == std::vector<BlockRun>{{1, 0, 4}, {0, 0, 4}});
  CHECK(picker.pick(kOther, full(8), 8, at(1)).empty());
  CHECK(picker.pick(kOther, full(8), 8, at(2)) == std::vector<BlockRun>{{1, 0, 4}});
  CHECK(picker.pick(kOther, full(8), 8, at(9)).empty());
}

TEST_CASE("what is not wanted is not picked, and is not lacking", "[transfer]") {
  Picker picker = picker_of(8);
  picker.add_peer(kPeer, full(8));
  Bitfield wanted(8);
  wanted.set(1);
  wanted.set(6);
  picker.set_wanted(wanted);
  CHECK(picker.state(0) == Picker::PieceState::unwanted);
  CHECK_FALSE(picker.activate(0));
  CHECK_FALSE(picker.prepare(0));
  auto offered = picker.wanted_pieces(full(8), 8);
  std::ranges::sort(offered);
  CHECK(offered == std::vector<std::uint32_t>{1, 6});
  CHECK(picker.lacking() == wanted);

  picker.set_have(1);
  picker.set_have(6);
  CHECK(picker.is_complete());
  picker.set_missing(1);  // lost: wanted again
  CHECK_FALSE(picker.is_complete());
  CHECK(picker.state(1) == Picker::PieceState::missing);
  picker.set_have(1);

  picker.set_wanted(full(8));
  CHECK(picker.lacking().count_set() == 6);
  CHECK(picker.wanted_pieces(full(8), 8).size() == 6);
}

TEST_CASE("a piece under way that is not wanted any more is given up, with its requests",
          "[transfer]") {
  Picker picker = picker_of(4);
  picker.add_peer(kPeer, full(4));
  REQUIRE(picker.activate(0));
  REQUIRE(picker.prepare(1));
  REQUIRE(picker.pick(kPeer, full(4), 2, at(0)) == std::vector<BlockRun>{{0, 0, 2}});
  CHECK(picker.set_wanted(Bitfield(4)).size() == 2);
  CHECK(picker.is_complete());
  CHECK(picker.outstanding(kPeer) == 0);
  CHECK(picker.active_blocks() == 0);
  CHECK_FALSE(picker.on_block_received(kPeer, 0, 0).is_wanted);
  CHECK(picker.state(0) == Picker::PieceState::unwanted);
  CHECK(picker.state(1) == Picker::PieceState::unwanted);
}

}  // namespace
}  // namespace peernet::transfer
