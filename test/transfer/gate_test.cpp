#include "transfer/gate.h"

#include <catch2/catch.hpp>

#include <vector>

#include "core/rng.h"

namespace peernet::transfer {
namespace {

constexpr Time kStart{std::chrono::minutes(1)};

Endpoint at(std::string_view text) {
  return *Endpoint::parse(text);
}

// Host `host` of the `net`-th global /24.
Endpoint in_net(std::uint32_t net, std::uint32_t host, std::uint16_t port = 5000) {
  return Endpoint::v4(0x08000000U + (net << 8U) + host, port);
}

class GateTest {
 public:
  explicit GateTest(bool special_use_is_global = false) : gate(special_use_is_global, 512, 256) {}

  Gate::Verdict accept(const Endpoint& from) {
    return gate.on_accepted(kStart, ConnId{++conns}, from);
  }
  std::size_t accept_many(const Endpoint& from, std::size_t count) {
    std::size_t admitted = 0;
    for (std::size_t i = 0; i < count; ++i) admitted += accept(from).is_admitted ? 1U : 0U;
    return admitted;
  }
  std::size_t handshakes(Time now, const Endpoint& from, std::size_t count) {
    std::size_t granted = 0;
    for (std::size_t i = 0; i < count; ++i) granted += gate.may_handshake(now, from) ? 1U : 0U;
    return granted;
  }

