#include "dht/response_time.h"

#include <catch2/catch.hpp>

namespace peernet::dht::test {

using namespace std::chrono_literals;

TEST_CASE("the soft timeout of a node follows its own answers within its bounds", "[dht]") {
  ResponseTime steady;
  for (int i = 0; i < 50; ++i) steady.add(200ms);
  CHECK(steady.soft_timeout() >= 200ms);
  CHECK(steady.soft_timeout() < 250ms);

  ResponseTime fast;
  for (int i = 0; i < 50; ++i) fast.add(1ms);
  CHECK(fast.soft_timeout() == kSoftTimeoutMin);

  ResponseTime erratic;
  for (int i = 0; i < 50; ++i) erratic.add(i % 2 == 0 ? 100ms : 2900ms);
  CHECK(erratic.soft_timeout() == kSoftTimeoutMax);
}

TEST_CASE("nodes we never measured are judged by the recent answers of all", "[dht]") {
  ResponseTimes times;
  CHECK(times.soft_timeout() == 400ms);
  for (int i = 0; i < 200; ++i) times.add(2s);
  CHECK(times.soft_timeout() == kSoftTimeoutMax);
  // What is older than the last answers is forgotten; one slow one of twenty does not count.
  for (std::size_t i = 0; i < ResponseTimes::kKept; ++i) times.add(i % 20 == 0 ? 2s : 120ms);
  CHECK(times.soft_timeout() == 180ms);
}

}  // namespace peernet::dht::test
