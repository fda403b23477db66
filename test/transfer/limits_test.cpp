#include "transfer/limits.h"

#include <catch2/catch.hpp>

#include <chrono>

namespace peernet::transfer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kBlock = 16'384;

// What passes in ten seconds, looked at each time it may, if there is always a block to take.
std::uint64_t passed(TokenBucket& bucket, Time from) {
  std::uint64_t bytes = 0;
  for (Time now = from; now < from + seconds(10); now = bucket.ready_at(now)) {
    bucket.take(now, kBlock);
    bytes += kBlock;
  }
  return bytes;
}

TEST_CASE("a limit is kept to 5 % over ten seconds, each way by itself", "[transfer]") {
  for (const std::uint64_t rate : {100'000U, 1'000'000U, 100'000'000U}) {
    RateLimits limits({rate, 2 * rate});
    const auto within = [](std::uint64_t bytes, std::uint64_t allowed) {
      return bytes > allowed * 95 / 100 && bytes < allowed * 105 / 100;
    };
    CHECK(within(passed(limits.up, Time{}), rate * 10));
    CHECK(within(passed(limits.down, Time{}), rate * 20));
    limits.change(Time{} + seconds(10), {2 * rate, std::nullopt});
    CHECK(within(passed(limits.up, Time{} + seconds(10)), rate * 20));
    CHECK(limits.rates() == Limits{2 * rate, std::nullopt});
    CHECK(limits.down.may_take(Time{} + seconds(10)));
  }
}

TEST_CASE("what rested is no more than a tenth of a second ahead", "[transfer]") {
  RateLimits limits({10 * kBlock, std::nullopt});
  const Time later = Time{} + seconds(100);
  limits.up.take(later, kBlock);
  CHECK_FALSE(limits.up.may_take(later));
  CHECK(limits.up.ready_at(later) <= later + milliseconds(1));
}

}  // namespace
}  // namespace peernet::transfer
