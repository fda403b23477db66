#include "test/sim/network.h"

#include <catch2/catch.hpp>

#include <string>

namespace peernet::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Takes every connection and writes down all it hears.
struct Listener : Receiver {
  void datagram(HostIndex host, const Endpoint& from, BytesView bytes) override {
    datagrams.push_back({host, from, to_bytes(bytes)});
  }
  std::optional<ConnId> accepted(HostIndex host, const Endpoint& /*from*/) override {
    if (is_refusing) return std::nullopt;
    last_accepted = ConnId{++conns};
    accepted_by = host;
    return last_accepted;
  }
  void registered(HostIndex /*host*/) override {}
  void connected(HostIndex /*host*/, ConnId conn) override { connected_conn = conn; }
  void received(HostIndex host, ConnId /*conn*/, BytesView bytes) override {
    append(inbox[host], bytes);
    parts.push_back(bytes.size());
  }
  void sent(HostIndex host, ConnId /*conn*/, std::size_t bytes_unsent) override {
    unsent[host].push_back(bytes_unsent);
  }
  void closed(HostIndex host, ConnId /*conn*/, const Error& why) override {
    closings[host].push_back(why);
  }

  struct Datagram {
    HostIndex host;
    Endpoint from;
    Bytes bytes;
  };
  std::vector<Datagram> datagrams;
  std::uint64_t conns = 1000;
  bool is_refusing = false;
  ConnId last_accepted{};
  HostIndex accepted_by = 99;
  ConnId connected_conn{};
  std::map<HostIndex, Bytes> inbox;
  std::map<HostIndex, std::vector<std::size_t>> unsent;
  std::map<HostIndex, std::vector<Error>> closings;
  std::vector<std::size_t> parts;
};

struct Fixture {
  Timeline timeline;
  Listener listener;
  Network network{timeline, 7, listener};
  HostIndex a = network.add_host(*Endpoint::parse("20.0.0.1:7341"), {});
  HostIndex b = network.add_host(*Endpoint::parse("30.0.0.1:7341"), {});

  void run(Duration duration) {
    const Time until = timeline.now() + duration;
    while (timeline.next() <= until) timeline.step();
    timeline.advance(until);
  }
  void open() {
    REQUIRE(network.connect(a, ConnId{1}, network.address(b)));
    run(seconds(1));
    REQUIRE(listener.connected_conn == ConnId{1});
  }
};

Bytes counted(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 251);
  return bytes;
}

TEST_CASE("what is due at one time happens in the order in which it was planned", "[sim]") {
  Timeline timeline;
  std::string order;
  timeline.after(seconds(2), [&] { order += 'c'; });
  timeline.after(seconds(1), [&] { order += 'a'; });
  timeline.after(seconds(1), [&] { order += 'b'; });
  while (timeline.step()) {
  }
  CHECK(order == "abc");
  CHECK(timeline.now() == kWorldStart + seconds(2));
}

TEST_CASE_METHOD(Fixture, "a datagram arrives after the delay of its pair", "[sim]") {
  network.options.jitter = Duration{0};
  network.send(a, network.address(b), as_bytes("hello"));
  const Duration delay = network.delay(a, b);
  CHECK(delay == network.delay(b, a));
  run(delay - Duration{1});
  CHECK(listener.datagrams.empty());
  run(Duration{1});
  REQUIRE(listener.datagrams.size() == 1);
  CHECK(listener.datagrams[0].from == network.address(a));
  CHECK(as_text(listener.datagrams[0].bytes) == "hello");
}

TEST_CASE_METHOD(Fixture, "datagrams are lost and doubled as often as was asked", "[sim]") {
  network.options.loss = 0.1;
  network.options.duplicate = 0.5;
  for (int i = 0; i < 2000; ++i) {
    network.send(a, network.address(b), as_bytes("x"));
    run(milliseconds(1));
  }
  run(seconds(2));
  CHECK(listener.datagrams.size() > 2550);
  CHECK(listener.datagrams.size() < 2850);
}

