// What is asked of whom, and what they are told.

#include "test/transfer/exchange.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace peernet::transfer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A share that is complete, and somebody who lacks all of it and may ask.
struct Served {
  explicit Served(std::uint32_t pieces_count = 32, std::uint32_t blocks_per_piece = 4)
      : content(make_content(pieces_count, blocks_per_piece)) {
    exchange.settle({&giver});
    while (!giver.asked.empty()) {
      for (const wire::BlockRun& run : std::exchange(giver.asked, {})) {
        giver.send(exchange.now, run);
      }
      exchange.settle({&giver});
    }
    taker.has = Bitfield(pieces_count);
    taker.add(wire::Interested{Seed::kChannel});
    exchange.pass(seconds(2), {&giver, &taker});
  }
  void ask_for_all() {
    for (std::uint32_t piece = 0; piece < 32; ++piece) {
      taker.add(wire::Request{Seed::kChannel, {piece, 0, 4}});
    }
    taker.deliver(exchange.now);
    exchange.carry_out();
  }

  Content content;
  Exchange exchange{content};
  Seed giver{exchange, content, 1};
  Seed taker{exchange, content, 2};
};

// And a second one, to whom the first has passed on something.
struct ServedTwo : Served {
  explicit ServedTwo(std::uint32_t pieces_count = 32, std::uint32_t blocks_per_piece = 4)
      : Served(pieces_count, blocks_per_piece) {
    second.has = Bitfield(pieces_count);
    second.add(wire::Interested{Seed::kChannel});
    exchange.pass(seconds(2), {&giver, &taker, &second});
    ask(taker, {0, 0, 1});
    second.add(wire::HaveBlocks{Seed::kChannel, {0, 0, 1}});
    second.deliver(exchange.now);
  }
  // Until all that was asked for is sent or rejected.
  void drain() {
    for (int i = 0; i < 200; ++i) {
      for (const Seed* peer : {&taker, &second}) {
        exchange.engine.on_sent(exchange.now, peer->conn(), 0, exchange.out);
      }
      exchange.settle({&giver, &taker, &second});
    }
  }
  // Gives the blocks that were sent for it.
  std::uint64_t ask(Seed& peer, const wire::BlockRun& run) {
    const std::uint64_t before = exchange.status().uploaded;
    peer.rejected.clear();
    peer.add(wire::Request{Seed::kChannel, run});
    peer.deliver(exchange.now);
    drain();
    return (exchange.status().uploaded - before) / kBlockSize;
  }

  Seed second{exchange, content, 3};
};

}  // namespace

TEST_CASE("what a late peer was asked for is cancelled there and asked of another", "[transfer]") {
  const Content content = make_content(2);
  Exchange exchange(content);
  Seed late(exchange, content, 1);
  exchange.settle({&late});
  REQUIRE(count_of(late.asked) == 8);
  SECTION("who has all of it") {}
  Seed other(exchange, content, 2);
  const auto none = Bitfield(2);
  SECTION("who has all of one piece") {
    other.has = none;
    other.has->set(0);
  }
  SECTION("who has a part of one piece") {
    other.has = none;
    exchange.settle({&late, &other});
    other.add(wire::HaveBlocks{Seed::kChannel, {0, 1, 2}});
  }
  exchange.settle({&late, &other});
  CHECK(late.cancelled.empty());
  const std::uint32_t had_there = !other.has ? 8 : (other.has->none() ? 2 : 4);
  exchange.pass(seconds(12), {&late, &other});
  CHECK(count_of(late.cancelled) == had_there);
  CHECK(count_of(other.asked) == had_there);
}

