#include "daemon/uv/tcp.h"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <string>

#include "daemon/uv/address.h"
#include "daemon/uv/beneath.h"
#include "test/daemon/temp.h"
#include "test/support/support.h"

namespace peernet::daemon {
namespace {

using namespace std::chrono_literals;
using test::pattern;
using test::TestLoop;

// One end: what happened to it, as values.
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
struct End final : Tcp::Inputs {
  explicit End(TestLoop& loop) : tcp(loop.get(), clock, *this), loop_(loop) {
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~End() {
    tcp.close_all();
    REQUIRE(loop_.run_until([this] { return tcp.is_gone(); }));
  }

  std::optional<ConnId> on_accepted(const Endpoint& from) override {
    accepted_from.push_back(from);
    if (accepted_from.size() > accept_max) return std::nullopt;
    return ConnId{100 + accepted_from.size()};
  }
  void on_connected(ConnId conn) override {
    CHECK_FALSE(is_commanding);
    connected.push_back(conn);
  }
  void on_bytes(ConnId conn, BytesView bytes) override { append(received[conn], bytes); }
  void on_sent(ConnId conn, std::size_t unsent) override {
    CHECK_FALSE(is_commanding);
    sent[conn].push_back(unsent);
  }
  void on_closed(ConnId conn, const Error& why) override {
    CHECK_FALSE(is_commanding);
    closed.emplace(conn, why);
  }
  void carry_out() override { ++carry_outs; }

  void connect(ConnId conn, const Endpoint& to) {
    is_commanding = true;
    tcp.connect(clock.now(), conn, to);
    is_commanding = false;
  }
  void write(ConnId conn, Bytes bytes) {
    is_commanding = true;
    tcp.write(conn, std::move(bytes));
    tcp.flush(clock.now());
    is_commanding = false;
  }
  void close(ConnId conn) {
    is_commanding = true;
    tcp.close(clock.now(), conn);
    is_commanding = false;
  }

  MonotonicClock clock;
  Tcp tcp;
  std::size_t accept_max = SIZE_MAX;
  std::vector<Endpoint> accepted_from;
  std::vector<ConnId> connected;
  std::map<ConnId, Bytes> received;
  std::map<ConnId, std::vector<std::size_t>> sent;
  std::map<ConnId, Error> closed;
  int carry_outs = 0;
  bool is_commanding = false;

 private:
  TestLoop& loop_;
};

const Endpoint kAny = Endpoint::v4(0x7f000001, 0);
constexpr ConnId kOut{1};
constexpr ConnId kIn{101};

struct Pair {
  Pair() {
    auto bound = b.tcp.listen(kAny);
    REQUIRE(bound);
    to = *bound;
    a.connect(kOut, to);
    REQUIRE(loop.run_until([this] { return !a.connected.empty() && !b.accepted_from.empty(); }));
  }

