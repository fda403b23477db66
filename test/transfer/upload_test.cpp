#include "transfer/upload.h"

#include <catch2/catch.hpp>

#include <set>
#include <vector>

#include "core/merkle.h"

namespace peernet::transfer {
namespace {

constexpr std::size_t kBlock = merkle::kBlockSize;

UploadRun run(std::uint16_t channel, std::uint32_t piece, std::uint16_t first,
              std::uint16_t count) {
  return {channel, {piece, first, count}};
}

bool same(const UploadRun& a, const UploadRun& b) {
  return a.channel == b.channel && a.blocks == b.blocks;
}

}  // namespace

TEST_CASE("no more than 256 requests are queued for a peer, whatever their state", "[transfer]") {
  UploadQueue queue;
  for (std::uint32_t i = 0; i < UploadQueue::kRequestsMax; ++i) {
    REQUIRE(queue.add(run(static_cast<std::uint16_t>(1 + i % 3), i, 0, 16)));
  }
  REQUIRE(!queue.add(run(1, 1000, 0, 1)));

  // Being read or ready still counts; only what was sent, or is cancelled, makes room.
  const auto next = queue.next(16);
  REQUIRE(next);
  queue.on_reading(JobId{1}, *next);
  REQUIRE(!queue.add(run(1, 1000, 0, 1)));
  REQUIRE(queue.on_read(JobId{1}, Bytes(16 * kBlock)));
  for (int i = 0; i < 16; ++i) {
    REQUIRE(!queue.add(run(1, 1000, 0, 1)));
    queue.pop_ready(next->channel);
  }
  REQUIRE(queue.add(run(1, 1000, 0, 1)));
  REQUIRE(!queue.add(run(1, 1001, 0, 1)));
  REQUIRE(queue.cancel(run(1, 1000, 0, 1)).size() == 1);
  REQUIRE(queue.add(run(1, 1001, 0, 1)));
}

TEST_CASE("no more than 4096 blocks are queued for a peer, whatever their state", "[transfer]") {
  UploadQueue queue;
  REQUIRE(queue.add(run(1, 0, 0, UploadQueue::kBlocksMax - 1)));
  REQUIRE(!queue.add(run(1, 1, 0, 2)));
  REQUIRE(queue.add(run(1, 1, 0, 1)));
  REQUIRE(!queue.add(run(1, 2, 0, 1)));
  REQUIRE(!queue.add(run(1, 2, 0, 65535)));
  REQUIRE(queue.blocks_count() == UploadQueue::kBlocksMax);

  // Being read still counts; only what was sent makes room.
  const auto next = queue.next(4);
  REQUIRE(next);
  queue.on_reading(JobId{1}, *next);
  REQUIRE(!queue.add(run(1, 2, 0, 1)));
  REQUIRE(queue.on_read(JobId{1}, Bytes(4 * kBlock)));
  queue.pop_ready(1);
  REQUIRE(queue.add(run(1, 2, 0, 1)));
}

TEST_CASE("a run of no blocks is not queued", "[transfer]") {
  UploadQueue queue;
  REQUIRE(!queue.add(run(1, 0, 0, 0)));
  REQUIRE(!queue.has_queued());
}

TEST_CASE("shares take turns, and requests that touch are read together", "[transfer]") {
  UploadQueue queue;
  REQUIRE(queue.add(run(1, 0, 0, 2)));
  REQUIRE(queue.add(run(1, 0, 2, 2)));
  REQUIRE(queue.add(run(1, 5, 0, 1)));
  REQUIRE(queue.add(run(2, 9, 0, 20)));

  REQUIRE(same(*queue.next(16), run(1, 0, 0, 4)));
  REQUIRE(same(*queue.next(16), run(2, 9, 0, 16)));
  REQUIRE(same(*queue.next(16), run(1, 5, 0, 1)));
  REQUIRE(same(*queue.next(16), run(2, 9, 16, 4)));
  REQUIRE(!queue.next(16));
}

TEST_CASE("blocks leave one by one in the order they were read, the last one short", "[transfer]") {
  UploadQueue queue;
  REQUIRE(queue.add(run(3, 7, 2, 2)));
  queue.on_reading(JobId{1}, *queue.next(16));
  REQUIRE(!queue.ready());
  Bytes data(kBlock + 10);
  data[0] = 1;
  data[kBlock] = 2;
  REQUIRE(queue.on_read(JobId{1}, data));
  REQUIRE(queue.bytes_ahead() == data.size());

  REQUIRE(queue.ready()->block == 2);
  REQUIRE(queue.ready()->data.size() == kBlock);
  REQUIRE(queue.ready()->data[0] == 1);
  queue.pop_ready(3);
  REQUIRE(queue.ready()->block == 3);
  REQUIRE(queue.ready()->data.size() == 10);
  REQUIRE(queue.ready()->data[0] == 2);
  queue.pop_ready(3);
  REQUIRE(!queue.has_ready());
  REQUIRE(queue.blocks_count() == 0);
  REQUIRE(queue.bytes_ahead() == 0);
}

TEST_CASE(
    "ready blocks of several shares leave in turns, and a share that is held holds nobody back",
    "[transfer]") {
  UploadQueue queue;
  REQUIRE(queue.add(run(1, 0, 0, 3)));
  REQUIRE(queue.add(run(2, 9, 0, 2)));
  queue.on_reading(JobId{1}, *queue.next(16));
  queue.on_reading(JobId{2}, *queue.next(16));
  REQUIRE(queue.on_read(JobId{1}, Bytes(3 * kBlock)));
  REQUIRE(queue.on_read(JobId{2}, Bytes(2 * kBlock)));

  std::vector<int> order;
  const auto send = [&](const std::set<wire::ShareChannel>& held) {
    const auto block = queue.ready(held);
    if (!block) return false;
    order.push_back(block->channel);
    queue.pop_ready(block->channel);
    return true;
  };
  REQUIRE(send({}));
  REQUIRE(send({}));
  REQUIRE(send({1}));
  REQUIRE(!send({1}));
  REQUIRE(queue.has_ready());
  REQUIRE(send({2}));
  REQUIRE(send({}));
  REQUIRE(order == std::vector<int>{1, 2, 2, 1, 1});
  REQUIRE(!queue.has_ready());
}

TEST_CASE("a share that reads ahead as far as it may leaves the others to read", "[transfer]") {
  UploadQueue queue;
  constexpr std::uint16_t ahead = UploadQueue::kReadAheadMin / kBlock;
  REQUIRE(queue.add(run(1, 0, 0, 2 * ahead)));
  queue.on_reading(JobId{1}, *queue.next(ahead));
  REQUIRE(!queue.next(1));
  REQUIRE(queue.add(run(2, 9, 0, 1)));
  REQUIRE(same(*queue.next(16), run(2, 9, 0, 1)));
  REQUIRE(!queue.next(1));
  REQUIRE(queue.on_read(JobId{1}, Bytes(ahead * kBlock)));
  REQUIRE(!queue.next(1));
  for (int i = 0; i < ahead; ++i) queue.pop_ready(1);
  REQUIRE(same(*queue.next(16), run(1, 0, ahead, 16)));
}

TEST_CASE("more is read ahead each time that the disk is behind, up to kReadAheadMax",
          "[transfer]") {
  UploadQueue queue;
  std::uint64_t job = 0;
  const auto read = [&] {
    while (const auto next = queue.next(16)) queue.on_reading(JobId{++job}, *next);
    return queue.bytes_ahead();
  };
  REQUIRE(queue.add(run(1, 0, 0, 1000)));
  queue.on_drained();  // nothing is being read: the peer asks for no more
  CHECK(read() == UploadQueue::kReadAheadMin);
  REQUIRE(queue.on_read(JobId{1}, Bytes(16 * kBlock)));
  queue.on_drained();  // something is ready
  CHECK(read() == UploadQueue::kReadAheadMin);
  for (int i = 0; i < 16; ++i) queue.pop_ready(1);
  CHECK(read() == UploadQueue::kReadAheadMin);
  queue.on_drained();
  CHECK(read() == 2 * UploadQueue::kReadAheadMin);
  for (int i = 0; i < 9; ++i) queue.on_drained();
  CHECK(read() == UploadQueue::kReadAheadMax);
}

TEST_CASE("shares together read ahead no further than kReadAheadAllMax", "[transfer]") {
  UploadQueue queue;
  const auto shares_count =
      static_cast<std::uint16_t>(2 * UploadQueue::kReadAheadAllMax / UploadQueue::kReadAheadMin);
  for (std::uint16_t share = 0; share < shares_count; ++share) {
    for (std::uint32_t i = 0; i < 4; ++i) REQUIRE(queue.add(run(share, i, 0, 16)));
  }
  std::uint64_t job = 0;
  while (const auto next = queue.next(16)) queue.on_reading(JobId{++job}, *next);
  CHECK(queue.bytes_ahead() == UploadQueue::kReadAheadAllMax);
  CHECK(queue.has_queued());
}

TEST_CASE("a cancel takes what is still queued, in parts where it must", "[transfer]") {
  UploadQueue queue;
  REQUIRE(queue.add(run(1, 4, 0, 10)));
  const auto cancelled = queue.cancel(run(1, 4, 3, 2));
  REQUIRE(cancelled.size() == 1);
  REQUIRE(same(cancelled[0], run(1, 4, 3, 2)));
  REQUIRE(queue.blocks_count() == 8);
  REQUIRE(same(*queue.next(16), run(1, 4, 0, 3)));
  REQUIRE(same(*queue.next(16), run(1, 4, 5, 5)));
  // Another share's, another piece's, or nothing at all.
  REQUIRE(queue.cancel(run(2, 4, 0, 10)).empty());
  REQUIRE(queue.cancel(run(1, 4, 0, 10)).empty());
}

TEST_CASE("clearing gives every block that was not sent, and late reads are dropped",
          "[transfer]") {
  UploadQueue queue;
  REQUIRE(queue.add(run(1, 0, 0, 4)));
  queue.on_reading(JobId{1}, *queue.next(4));
  REQUIRE(queue.on_read(JobId{1}, Bytes(4 * kBlock)));
  queue.pop_ready(1);
  REQUIRE(queue.add(run(1, 1, 0, 4)));
  queue.on_reading(JobId{2}, *queue.next(4));
  REQUIRE(queue.add(run(2, 2, 0, 4)));

  std::uint32_t blocks_count = 0;
  for (const UploadRun& cleared : queue.clear()) blocks_count += cleared.blocks.count;
  REQUIRE(blocks_count == 3 + 4 + 4);
  REQUIRE(queue.blocks_count() == 0);
  REQUIRE(queue.bytes_ahead() == 0);
  REQUIRE(!queue.on_read(JobId{2}, Bytes(4 * kBlock)));
  REQUIRE(!queue.on_unreadable(JobId{2}));
  REQUIRE(!queue.ready());
}

TEST_CASE("a run that cannot be read is given back to be rejected, once", "[transfer]") {
  UploadQueue queue;
  REQUIRE(queue.add(run(1, 0, 0, 4)));
  queue.on_reading(JobId{1}, *queue.next(4));
  REQUIRE(same(*queue.on_unreadable(JobId{1}), run(1, 0, 0, 4)));
  REQUIRE(!queue.on_unreadable(JobId{1}));
  REQUIRE(queue.blocks_count() == 0);
}

}  // namespace peernet::transfer