TEST_CASE("what others were quicker with does not count as asked for a second later",
          "[transfer]") {
  const Content content = make_content(1);
  Exchange exchange(content);
  Seed slow(exchange, content, 1);
  exchange.settle({&slow});
  REQUIRE(count_of(slow.asked) == 4);
  Seed quick(exchange, content, 2);
  exchange.settle({&slow, &quick});
  REQUIRE(count_of(quick.asked) == 4);  // the endgame
  for (const wire::BlockRun& run : quick.asked) {
    quick.send(exchange.now, {run.piece, run.first_block, 1});
  }
  exchange.settle({&slow, &quick});
  REQUIRE(count_of(slow.cancelled) == quick.asked.size());
  // A cancel may go unanswered where the block had gone already.
  exchange.pass(seconds(2), {&slow, &quick});
  CHECK(exchange.requests_out(slow) == 4 - quick.asked.size());
}

TEST_CASE("no more is asked of all peers together than memory holds, until all of it has come",
          "[transfer]") {
  constexpr std::uint32_t blocks_held = 12;
  const Content content = make_content(8);
  Config config;
  config.memory_max = blocks_held * kBlockSize;
  Exchange exchange(content, config);
  Seed one(exchange, content, 1);
  Seed other(exchange, content, 2);
  exchange.settle({&one, &other});
  CHECK(count_of(one.asked) + count_of(other.asked) == blocks_held);
  std::uint32_t rounds_count = 0;
  while (exchange.engine.share(exchange.now, content.manifest.id())->done < 8 * kPieceLength) {
    REQUIRE(++rounds_count < 100);
    for (Seed* seed : {&one, &other}) {
      for (const wire::BlockRun& run : std::exchange(seed->asked, {}))
        seed->send(exchange.now, run);
      exchange.settle({&one, &other});
      CHECK(exchange.requests_out(one) + exchange.requests_out(other) <= blocks_held);
      CHECK(exchange.engine.stats().block_bytes_held <= config.memory_max);
    }
  }
}

TEST_CASE("while 2 MiB of a share wait for the disk nothing more is asked for, but over a pause",
          "[transfer]") {
  constexpr std::size_t waiting_max = (2U << 20U) / kBlockSize;
  const Content content = make_content(256);
  Exchange exchange(content);
  Seed seed(exchange, content, 1);
  exchange.is_disk_slow = true;
  exchange.settle({&seed});
  const auto send_all = [&] {
    const std::size_t count = count_of(seed.asked);
    for (const wire::BlockRun& run : std::exchange(seed.asked, {})) seed.send(exchange.now, run);
    exchange.settle({&seed});
    return count;
  };
  std::size_t sent = 0;
  while (!seed.asked.empty()) {
    REQUIRE(sent < 2 * waiting_max);
    sent += send_all();
  }
  CHECK(sent >= waiting_max);
  CHECK(exchange.requests_out(seed) == 0);

  // It reports, and less waits.
  REQUIRE(exchange.blocks_written.size() > 1);
  for (const JobId job : std::exchange(exchange.blocks_written, {})) {
    exchange.now += milliseconds(10);
    exchange.engine.on_file(exchange.now, job, FileOutcome{BlocksWritten{}}, exchange.out);
  }
  CHECK(exchange.requests_out(seed) > 0);
  exchange.settle({&seed});
  for (sent = 0; !seed.asked.empty();) sent += send_all();
  CHECK(sent >= waiting_max);

  // It reports of little, and in time.
  const auto pass = [&](milliseconds time) {
    exchange.now += time;
    exchange.engine.on_time(exchange.now, exchange.out);
  };
  REQUIRE(exchange.blocks_written.size() > 1);
  pass(milliseconds(60));
  exchange.engine.on_file(exchange.now, exchange.blocks_written.back(),
                          FileOutcome{BlocksWritten{}}, exchange.out);
  exchange.blocks_written.pop_back();
  pass(milliseconds(60));
  CHECK(exchange.requests_out(seed) == 0);

  // It makes a pause.
  pass(milliseconds(39));
  CHECK(exchange.requests_out(seed) == 0);
  CHECK(exchange.engine.deadline() <= exchange.now + milliseconds(1));
  pass(milliseconds(1));
  CHECK(exchange.requests_out(seed) > 0);
}

