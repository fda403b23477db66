#include "core/timers.h"

#include <catch2/catch.hpp>

namespace peernet::test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST_CASE("timers expire earliest first, ties by key", "[core]") {
  Timers<int> timers;
  timers.set(3, Time{} + 1s);
  timers.set(2, Time{} + 1s);
  timers.set(1, Time{} + 2s);
  CHECK(timers.next() == Time{} + 1s);
  CHECK_FALSE(timers.pop_expired(Time{} + 999ms));
  CHECK(timers.pop_expired(Time{} + 5s) == 2);
  CHECK(timers.pop_expired(Time{} + 5s) == 3);
  CHECK(timers.pop_expired(Time{} + 5s) == 1);
  CHECK_FALSE(timers.pop_expired(Time{} + 5s));
  CHECK(timers.next() == kNever);
}

TEST_CASE("setting a timer again moves it and cancelling takes it away", "[core]") {
  Timers<int> timers;
  timers.set(1, Time{} + 1s);
  timers.set(1, Time{} + 9s);
  CHECK(timers.size() == 1);
  CHECK_FALSE(timers.pop_expired(Time{} + 2s));
  timers.cancel(1);
  timers.cancel(1);
  CHECK_FALSE(timers.contains(1));
  CHECK(timers.next() == kNever);
}

}  // namespace peernet::test
