#include "test/transfer/picker.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace peernet::transfer {
namespace {

using State = Picker::PieceState;

void complete(Picker& picker, std::uint32_t piece) {
  picker.set_have(piece);
}

TEST_CASE("nothing is picked before a piece is active, and only what the peer has", "[transfer]") {
  Picker picker = make_picker(4);
  const Bitfield has = bits(4, {2});
  picker.add_peer(conn(1), has);
  CHECK(picker.pick(conn(1), has, 10, at(0)).empty());
  CHECK(picker.wanted_pieces(has, 10) == std::vector<std::uint32_t>{2});

  REQUIRE(picker.prepare(2));
  CHECK(picker.state(2) == State::preparing);
  CHECK(picker.wanted_pieces(has, 10).empty());
  CHECK(picker.pick(conn(1), has, 10, at(0)).empty());
  REQUIRE(picker.activate(2));
  CHECK(picker.blocks_ready(conn(1), has, 100) == 4);
  CHECK(picker.blocks_ready(conn(1), bits(4, {1}), 100) == 0);
  CHECK(picker.pick(conn(2), bits(4, {1}), 10, at(0)).empty());
  CHECK(blocks_in(picker.pick(conn(1), has, 10, at(0))) == 4);
  CHECK(picker.requests(conn(1)).front().piece == 2);
  CHECK(picker.outstanding(conn(1)) == 4);
}

TEST_CASE("a piece is had when all of its blocks are written", "[transfer]") {
  Picker picker = make_picker(2);
  const Bitfield has = full(2);
  picker.add_peer(conn(1), has);
  REQUIRE(picker.activate(1));
  REQUIRE(blocks_in(picker.pick(conn(1), has, 10, at(0))) == 4);
  for (std::uint32_t block = 0; block < 4; ++block) {
    const auto received = picker.on_block_received(conn(1), 1, block);
    CHECK(received.is_wanted);
    CHECK(received.was_requested);
    CHECK(received.cancel_at.empty());
    CHECK(picker.outstanding(conn(1)) == 3 - block);
    CHECK_FALSE(picker.on_block_received(conn(1), 1, block).is_wanted);  // being written
    CHECK(picker.on_block_written(1, block) == (block == 3));
    CHECK_FALSE(picker.on_block_written(1, block));
  }
  CHECK_FALSE(picker.oldest_request(conn(1)).has_value());
  CHECK(picker.state(1) == State::have);
  CHECK(picker.have() == bits(2, {1}));
  CHECK(picker.active_blocks() == 0);
  CHECK_FALSE(picker.is_complete());
  CHECK_FALSE(picker.on_block_received(conn(1), 1, 0).is_wanted);
}

TEST_CASE("a block that was wrong, rejected or given up is asked for again", "[transfer]") {
  Picker picker = make_picker(1);
  const Bitfield has = full(1);
  picker.add_peer(conn(1), has);
  picker.add_peer(conn(2), has);
  REQUIRE(picker.activate(0));
  REQUIRE(picker.pick(conn(1), has, 4, at(0)) == std::vector<BlockRun>{{0, 0, 4}});

  REQUIRE(picker.on_block_received(conn(1), 0, 2).is_wanted);
  picker.on_block_failed(0, 2);
  CHECK(picker.pick(conn(2), has, 9, at(0)) ==
        std::vector<BlockRun>{{0, 2, 1}, {0, 0, 2}, {0, 3, 1}});
  picker.on_choked(conn(2));
  CHECK(picker.outstanding(conn(2)) == 0);

  picker.on_rejected(conn(1), {0, 0, 2});
  CHECK(picker.outstanding(conn(1)) == 1);
  CHECK(picker.blocks_ready(conn(1), has, 9) == 3);
  picker.on_choked(conn(1));
  CHECK(picker.blocks_ready(conn(1), has, 9) == 4);
  CHECK(picker.pick(conn(2), has, 9, at(1)) == std::vector<BlockRun>{{0, 3, 1}, {0, 0, 3}});
  picker.remove_peer(conn(2), has);
  CHECK(picker.blocks_ready(conn(1), has, 9) == 4);
  CHECK(picker.availability(0) == 1);
}

TEST_CASE("started pieces come before new ones, the oldest first", "[transfer]") {
  Picker picker = make_picker(3);
  const Bitfield has = full(3);
  picker.add_peer(conn(1), has);
  REQUIRE(picker.activate(2));
  REQUIRE(picker.activate(0));
  CHECK(picker.pick(conn(1), has, 2, at(0)) == std::vector<BlockRun>{{2, 0, 2}});
  CHECK(picker.pick(conn(2), has, 4, at(0)) == std::vector<BlockRun>{{2, 2, 2}, {0, 0, 2}});
}

TEST_CASE("the first pieces are random, and the next the rarest", "[transfer]") {
  constexpr std::uint32_t pieces_count = 40;
  std::set<std::uint32_t> firsts;
  std::set<std::uint32_t> later;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Picker picker = make_picker(pieces_count, k64KiB, seed);
    Bitfield has = full(pieces_count);
    has.reset(0);
    picker.add_peer(conn(1), has);
    has.reset(pieces_count - 1);
    picker.add_peer(conn(2), has);
    has.set(pieces_count - 1);
    const auto wanted = picker.wanted_pieces(has, 1);
    REQUIRE(wanted.size() == 1);
    firsts.insert(wanted.front());
    for (std::uint32_t piece = 0; piece < kRandomFirstPieces; ++piece) complete(picker, piece);
    later.insert(picker.wanted_pieces(has, 1).front());
  }
  CHECK(firsts.size() > 15);
  CHECK(later == std::set<std::uint32_t>{pieces_count - 1});
}