TEST_CASE("while none of twenty has a piece some more are dialled, and in time all", "[transfer]") {
  const Content content = make_content(2);
  Exchange exchange(content);
  std::vector<Endpoint> known;
  for (std::uint32_t i = 0; i < 60; ++i) {
    known.push_back(Endpoint::v4(0x08000000U + (i << 8U), 7341));
  }
  exchange.engine.add_peers(exchange.now, dht_key(content.manifest.id()), known, exchange.out);
  std::vector<std::unique_ptr<Seed>> those;
  const auto pass = [&](Duration time) {
    for (const Time end = exchange.now + time; exchange.now < end;) {
      exchange.now += milliseconds(100);
      exchange.engine.on_time(exchange.now, exchange.out);
      exchange.carry_out();
      for (const ConnId conn : std::exchange(exchange.dialled, {})) {
        const auto number = static_cast<std::uint8_t>(those.size());
        those.push_back(std::make_unique<Seed>(exchange, content, exchange.now, conn, number));
        those.back()->has = Bitfield(2);
        those.back()->has->set(0);
      }
      std::vector<Seed*> seeds;
      seeds.reserve(those.size());
      for (const auto& one : those) seeds.push_back(one.get());
      exchange.settle(seeds);
    }
  };
  pass(seconds(8));
  CHECK(those.size() >= kDialledEnough + 3);
  CHECK(those.size() <= kDialledEnough + Dialer::kDialBurst + 5);
  // None of them has given us anything.
  pass(seconds(80));
  CHECK(those.size() == known.size());
}

TEST_CASE("who lacks a written block is told of it", "[transfer]") {
  const Content content = make_content(2);
  Exchange exchange(content);
  Seed giver(exchange, content, 1);
  Seed other(exchange, content, 2);
  exchange.settle({&giver});
  REQUIRE_FALSE(giver.asked.empty());
  const wire::BlockRun first{giver.asked.front().piece, giver.asked.front().first_block, 1};
  other.has = Bitfield(2);
  const bool has_piece = GENERATE(true, false);
  if (has_piece) other.has->set(first.piece);
  exchange.settle({&giver, &other});
  giver.send(exchange.now, first);
  exchange.settle({&giver, &other});
  CHECK(other.heard == (has_piece ? std::vector<wire::BlockRun>{} : std::vector{first}));
  exchange.pass(seconds(2), {&giver, &other});
  CHECK(giver.heard.empty());
}

TEST_CASE("a seed is told of a block that another than a seed passed on", "[transfer]") {
  const bool is_seed = GENERATE(true, false);
  const Content content = make_content(2);
  Exchange exchange(content);
  Seed giver(exchange, content, 1);
  if (!is_seed) {
    giver.has = Bitfield(2);
    giver.has->set(0);
  }
  Seed origin(exchange, content, 2);
  exchange.settle({&giver});
  REQUIRE_FALSE(giver.asked.empty());
  const wire::BlockRun first{giver.asked.front().piece, giver.asked.front().first_block, 1};
  exchange.settle({&giver, &origin});
  giver.send(exchange.now, first);
  exchange.settle({&giver, &origin});
  exchange.pass(seconds(2), {&giver, &origin});
  CHECK(origin.heard == (is_seed ? std::vector<wire::BlockRun>{} : std::vector{first}));
}

