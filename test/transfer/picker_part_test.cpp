// What a peer serves of a piece: all of it, the blocks it told of, or what it did not decline.

#include <catch2/catch.hpp>

#include "test/transfer/picker.h"

namespace peernet::transfer {
namespace {

TEST_CASE("of a piece that a peer has in part only those blocks are asked of it", "[transfer]") {
  Picker picker = make_picker(4);
  const Bitfield none(4);
  picker.add_peer(conn(1), none);
  CHECK_FALSE(picker.is_interesting(conn(1), none));
  REQUIRE(picker.on_peer_has_blocks(conn(1), {2, 1, 2}));
  CHECK(picker.is_interesting(conn(1), none));
  CHECK(picker.wanted_in_part(conn(1), 10) == std::vector<std::uint32_t>{2});
  CHECK(picker.partial_copies(2) == 1);
  CHECK(picker.copies(2) == 0);

  REQUIRE(picker.activate(2));
  CHECK(picker.wanted_in_part(conn(1), 10).empty());
  CHECK(picker.blocks_ready(conn(1), none, 10) == 2);
  CHECK(picker.pick(conn(1), none, 10, at(0)) == std::vector<BlockRun>{{2, 1, 2}});
  CHECK(picker.blocks_ready(conn(1), none, 10) == 0);
  // What comes to it later is asked for later.
  REQUIRE(picker.on_peer_has_blocks(conn(1), {2, 0, 1}));
  CHECK(picker.pick(conn(1), none, 10, at(0)) == std::vector<BlockRun>{{2, 0, 1}});

  // Rejected: it does not serve that piece after all.
  picker.on_rejected(conn(1), {2, 0, 3});
  picker.forget_blocks(conn(1), 2);
  CHECK_FALSE(picker.is_interesting(conn(1), none));
  CHECK(picker.pick(conn(1), none, 10, at(0)).empty());
}

TEST_CASE("what a peer declined is asked of others at once, and of it after a while",
          "[transfer]") {
  Picker picker = make_picker(1);
  const Bitfield has = full(1);
  for (const std::uint64_t number : {1U, 2U}) picker.add_peer(conn(number), has);
  REQUIRE(picker.activate(0));
  const auto end = at(0) + kDeclinedTime;
  const std::vector<std::uint32_t> pieces{0};
  REQUIRE(blocks_in(picker.pick(conn(1), has, 4, at(0))) == 4);
  picker.on_rejected(conn(1), {0, 1, 3});
  picker.on_declined(at(0), conn(1), {0, 1, 3});
  SECTION("by whatever way it is picked") {
    CHECK(picker.pick(conn(1), has, 4, end - Duration(1)).empty());
    CHECK(picker.pick_of(pieces, conn(1), has, 4, end - Duration(1)).empty());
    picker.set_urgent(pieces);
    CHECK(picker.pick(conn(1), has, 4, end - Duration(1)).empty());
    CHECK(picker.blocks_ready(conn(1), has, 4) == 0);
    CHECK(picker.is_interesting(conn(1), has));
  }
  SECTION("not as a second copy either") {
    REQUIRE(blocks_in(picker.pick(conn(2), has, 3, at(0))) == 3);
    REQUIRE(picker.is_endgame());
    CHECK(picker.pick(conn(1), has, 4, end - Duration(1)).empty());
    picker.set_urgent(pieces);
    picker.on_declined(at(0) + kUrgentPatience, conn(1), {0, 1, 3});
    CHECK(picker.pick(conn(1), has, 4, at(0) + kUrgentPatience).empty());
    picker.on_rejected(conn(2), {0, 1, 3});
  }
  CHECK(blocks_in(picker.pick(conn(2), has, 2, at(0))) == 2);
  SECTION("after a while of it") {
    CHECK(blocks_in(picker.pick_of(pieces, conn(1), has, 4,
                                   at(0) + 2 * kDeclinedTime + kUrgentPatience)) == 1);
  }
  SECTION("whoever comes again declined nothing") {
    picker.remove_peer(conn(1), has);
    picker.add_peer(conn(1), has);
    CHECK(blocks_in(picker.pick(conn(1), has, 2, at(0))) == 2);
  }
}

TEST_CASE("urgent blocks are asked of those too that have their piece in part", "[transfer]") {
  Picker picker = make_picker(2);
  const Bitfield none(2);
  picker.add_peer(conn(1), none);
  picker.add_peer(conn(2), full(2));
  for (const std::uint32_t piece : {0U, 1U}) {
    REQUIRE(picker.activate(piece));
    REQUIRE(picker.on_peer_has_blocks(conn(1), {piece, 1, 2}));
  }
  picker.set_urgent({1});
  CHECK(picker.pick(conn(1), none, 2, at(0)) == std::vector<BlockRun>{{1, 1, 2}});
  SECTION("also as a second copy") {
    picker.on_rejected(conn(1), {1, 1, 2});
    REQUIRE(blocks_in(picker.pick(conn(2), full(2), 4, at(0))) == 4);
    const auto late = at(0) + kUrgentPatience;
    CHECK(picker.pick(conn(1), none, 2, late - Duration(1)) == std::vector<BlockRun>{{0, 1, 2}});
    picker.on_rejected(conn(1), {0, 1, 2});
    CHECK(picker.pick(conn(1), none, 2, late).front().piece == 1);
  }
}

TEST_CASE("a piece that a peer had in part and has whole counts once", "[transfer]") {
  Picker picker = make_picker(2);
  picker.add_peer(conn(1), Bitfield(2));
  REQUIRE(picker.on_peer_has_blocks(conn(1), {1, 0, 3}));
  picker.on_peer_has(conn(1), 1);
  CHECK(picker.partial_copies(1) == 0);
  CHECK(picker.copies(1) == 1);
  picker.remove_peer(conn(1), bits(2, {1}));
  CHECK(picker.copies(1) == 0);
}

TEST_CASE("a part of a piece may be passed on when it is written, and not before", "[transfer]") {
  Picker picker = make_picker(2);
  picker.add_peer(conn(1), full(2));
  REQUIRE(picker.activate(1));
  REQUIRE(blocks_in(picker.pick(conn(1), full(2), 4, at(0))) == 4);
  REQUIRE(picker.on_block_received(conn(1), 1, 0).is_wanted);
  CHECK_FALSE(picker.has_blocks({1, 0, 1}));
  picker.on_block_written(1, 0);
  CHECK(picker.has_blocks({1, 0, 1}));
  CHECK_FALSE(picker.has_blocks({1, 0, 2}));
  CHECK_FALSE(picker.has_blocks({0, 0, 1}));
  picker.set_have(0);
  CHECK(picker.has_blocks({0, 0, 4}));
}

TEST_CASE("in the endgame a second copy is asked of a peer that has the block", "[transfer]") {
  Picker picker = make_picker(1);
  const Bitfield none(1);
  picker.add_peer(conn(1), full(1));
  picker.add_peer(conn(2), none);
  REQUIRE(picker.on_peer_has_blocks(conn(2), {0, 3, 1}));
  REQUIRE(picker.activate(0));
  REQUIRE(blocks_in(picker.pick(conn(1), full(1), 4, at(0))) == 4);
  REQUIRE(picker.is_endgame());
  CHECK(picker.pick(conn(2), none, 8, at(1)) == std::vector<BlockRun>{{0, 3, 1}});
}

TEST_CASE("of a peer so many pieces in part are remembered", "[transfer]") {
  Picker picker = make_picker(kPartialPiecesMax + 1);
  for (std::uint32_t piece = 0; piece < kPartialPiecesMax; ++piece) {
    REQUIRE(picker.on_peer_has_blocks(conn(1), {piece, 0, 1}));
  }
  CHECK_FALSE(picker.on_peer_has_blocks(conn(1), {kPartialPiecesMax, 0, 1}));
  CHECK(picker.on_peer_has_blocks(conn(1), {7, 2, 1}));  // of one that is known
  picker.on_peer_has(conn(1), 7);
  CHECK(picker.on_peer_has_blocks(conn(1), {kPartialPiecesMax, 0, 1}));
}

}  // namespace
}  // namespace peernet::transfer