TEST_CASE("what nobody has is told, whatever its state", "[transfer]") {
  Picker picker = make_picker(6);
  complete(picker, 0);
  REQUIRE(picker.prepare(1));
  REQUIRE(picker.activate(2));
  picker.add_peer(conn(1), bits(6, {3}));
  CHECK(picker.without_holder_count() == 4);
  CHECK(picker.without_holder(3) == std::vector<std::uint32_t>{1, 2, 4});
  picker.add_peer(conn(2), bits(6, {1, 2, 4}));
  CHECK(picker.without_holder(9) == std::vector<std::uint32_t>{5});
  picker.add_peer(conn(3), full(6));
  CHECK(picker.without_holder_count() == 0);
}

TEST_CASE("in the endgame a block is asked of two peers at most, and cancelled at the slower",
          "[transfer]") {
  Picker picker = make_picker(2);
  const Bitfield has = full(2);
  for (std::uint64_t i = 1; i <= 4; ++i) picker.add_peer(conn(i), has);
  complete(picker, 1);
  CHECK_FALSE(picker.is_endgame());
  REQUIRE(picker.activate(0));
  REQUIRE(picker.pick(conn(1), has, 3, at(0)) == std::vector<BlockRun>{{0, 0, 3}});
  CHECK_FALSE(picker.is_endgame());
  REQUIRE(picker.pick(conn(2), has, 1, at(1)) == std::vector<BlockRun>{{0, 3, 1}});
  CHECK(picker.is_endgame());

  // The oldest requests first, none of its own, none that two peers have.
  CHECK(picker.pick(conn(2), has, 2, at(2)) == std::vector<BlockRun>{{0, 0, 2}});
  CHECK(picker.pick(conn(3), has, 9, at(3)) == std::vector<BlockRun>{{0, 2, 2}});
  CHECK(picker.pick(conn(4), has, 9, at(4)).empty());

  const auto received = picker.on_block_received(conn(2), 0, 0);
  CHECK(received.is_wanted);
  CHECK(received.cancel_at == std::vector<ConnId>{conn(1)});
  CHECK(picker.outstanding(conn(1)) == 2);
  const auto late = picker.on_block_received(conn(1), 0, 0);
  CHECK_FALSE(late.is_wanted);
  CHECK(late.cancel_at.empty());

  // One of two that gives up leaves the other's request standing.
  picker.on_choked(conn(1));
  CHECK(picker.blocks_ready(conn(1), has, 9) == 0);
  picker.on_choked(conn(2));
  CHECK(picker.blocks_ready(conn(1), has, 9) == 1);
}