TEST_CASE("who lacks nothing is told of a piece within a second, who lacks something at once",
          "[transfer]") {
  const bool is_seed = GENERATE(true, false);
  const Content content = make_content(2);
  Exchange exchange(content);
  Seed giver(exchange, content, 1);
  Seed other(exchange, content, 2);
  if (!is_seed) other.has = Bitfield(2);
  exchange.settle({&giver, &other});
  const std::vector<wire::BlockRun> asked = is_seed ? other.asked : giver.asked;
  REQUIRE_FALSE(asked.empty());
  (is_seed ? other : giver).send(exchange.now, {asked.front().piece, 0, 4});
  exchange.settle({&giver});
  exchange.settle({&other});
  const std::vector<std::uint32_t> whole{asked.front().piece};
  CHECK((other.haves == whole) == !is_seed);
  exchange.pass(seconds(1), {&giver, &other});
  CHECK(other.haves == whole);
}

TEST_CASE("more is read ahead for a peer when its connection has sent all that the disk gave",
          "[transfer]") {
  Served served;
  auto& [content, exchange, giver, taker] = served;

  exchange.are_reads_lost = true;
  served.ask_for_all();
  CHECK(exchange.bytes_waited_for == UploadQueue::kReadAheadMin);
  exchange.engine.on_sent(exchange.now, taker.conn(), 100, exchange.out);
  exchange.carry_out();
  CHECK(exchange.bytes_waited_for == UploadQueue::kReadAheadMin);
  exchange.engine.on_sent(exchange.now, taker.conn(), 0, exchange.out);
  exchange.carry_out();
  CHECK(exchange.bytes_waited_for == 2 * UploadQueue::kReadAheadMin);
}

TEST_CASE("what was asked of a share that is closed goes to no other on its channel",
          "[transfer]") {
  Served served;
  auto& [content, exchange, giver, taker] = served;
  REQUIRE(exchange.fetch(1));

  // It does not read: some of it is ready, the rest queued.
  served.ask_for_all();
  REQUIRE(exchange.engine.pause(exchange.now, content.manifest.id(), exchange.out));
  taker.add(taker.opening(Seed::kChannel, 1));
  taker.deliver(exchange.now);
  const std::uint64_t sent = exchange.status().uploaded;
  exchange.engine.on_sent(exchange.now, taker.conn(), 0, exchange.out);
  exchange.settle({&taker});
  CHECK(exchange.status().uploaded == sent);
  CHECK(exchange.engine.share(exchange.now, test::tagged<ShareId>(1))->uploaded == 0);
  CHECK(taker.rejected.empty());
}

TEST_CASE("what a seed declines is asked of another at once, and of it again after a second",
          "[transfer]") {
  const Content content = make_content(3);
  Exchange exchange(content);
  Seed declining(exchange, content, 1);
  exchange.settle({&declining});
  REQUIRE(count_of(declining.asked) == 8);
  const std::uint32_t piece = declining.asked.front().piece;
  Seed other(exchange, content, 2);
  other.has = Bitfield(3);
  other.has->set(piece);
  exchange.pass(seconds(2), {&declining, &other});
  REQUIRE(other.asked.empty());

  declining.asked.clear();
  declining.add(wire::Reject{Seed::kChannel, {piece, 0, 4}});
  declining.deliver(exchange.now);
  exchange.settle({&declining, &other});
  exchange.now = exchange.engine.deadline();
  CHECK(exchange.now <= kNow + seconds(2) + milliseconds(100));
  exchange.engine.on_time(exchange.now, exchange.out);
  exchange.settle({&declining, &other});
  for (std::uint16_t block = 0; block < 4; ++block) {
    CHECK(is_asked(other, piece, block));
    CHECK_FALSE(is_asked(declining, piece, block));
  }

  // The other would not give it either.
  other.add(wire::Reject{Seed::kChannel, {piece, 0, 4}});
  other.deliver(exchange.now);
  other.asked.clear();
  declining.asked.clear();
  exchange.pass(kDeclinedTime + milliseconds(500), {&declining, &other});
  for (std::uint16_t block = 0; block < 4; ++block) {
    CHECK((is_asked(declining, piece, block) || is_asked(other, piece, block)));
  }
}

