#include "transfer/pipeline.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>

#include "transfer/layout.h"

namespace peernet::transfer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A peer that answers in order, `rate` bytes a second, each answer half a round trip on its way.
struct Link {
  Link(double bytes_per_second, Duration there_and_back)
      : rate(bytes_per_second), round_trip(there_and_back) {}

  double rate;
  Duration round_trip;
  std::uint32_t run_blocks = 16;  // in one request

  Pipeline pipeline;
  Time now = Time{} + seconds(100);
  Time busy_until = now;
  std::deque<Time> arrivals;
  std::uint64_t received = 0;
  std::uint32_t most_in_flight = 0;

  void run(Duration duration) {
    const Time end = now + duration;
    while (now < end) {
      const std::uint32_t room = pipeline.room();
      for (std::uint32_t left = room; left > 0;) {
        const std::uint32_t count = std::min(left, run_blocks);
        pipeline.on_request(now, count);
        left -= count;
      }
      for (std::uint32_t i = 0; i < room; ++i) {
        busy_until = std::max(busy_until, now + round_trip / 2) +
                     Duration(static_cast<std::int64_t>(kBlockSize / rate * 1e6));
        arrivals.push_back(busy_until + round_trip / 2);
      }
      most_in_flight = std::max(most_in_flight, pipeline.in_flight());
      now = std::max(now, arrivals.front());
      arrivals.pop_front();
      received += kBlockSize;
      pipeline.on_block(now, kBlockSize);
    }
  }
};

TEST_CASE("a pipeline fills a fast and long path", "[transfer]") {
  Link link(125e6, milliseconds(100));
  link.run(seconds(3));
  link.received = 0;
  link.run(seconds(5));
  CHECK(static_cast<double>(link.received) / 5 > 0.97 * 125e6);
}

TEST_CASE("no more requests are out than a peer must accept, however short they are",
          "[transfer]") {
  Link link(1e9, milliseconds(20));
  link.run_blocks = 1;
  link.run(seconds(2));
  CHECK(link.pipeline.window() > kRequestsMax);
  CHECK(link.pipeline.in_flight() <= kRequestsMax);
  CHECK(link.most_in_flight == kRequestsMax);
  // And longer ones have the whole window again.
  link.run_blocks = 16;
  link.run(seconds(2));
  CHECK(link.most_in_flight > 2 * kRequestsMax);
}

TEST_CASE("a pipeline reaches its maximum in a few round trips, and never passes it",
          "[transfer]") {
  Link link(1e9, milliseconds(20));
  link.run(milliseconds(250));
  CHECK(link.pipeline.window() == kWindowMax);
  link.run(seconds(2));
  CHECK(link.pipeline.window() == kWindowMax);
  CHECK(link.most_in_flight <= kWindowMax);
  CHECK(link.most_in_flight > kRequestsMax);
}

TEST_CASE("a slow peer never holds many blocks", "[transfer]") {
  Link link(100e3, milliseconds(50));
  link.run(seconds(30));
  CHECK(link.pipeline.window() <= 6);
  CHECK(link.pipeline.window() >= kWindowMin);
  link.received = 0;
  link.run(seconds(20));
  CHECK(static_cast<double>(link.received) / 20 > 0.95 * 100e3);
}

TEST_CASE("the window is taken back when a peer slows down", "[transfer]") {
  Link link(20e6, milliseconds(20));
  link.run(seconds(5));
  CHECK(link.pipeline.window() > 200);
  link.rate = 500e3;
  link.run(seconds(20));
  CHECK(link.pipeline.window() <= 20);
}

TEST_CASE("the window is never under its minimum", "[transfer]") {
  Link link(1e3, milliseconds(2000));
  link.run(seconds(600));
  CHECK(link.pipeline.window() == kWindowMin);
}