TEST_CASE("there is no endgame while another piece can be fetched or its leaves are coming",
          "[transfer]") {
  Picker picker = make_picker(3);
  const Bitfield has = full(3);
  picker.add_peer(conn(1), has);
  complete(picker, 2);
  REQUIRE(picker.activate(0));
  REQUIRE(blocks_in(picker.pick(conn(1), has, 9, at(0))) == 4);
  CHECK_FALSE(picker.is_endgame());
  CHECK(picker.pick(conn(2), has, 9, at(0)).empty());
  REQUIRE(picker.prepare(1));
  CHECK_FALSE(picker.is_endgame());
  picker.abandon(1);
  CHECK(picker.state(1) == State::missing);
  picker.remove_peer(conn(1), has);
  // Piece 1 is now with nobody: it cannot be waited for.
  picker.add_peer(conn(2), bits(3, {0}));
  REQUIRE(blocks_in(picker.pick(conn(2), bits(3, {0}), 9, at(0))) == 4);
  CHECK(picker.is_endgame());
}

TEST_CASE("a peer gets few second copies at a time", "[transfer]") {
  Picker picker = make_picker(1, 1U << 20U);
  const Bitfield has = full(1);
  picker.add_peer(conn(1), has);
  REQUIRE(picker.activate(0));
  REQUIRE(blocks_in(picker.pick(conn(1), has, 64, at(0))) == 64);
  CHECK(blocks_in(picker.pick(conn(2), has, 64, at(0))) == kEndgameOutstandingMax);
  CHECK(picker.pick(conn(2), has, 64, at(0)).empty());
}

TEST_CASE("a peer never has more than kOutstandingMax blocks outstanding", "[transfer]") {
  Picker picker = make_picker(2, kPieceLengthMax);
  const Bitfield has = full(2);
  picker.add_peer(conn(1), has);
  REQUIRE(picker.activate(0));
  REQUIRE(picker.activate(1));
  CHECK(blocks_in(picker.pick(conn(1), has, UINT32_MAX, at(0))) == kOutstandingMax);
  CHECK(picker.pick(conn(1), has, 1, at(0)).empty());
  REQUIRE(picker.on_block_received(conn(1), 0, 0).is_wanted);
  CHECK(blocks_in(picker.pick(conn(1), has, 9, at(0))) == 1);
}

TEST_CASE("of named pieces only those are picked, in their order", "[transfer]") {
  Picker picker = make_picker(4);
  const Bitfield has = bits(4, {0, 1, 2});
  picker.add_peer(conn(1), has);
  for (std::uint32_t piece = 0; piece < 3; ++piece) REQUIRE(picker.activate(piece));
  const std::vector<std::uint32_t> named{2, 3, 1};
  const auto runs = picker.pick_of(named, conn(1), has, 6, at(0));
  const auto behind = std::ranges::find(runs, 1U, &BlockRun::piece);
  CHECK(blocks_in({runs.begin(), behind}) == 4);
  CHECK(blocks_in({behind, runs.end()}) == 2);
  CHECK(std::all_of(runs.begin(), behind, [](const BlockRun& run) { return run.piece == 2; }));
  CHECK(blocks_in(picker.pick_of(named, conn(1), has, 6, at(0))) == 2);
  CHECK(picker.pick_of(named, conn(1), has, 6, at(0)).empty());
  CHECK(blocks_in(picker.pick(conn(1), has, 10, at(0))) == 4);
}

TEST_CASE("begun pieces that nobody connected can finish are told", "[transfer]") {
  constexpr std::uint32_t piece_length = 16U << 20U;
  constexpr std::uint32_t begun = kActiveBlocksMax / (piece_length / kBlockSize);
  Picker picker = make_picker(begun + 1, piece_length);
  const Bitfield all = full(begun + 1);
  picker.add_peer(conn(1), all);
  for (std::uint32_t piece = 0; piece < begun; ++piece) {
    REQUIRE(picker.activate(piece));
    REQUIRE(blocks_in(picker.pick_of({piece}, conn(1), all, 1, at(0))) == 1);
    REQUIRE(picker.on_block_received(conn(1), piece, 0).is_wanted);
    if (piece > 0) picker.on_block_written(piece, 0);
  }
  REQUIRE_FALSE(picker.has_room());
  CHECK(picker.release_idle().empty());
  CHECK(picker.stranded().empty());
  picker.remove_peer(conn(1), all);
  CHECK(picker.stranded().size() == begun - 1);  // of piece 0 a block is being written
  picker.on_block_written(0, 0);
  CHECK(picker.stranded().size() == begun);
  picker.add_peer(conn(2), bits(begun + 1, {7}));
  picker.on_peer_has_blocks(conn(2), {9, 0, 1});
  const std::vector<std::uint32_t> stranded = picker.stranded();
  CHECK(stranded.size() == begun - 2);
  CHECK(std::count(stranded.begin(), stranded.end(), 7U) == 0);
  CHECK(std::count(stranded.begin(), stranded.end(), 9U) == 0);
}

