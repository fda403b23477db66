#include "core/identity.h"
#include "daemon/rpc_values.h"
#include "test/daemon/rpc_fixture.h"

namespace peernet::daemon {
namespace {

using test::RpcFixture;
using test::tagged;

transfer::PeerJoined joined(std::uint64_t number) {
  return {tagged<PeerId>(number), *Endpoint::parse("192.0.2.1:80")};
}

std::vector<std::uint64_t> seqs(const std::vector<Json>& lines) {
  std::vector<std::uint64_t> numbers;
  for (const Json& line : lines) {
    if (line.contains("method")) numbers.push_back(line["params"]["seq"].get<std::uint64_t>());
  }
  return numbers;
}

TEST_CASE("a subscriber is sent the kinds it asked for, and others nothing", "[daemon]") {
  RpcFixture fixture;
  fixture.ask("events.subscribe", Json::object({{"kinds", {"peer_joined"}}}));
  CHECK(fixture.rpc.is_idle_allowed(ClientId{1}));
  CHECK_FALSE(fixture.rpc.is_idle_allowed(ClientId{2}));

  fixture.now += std::chrono::seconds(2);
  fixture.rpc.on_event(fixture.now, joined(1), fixture.node);
  fixture.rpc.on_event(
      fixture.now,
      transfer::PeerLeft{tagged<PeerId>(1), *Endpoint::parse("192.0.2.1:80"), "closed"},
      fixture.node);

  const auto lines = fixture.sent();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["method"] == "event");
  CHECK_FALSE(lines[0].contains("id"));
  CHECK(lines[0]["params"]["kind"] == "peer_joined");
  CHECK(lines[0]["params"]["seq"] == 1);
  CHECK(lines[0]["params"]["time"] == "2023-11-14T22:13:22.000Z");
  CHECK(lines[0]["params"]["peer"] == to_text(tagged<PeerId>(1)));

  fixture.ask("events.unsubscribe");
  fixture.rpc.on_event(fixture.now, joined(2), fixture.node);
  CHECK(fixture.sent().empty());
  CHECK_FALSE(fixture.rpc.is_idle_allowed(ClientId{1}));
}

TEST_CASE("kept events are sent again to whoever asks for them", "[daemon]") {
  RpcFixture fixture;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    fixture.rpc.on_event(fixture.now, joined(i), fixture.node);
  }
  fixture.line(RpcFixture::request("events.subscribe", Json::object({{"since", 2}})));

  const auto lines = fixture.sent();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0]["result"]["seq"] == 4);
  CHECK(lines[0]["result"]["is_lost"] == false);
  CHECK(lines[0]["result"]["kinds"].size() == kEventKindsCount);
  CHECK(seqs(lines) == std::vector<std::uint64_t>{3, 4});
}

TEST_CASE("the ring keeps so many events, and says when older ones were asked for", "[daemon]") {
  RpcFixture fixture;
  const auto subscribe = [&](std::uint64_t since) {
    fixture.line(RpcFixture::request("events.subscribe",
                                     Json::object({{"since", since}, {"kinds", {"peer_joined"}}})));
    return fixture.sent();
  };
  for (std::uint64_t i = 1; i <= kEventRingMax; ++i) {
    fixture.rpc.on_event(fixture.now, joined(i), fixture.node);
  }
  auto lines = subscribe(0);
  CHECK(lines[0]["result"]["is_lost"] == false);
  CHECK(seqs(lines).size() == kEventRingMax);

  fixture.ask("events.unsubscribe");
  fixture.rpc.on_event(fixture.now, joined(0), fixture.node);
  lines = subscribe(0);
  CHECK(lines[0]["result"]["is_lost"] == true);
  CHECK(seqs(lines).size() == kEventRingMax);
  CHECK(seqs(lines).front() == 2);
  CHECK(subscribe(1)[0]["result"]["is_lost"] == false);
  CHECK(subscribe(kEventRingMax + 1)[0]["result"]["is_lost"] == false);
  CHECK(subscribe(kEventRingMax + 2)[0]["result"]["is_lost"] == true);
}

