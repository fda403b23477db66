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

  Pipeline pipeline;
  Time now = Time{} + seconds(100);
  Time busy_until = now;
  std::deque<Time> arrivals;
  std::uint64_t received = 0;

  void run(Duration duration) {
    const Time end = now + duration;
    while (now < end) {
      const std::uint32_t room = pipeline.room();
      if (room > 0) pipeline.on_request(now, room);
      for (std::uint32_t i = 0; i < room; ++i) {
        busy_until = std::max(busy_until, now + round_trip / 2) +
                     Duration(static_cast<std::int64_t>(kBlockSize / rate * 1e6));
        arrivals.push_back(busy_until + round_trip / 2);
      }
      now = std::max(now, arrivals.front());
      arrivals.pop_front();
      received += kBlockSize;
      pipeline.on_block(now, kBlockSize);
    }
  }
};

TEST_CASE("a pipeline fills a fast and long path", "[transfer]") {
  Link link(20e6, milliseconds(100));
  link.run(seconds(3));
  link.received = 0;
  link.run(seconds(5));
  CHECK(static_cast<double>(link.received) / 5 > 0.97 * 20e6);
}

TEST_CASE("a pipeline reaches its maximum in a few round trips, and never passes it",
          "[transfer]") {
  Link link(1e9, milliseconds(20));
  link.run(milliseconds(250));
  CHECK(link.pipeline.window() == kWindowMax);
  link.run(seconds(2));
  CHECK(link.pipeline.window() == kWindowMax);
  CHECK(link.pipeline.in_flight() <= kWindowMax);
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

}  // namespace
}  // namespace peernet::transfer