TEST_CASE("what was under way together has room together again", "[transfer]") {
  constexpr std::uint32_t piece_length = 16U << 20U;
  constexpr std::uint32_t whole = kActiveBlocksMax / (piece_length / kBlockSize) - 1;
  std::vector<std::uint64_t> sizes(whole, piece_length);
  sizes.resize(whole + 2, piece_length / 2);
  const Layout layout(piece_length, sizes);
  Picker picker(layout, Bitfield(whole + 2), Rng(1).draw_seed());
  for (std::uint32_t piece = 0; piece < whole + 2; ++piece) {
    CHECK(picker.resume(piece, bits(layout.blocks_count(piece), {0})));
  }
  CHECK(picker.active_blocks() == kActiveBlocksMax);
}

TEST_CASE("active pieces are bounded, and idle ones make room", "[transfer]") {
  const std::uint32_t fit = kActiveBlocksMax / kBlocksPerPieceMax;
  Picker picker = make_picker(fit + 2, kPieceLengthMax);
  const Bitfield has = full(fit + 2);
  picker.add_peer(conn(1), has);
  CHECK(picker.wanted_pieces(has, 1000).size() == fit);
  for (std::uint32_t piece = 0; piece < fit; ++piece) {
    REQUIRE((piece % 2 == 0 ? picker.activate(piece) : picker.prepare(piece)));
  }
  CHECK_FALSE(picker.has_room());
  CHECK(picker.active_blocks() == kActiveBlocksMax);
  CHECK_FALSE(picker.activate(fit));
  CHECK_FALSE(picker.prepare(fit));
  CHECK(picker.wanted_pieces(has, 1000).empty());
  CHECK(picker.activate(1));  // it holds its room already

  REQUIRE(blocks_in(picker.pick(conn(1), has, 1, at(0))) == 1);  // piece 0 is not idle now
  const auto released = picker.release_idle();
  CHECK(released.size() == fit / 2);
  CHECK(std::find(released.begin(), released.end(), 0U) == released.end());
  CHECK(picker.has_room());
  CHECK(picker.activate(fit));
}

TEST_CASE("what is lost is missing again, and late reports of it change nothing", "[transfer]") {
  Picker picker = make_picker(3);
  const Bitfield has = full(3);
  picker.add_peer(conn(1), has);
  complete(picker, 0);
  picker.set_missing(0);
  CHECK(picker.have().none());
  CHECK(picker.state(0) == State::missing);

  REQUIRE(picker.activate(0));
  REQUIRE(blocks_in(picker.pick(conn(1), has, 4, at(0))) == 4);
  REQUIRE(picker.on_block_received(conn(1), 0, 1).is_wanted);
  picker.set_missing(0);
  CHECK(picker.outstanding(conn(1)) == 0);
  CHECK_FALSE(picker.on_block_written(0, 1));
  picker.on_block_failed(0, 1);
  REQUIRE(picker.activate(0));
  CHECK_FALSE(picker.on_block_written(0, 1));
  CHECK(picker.blocks_ready(conn(1), has, 9) == 4);

  picker.set_have(0);  // found elsewhere while it was active
  CHECK(picker.active_count() == 0);
  CHECK(picker.active_blocks() == 0);
}

