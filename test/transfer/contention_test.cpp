#include "transfer/contention.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace peernet::transfer {
namespace {

using std::chrono::seconds;

constexpr Time kStart = Time{} + std::chrono::hours(1);

// A node with an uplink, peers in good standing that take so much of it when they can, and debtors
// that take whatever they are let have. Bytes a second.
struct Uplink {
  std::uint64_t rate = 0;
  std::uint64_t good_wants = 0;
  std::uint64_t debtors_want = 0;
};

struct Taken {
  double good = 0;  // of what was sent
  double owing = 0;
};

// Both want the same for each peer: what is contended is shared in proportion.
Taken run(Contention& contention, Time& now, const Uplink& uplink, int looks) {
  Taken taken;
  for (int i = 0; i < looks; ++i) {
    const std::uint64_t debtors = contention.are_debtors_served() ? uplink.debtors_want : 0;
    const std::uint64_t wanted = uplink.good_wants + debtors;
    const double part =
        std::min(1.0, static_cast<double>(uplink.rate) / static_cast<double>(wanted));
    const auto bytes = [&](std::uint64_t want) {
      return static_cast<std::uint64_t>(static_cast<double>(want) * part * 2);
    };
    const Contention::Sent sent{.good = bytes(uplink.good_wants), .owing = bytes(debtors)};
    taken.good += static_cast<double>(sent.good);
    taken.owing += static_cast<double>(sent.owing);
    now += Contention::kLook;
    contention.on_look(now, sent);
  }
  return taken;
}

TEST_CASE("looks at the rates are kLook apart", "[transfer]") {
  Contention contention;
  CHECK(contention.is_due(kStart));
  contention.on_look(kStart, {});
  CHECK_FALSE(contention.is_due(kStart + Contention::kLook - Duration(1)));
  CHECK(contention.is_due(kStart + Contention::kLook));
}

TEST_CASE("debtors get nothing of an uplink that others fill", "[transfer]") {
  Contention contention;
  Time now = kStart;
  contention.on_look(now, {});
  const Taken taken = run(contention, now, {1000, 5000, 5000}, 300);
  CHECK(taken.owing == 0);
  CHECK(taken.good > 0);
}

TEST_CASE("debtors get most of an uplink of which others take little", "[transfer]") {
  Contention contention;
  Time now = kStart;
  run(contention, now, {1000, 5000, 0}, 30);  // what it can carry was seen
  run(contention, now, {1000, 10, 5000}, 30);
  const Taken taken = run(contention, now, {1000, 10, 5000}, 300);
  CHECK(taken.owing / (300 * 2 * 1000) > 0.9);
}

TEST_CASE("when others begin to want the uplink debtors lose it within minutes", "[transfer]") {
  Contention contention;
  Time now = kStart;
  run(contention, now, {1000, 5000, 0}, 30);
  run(contention, now, {1000, 10, 5000}, 1000);
  run(contention, now, {1000, 5000, 5000}, Contention::kServeMax / Contention::kLook + 1);
  CHECK(run(contention, now, {1000, 5000, 5000}, 300).owing == 0);
}

TEST_CASE("what fills buffers at first does not pass for what the uplink carries", "[transfer]") {
  Contention contention;
  Time now = kStart;
  contention.on_look(now, {});
  now += Contention::kLook;
  contention.on_look(now, {.good = 6 * 2000, .owing = 0});
  CHECK(run(contention, now, {1000, 5000, 5000}, 300).owing == 0);
}

TEST_CASE("what the uplink carried long ago does not count", "[transfer]") {
  Contention contention;
  Time now = kStart;
  run(contention, now, {1'000'000, 5'000'000, 0}, 30);
  // Slower since: at first there seems to be room, after some halvings there does not.
  run(contention, now, {1000, 5000, 5000}, 200 * 60);
  CHECK(run(contention, now, {1000, 5000, 5000}, 300).owing == 0);
}

}  // namespace
}  // namespace peernet::transfer