  TestLoop loop;
  End a{loop};
  End b{loop};
  Endpoint to;
};

}  // namespace

TEST_CASE("bytes go both ways over a connection", "[daemon]") {
  Pair pair;
  CHECK(pair.a.connected == std::vector<ConnId>{kOut});
  CHECK(pair.b.accepted_from[0].address == kAny.address);

  pair.a.write(kOut, pattern(1000, 1));
  pair.b.write(kIn, pattern(2000, 2));
  REQUIRE(pair.loop.run_until(
      [&] { return pair.b.received[kIn].size() == 1000 && pair.a.received[kOut].size() == 2000; }));
  CHECK(pair.b.received[kIn] == pattern(1000, 1));
  CHECK(pair.a.received[kOut] == pattern(2000, 2));
}

TEST_CASE("every write is answered, with nothing left in the end", "[daemon]") {
  Pair pair;
  pair.a.write(kOut, pattern(10));
  REQUIRE(pair.loop.run_until([&] { return !pair.a.sent[kOut].empty(); }));
  CHECK(pair.a.sent[kOut] == std::vector<std::size_t>{0});
}

TEST_CASE("a large write arrives whole and in order, and its queue is told as it shrinks",
          "[daemon]") {
  Pair pair;
  constexpr std::size_t full_size = 24U << 20U;
  const Bytes sent = pattern(full_size);
  for (std::size_t at = 0; at < full_size; at += 100'000) {
    const std::size_t size = std::min<std::size_t>(100'000, full_size - at);
    pair.a.tcp.write(kOut, to_bytes(BytesView(sent).subspan(at, size)));
  }
  pair.a.tcp.flush(pair.a.clock.now());
  REQUIRE(pair.loop.run_until([&] { return pair.b.received[kIn].size() == full_size; }));
  REQUIRE(pair.loop.run_until([&] { return pair.a.sent[kOut].back() == 0; }));

  CHECK(pair.b.received[kIn] == sent);
  const auto& told = pair.a.sent[kOut];
  // No socket takes it all at once; how many steps there are is the kernel's to say.
  CHECK(told.size() >= 2);
  CHECK(told.front() > 0);
  CHECK(std::is_sorted(told.rbegin(), told.rend()));
}

TEST_CASE("what is written before the connection stands goes when it does", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  const auto to = b.tcp.listen(kAny);
  REQUIRE(to);
  a.connect(kOut, *to);
  a.write(kOut, pattern(500));
  REQUIRE(loop.run_until([&] { return !a.connected.empty(); }));
  a.tcp.flush(a.clock.now());
  REQUIRE(loop.run_until([&] { return b.received[kIn].size() == 500; }));
}

TEST_CASE("a connection that nobody takes is reported as refused", "[daemon]") {
  TestLoop loop;
  End a(loop);
  Endpoint nobody;
  {
    End b(loop);
    nobody = *b.tcp.listen(kAny);
  }
  a.connect(kOut, nobody);
  REQUIRE(loop.run_until([&] { return a.closed.contains(kOut); }));
  CHECK(a.closed.at(kOut).code == Errc::refused);
  CHECK(a.connected.empty());
}

TEST_CASE("a connection without an answer ends after 10 s", "[daemon]") {
  TestLoop loop;
  End a(loop);
  // A listener whose queue is full answers nobody.
  const Fd full(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  socklen_t size = to_socket_address(kAny, address);
  REQUIRE(bind(full.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(full.get(), 0) == 0);
  size = sizeof(address);
  REQUIRE(getsockname(full.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const Endpoint to = from_socket_address(reinterpret_cast<sockaddr*>(&address));
  for (std::uint64_t i = 1; i <= 4; ++i) a.connect(ConnId{i}, to);
  uv_run(loop.get(), UV_RUN_NOWAIT);
  const std::size_t done = a.connected.size();
  REQUIRE(done < 4);

  const Time start = a.clock.now();
  a.tcp.on_time(start + 9s);
  CHECK(a.closed.empty());
  a.tcp.on_time(start + 11s);
  CHECK(a.closed.size() + a.connected.size() == 4);
  CHECK(a.closed.begin()->second.code == Errc::timed_out);
}

TEST_CASE("the last words arrive though the other side was still talking", "[daemon]") {
  Pair pair;
  pair.b.write(kIn, pattern(500'000));
  pair.a.write(kOut, pattern(300'000, 3));
  pair.a.close(kOut);
  REQUIRE(pair.loop.run_until([&] { return pair.b.closed.contains(kIn); }));

  CHECK(pair.b.received[kIn] == pattern(300'000, 3));
  CHECK(pair.b.closed.at(kIn).code == Errc::closed);
  CHECK(pair.a.closed.empty());
  REQUIRE(pair.loop.run_until([&] { return pair.a.tcp.lingering_count() == 0; }));
}

TEST_CASE("a closed connection lingers 2 s at most", "[daemon]") {
  Pair pair;
  pair.b.tcp.pause(kIn);
  pair.a.write(kOut, pattern(20U << 20U));
  pair.a.close(kOut);
  const Time start = pair.a.clock.now();
  CHECK(pair.a.tcp.lingering_count() == 1);
  pair.a.tcp.on_time(start + 1s);
  CHECK(pair.a.tcp.lingering_count() == 1);
  pair.a.tcp.on_time(start + 3s);
  CHECK(pair.a.tcp.lingering_count() == 0);
}

TEST_CASE("no more connections linger than are allowed", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  const auto to = b.tcp.listen(kAny);
  REQUIRE(to);
  for (std::uint64_t i = 1; i <= kLingeringMax + 1; ++i) a.connect(ConnId{i}, *to);
  REQUIRE(loop.run_until([&] {
    return a.connected.size() == kLingeringMax + 1 && b.accepted_from.size() == kLingeringMax + 1;
  }));
  for (std::uint64_t i = 1; i <= kLingeringMax; ++i) a.close(ConnId{i});
  CHECK(a.tcp.lingering_count() == kLingeringMax);
  a.close(ConnId{kLingeringMax + 1});
  CHECK(a.tcp.lingering_count() == kLingeringMax);
  CHECK(a.tcp.connections_count() == 0);
}

TEST_CASE("a peer that takes nothing for 30 s is cut", "[daemon]") {
  Pair pair;
  pair.b.tcp.pause(kIn);
  const Time start = pair.a.clock.now();
  pair.a.write(kOut, pattern(20U << 20U));
  REQUIRE(pair.loop.run_until([&] { return !pair.a.sent[kOut].empty(); }));
  REQUIRE(pair.a.sent[kOut].back() > 0);

  pair.a.tcp.on_time(start + 29s);
  CHECK(pair.a.closed.empty());
  // libuv's first look at the socket may have taken a little since the timer was set.
  pair.a.tcp.on_time(start + 32s);
  if (pair.a.closed.empty()) pair.a.tcp.on_time(start + 65s);
  REQUIRE(pair.a.closed.contains(kOut));
  CHECK(pair.a.closed.at(kOut).code == Errc::timed_out);
}

TEST_CASE("a paused connection gives nothing until it is resumed", "[daemon]") {
  Pair pair;
  pair.b.tcp.pause(kIn);
  pair.a.write(kOut, pattern(1000));
  REQUIRE(pair.loop.run_until([&] { return !pair.a.sent[kOut].empty(); }));
  for (int i = 0; i < 5; ++i) uv_run(pair.loop.get(), UV_RUN_NOWAIT);
  CHECK(pair.b.received[kIn].empty());
  pair.b.tcp.resume(kIn);
  CHECK(pair.loop.run_until([&] { return pair.b.received[kIn].size() == 1000; }));
}

TEST_CASE("a stranger whom the engine refuses is closed at once", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  b.accept_max = 0;
  const auto to = b.tcp.listen(kAny);
  REQUIRE(to);
  a.connect(kOut, *to);
  REQUIRE(loop.run_until([&] { return a.closed.contains(kOut); }));
  CHECK(b.tcp.connections_count() == 0);
}

TEST_CASE("effects for a connection that is gone do nothing", "[daemon]") {
  TestLoop loop;
  End a(loop);
  a.write(kOut, pattern(10));
  a.tcp.pause(kOut);
  a.tcp.resume(kOut);
  a.close(kOut);
  uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(a.sent.empty());
  CHECK(a.closed.empty());
}

TEST_CASE("IPv4 and IPv6 listen on one port beside each other", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  const auto v4 = b.tcp.listen(Endpoint::v4(0, 0));
  REQUIRE(v4);
  const auto v6 = b.tcp.listen(Endpoint::v6({}, v4->port));
  if (!v6) {
    WARN("no IPv6 here: " << v6.error().what);
    return;
  }
  CHECK(v6->port == v4->port);
  std::array<std::uint8_t, 16> loopback{};
  loopback[15] = 1;
  a.connect(ConnId{1}, Endpoint::v4(0x7f000001, v4->port));
  a.connect(ConnId{2}, Endpoint::v6(loopback, v4->port));
  REQUIRE(loop.run_until([&] { return b.accepted_from.size() == 2; }));
  CHECK(b.accepted_from[0].is_v6 != b.accepted_from[1].is_v6);
}

TEST_CASE("a taken port is said to be taken", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  const auto first = a.tcp.listen(kAny);
  REQUIRE(first);
  const auto second = b.tcp.listen(*first);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::exists);
}

TEST_CASE("without descriptors the listener rests and comes back", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  const auto to = b.tcp.listen(kAny);
  REQUIRE(to);
  // libuv's own reserve is taken too: the case that makes it call back for ever.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd other(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  const socklen_t size = to_socket_address(*to, address);
  const rlimit none{3, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  REQUIRE(connect(client.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(connect(other.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  for (int i = 0; i < 5; ++i) uv_run(loop.get(), UV_RUN_NOWAIT);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);

  b.tcp.on_time(b.clock.now() + 2s);
  a.connect(kOut, *to);
  CHECK(loop.run_until([&] { return !a.connected.empty() || a.closed.contains(kOut); }));
  CHECK(a.closed.empty());
}

}  // namespace peernet::daemon