TEST_CASE("a piece that is resumed becomes active with what was written of it", "[transfer]") {
  Picker picker = make_picker(3);
  const Bitfield has = full(3);
  picker.add_peer(conn(1), has);
  REQUIRE(picker.resume(1, bits(4, {0, 2})));
  CHECK_FALSE(picker.resume(1, bits(4, {1})));
  CHECK(picker.state(1) == State::preparing);
  CHECK(picker.parts() == Parts{{1, bits(4, {0, 2})}});
  CHECK(picker.partial_bytes() == 2 * kBlockSize);
  CHECK(picker.has_part(1));
  CHECK_FALSE(picker.has_part(0));
  CHECK_FALSE(picker.has_blocks({1, 0, 1}));  // without its leaves nobody can be served

  REQUIRE(picker.activate(1));
  REQUIRE(picker.activate(0));
  CHECK(picker.has_blocks({1, 2, 1}));
  CHECK_FALSE(picker.has_blocks({1, 0, 3}));
  CHECK(picker.partial_bytes() == 2 * kBlockSize);
  CHECK(picker.release_idle() == std::vector<std::uint32_t>{0});
  CHECK(picker.pick(conn(1), has, 9, at(0)) == std::vector<BlockRun>{{1, 1, 1}, {1, 3, 1}});
  REQUIRE(picker.on_block_received(conn(1), 1, 3).is_wanted);
  CHECK_FALSE(picker.on_block_received(conn(1), 1, 2).is_wanted);
  CHECK_FALSE(picker.on_block_written(1, 3));
  CHECK(picker.parts() == Parts{{1, bits(4, {0, 2, 3})}});
  REQUIRE(picker.on_block_received(conn(1), 1, 1).is_wanted);
  CHECK(picker.on_block_written(1, 1));
  CHECK(picker.state(1) == State::have);
  CHECK(picker.parts().empty());
}

TEST_CASE("a resumed piece that is lost, given up or not wanted has nothing any more",
          "[transfer]") {
  Picker picker = make_picker(3);
  picker.set_wanted(bits(3, {0, 1}));
  CHECK_FALSE(picker.resume(2, bits(4, {0})));
  REQUIRE(picker.resume(0, bits(4, {0})));
  REQUIRE(picker.resume(1, bits(4, {0})));
  picker.set_missing(0);
  picker.set_wanted(bits(3, {0}));
  CHECK(picker.parts().empty());
  CHECK(picker.active_blocks() == 0);
  REQUIRE(picker.activate(0));
  CHECK(picker.partial_bytes() == 0);
}

// Ready, and everything that was asked for is sent: does a share always complete, each block once?
TEST_CASE("a swarm of peers that come, go, reject and lie completes a share", "[transfer]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    constexpr std::uint32_t pieces_count = 50;
    Rng rng(seed);
    Picker picker = make_picker(pieces_count, k64KiB, seed);
    std::map<std::uint64_t, Bitfield> peers;
    std::map<std::uint64_t, std::vector<BlockRun>> asked;
    std::uint64_t written = 0;
    int turns = 0;
    while (!picker.is_complete()) {
      REQUIRE(++turns < 20'000);
      const std::uint64_t number = rng.below(6);
      if (!peers.contains(number)) {
        Bitfield has(pieces_count);
        for (std::uint32_t p = 0; p < pieces_count; ++p) {
          if (number == 0 || rng.below(2) == 0) has.set(p);
        }
        picker.add_peer(conn(number), has);
        peers.emplace(number, has);
      }
      const Bitfield& has = peers.at(number);
      for (const std::uint32_t piece : picker.wanted_pieces(has, 2)) {
        REQUIRE(picker.prepare(piece));
        if (rng.below(4) > 0) {
          REQUIRE(picker.activate(piece));
        } else {
          picker.abandon(piece);
        }
      }
      for (const BlockRun& run :
           picker.pick(conn(number), has, static_cast<std::uint32_t>(rng.below(12)), at(turns))) {
        for (std::uint16_t i = 0; i < run.count; ++i) {
          asked[number].push_back({run.piece, static_cast<std::uint16_t>(run.first_block + i), 1});
        }
      }
      auto& mine = asked[number];
      while (!mine.empty() && rng.below(4) > 0) {
        const BlockRun run = mine.back();
        mine.pop_back();
        if (rng.below(8) == 0) {
          picker.on_rejected(conn(number), run);
        } else if (picker.on_block_received(conn(number), run.piece, run.first_block).is_wanted) {
          if (rng.below(8) == 0) {
            picker.on_block_failed(run.piece, run.first_block);
          } else {
            picker.on_block_written(run.piece, run.first_block);
            ++written;
          }
        }
      }
      if (number != 0 && rng.below(40) == 0) {
        picker.remove_peer(conn(number), has);
        peers.erase(number);
        asked.erase(number);
      }
      if (rng.below(50) == 0) picker.expire(at(turns - 100));
    }
    CHECK(written == pieces_count * 4);
    CHECK(picker.active_blocks() == 0);
    for (std::uint64_t number = 0; number < 6; ++number)
      CHECK(picker.outstanding(conn(number)) == 0);
  }
}

}  // namespace
}  // namespace peernet::transfer
