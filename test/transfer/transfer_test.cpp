#include "transfer/transfer.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "test/support/support.h"
#include "test/transfer/engine.h"

namespace peernet::transfer {

TEST_CASE("a node holds its number of shares and no more", "[transfer]") {
  Fixture f;
  for (std::uint64_t i = 1; i <= kSharesMax; ++i) REQUIRE(f.fetch(i));
  const auto one_more = f.fetch(kSharesMax + 1);
  REQUIRE_FALSE(one_more);
  CHECK(one_more.error().code == Errc::too_large);
  CHECK(f.fetch(7));  // one that is known is no new one
}

TEST_CASE("so many imports at a time and no more", "[transfer]") {
  Fixture f;
  const auto failures = [&f] {
    int count = 0;
    while (const auto event = f.engine.next_event()) {
      if (std::holds_alternative<ImportFailed>(*event)) ++count;
    }
    return count;
  };
  for (std::size_t i = 0; i < kImportsMax; ++i) f.engine.add(kNow, AddRequest{}, f.out);
  CHECK(failures() == 0);
  f.engine.add(kNow, AddRequest{}, f.out);
  CHECK(failures() == 1);
}

TEST_CASE("who asks for one unknown share after the other is closed", "[transfer]") {
  Fixture f;
  REQUIRE(f.fetch(1));
  Visitor visitor(f);
  for (std::uint32_t i = 0; i < kUnknownSharesMax; ++i) {
    visitor.add(visitor.opening(1, 100 + i));
    if (i % 64 == 0) visitor.deliver();
    f.engine.on_sent(kNow, ConnId{1}, 0, f.out);  // it reads all that it is sent
  }
  visitor.deliver();
  CHECK_FALSE(visitor.is_closed());
  visitor.add(visitor.opening(1, 99));
  visitor.deliver();
  CHECK(visitor.is_closed());
}

TEST_CASE("what is turned down is counted by its reason, and what is sent by its bytes",
          "[transfer]") {
  Fixture f;
  const auto rejects = [&f](Reject why) {
    return f.engine.stats().rejects.at(static_cast<std::size_t>(why));
  };
  Visitor visitor(f);
  const TransferStats before = f.engine.stats();
  CHECK(before.wire_in > 200);
  CHECK(before.wire_out > 100);
  visitor.add(visitor.opening(0, 77));
  visitor.deliver();
  CHECK(rejects(Reject::unknown_share) == 1);
  CHECK(f.engine.stats().wire_in > before.wire_in);
  CHECK(f.engine.stats().wire_out > before.wire_out);
  visitor.add(wire::Have{5, 1});  // of a channel that is not open: dropped
  visitor.deliver();
  CHECK(rejects(Reject::protocol) == 0);

  // A second connection from the same process.
  const Visitor twin(f);
  CHECK(rejects(Reject::duplicate) == 1);

  const auto stranger = f.engine.on_accepted(kNow, *Endpoint::parse("198.51.100.1:1"), f.out);
  f.engine.on_bytes(kNow, stranger.value(), Bytes(200, 7), f.out);
  CHECK(rejects(Reject::handshake) == 1);

  for (std::size_t i = 0; i <= Gate::kUnprovenPerHostMax; ++i) {
    f.engine.on_accepted(kNow, *Endpoint::parse("203.0.113.9:" + std::to_string(i + 1)), f.out);
  }
  CHECK(rejects(Reject::address_limit) == 1);
  f.engine.on_time(kNow + std::chrono::seconds(30), f.out);
  CHECK(rejects(Reject::late) == Gate::kUnprovenPerHostMax);

  f.engine.stop(kNow, f.out);
  f.engine.on_accepted(kNow, *Endpoint::parse("198.51.100.1:1"), f.out);
  CHECK(rejects(Reject::stopping) == 1);
  // What went out is not forgotten with the connections.
  CHECK(f.engine.stats().wire_out > before.wire_out);
}

TEST_CASE("no more handshakes are computed in a second than the config says", "[transfer]") {
  Config config;
  config.handshakes_per_second = 3;
  Fixture f(config);
  for (int i = 0; i < 5; ++i) {
    const auto conn =
        f.engine.on_accepted(kNow, *Endpoint::parse("198.51." + std::to_string(i) + ".1:1"), f.out);
    f.engine.on_bytes(kNow, conn.value(), Bytes(40, 7), f.out);
  }
  CHECK(f.engine.stats().rejects.at(static_cast<std::size_t>(Reject::handshake_rate)) == 2);
}

TEST_CASE("a connection carries so many shares and no more", "[transfer]") {
  Fixture f;
  for (std::uint64_t i = 0; i <= kSharesPerPeerMax; ++i) REQUIRE(f.fetch(i + 1));
  Visitor visitor(f);
  for (std::size_t i = 0; i < kSharesPerPeerMax; ++i) {
    visitor.add(visitor.opening(static_cast<wire::ShareChannel>(i), i + 1));
    if (i % 64 == 0) visitor.deliver();
    f.engine.on_sent(kNow, ConnId{1}, 0, f.out);
  }
  visitor.deliver();
  CHECK_FALSE(visitor.is_closed());
  visitor.add(visitor.opening(kSharesPerPeerMax, kSharesPerPeerMax + 1));
  visitor.deliver();
  CHECK(visitor.is_closed());
}

TEST_CASE("nobody else is dialled while enough of those that were give something or are young",
          "[transfer]") {
  Fixture f;
  REQUIRE(f.fetch(1));
  std::vector<Endpoint> known;
  for (std::uint32_t i = 0; i < 3 * kDialledEnough; ++i) {
    known.push_back(Endpoint::v4(0x08000000U + (i << 8U), 7341));
  }
  f.engine.add_peers(kNow, dht_key(test::tagged<ShareId>(1)), known, f.out);
  std::vector<Visitor> visitors;
  visitors.reserve(known.size());
  const auto pass = [&](Time from, Time until) {
    for (Time now = from; now < until; now += std::chrono::milliseconds(100)) {
      f.engine.on_time(now, f.out);
      std::vector<ConnId> dialled;
      for (const Effect& effect : f.out) {
        if (const auto* connect = std::get_if<Connect>(&effect)) dialled.push_back(connect->conn);
      }
      for (const ConnId conn : dialled) {
        visitors.emplace_back(f, now, conn, static_cast<std::uint8_t>(10 + visitors.size()));
        visitors.back().add(visitors.back().opening(0, 1));
        visitors.back().deliver(now);
      }
      f.out.clear();
    }
  };
  pass(kNow, kNow + kDoubtTime / 2);
  // They are dialled some at a time.
  CHECK(visitors.size() >= kDialledEnough);
  CHECK(visitors.size() < 2 * kDialledEnough);
  const std::size_t served_count = visitors.size();
  // None of them has given us anything.
  pass(kNow + kDoubtTime / 2, kNow + 2 * kDoubtTime);
  CHECK(visitors.size() > served_count);
}

TEST_CASE("who asks and does not read is closed, also within one read", "[transfer]") {
  Fixture f;
  REQUIRE(f.fetch(1));
  Visitor visitor(f);
  const wire::Ping ping{};
  // A pong is as long as a ping; what the session itself said comes on top.
  const std::size_t record = wire::encoded(ping).size() + kTagSize + kRecordLengthSize;
  const std::size_t spare = 1024;
  for (std::size_t sent = 0; sent + spare < kUnsentMax; sent += record) visitor.add(ping);
  visitor.deliver();
  CHECK_FALSE(visitor.is_closed());
  for (std::size_t sent = 0; sent < kUnsentMax; sent += record) visitor.add(ping);
  visitor.deliver();
  CHECK(visitor.is_closed());
  CHECK(f.take_written(ConnId{1}).size() < kUnsentMax + spare);
}

TEST_CASE("who asks nothing and does not read is closed at the next tick", "[transfer]") {
  Fixture f;
  REQUIRE(f.fetch(1));
  Visitor visitor(f);
  visitor.add(visitor.opening(0, 1));
  visitor.deliver();
  f.engine.on_sent(kNow, visitor.conn(), 0, f.out);
  const std::size_t record = wire::encoded(wire::Ping{}).size() + kTagSize + kRecordLengthSize;
  for (std::size_t i = 0; i < kUnsentMax / record; ++i) visitor.add(wire::Ping{});
  visitor.deliver();
  const auto pass = [&f](int from, int until) {
    for (int s = from; s < until; ++s) f.engine.on_time(kNow + std::chrono::seconds(s), f.out);
  };
  pass(0, 29);
  CHECK_FALSE(visitor.is_closed());
  pass(29, 34);  // our own ping is too much
  CHECK(visitor.is_closed());
  CHECK(f.engine.stats().rejects.at(static_cast<std::size_t>(Reject::unread)) == 1);
}

}  // namespace peernet::transfer