TEST_CASE("who declines blocks of kDeclinedPiecesMax pieces is asked for nothing for a while",
          "[transfer]") {
  const Content content = make_content(kDeclinedPiecesMax + 64);
  Exchange exchange(content);
  Seed declining(exchange, content, 1);
  exchange.settle({&declining});
  std::uint32_t rounds = 0;
  std::set<std::uint32_t> pieces;
  while (!declining.asked.empty()) {
    REQUIRE(++rounds < 1000);
    for (const wire::BlockRun& run : std::exchange(declining.asked, {})) {
      pieces.insert(run.piece);
      declining.add(wire::Reject{Seed::kChannel, run});
    }
    declining.deliver(exchange.now);
    exchange.settle({&declining});
  }
  CHECK(pieces.size() >= kDeclinedPiecesMax);
  CHECK(pieces.size() < kDeclinedPiecesMax + 64);
  exchange.pass(kDeclinedTime + milliseconds(500), {&declining});
  CHECK_FALSE(declining.asked.empty());
}

TEST_CASE("a seed declines what it sent before while there is what it sent nobody", "[transfer]") {
  ServedTwo served;
  Exchange& exchange = served.exchange;
  Seed& giver = served.giver;
  Seed& taker = served.taker;
  Seed& second = served.second;
  const Content& content = served.content;
  const auto ask = [&served](Seed& peer, const wire::BlockRun& run) {
    return served.ask(peer, run);
  };

  // All but the last block.
  for (std::uint32_t piece = 0; piece < 31; ++piece) CHECK(ask(taker, {piece, 0, 4}) == 4);
  CHECK(ask(taker, {31, 0, 3}) == 3);
  SECTION("in whole runs and parts of them, until there is nothing new any more") {
    CHECK(ask(second, {5, 0, 4}) == 0);
    CHECK(second.rejected == std::vector<wire::BlockRun>{{5, 0, 4}});
    CHECK(ask(second, {31, 0, 4}) == 1);
    CHECK(second.rejected == std::vector<wire::BlockRun>{{31, 0, 3}});
    exchange.pass(seconds(1), {&giver, &taker, &second});
    CHECK(ask(second, {5, 0, 4}) == 4);
    CHECK(second.rejected.empty());
  }
  SECTION("also what was read for a peer and sent to another meanwhile") {
    // Both ask for it before either is sent it.
    for (Seed* peer : {&second, &taker}) peer->add(wire::Request{Seed::kChannel, {31, 3, 1}});
    const std::uint64_t before = exchange.status().uploaded;
    taker.rejected.clear();
    second.rejected.clear();
    taker.deliver(exchange.now);
    second.deliver(exchange.now);
    served.drain();
    CHECK(exchange.status().uploaded == before + kBlockSize);
    CHECK(count_of(taker.rejected) + count_of(second.rejected) == 1);
  }
  SECTION("not what nobody has any more") {
    Seed third(exchange, content, 4);
    third.has = Bitfield(32);
    third.has->set(5);
    exchange.settle({&giver, &taker, &second, &third});
    CHECK(ask(second, {5, 0, 4}) == 0);
    exchange.engine.on_closed(exchange.now, third.conn(), Error{Errc::closed, "gone", {}},
                              exchange.out);
    CHECK(ask(second, {5, 0, 4}) == 4);
  }
}

TEST_CASE("what a seed declines is rejected in as few messages as it can be", "[transfer]") {
  ServedTwo served(2, 32);
  CHECK(served.ask(served.taker, {0, 0, 32}) == 32);
  CHECK(served.ask(served.taker, {1, 0, 31}) == 31);
  CHECK(served.ask(served.second, {0, 0, 32}) == 0);
  CHECK(served.second.rejected == std::vector<wire::BlockRun>{{0, 0, 32}});
  CHECK(served.ask(served.second, {1, 0, 32}) == 1);
  CHECK(served.second.rejected == std::vector<wire::BlockRun>{{1, 0, 31}});
}

}  // namespace peernet::transfer
