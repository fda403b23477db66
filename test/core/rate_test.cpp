#include "core/rate.h"

#include <catch2/catch.hpp>

#include <limits>

namespace peernet::test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST_CASE("a steady stream is measured at its rate", "[core]") {
  RateMeter meter;
  for (int tick = 0; tick < 300; ++tick) meter.add(Time{} + tick * 100ms, 1000);
  const Time now = Time{} + 30s;
  CHECK(meter.rate(now, 1) == Approx(10'000).epsilon(0.01));
  CHECK(meter.rate(now) == Approx(10'000).epsilon(0.01));
  CHECK(meter.rate(now, 20) == Approx(10'000).epsilon(0.01));
  CHECK(meter.rate(now + 450ms, 20) == Approx(10'000).epsilon(0.03));
  CHECK(meter.bytes_in(now, 20) == 200'000);
  CHECK(meter.total() == 300'000);
}

TEST_CASE("a young meter divides by its age, and never by less than a second", "[core]") {
  RateMeter meter;
  CHECK(meter.rate(Time{}) == 0.0);
  meter.add(Time{} + 10s, 500);
  CHECK(meter.rate(Time{} + 10s, 20) == Approx(500));
  meter.add(Time{} + 12s, 500);
  CHECK(meter.rate(Time{} + 12s, 20) == Approx(500));
}

TEST_CASE("a stream that stops is forgotten after its window", "[core]") {
  RateMeter meter;
  meter.add(Time{} + 1s, 4000);
  CHECK(meter.bytes_in(Time{} + 6s, 5) == 4000);
  CHECK(meter.bytes_in(Time{} + 7s, 5) == 0);
  CHECK(meter.bytes_in(Time{} + 21s, 20) == 4000);
  CHECK(meter.bytes_in(Time{} + 22s, 20) == 0);
  CHECK(meter.rate(Time{} + 1h) == 0.0);
  meter.add(Time{} + 1h, 10);
  CHECK(meter.bytes_in(Time{} + 1h, 20) == 10);
  CHECK(meter.total() == 4010);
}

TEST_CASE("slots are reused without adding up what they held before", "[core]") {
  RateMeter meter;
  for (int second = 0; second < 100; ++second) meter.add(Time{} + second * 1s, 1);
  CHECK(meter.bytes_in(Time{} + 99s, 20) == 21);  // 20 seconds and the one now running
  // A gap of less than a turn leaves only what is young enough.
  meter.add(Time{} + 110s, 1);
  CHECK(meter.bytes_in(Time{} + 110s, 20) == 11);
}

TEST_CASE("a bucket without a limit lets all pass", "[core]") {
  TokenBucket bucket;
  bucket.take(Time{}, std::numeric_limits<std::uint64_t>::max());
  CHECK_FALSE(bucket.is_limited());
  CHECK(bucket.may_take(Time{}));
  CHECK(bucket.ready_at(Time{}) == Time{});
}

TEST_CASE("a bucket of rate 0 lets nothing pass", "[core]") {
  TokenBucket bucket(0, 1000);
  CHECK_FALSE(bucket.may_take(Time{}));
  CHECK_FALSE(bucket.may_take(Time{} + 24h));
  CHECK(bucket.ready_at(Time{}) == kNever);
}

TEST_CASE("a bucket gives its burst, overdraws by one item, and says when it is ready", "[core]") {
  TokenBucket bucket(1000, 500);
  const Time start = Time{} + 5s;
  bucket.take(start, 499);
  CHECK(bucket.may_take(start));
  bucket.take(start, 16'001);
  CHECK_FALSE(bucket.may_take(start));
  const Time ready = bucket.ready_at(start);
  CHECK(ready == start + 16s + 1us);
  CHECK_FALSE(bucket.may_take(ready - 1us));
  CHECK(bucket.may_take(ready));
  CHECK(bucket.ready_at(ready) == ready);
}

TEST_CASE("a bucket never holds more than its burst, and a second's worth if none is named",
          "[core]") {
  TokenBucket named(1000, 100);
  named.take(Time{} + 1h, 100);
  CHECK_FALSE(named.may_take(Time{} + 1h));
  TokenBucket unnamed(1000);
  unnamed.take(Time{} + 1h, 999);
  CHECK(unnamed.may_take(Time{} + 1h));
  unnamed.take(Time{} + 1h, 1);
  CHECK_FALSE(unnamed.may_take(Time{} + 1h));
}

TEST_CASE("over a long time a bucket passes exactly its rate", "[core]") {
  TokenBucket bucket(123'457, 1000);
  std::uint64_t taken = 0;
  for (Time now{}; now < Time{} + 100s;) {
    while (bucket.may_take(now)) {
      bucket.take(now, 1400);
      taken += 1400;
    }
    now = bucket.ready_at(now);
  }
  CHECK(static_cast<double>(taken) == Approx(12'345'700 + 1000).margin(1400));
}

TEST_CASE("the greatest rates and items stay within the arithmetic", "[core]") {
  const auto huge = std::numeric_limits<std::uint64_t>::max();
  TokenBucket bucket(huge, huge);
  for (int i = 0; i < 100; ++i) bucket.take(Time{}, huge);
  CHECK_FALSE(bucket.may_take(Time{}));
  CHECK(bucket.ready_at(Time{}) <= Time{} + 2s);
  CHECK(bucket.may_take(Time{} + 2s));
  CHECK(bucket.may_take(Time{} + 24h * 36'500));
  TokenBucket slow(1, huge);
  for (int i = 0; i < 100; ++i) slow.take(Time{}, huge);
  CHECK(slow.ready_at(Time{}) == Time{} + 1s * TokenBucket::kUnitsMax + 1us);
}

TEST_CASE("a bucket takes another rate at once, and only a second's worth of debt", "[core]") {
  TokenBucket bucket(1000, 100);
  const Time start{std::chrono::seconds(1)};
  bucket.take(start, 1'000'000);
  CHECK(bucket.ready_at(start) > start + std::chrono::seconds(900));

  bucket.change(start, 2000, 200);
  CHECK(bucket.rate() == 2000);
  CHECK_FALSE(bucket.may_take(start));
  CHECK(bucket.ready_at(start) <= start + std::chrono::seconds(1) + Duration(1000));

  bucket.change(start, std::nullopt);
  CHECK_FALSE(bucket.is_limited());
  CHECK(bucket.may_take(start));

  // From no limit to one: nothing is owed, and nothing is saved up.
  bucket.change(start, 1000, 100);
  CHECK_FALSE(bucket.may_take(start));
  CHECK(bucket.may_take(start + std::chrono::milliseconds(1)));
}

}  // namespace peernet::test
