// What of a share is durable, and what an interrupted fetch goes on with.

#include <catch2/catch.hpp>

#include <chrono>
#include <vector>

#include "test/transfer/exchange.h"

namespace peernet::transfer {
namespace {

using std::chrono::seconds;

}  // namespace

TEST_CASE("a piece that is lost while it is being saved is not durable when it is saved",
          "[transfer]") {
  const bool is_lost = GENERATE(true, false);
  const Content content = make_content(2);
  Exchange exchange(content);
  Seed seed(exchange, content, 1);
  exchange.settle({&seed});
  exchange.is_store_slow = true;
  seed.send(exchange.now, {0, 0, 4});
  exchange.pass(seconds(2), {&seed});  // written, synced, and given to the store
  REQUIRE_FALSE(exchange.saves.empty());
  if (is_lost) {
    exchange.is_disk_corrupt = true;
    ReadRequest read;
    read.id = content.manifest.id();
    read.reader = ReaderId{1};
    read.size = kBlockSize;
    REQUIRE(exchange.engine.read(exchange.now, read, exchange.out));
    exchange.settle({&seed});
  }
  for (const JobId job : exchange.saves)
    exchange.engine.on_saved(exchange.now, job, {}, exchange.out);
  CHECK(exchange.engine.stats().pieces_durable == (is_lost ? 0 : 1));
}

TEST_CASE("blocks of a piece that is not whole are durable, and never asked for again",
          "[transfer]") {
  Begun begun({{0, 1, 2}});
  Exchange& exchange = begun.exchange;
  const Content& content = begun.content;
  CHECK(exchange.status().durable == 2 * kBlockSize);

  Exchange again(exchange);
  again.settle({});
  CHECK(again.status().durable == 2 * kBlockSize);
  CHECK(again.status().done == 2 * kBlockSize);
  Seed other(again, content, 2);
  again.settle({&other});
  CHECK(count_of(other.asked) == 6);
  CHECK_FALSE(is_asked(other, 0, 1));
  CHECK_FALSE(is_asked(other, 0, 2));
  other.send(again.now, {0, 0, 1});
  other.send(again.now, {0, 3, 1});
  again.pass(seconds(2), {&other});
  CHECK(again.status().pieces_done == 1);
  CHECK(again.status().durable == kPieceLength);
  CHECK(again.engine.stats().pieces_durable == 1);
}

TEST_CASE("no block is durable before the leaf hashes of its piece are written", "[transfer]") {
  const Content content = make_content(2);
  Exchange exchange(content);
  exchange.are_leaves_slow = true;
  Seed seed(exchange, content, 1);
  exchange.settle({&seed});
  seed.send(exchange.now, {0, 0, 2});
  exchange.pass(seconds(3), {&seed});
  CHECK(exchange.status().done == 2 * kBlockSize);
  CHECK(exchange.status().durable == 0);
  for (const JobId job : exchange.leaves_written) {
    exchange.engine.on_file(exchange.now, job, FileOutcome{FileDone{}}, exchange.out);
  }
  exchange.pass(seconds(2), {&seed});
  CHECK(exchange.status().durable == 2 * kBlockSize);
}

TEST_CASE("what of a piece that is not whole cannot be believed is asked for again", "[transfer]") {
  Begun begun({{0, 0, 1}, {0, 2, 1}});
  Exchange& exchange = begun.exchange;
  const Content& content = begun.content;
  REQUIRE(exchange.status().durable == 2 * kBlockSize);
  std::uint32_t lost = 2;
  SECTION("the file ends before one of them") {
    exchange.file_size = kBlockSize;
    lost = 1;
  }
  SECTION("the file is gone") {
    exchange.file_size = 0;
  }
  SECTION("the record is cut short") {
    exchange.saved.progress.at(0).parts.pop_back();
  }
  SECTION("the record names a piece that there is not") {
    exchange.saved.progress.at(0).parts.at(3) = 7;
  }
  Exchange again(exchange);
  SECTION("its leaf hashes are gone") {
    again.leaves_error = Errc::not_found;
  }
  SECTION("its leaf hashes are damaged") {
    again.leaves_error = Errc::corrupt;
  }
  again.settle({});
  CHECK(again.status().durable == (2 - lost) * kBlockSize);
  Seed other(again, content, 2);
  again.settle({&other});
  CHECK(count_of(other.asked) == 6 + lost);
}

TEST_CASE(
    "a passing fault of the disk takes nothing of a piece that is not whole, a lasting one all",
    "[transfer]") {
  const bool is_lasting = GENERATE(false, true);
  Begun begun({{0, 0, 2}});
  Exchange& exchange = begun.exchange;
  const Content& content = begun.content;
  Exchange again(exchange);
  again.leaves_error = Errc::io;
  again.settle({});
  CHECK(again.status().state == ShareState::failed);
  if (!is_lasting) again.leaves_error.reset();
  again.pass(seconds(10), {});
  Seed other(again, content, 2);
  again.settle({&other});
  CHECK(count_of(other.asked) == (is_lasting ? 8 : 6));
}

TEST_CASE("of a resumed piece others are told, and what is wrong of it is lost", "[transfer]") {
  const bool is_wrong = GENERATE(true, false);
  Begun begun({{0, 0, 2}});
  Exchange& exchange = begun.exchange;
  const Content& content = begun.content;

  Exchange again(exchange);
  again.settle({});
  again.is_disk_corrupt = is_wrong;
  Seed leecher(again, content, 3);
  leecher.has = Bitfield(2);
  again.settle({&leecher});
  CHECK(leecher.heard == std::vector<wire::BlockRun>{{0, 0, 2}});
  leecher.add(wire::Interested{Seed::kChannel});
  again.pass(seconds(11), {&leecher});  // until it is unchoked
  leecher.add(wire::Request{Seed::kChannel, {0, 1, 1}});
  again.pass(seconds(1), {&leecher});
  CHECK(leecher.rejected.size() == (is_wrong ? 1 : 0));
  CHECK(again.status().durable == (is_wrong ? 0 : 2 * kBlockSize));
  CHECK(again.status().done == again.status().durable);
  CHECK(again.status().reread == (is_wrong ? 0 : kBlockSize));  // hashed before it was served
}

}  // namespace peernet::transfer
