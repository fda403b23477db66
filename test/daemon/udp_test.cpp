#include "daemon/uv/udp.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <vector>

#include "daemon/uv/address.h"
#include "test/daemon/temp.h"
#include "test/support/support.h"

namespace peernet::daemon {
namespace {

using test::pattern;
using test::TestLoop;

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
struct End final : Udp::Inputs {
  explicit End(TestLoop& loop) : udp(loop.get(), *this), loop_(loop) {}
  ~End() {
    udp.close_all();
    REQUIRE(loop_.run_until([this] { return udp.is_gone(); }));
  }
  void on_datagram(const Endpoint& from, BytesView bytes) override {
    received.emplace_back(from, to_bytes(bytes));
  }
  void carry_out() override { ++carry_outs; }

  Udp udp;
  std::vector<std::pair<Endpoint, Bytes>> received;
  int carry_outs = 0;

 private:
  TestLoop& loop_;
};

const Endpoint kAny = Endpoint::v4(0x7f000001, 0);

// Sends everything back where it came from.
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
struct Echo final : Udp::Inputs {
  explicit Echo(TestLoop& loop) : udp(loop.get(), *this), loop_(loop) {}
  ~Echo() {
    udp.close_all();
    REQUIRE(loop_.run_until([this] { return udp.is_gone(); }));
  }
  void on_datagram(const Endpoint& from, BytesView bytes) override {
    ++received_count;
    answers.push_back({from, to_bytes(bytes)});
  }
  // As the daemon's loop does.
  void carry_out() override {
    for (SendDatagram& answer : answers) udp.send(std::move(answer));
    answers.clear();
    udp.flush();
  }

  Udp udp;
  std::vector<SendDatagram> answers;
  std::size_t received_count = 0;