TEST_CASE_METHOD(Fixture, "a stream stays whole and in order, however it is cut", "[sim]") {
  network.options.cut = 0.7;
  network.options.stall = 0.2;
  open();
  const Bytes bytes = counted(300'000);
  for (std::size_t at = 0; at < bytes.size(); at += 10'000) {
    REQUIRE(network.write(a, ConnId{1}, BytesView(bytes).subspan(at, 10'000)));
  }
  run(seconds(60));
  CHECK(listener.inbox[b] == bytes);
  CHECK(std::count(listener.parts.begin(), listener.parts.end(), 1) > 0);
  CHECK(listener.unsent[a].back() == 0);
}

TEST_CASE_METHOD(Fixture, "a link takes its time, and two streams share it", "[sim]") {
  network.link(a).up = 100'000;
  network.options.cut = 0;
  const HostIndex c = network.add_host(*Endpoint::parse("40.0.0.1:7341"), {});
  open();
  REQUIRE(network.connect(a, ConnId{2}, network.address(c)));
  run(seconds(1));
  REQUIRE(network.write(a, ConnId{1}, counted(100'000)));
  REQUIRE(network.write(a, ConnId{2}, counted(100'000)));
  run(milliseconds(1000));
  CHECK(listener.inbox[b].size() > 35'000);
  CHECK(listener.inbox[b].size() < 55'000);
  CHECK(listener.inbox[c].size() > 35'000);
  CHECK(listener.inbox[c].size() < 55'000);
  run(milliseconds(1300));
  CHECK(listener.inbox[b].size() == 100'000);
  CHECK(listener.inbox[c].size() == 100'000);
}

TEST_CASE_METHOD(Fixture, "who reads nothing stops the writer after the window", "[sim]") {
  network.options.window = 50'000;
  open();
  REQUIRE(network.pause(b, listener.last_accepted));
  REQUIRE(network.write(a, ConnId{1}, counted(200'000)));
  run(seconds(10));
  CHECK(listener.inbox[b].empty());
  CHECK(network.unsent(a, ConnId{1}) == 150'000);
  REQUIRE(network.resume(b, listener.last_accepted));
  run(seconds(10));
  CHECK(listener.inbox[b] == counted(200'000));
}

TEST_CASE_METHOD(Fixture, "a close lets what was written leave, and then tells the other side",
                 "[sim]") {
  open();
  REQUIRE(network.write(a, ConnId{1}, counted(5000)));
  REQUIRE(network.close(a, ConnId{1}));
  CHECK_FALSE(network.write(a, ConnId{1}, counted(1)));
  CHECK_FALSE(network.close(a, ConnId{1}));
  run(seconds(1));
  CHECK(listener.inbox[b].size() == 5000);
  REQUIRE(listener.closings[b].size() == 1);
  CHECK(listener.closings[b][0].code == Errc::closed);
  CHECK(listener.closings[a].empty());
  CHECK(network.streams_count() == 0);
}

TEST_CASE_METHOD(Fixture, "a close does not wait longer than two seconds for a slow link",
                 "[sim]") {
  open();
  network.link(a).up = 1000;
  REQUIRE(network.write(a, ConnId{1}, counted(100'000)));
  REQUIRE(network.close(a, ConnId{1}));
  run(seconds(3));
  CHECK(listener.inbox[b].size() < 100'000);
  CHECK(listener.closings[b].size() == 1);
}

TEST_CASE_METHOD(Fixture, "nobody answers from a machine that is down", "[sim]") {
  network.down(b, Down::machine);
  REQUIRE(network.connect(a, ConnId{1}, network.address(b)));
  run(seconds(9));
  CHECK(listener.closings[a].empty());
  run(seconds(2));
  REQUIRE(listener.closings[a].size() == 1);
  CHECK(listener.closings[a][0].code == Errc::timed_out);
}

TEST_CASE_METHOD(Fixture, "a machine without the process refuses at once", "[sim]") {
  network.down(b, Down::process);
  REQUIRE(network.connect(a, ConnId{1}, network.address(b)));
  run(seconds(1));
  REQUIRE(listener.closings[a].size() == 1);
  CHECK(listener.closings[a][0].code == Errc::refused);
}

TEST_CASE_METHOD(Fixture, "an engine that wants no connection closes it for the other", "[sim]") {
  listener.is_refusing = true;
  REQUIRE(network.connect(a, ConnId{1}, network.address(b)));
  run(seconds(1));
  CHECK(listener.connected_conn == ConnId{1});
  CHECK(listener.closings[a].size() == 1);
  CHECK(network.streams_count() == 0);
}

TEST_CASE_METHOD(Fixture, "a killed process resets its connections", "[sim]") {
  open();
  network.down(b, Down::process);
  run(seconds(1));
  CHECK(listener.closings[a].size() == 1);
  CHECK(listener.closings[b].empty());
  CHECK(network.conns_count(a) == 0);
}

TEST_CASE_METHOD(Fixture, "a machine that lost power and came back resets who still writes",
                 "[sim]") {
  open();
  network.down(b, Down::machine);
  run(seconds(5));
  CHECK(listener.closings[a].empty());
  network.up(b);
  REQUIRE(network.write(a, ConnId{1}, counted(10)));
  run(seconds(1));
  CHECK(listener.closings[a].size() == 1);
}

TEST_CASE_METHOD(Fixture, "a short partition delays a stream, a long one ends it", "[sim]") {
  open();
  network.blocked = [](HostIndex, HostIndex) { return true; };
  network.send(a, network.address(b), as_bytes("lost"));
  REQUIRE(network.write(a, ConnId{1}, counted(1000)));
  run(seconds(20));
  CHECK(listener.inbox[b].empty());
  network.blocked = {};
  run(seconds(2));
  CHECK(listener.inbox[b] == counted(1000));
  CHECK(listener.datagrams.empty());
  network.blocked = [](HostIndex, HostIndex) { return true; };
  REQUIRE(network.write(a, ConnId{1}, counted(1000)));
  run(seconds(90));
  REQUIRE(listener.closings[a].size() == 1);
  CHECK(listener.closings[a][0].code == Errc::timed_out);
}

TEST_CASE_METHOD(Fixture, "nobody gets through a restricted NAT who was not written to", "[sim]") {
  network.link(b).nat = Nat::restricted;
  network.send(a, network.address(b), as_bytes("unasked"));
  REQUIRE(network.connect(a, ConnId{1}, network.address(b)));
  run(seconds(15));
  CHECK(listener.datagrams.empty());
  CHECK(listener.closings[a].size() == 1);
  network.send(b, network.address(a), as_bytes("question"));
  run(seconds(1));
  network.send(a, network.address(b), as_bytes("answer"));
  run(seconds(1));
  CHECK(listener.datagrams.size() == 2);
}

}  // namespace
}  // namespace peernet::sim