TEST_CASE("what is rejected makes room, and a restart forgets what was out", "[transfer]") {
  Pipeline pipeline;
  const Time now = Time{} + seconds(1);
  CHECK(pipeline.room() == kWindowInitial);
  pipeline.on_request(now, kWindowInitial);
  CHECK(pipeline.room() == 0);
  pipeline.on_rejected(3);
  CHECK(pipeline.room() == 3);
  pipeline.on_rejected(100);
  CHECK(pipeline.in_flight() == 0);
  pipeline.on_block(now, kBlockSize);  // late: nothing is out
  CHECK(pipeline.in_flight() == 0);

  pipeline.on_request(now, 5);
  pipeline.restart();
  CHECK(pipeline.in_flight() == 0);
  CHECK(pipeline.window() == kWindowInitial);
  pipeline.on_request(now, UINT32_MAX);
  CHECK(pipeline.in_flight() == kWindowMax);
}

TEST_CASE(
    "what a peer is late with is asked of others, and it is asked for little until something comes",
    "[transfer]") {
  Pipeline pipeline;
  const Time start = Time{} + seconds(100);
  CHECK_FALSE(pipeline.is_late(start + seconds(1000)));  // nothing is out
  pipeline.on_request(start, 8);
  CHECK_FALSE(pipeline.is_late(start + kPatienceInitial));
  REQUIRE(pipeline.is_late(start + kPatienceInitial + Duration(1)));
  const Time late = start + kPatienceInitial + Duration(1);
  pipeline.on_given_up(late, 6);  // nobody else has two of them
  CHECK(pipeline.is_doubted());
  CHECK(pipeline.room() == 0);
  CHECK_FALSE(pipeline.is_late(late + 2 * kPatienceInitial));
  CHECK(pipeline.is_late(late + 2 * kPatienceInitial + Duration(1)));
  pipeline.on_given_up(late, 2);
  CHECK(pipeline.room() == kWindowMin);
  for (int i = 0; i < 100; ++i) pipeline.on_given_up(late, 0);
  CHECK(pipeline.patience() == kPatienceMax);
  SECTION("a block that was given up came after all") {
    pipeline.on_late_block(late);
    CHECK_FALSE(pipeline.is_doubted());
    CHECK(pipeline.patience() == kPatienceInitial);
  }
  SECTION("a block that is out came") {
    pipeline.on_request(late, 4);
    pipeline.on_block(late + milliseconds(10), kBlockSize);
    CHECK_FALSE(pipeline.is_doubted());
    CHECK(pipeline.patience() == kPatienceMin);
  }
  SECTION("it unchoked us anew") {
    pipeline.restart();
    CHECK_FALSE(pipeline.is_doubted());
  }
}

TEST_CASE("a block that nobody asked for makes a late peer no better", "[transfer]") {
  Pipeline pipeline;
  const Time start{};
  pipeline.on_request(start, 3);
  const Time later = start + kPatienceInitial + milliseconds(1);
  REQUIRE(pipeline.is_late(later));
  pipeline.on_late_block(later);
  CHECK(pipeline.is_late(later));
  pipeline.on_given_up(later, 1);
  REQUIRE(pipeline.is_doubted());
  pipeline.on_late_block(later);  // the one
  CHECK_FALSE(pipeline.is_doubted());
  pipeline.on_given_up(later, 0);
  pipeline.on_late_block(later);
  CHECK(pipeline.is_doubted());
}

TEST_CASE("patience follows how long blocks take and how much that varies", "[transfer]") {
  Pipeline steady;
  Pipeline wild;
  Time now = Time{} + seconds(100);
  for (int i = 0; i < 200; ++i) {
    steady.on_request(now, 1);
    steady.on_block(now + seconds(4), kBlockSize);
    wild.on_request(now, 1);
    wild.on_block(now + (i % 2 == 0 ? seconds(1) : seconds(7)), kBlockSize);
    now += seconds(10);
  }
  CHECK(steady.patience() >= seconds(4));
  CHECK(steady.patience() < seconds(5));
  CHECK(wild.patience() > seconds(12));
  CHECK(wild.patience() < seconds(20));
}

}  // namespace
}  // namespace peernet::transfer