 private:
  TestLoop& loop_;
};

Endpoint loopback(std::uint8_t last, std::uint16_t port) {
  return Endpoint::v4(0x7f000000U + last, port);
}

}  // namespace

TEST_CASE("datagrams arrive with their source, in batches", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  const auto from = a.udp.listen(kAny);
  const auto to = b.udp.listen(kAny);
  REQUIRE(from);
  REQUIRE(to);
  constexpr std::size_t count = 150;
  for (std::size_t i = 0; i < count; ++i) {
    a.udp.send({*to, pattern(i + 1, static_cast<std::uint8_t>(i))});
  }
  a.udp.flush();
  REQUIRE(loop.run_until([&] { return b.received.size() == count; }));

  CHECK(b.received[0].first == *from);
  CHECK(b.received[149].second == pattern(150, 149));
  CHECK(a.udp.counts().sent == count);
  CHECK(b.carry_outs < static_cast<int>(count));
}

TEST_CASE("a datagram over 1,500 bytes is dropped and counted, one of 1,500 is not", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  REQUIRE(a.udp.listen(kAny));
  const auto to = b.udp.listen(kAny);
  REQUIRE(to);
  a.udp.send({*to, pattern(kDatagramSizeMax + 1)});
  a.udp.send({*to, pattern(kDatagramSizeMax)});
  a.udp.flush();
  REQUIRE(loop.run_until([&] { return !b.received.empty(); }));
  CHECK(b.received.size() == 1);
  CHECK(b.received[0].second.size() == kDatagramSizeMax);
  CHECK(b.udp.counts().received_too_long == 1);
}

TEST_CASE("a datagram that cannot go is lost alone", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  REQUIRE(a.udp.listen(kAny));
  const auto to = b.udp.listen(kAny);
  REQUIRE(to);
  a.udp.send({*to, pattern(1)});
  a.udp.send({*to, pattern(70'000)});                // longer than any datagram
  a.udp.send({Endpoint::v6({}, 4000), pattern(1)});  // no such socket
  a.udp.send({*to, pattern(2)});
  a.udp.flush();
  REQUIRE(loop.run_until([&] { return b.received.size() == 2; }));
  CHECK(a.udp.counts().lost == 2);
  CHECK(a.udp.counts().sent == 2);
}

TEST_CASE("no more datagrams wait than are allowed", "[daemon]") {
  TestLoop loop;
  End a(loop);
  const Endpoint nobody = Endpoint::v6({}, 4000);
  for (std::size_t i = 0; i < kUnsentDatagramsMax; ++i) a.udp.send({nobody, pattern(1)});
  CHECK(a.udp.counts().lost == 0);
  a.udp.send({nobody, pattern(1)});
  CHECK(a.udp.counts().lost == 1);
  a.udp.flush();
  CHECK(a.udp.counts().lost == kUnsentDatagramsMax + 1);
}

TEST_CASE("a refusal by nobody's port does not stop the socket", "[daemon]") {
  TestLoop loop;
  End a(loop);
  Endpoint nobody;
  {
    End gone(loop);
    nobody = *gone.udp.listen(kAny);
  }
  const auto own = a.udp.listen(kAny);
  REQUIRE(own);
  for (int i = 0; i < 3; ++i) {
    a.udp.send({nobody, pattern(1)});
    a.udp.flush();
    uv_run(loop.get(), UV_RUN_NOWAIT);
  }
  a.udp.send({*own, pattern(5)});
  a.udp.flush();
  REQUIRE(loop.run_until([&] { return !a.received.empty(); }));
  CHECK(a.received[0].second == pattern(5));
}

TEST_CASE("an answer leaves from the address that was asked", "[daemon]") {
  TestLoop loop;
  Echo echo(loop);
  End asker(loop);
  const auto everywhere = echo.udp.listen(Endpoint::v4(0, 0));
  REQUIRE(everywhere);
  REQUIRE(asker.udp.listen(kAny));
  const Endpoint second = loopback(2, everywhere->port);
  asker.udp.send({second, pattern(3)});
  asker.udp.flush();
  REQUIRE(loop.run_until([&] { return !asker.received.empty(); }));
  CHECK(asker.received[0].first == second);
}

TEST_CASE("who asks two addresses at once is answered from both", "[daemon]") {
  TestLoop loop;
  Echo echo(loop);
  End asker(loop);
  const auto everywhere = echo.udp.listen(Endpoint::v4(0, 0));
  REQUIRE(everywhere);
  REQUIRE(asker.udp.listen(kAny));
  constexpr std::uint8_t count = 12;
  for (std::uint8_t i = 0; i < count; ++i) {
    const auto last = static_cast<std::uint8_t>(2 + i % 3);
    asker.udp.send({loopback(last, everywhere->port), Bytes{last, i}});
  }
  asker.udp.flush();
  REQUIRE(loop.run_until([&] { return asker.received.size() == count; }));
  for (const auto& [from, bytes] : asker.received) {
    CHECK(from == loopback(bytes[0], everywhere->port));
  }
}

TEST_CASE("an answer leaves by the socket that was asked", "[daemon]") {
  TestLoop loop;
  Echo echo(loop);
  End asker(loop);
  std::vector<Endpoint> sockets;
  for (std::uint8_t last = 1; last <= 3; ++last) {
    sockets.push_back(*echo.udp.listen(loopback(last, 0)));
  }
  REQUIRE(asker.udp.listen(kAny));
  for (const Endpoint& socket : sockets) asker.udp.send({socket, Bytes{1}});
  asker.udp.flush();
  REQUIRE(loop.run_until([&] { return asker.received.size() == sockets.size(); }));
  for (const Endpoint& socket : sockets) {
    CHECK(std::count_if(asker.received.begin(), asker.received.end(),
                        [&](const auto& one) { return one.first == socket; }) == 1);
  }
}

TEST_CASE("what is no answer leaves by a socket that is fit for the destination", "[daemon]") {
  TestLoop loop;
  End asker(loop);
  End listener(loop);
  REQUIRE(asker.udp.listen(loopback(2, 0)));
  REQUIRE(asker.udp.listen(Endpoint::v4(0, 0)));
  const auto to = listener.udp.listen(kAny);
  REQUIRE(to);
  asker.udp.send({*to, Bytes{1}});
  asker.udp.flush();
  REQUIRE(loop.run_until([&] { return listener.received.size() == 1; }));
  CHECK(listener.received[0].first.address == loopback(2, 0).address);
}

TEST_CASE("both families are served on one port", "[daemon]") {
  TestLoop loop;
  Echo echo(loop);
  End asker(loop);
  const auto v4 = echo.udp.listen(Endpoint::v4(0, 0));
  REQUIRE(v4);
  const auto v6 = echo.udp.listen(Endpoint::v6({}, v4->port));
  if (!v6) {
    WARN("skipped: this machine has no IPv6");
    return;
  }
  std::array<std::uint8_t, 16> one{};
  one[15] = 1;
  REQUIRE(asker.udp.listen(kAny));
  if (!asker.udp.listen(Endpoint::v6(one, 0))) {
    WARN("skipped: this machine has no ::1");
    return;
  }
  const Endpoint to6 = Endpoint::v6(one, v4->port);
  asker.udp.send({loopback(1, v4->port), Bytes{4}});
  asker.udp.send({to6, Bytes{6}});
  asker.udp.flush();
  REQUIRE(loop.run_until([&] { return asker.received.size() == 2; }));
  for (const auto& [from, bytes] : asker.received) {
    CHECK(from == (bytes[0] == 6 ? to6 : loopback(1, v4->port)));
  }
}

TEST_CASE("one turn of the loop reads at most four batches from a socket", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  REQUIRE(a.udp.listen(kAny));
  const auto to = b.udp.listen(kAny);
  REQUIRE(to);
  constexpr std::size_t turn_max = kDatagramBatch * kDatagramBatchesMax;
  for (std::size_t i = 0; i < turn_max + 1; ++i) a.udp.send({*to, Bytes{1}});
  a.udp.flush();
  uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(b.received.size() == turn_max);
  REQUIRE(loop.run_until([&] { return b.received.size() == turn_max + 1; }));
}

TEST_CASE("what the kernel dropped is known", "[daemon]") {
  TestLoop loop;
  End a(loop);
  End b(loop);
  REQUIRE(a.udp.listen(kAny));
  const auto to = b.udp.listen(kAny);
  REQUIRE(to);
  const Udp::KernelFacts before = b.udp.kernel_facts();
  CHECK(before.dropped == 0);
  REQUIRE(before.receive_buffer_min > 0);
  // Each takes at least its size of a buffer that nobody empties.
  const std::size_t count = before.receive_buffer_min / kDatagramSizeMax + 1;
  for (std::size_t i = 0; i < count; ++i) {
    a.udp.send({*to, pattern(kDatagramSizeMax)});
    a.udp.flush();
  }
  CHECK(b.udp.kernel_facts().dropped > 0);
}

TEST_CASE("a socket closed by what a datagram caused reads no further", "[daemon]") {
  // NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
  struct Closer final : Udp::Inputs {
    explicit Closer(uv_loop_t* loop) : udp(loop, *this) {}
    void on_datagram(const Endpoint& /*from*/, BytesView /*bytes*/) override { ++received_count; }
    void carry_out() override { udp.close_all(); }
    Udp udp;
    int received_count = 0;
  };
  TestLoop loop;
  End asker(loop);
  Closer closer(loop.get());
  const auto everywhere = closer.udp.listen(Endpoint::v4(0, 0));
  REQUIRE(everywhere);
  REQUIRE(asker.udp.listen(kAny));
  // The second ways of one source: the first is carried out before the second is looked at.
  for (std::uint8_t last = 1; last < 5; ++last) {
    asker.udp.send({loopback(last, everywhere->port), Bytes{last}});
  }
  asker.udp.flush();
  REQUIRE(loop.run_until([&] { return closer.udp.is_gone(); }));
  CHECK(closer.received_count == 1);
}

}  // namespace peernet::daemon
