#include "daemon/uv/udp.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>

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

}  // namespace peernet::daemon