TEST_CASE("an unknown kind of event is refused with all kinds as the hint", "[daemon]") {
  RpcFixture fixture;
  const Json answer = fixture.ask("events.subscribe", Json::object({{"kinds", {"progres"}}}));
  CHECK(answer["error"]["code"] == -32002);
  CHECK(answer["error"]["data"]["hint"].get<std::string>().find("import_progress") !=
        std::string::npos);
}

TEST_CASE("progress is looked for only while somebody follows it", "[daemon]") {
  RpcFixture fixture;
  CHECK(fixture.rpc.deadline() == kNever);
  fixture.ask("events.subscribe", Json::object({{"kinds", {"state"}}}));
  CHECK(fixture.rpc.deadline() == kNever);

  fixture.ask("events.subscribe", Json::object({{"kinds", {"progress"}}}), ClientId{2});
  CHECK(fixture.rpc.deadline() == fixture.now + kProgressInterval);
  fixture.now += kProgressInterval;
  fixture.rpc.on_time(fixture.now, fixture.node, fixture.out);
  CHECK(fixture.rpc.deadline() == fixture.now + kProgressInterval);

  fixture.rpc.on_client_gone(fixture.now, ClientId{2}, fixture.node, fixture.out);
  CHECK(fixture.rpc.deadline() == kNever);
}

TEST_CASE("progress is told of a share in which something moved, once", "[daemon]") {
  RpcFixture fixture;
  fixture.ask("events.subscribe", Json::object({{"kinds", {"progress"}}}), ClientId{2});
  const auto tick = [&] {
    fixture.now += kProgressInterval;
    fixture.rpc.on_time(fixture.now, fixture.node, fixture.out);
    return fixture.sent(ClientId{2});
  };
  CHECK(tick().empty());

  const std::string id = fixture.add();
  const auto lines = tick();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["params"]["kind"] == "progress");
  CHECK(lines[0]["params"]["share"]["id"] == id);
  CHECK(lines[0]["params"]["share"]["state"] == "seeding");
  CHECK(tick().empty());
}

TEST_CASE("importing tells how far it is, at most ten times a second, and how it ended",
          "[daemon]") {
  RpcFixture fixture;
  fixture.ask("events.subscribe", Json::object(), ClientId{2});
  fixture.line(RpcFixture::request("share.add", Json::object({{"path", "/data/file"}})));
  // The first import of a node has the number that its transfer engine gave it; the event of the
  // real one tells it.
  fixture.settle();
  std::vector<std::string> kinds;
  for (const Json& line : fixture.sent(ClientId{2})) {
    if (line.contains("method")) kinds.push_back(line["params"]["kind"]);
  }
  CHECK(std::count(kinds.begin(), kinds.end(), "imported") == 1);
  CHECK(std::count(kinds.begin(), kinds.end(), "import_progress") <= 2);
}

TEST_CASE("times are RFC 3339, also before 1970 and beyond the calendar", "[daemon]") {
  CHECK(rfc3339(WallTime{0}) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(WallTime{951'782'400'000}) == "2000-02-29T00:00:00.000Z");
  CHECK(rfc3339(WallTime{1'795'169'875'123}) == "2026-11-20T10:17:55.123Z");
  CHECK(rfc3339(WallTime{-1}) == "1969-12-31T23:59:59.999Z");
  CHECK(rfc3339(WallTime{INT64_MAX}) == "9999-12-31T23:59:59.999Z");
  CHECK(rfc3339(WallTime{INT64_MIN}) == "0000-01-01T00:00:00.000Z");
}

TEST_CASE("a fetch for which nothing comes, with a reason, is stalled", "[daemon]") {
  transfer::ShareStatus share;
  share.state = transfer::ShareState::fetching;
  CHECK(state_word(share) == "fetching");
  share.reason = "2 pieces have no holder";
  CHECK(state_word(share) == "stalled");
  share.rate_down = 1000;
  CHECK(state_word(share) == "fetching");
}

TEST_CASE("rates that are not numbers are told as nothing", "[daemon]") {
  CHECK(whole_rate(-1) == 0);
  CHECK(whole_rate(0.0 / 1.0) == 0);
  CHECK(whole_rate(std::numeric_limits<double>::quiet_NaN()) == 0);
  CHECK(whole_rate(std::numeric_limits<double>::infinity()) == 1'000'000'000'000'000);
  CHECK(whole_rate(41.9) == 41);
}

}  // namespace
}  // namespace peernet::daemon
