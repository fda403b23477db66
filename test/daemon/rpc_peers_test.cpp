#include <string>

#include "core/identity.h"
#include "daemon/rpc_values.h"
#include "test/daemon/rpc_fixture.h"
#include "transfer/probe.h"

namespace peernet::daemon {
namespace {

using test::RpcFixture;
using test::tagged;

std::string kind_of(const Json& answer) {
  return answer.contains("error") ? answer["error"]["data"]["kind"].get<std::string>() : "good";
}

TEST_CASE("a peer is banned by hand, listed, saved and forgiven", "[daemon]") {
  RpcFixture fixture;
  const std::string id = to_text(tagged<PeerId>(5));
  // Nobody knows it: its whole id is needed.
  CHECK(kind_of(fixture.ask("peer.ban", Json::object({{"id", id.substr(0, 10)}}))) == "not_found");
  fixture.line(RpcFixture::request("peer.ban", Json::object({{"id", id}, {"seconds", 3600}})));
  std::size_t saved = 0;
  for (const Effect& effect : fixture.out) {
    const auto* save = std::get_if<Save>(&effect);
    if (save == nullptr || !std::holds_alternative<BanRecord>(save->record)) continue;
    const auto& record = std::get<BanRecord>(save->record);
    CHECK(record.until.unix_ms == 1'700'003'600'000);
    CHECK_FALSE(record.is_lifted);
    ++saved;
  }
  CHECK(saved == 1);
  fixture.settle();
  CHECK(fixture.sent().at(0)["result"]["until"] == "2023-11-14T23:13:20.000Z");

  const Json listed = fixture.ask("peer.bans");
  CHECK(listed["result"]["count"] == 1);
  CHECK(listed["result"]["bans"][0]["is_by_hand"] == true);
  CHECK(fixture.ask("peer.unban", Json::object({{"id", id.substr(0, 8)}}))["result"]["id"] == id);
  CHECK(kind_of(fixture.ask("peer.unban", Json::object({{"id", id}}))) == "not_found");
  CHECK(kind_of(fixture.ask("peer.drop", Json::object({{"id", id}}))) == "not_found");
  const std::string own = to_text(fixture.node.id());
  CHECK(kind_of(fixture.ask("peer.ban", Json::object({{"id", own}}))) == "refused");
}

TEST_CASE("a connection by hand is answered when it has ended or stands", "[daemon]") {
  RpcFixture fixture;
  CHECK(kind_of(fixture.ask("peer.connect")) == "malformed");
  CHECK(kind_of(fixture.ask("peer.connect", Json::object({{"endpoint", "nowhere"}}))) ==
        "malformed");
  CHECK(kind_of(fixture.ask("peer.connect", Json::object({{"link", "peernet:s"}}))) == "malformed");
  const std::string link = "peernet:" + to_text(tagged<ShareId>(1));
  CHECK(kind_of(fixture.ask("peer.connect", Json::object({{"link", link}}))) == "malformed");

  ConnId dialled{};
  fixture.line(RpcFixture::request("peer.connect", Json::object({{"endpoint", "127.0.0.1:9"}})));
  for (const Effect& effect : fixture.out) {
    if (const auto* connect = std::get_if<Connect>(&effect)) dialled = connect->conn;
  }
  REQUIRE(dialled != ConnId{});
  fixture.settle();
  CHECK(fixture.sent().empty());
  fixture.node.on_closed(fixture.now, dialled, {Errc::refused, "refused", {}}, fixture.out);
  fixture.settle();
  const Json answer = fixture.sent().at(0)["result"];
  CHECK(answer["is_good"] == false);
  CHECK(answer["peer"].is_null());
  REQUIRE(answer["steps"].size() == 2);
  CHECK(answer["steps"][0]["name"] == "resolve");
  CHECK(answer["steps"][0]["is_good"] == true);
  CHECK(answer["steps"][1]["name"] == "connect");
}

TEST_CASE("a connection by hand that says nothing ends after half a minute", "[daemon]") {
  RpcFixture fixture;
  fixture.line(RpcFixture::request("peer.connect", Json::object({{"endpoint", "a.example:7341"}})));
  fixture.settle();
  for (int second = 0; second <= 31; ++second) {
    fixture.now += std::chrono::seconds(1);
    fixture.node.on_time(fixture.now, fixture.out);
    fixture.settle();
  }
  const Json answer = fixture.sent().at(0)["result"];
  CHECK(answer["steps"][0]["name"] == "resolve");
  CHECK(answer["is_good"] == false);
}

TEST_CASE("so many connections by hand are tried at a time, and no more", "[daemon]") {
  RpcFixture fixture;
  const auto ask = [&](std::uint64_t client) {
    fixture.line(RpcFixture::request("peer.connect", Json::object({{"endpoint", "127.0.0.1:9"}})),
                 ClientId{client});
    fixture.out.clear();
    return fixture.sent(ClientId{client});
  };
  for (std::uint64_t i = 0; i < transfer::kProbesMax; ++i) CHECK(ask(i + 1).empty());
  CHECK(kind_of(ask(100).at(0)) == "refused");
}

TEST_CASE("globs that are none are refused", "[daemon]") {
  RpcFixture fixture;
  const auto add = [&](const Json& globs) {
    return kind_of(
        fixture.ask("share.add", Json::object({{"path", "/data/tree"}, {"exclude", globs}})));
  };
  CHECK(add(Json::array({""})) == "malformed");
  CHECK(add(Json::array({std::string(1025, 'x')})) == "too_large");
  CHECK(add(Json(std::vector<std::string>(101, "x"))) == "too_large");
  CHECK(add(Json::array({"b"})) == "good");
}

}  // namespace
}  // namespace peernet::daemon