  Gate gate;
  std::uint64_t conns = 0;
};

TEST_CASE_METHOD(GateTest, "eight unproven connections come from one IPv4 address", "[transfer]") {
  CHECK(accept_many(at("8.8.8.8:1"), 9) == Gate::kUnprovenPerHostMax);
  CHECK(accept(at("8.8.8.9:1")).is_admitted);
  CHECK(accept_many(at("[::ffff:8.8.8.8]:7"), 1) == 0);

  gate.on_closed(ConnId{1});
  CHECK(accept_many(at("8.8.8.8:2"), 2) == 1);
  CHECK(gate.unproven_of_host(at("8.8.8.8:0")) == Gate::kUnprovenPerHostMax);
}

TEST_CASE_METHOD(GateTest, "eight unproven connections come from one IPv6 /64, 32 from a /48",
                 "[transfer]") {
  CHECK(accept_many(at("[2001:db8:0:1::1]:1"), 5) == 5);
  CHECK(accept_many(at("[2001:db8:0:1::2]:1"), 5) == 3);
  CHECK(accept_many(at("[2001:db8:0:2::1]:1"), 9) == 8);
  CHECK(accept_many(at("[2001:db8:0:3::1]:1"), 9) == 8);
  CHECK(accept_many(at("[2001:db8:0:4::1]:1"), 7) == 7);
  CHECK(accept_many(at("[2001:db8:0:5::1]:1"), 2) == 1);
  CHECK(gate.unproven_of_prefix(at("[2001:db8::]:0")) == Gate::kUnprovenPerPrefixMax);
  CHECK(accept_many(at("[2001:db8:1:1::1]:1"), 1) == 1);
}

TEST_CASE_METHOD(GateTest, "32 unproven connections come from one /24", "[transfer]") {
  std::size_t admitted = 0;
  for (std::uint32_t host = 0; host < 40; ++host) admitted += accept_many(in_net(7, host), 1);
  CHECK(admitted == Gate::kUnprovenPerPrefixMax);
  CHECK(accept(in_net(8, 1)).is_admitted);
}

TEST_CASE_METHOD(GateTest, "when full the oldest of the fullest prefix goes, never a lone newcomer",
                 "[transfer]") {
  const ConnId lone{1};
  REQUIRE(accept(in_net(1000, 1)).is_admitted);
  // 31 nets with 32 each, one with 30, and 1 alone are 1,023.
  for (std::uint32_t net = 0; net < 31; ++net) {
    for (std::uint32_t host = 0; host < 32; ++host) REQUIRE(accept(in_net(net, host)).is_admitted);
  }
  for (std::uint32_t host = 0; host < 30; ++host) REQUIRE(accept(in_net(99, host)).is_admitted);
  auto verdict = accept(in_net(2000, 1));
  CHECK((verdict.is_admitted && !verdict.evicted));
  CHECK(gate.unproven() == Gate::kUnprovenMax);

  verdict = accept(in_net(2001, 1));
  CHECK(verdict.is_admitted);
  CHECK(verdict.evicted == ConnId{2});  // the first of net 0
  CHECK(gate.unproven() == Gate::kUnprovenMax);
  verdict = accept(in_net(2002, 1));
  CHECK(verdict.evicted == ConnId{34});  // the first of net 1, which is now fuller than net 0

  // A flood from everywhere costs the crowded nets first.
  for (std::uint32_t net = 3000; net < 3900; ++net) {
    verdict = accept(in_net(net, 1));
    REQUIRE(verdict.is_admitted);
    REQUIRE(verdict.evicted.has_value());
    REQUIRE(*verdict.evicted != lone);
  }
  CHECK(gate.unproven() == Gate::kUnprovenMax);
  CHECK(gate.unproven_of_host(in_net(1000, 1)) == 1);
}

TEST_CASE("loopback is exempt from host and prefix rules, not from the total", "[transfer]") {
  GateTest open;
  CHECK(open.accept_many(at("127.0.0.1:1"), Gate::kUnprovenMax) == Gate::kUnprovenMax);
  CHECK(open.gate.unproven() == Gate::kUnprovenMax);
  const auto verdict = open.accept(at("8.8.8.8:1"));
  CHECK((verdict.is_admitted && verdict.evicted == ConnId{1}));

  GateTest strict(true);
  CHECK(strict.accept_many(at("127.0.0.1:1"), 9) == Gate::kUnprovenPerHostMax);
}

TEST_CASE("as many unproven connections are held as the gate was told", "[transfer]") {
  Gate gate(false, 2, 1, 3);
  for (std::uint64_t i = 1; i <= 5; ++i) {
    const auto verdict =
        gate.on_accepted(kStart, ConnId{i}, in_net(static_cast<std::uint32_t>(i), 1));
    CHECK(verdict.evicted.has_value() == (i > 3));
  }
  CHECK(gate.unproven() == 3);
}

TEST_CASE("established connections have a limit for each direction", "[transfer]") {
  Gate gate(false, 2, 1);
  REQUIRE(gate.on_accepted(kStart, ConnId{1}, in_net(1, 1)).is_admitted);
  REQUIRE(gate.on_accepted(kStart, ConnId{2}, in_net(2, 1)).is_admitted);
  REQUIRE(gate.on_accepted(kStart, ConnId{3}, in_net(3, 1)).is_admitted);
  CHECK(gate.on_proven(ConnId{1}, true));
  CHECK(gate.on_proven(ConnId{2}, true));
  CHECK_FALSE(gate.on_proven(ConnId{3}, true));
  CHECK(gate.unproven() == 0);

  // Inbound ones take no place of outbound ones, and the reverse.
  gate.on_dialled(ConnId{4});
  gate.on_dialled(ConnId{5});
  CHECK(gate.dialling() == 2);
  CHECK(gate.on_proven(ConnId{4}, false));
  CHECK_FALSE(gate.on_proven(ConnId{5}, false));
  CHECK(gate.dialling() == 0);
  CHECK(gate.established_in() == 2);
  CHECK(gate.established_out() == 1);

  gate.on_closed(ConnId{1});
  gate.on_closed(ConnId{4});
  gate.on_closed(ConnId{77});
  CHECK(gate.on_proven(ConnId{6}, true));
  CHECK(gate.on_proven(ConnId{7}, false));
}

TEST_CASE_METHOD(GateTest, "200 handshakes are computed in a second", "[transfer]") {
  std::size_t granted = 0;
  for (std::uint32_t net = 0; net < 201; ++net) granted += handshakes(kStart, in_net(net, 1), 1);
  CHECK(granted == Gate::kHandshakesPerSecond);
  const Time second = kStart + std::chrono::seconds(1);
  CHECK_FALSE(gate.may_handshake(second - Duration(1), in_net(500, 1)));
  CHECK(gate.may_handshake(second, in_net(500, 1)));
}

TEST_CASE_METHOD(GateTest, "under load a /24 has five handshakes a second", "[transfer]") {
  // Alone it may use half of the budget, and one.
  CHECK(handshakes(kStart, in_net(1, 1), 300) == Gate::kHandshakesPerSecond / 2 + 1);
  // Others still have their five.
  CHECK(handshakes(kStart, in_net(2, 1), 3) == 3);
  CHECK(handshakes(kStart, in_net(2, 99), 7) == 2);
  CHECK(handshakes(kStart, at("[2001:db8:7:1::1]:1"), 3) == 3);
  CHECK(handshakes(kStart, at("[2001:db8:7:2::1]:1"), 3) == 2);
  // Exempt: the rest of the whole budget.
  CHECK(handshakes(kStart, at("127.0.0.1:1"), 300) == 200 - 101 - 5 - 5);
}

TEST_CASE_METHOD(GateTest, "the counts of the gate equal its connections after any happenings",
                 "[transfer]") {
  Rng rng(7);
  std::vector<std::pair<ConnId, Endpoint>> held;
  for (int step = 0; step < 20'000; ++step) {
    if (!held.empty() && rng.below(4) == 0) {
      const std::size_t pick = rng.below(held.size());
      if (rng.below(2) == 0) {
        gate.on_closed(held[pick].first);
      } else {
        gate.on_proven(held[pick].first, true);
        gate.on_closed(held[pick].first);
      }
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(pick));
      continue;
    }
    const auto from = in_net(static_cast<std::uint32_t>(rng.below(200)),
                             static_cast<std::uint32_t>(rng.below(200)));
    const auto verdict = accept(from);
    if (verdict.evicted) {
      std::erase_if(held, [&](const auto& entry) { return entry.first == *verdict.evicted; });
    }
    if (verdict.is_admitted) held.emplace_back(ConnId{conns}, from);
    REQUIRE(held.size() == gate.unproven());
    REQUIRE(gate.unproven() <= Gate::kUnprovenMax);
    REQUIRE(gate.unproven_of_host(from) <= Gate::kUnprovenPerHostMax);
    REQUIRE(gate.unproven_of_prefix(from) <= Gate::kUnprovenPerPrefixMax);
  }
  for (const auto& [conn, from] : held) gate.on_closed(conn);
  CHECK(gate.unproven() == 0);
  CHECK(gate.established_in() == 0);
  for (const auto& [conn, from] : held) CHECK(gate.unproven_of_prefix(from) == 0);
}

}  // namespace
}  // namespace peernet::transfer
