#include "test/daemon/rpc_fixture.h"

// share.read without a disk: what becomes of the call, and of the effects it leads to.

namespace peernet::test {
namespace {

// Like the fixture, but whoever reads gets as many letters as it asked for.
Json read_answer(RpcFixture& fixture, const Json& params, Bytes& payload) {
  fixture.line(RpcFixture::request("share.read", params));
  for (const Effect& effect : std::exchange(fixture.out, {})) {
    const auto* read = std::get_if<ReadBlocks>(&effect);
    if (read == nullptr) {
      fixture.carry_out(effect);
      continue;
    }
    CHECK(read->offset % 16'384 == 0);
    Bytes data;
    for (std::uint32_t i = 0; i < read->size; ++i) {
      data.push_back(static_cast<std::uint8_t>('a' + (read->offset + i) % 26));
    }
    fixture.node.on_file(fixture.now, read->job, FileOutcome{BlocksRead{std::move(data), false}},
                         fixture.out);
  }
  while (const auto event = fixture.node.next_event()) {
    fixture.rpc.on_event(fixture.now, *event, fixture.node);
  }
  for (const auto& reply : fixture.rpc.take_replies()) {
    payload = reply.payload;
    return Json::parse(reply.line);
  }
  return Json();
}

TEST_CASE("share.read gives bytes after the line, and nothing at the end of the file", "[daemon]") {
  RpcFixture fixture;
  const std::string id = fixture.add();  // five bytes
  Bytes payload;
  Json answer = read_answer(fixture, Json::object({{"id", id}}), payload);
  CHECK(answer["result"]["payload"] == 5);
  CHECK(answer["result"]["file_size"] == 5);
  CHECK(answer["result"]["offset"] == 0);
  CHECK(payload == to_bytes(as_bytes("abcde")));

  answer = read_answer(fixture, Json::object({{"id", id}, {"offset", 2}, {"size", 2}}), payload);
  CHECK(answer["result"]["payload"] == 2);
  CHECK(payload == to_bytes(as_bytes("cd")));
  answer = read_answer(fixture, Json::object({{"id", id}, {"offset", 5}}), payload);
  CHECK(answer["result"]["payload"] == 0);
  CHECK(payload.empty());
}

TEST_CASE("share.read of what is not there is an error that says so", "[daemon]") {
  RpcFixture fixture;
  const std::string file = fixture.add();
  const std::string tree = fixture.add("/data/tree");
  const auto code = [&](const Json& params) {
    return fixture.ask("share.read", params)["error"]["code"];
  };
  CHECK(code(Json::object({{"id", file}, {"path", "x"}})) == -32003);
  CHECK(code(Json::object({{"id", tree}, {"path", "x"}})) == -32003);
  CHECK(code(Json::object({{"id", tree}})) == -32001);  // a directory
  CHECK(code(Json::object({{"id", "s2222222222"}})) == -32003);
  CHECK(code(Json::object({{"id", file}, {"size", 2'097'153}})) == -32602);
  CHECK(code(Json::object({{"id", file}, {"size", 0}})) == -32602);
}

TEST_CASE("one share.read of a client waits at a time, and is forgotten with it", "[daemon]") {
  RpcFixture fixture;
  const std::string link =
      fixture.ask("share.link", Json::object({{"id", fixture.add()}}))["result"]["link"];
  RpcFixture other;
  const std::string id = other.ask("share.fetch", Json::object({{"link", link}}))["result"]["id"];
  CHECK(other.ask("share.read", Json::object({{"id", id}})).is_null());
  CHECK(other.rpc.is_idle_allowed(ClientId{1}));
  CHECK(other.ask("share.read", Json::object({{"id", id}}))["error"]["code"] == -32001);
  CHECK(other.ask("share.read", Json::object({{"id", id}}), ClientId{2}).is_null());

  // Removing the share answers who waits still.
  other.rpc.on_client_gone(other.now, ClientId{1}, other.node, other.out);
  other.line(RpcFixture::request("share.remove", Json::object({{"id", id}})), ClientId{3});
  other.settle();
  const auto told = other.sent(ClientId{2});
  REQUIRE(told.size() == 1);
  CHECK(told.front()["error"]["data"]["kind"] == "cancelled");
  CHECK(other.sent(ClientId{1}).empty());
}

}  // namespace
}  // namespace peernet::test
