#include "daemon/uv/lag.h"

#include <catch2/catch.hpp>

namespace peernet::daemon {
namespace {

TEST_CASE("the lag is the one that 99 of 100 turns stay below, of the last thousand", "[daemon]") {
  LagMeter lag;
  CHECK(lag.p99() == Duration{});
  for (int i = 1; i <= 100; ++i) lag.add(Duration(i));
  CHECK(lag.p99() == Duration(99));
  for (std::size_t i = 0; i < LagMeter::kSamplesMax; ++i) lag.add(Duration(7));
  CHECK(lag.p99() == Duration(7));
}

}  // namespace
}  // namespace peernet::daemon
