#include "core/identity.h"
#include "daemon/rpc_values.h"
#include "test/daemon/rpc_fixture.h"

namespace peernet::daemon {
namespace {

using test::check_shape;
using test::RpcFixture;
using test::tagged;

int code_of(const Json& answer) {
  return answer.contains("error") ? answer["error"]["code"].get<int>() : 0;
}

std::string link_of(std::uint64_t number) {
  return "peernet:" + to_text(tagged<ShareId>(number));
}

// ---- The protocol

TEST_CASE("a request is answered with its id, a notification is not", "[daemon]") {
  RpcFixture fixture;

  fixture.line(R"({"jsonrpc":"2.0","id":"x","method":"identity.show"})");
  const auto answers = fixture.sent();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0]["jsonrpc"] == "2.0");
  CHECK(answers[0]["id"] == "x");
  CHECK(answers[0]["result"]["id"] == to_text(fixture.node.id()));

  fixture.line(R"({"jsonrpc":"2.0","method":"identity.show"})");
  fixture.line(R"({"jsonrpc":"2.0","method":"no.such.method"})");
  fixture.line("  \r");
  CHECK(fixture.sent().empty());
}

TEST_CASE("ids of every allowed type come back unchanged", "[daemon]") {
  for (const char* id :
       {"1", "-1", "1.5", "null", R"("")", R"("\u0000")", "18446744073709551615"}) {
    RpcFixture fixture;
    CAPTURE(id);
    fixture.line(std::string(R"({"jsonrpc":"2.0","id":)") + id + R"(,"method":"dht.status"})");
    const auto answers = fixture.sent();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0]["id"] == Json::parse(id));
  }
}

TEST_CASE("what is not a request gets the error that JSON-RPC names for it", "[daemon]") {
  struct Wrong {
    const char* line;
    int code;
  };
  for (const auto& [line, code] : {
           Wrong{"nonsense", -32700},
           Wrong{R"({"jsonrpc":"2.0","id":1,)", -32700},
           Wrong{"\"\xff\"", -32700},
           Wrong{"[]", -32600},
           Wrong{"1", -32600},
           Wrong{"null", -32600},
           Wrong{"{}", -32600},
           Wrong{R"({"id":1,"method":"dht.status"})", -32600},
           Wrong{R"({"jsonrpc":2.0,"id":1,"method":"dht.status"})", -32600},
           Wrong{R"({"jsonrpc":"1.0","id":1,"method":"dht.status"})", -32600},
           Wrong{R"({"jsonrpc":"2.0","id":{},"method":"dht.status"})", -32600},
           Wrong{R"({"jsonrpc":"2.0","id":1,"method":7})", -32600},
           Wrong{R"({"jsonrpc":"2.0","id":1,"method":"dht.status","params":7})", -32600},
           Wrong{R"({"jsonrpc":"2.0","id":1,"method":"dht.status","params":[]})", -32602},
           Wrong{R"({"jsonrpc":"2.0","id":1,"method":"dht.statsu"})", -32601},
           Wrong{R"({"jsonrpc":"2.0","id":1,"method":"share.status"})", -32602},
           Wrong{R"({"jsonrpc":"2.0","id":1,"method":"share.status","params":{"id":7}})", -32602},
           Wrong{R"({"jsonrpc":"2.0","id":1,"method":"dht.status","params":{"id":"s"}})", -32602},
       }) {
    RpcFixture fixture;
    CAPTURE(line);
    fixture.line(line);
    const auto answers = fixture.sent();
    REQUIRE(answers.size() == 1);
    CHECK(code_of(answers[0]) == code);
    CHECK_FALSE(answers[0]["error"]["message"].get<std::string>().empty());
    CHECK(answers[0]["error"]["data"].contains("kind"));
  }
}

TEST_CASE("a batch is answered by one line, in which notifications are missing", "[daemon]") {
  RpcFixture fixture;
  fixture.line(
      R"([{"jsonrpc":"2.0","id":1,"method":"dht.status"},)"
      R"({"jsonrpc":"2.0","method":"dht.status"},7,)"
      R"({"jsonrpc":"2.0","id":"x","method":"share.status","params":{"id":"saaaaaaaa"}}])");
  const auto lines = fixture.sent();
  REQUIRE(lines.size() == 1);
  REQUIRE(lines[0].size() == 3);
  CHECK(lines[0][0]["id"] == 1);
  CHECK(lines[0][0].contains("result"));
  CHECK(code_of(lines[0][1]) == -32600);
  CHECK(lines[0][2]["id"] == "x");
  CHECK(code_of(lines[0][2]) == -32003);

  fixture.line(R"([{"jsonrpc":"2.0","method":"dht.status"}])");
  CHECK(fixture.sent().empty());
}

TEST_CASE("a batch waits for its slowest call, and goes with its client", "[daemon]") {
  RpcFixture fixture;
  const std::string batch =
      R"([{"jsonrpc":"2.0","id":1,"method":"share.add","params":{"path":"/data/file"}},)"
      R"({"jsonrpc":"2.0","id":2,"method":"dht.status"}])";
  fixture.line(batch);
  CHECK(fixture.sent().empty());
  fixture.settle();
  const auto lines = fixture.sent();
  REQUIRE(lines.size() == 1);
  REQUIRE(lines[0].size() == 2);
  CHECK(lines[0][0]["id"] == 2);
  CHECK(lines[0][1]["result"].contains("link"));

  fixture.line(batch, ClientId{2});
  fixture.rpc.on_client_gone(fixture.now, ClientId{2}, fixture.node, fixture.out);
  fixture.settle();
  CHECK(fixture.sent(ClientId{2}).empty());
}

TEST_CASE("a batch has a limit, and is not empty", "[daemon]") {
  RpcFixture fixture;
  const auto batch = [&](std::size_t count) {
    Json requests = Json::array();
    for (std::size_t i = 0; i < count; ++i) {
      requests.push_back(Json::object({{"jsonrpc", "2.0"}, {"id", i}, {"method", "dht.status"}}));
    }
    fixture.line(requests.dump());
    return fixture.sent().at(0);
  };
  CHECK(batch(kRpcBatchMax).size() == kRpcBatchMax);
  CHECK(code_of(batch(kRpcBatchMax + 1)) == -32600);
  CHECK(code_of(batch(0)) == -32600);
}

TEST_CASE("an answer has only the fields that were asked for", "[daemon]") {
  RpcFixture fixture;
  fixture.add();
  const Json fields = Json::array({"state", "size"});
  Json answer = fixture.ask("share.list", Json::object({{"fields", fields}}))["result"];
  CHECK(answer["count"] == 1);
  CHECK(answer["shares"] == Json::parse(R"([{"state":"seeding","size":5}])"));
  answer = fixture.ask("daemon.status", Json::object({{"fields", Json::array({"port"})}}));
  CHECK(answer["result"] == Json::parse(R"({"port":0})"));
  answer = fixture.ask("share.list", Json::object({{"fields", Json::array({"stat"})}}));
  CHECK(code_of(answer) == -32602);
  const std::string hint = answer["error"]["data"]["hint"];
  CHECK(hint.starts_with("did you mean \"state\"? There are id, "));
}

TEST_CASE("an unknown method or parameter names the nearest valid one", "[daemon]") {
  RpcFixture fixture;
  CHECK(fixture.ask("share.lst")["error"]["data"]["hint"] == "did you mean \"share.list\"?");
  const Json answer =
      fixture.ask("share.add", Json::object({{"path", "/a"}, {"piece_lenght", 65536}}));
  CHECK(answer["error"]["data"]["hint"] == "did you mean \"piece_length\"?");
}

TEST_CASE("whoever does not speak JSON is told so and heard no more", "[daemon]") {
  RpcFixture fixture;
  fixture.line("POST / HTTP/1.1");
  auto replies = fixture.rpc.take_replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].is_closing);

  fixture.line(R"({"jsonrpc":"2.0","id":1,"method":"daemon.shutdown"})");
  CHECK(fixture.rpc.take_replies().empty());
  CHECK_FALSE(fixture.rpc.is_shutdown_wanted());

  fixture.line(R"({"jsonrpc":"2.0","id":1,"method":"dht.status"})", ClientId{2});
  CHECK_FALSE(fixture.rpc.take_replies().at(0).is_closing);
}

TEST_CASE("a request nested too deep, or with a long id, is refused", "[daemon]") {
  RpcFixture fixture;
  const auto nested = [](std::size_t depth) {
    return R"({"jsonrpc":"2.0","id":1,"method":"dht.status","params":)" + std::string(depth, '[') +
           std::string(depth, ']') + "}";
  };
  fixture.line(nested(kRpcDepthMax - 1), ClientId{1});
  CHECK(code_of(fixture.sent(ClientId{1}).at(0)) == -32602);
  fixture.line(nested(kRpcDepthMax), ClientId{2});
  CHECK(code_of(fixture.sent(ClientId{2}).at(0)) == -32700);
  fixture.line(nested(400'000), ClientId{3});
  CHECK(code_of(fixture.sent(ClientId{3}).at(0)) == -32700);

  const auto named = [](std::size_t size) {
    return R"({"jsonrpc":"2.0","method":"dht.status","id":")" + std::string(size - 2, 'i') + "\"}";
  };
  fixture.line(named(kRpcIdSizeMax), ClientId{4});
  CHECK(fixture.sent(ClientId{4}).at(0).contains("result"));
  fixture.line(named(kRpcIdSizeMax + 1), ClientId{4});
  CHECK(code_of(fixture.sent(ClientId{4}).at(0)) == -32600);
}

TEST_CASE("every method refuses every wrong type of every parameter", "[daemon]") {
  RpcFixture fixture;
  const std::vector<Json> values{
      Json(),  Json(true),     Json(-1),         Json(1.5),         Json("text"),
      Json(7), Json::object(), Json::array({1}), Json(1ULL << 60U), Json::array({"text"})};
  for (const Method& method : methods()) {
    for (const Field& field : method.params) {
      for (const Json& value : values) {
        const bool is_right =
            (field.type == FieldType::text && value.is_string()) ||
            (field.type == FieldType::boolean && value.is_boolean()) ||
            (field.type == FieldType::integer && value == Json(7) && field.min <= 7) ||
            (field.type == FieldType::list_of_text && value == Json::array({"text"})) ||
            (field.presence == Presence::optional && value.is_null());
        if (is_right) continue;
        Json params = Json::object();
        for (const Field& other : method.params) {
          if (other.presence == Presence::required) params[std::string(other.name)] = "text";
        }
        params[std::string(field.name)] = value;
        CAPTURE(method.name, field.name, value.dump());
        CHECK(code_of(fixture.ask(std::string(method.name), params)) == -32602);
      }
    }
  }
}

TEST_CASE("errors carry the exit code, a kind and a hint", "[daemon]") {
  RpcFixture fixture;
  const Json unknown = fixture.ask("share.status", Json::object({{"id", "saaaaaaaa"}}));
  CHECK(code_of(unknown) == -32003);
  CHECK(unknown["error"]["data"]["kind"] == "not_found");
  const Json short_id = fixture.ask("share.status", Json::object({{"id", "sa"}}));
  CHECK(code_of(short_id) == -32002);
  const Json bad_link = fixture.ask("share.fetch", Json::object({{"link", "magnet:?xt=1"}}));
  CHECK(code_of(bad_link) == -32002);
  CHECK(exit_code(Errc::exists) == 13);
  CHECK(exit_code(Errc::no_space) == 9);
  CHECK(exit_code(Errc::denied) == 10);
  CHECK(exit_code(Errc::corrupt) == 8);
}

TEST_CASE("no error leaves without a hint", "[daemon]") {
  for (const Errc code :
       {Errc::malformed, Errc::too_large, Errc::refused, Errc::timed_out, Errc::closed,
        Errc::corrupt, Errc::not_found, Errc::exists, Errc::no_space, Errc::denied,
        Errc::unavailable, Errc::cancelled, Errc::io}) {
    CHECK_FALSE(error_json(Error{code, "w", {}})["hint"].get<std::string>().empty());
    CHECK(error_json(Error{code, "w", "own"})["hint"] == "own");
  }
  RpcFixture fixture;
  const Json answer = fixture.ask("share.fetch", Json::object({{"link", "nonsense"}}));
  CHECK(answer["error"]["data"]["hint"] ==
        "copy the whole link again, as it was printed where it is shared");
}

TEST_CASE("names from outside leave as ASCII, whatever they are", "[daemon]") {
  RpcFixture fixture;
  // NOLINTNEXTLINE(misc-misleading-bidirectional): that is what is tested
  fixture.line("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\\u001b[2J\xe2\x80\xae\"}");
  const auto replies = fixture.rpc.take_replies();
  REQUIRE(replies.size() == 1);
  for (const char c : replies[0].line) CHECK((c >= ' ' && c <= '~'));
}

// ---- Methods

TEST_CASE("share.add is answered when the import ends, with a link", "[daemon]") {
  RpcFixture fixture;
  fixture.line(RpcFixture::request("share.add", Json::object({{"path", "/data//tree/"}})));
  CHECK(fixture.sent().empty());
  CHECK(fixture.rpc.is_idle_allowed(ClientId{1}));

  fixture.settle();
  const auto answers = fixture.sent();
  REQUIRE(answers.size() == 1);
  const Json& result = answers[0]["result"];
  CHECK(result["name"] == "tree");
  CHECK(result["path"] == "/data/tree");
  CHECK(result["size"] == 12);
  CHECK(result["files_count"] == 2);
  CHECK(result["was_known"] == false);
  CHECK(result["left_out"] == Json::parse(R"([{"path":"link","reason":"symlink"}])"));
  CHECK(result["link"].get<std::string>().starts_with("peernet:s"));
  CHECK_FALSE(fixture.rpc.is_idle_allowed(ClientId{1}));
}

TEST_CASE("share.add refuses paths that are not absolute and plain", "[daemon]") {
  RpcFixture fixture;
  for (const char* path : {"", "file", "./file", "/a/../b", "/a/.", "/", "///"}) {
    CAPTURE(path);
    CHECK(code_of(fixture.ask("share.add", Json::object({{"path", path}}))) == -32002);
  }
  CHECK(code_of(fixture.ask("share.add", Json::object({{"path", std::string("/a\0b", 4)}}))) ==
        -32002);
  CHECK(code_of(fixture.ask("share.add",
                            Json::object({{"path", "/a"}, {"piece_length", 65537}}))) == -32002);
}

TEST_CASE("an import is cancelled when the client goes away", "[daemon]") {
  RpcFixture fixture;
  fixture.ask("events.subscribe", Json::object({{"kinds", {"import_failed"}}}), ClientId{2});
  fixture.line(RpcFixture::request("share.add", Json::object({{"path", "/data/file"}})));

  fixture.rpc.on_client_gone(fixture.now, ClientId{1}, fixture.node, fixture.out);
  fixture.settle();

  CHECK(fixture.node.shares(fixture.now).empty());
  const auto events = fixture.sent(ClientId{2});
  REQUIRE(events.size() == 1);
  CHECK(events[0]["params"]["path"] == "/data/file");
  CHECK(events[0]["params"]["error"]["kind"] == "cancelled");
  CHECK(fixture.sent(ClientId{1}).empty());
}

TEST_CASE("a client may wait for so many answers and no more", "[daemon]") {
  RpcFixture fixture;
  const std::string request = RpcFixture::request("share.add", Json::object({{"path", "/d/f"}}));
  for (std::size_t i = 0; i < kRpcPendingMax; ++i) fixture.line(request);
  CHECK(fixture.sent().empty());

  fixture.line(request);
  const auto answers = fixture.sent();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0]["error"]["data"]["kind"] == "refused");
}

TEST_CASE("share.fetch makes a share that all methods know by its prefix", "[daemon]") {
  RpcFixture fixture;
  const Json fetched = fixture.ask("share.fetch", Json::object({{"link", link_of(5)}}));
  const std::string id = fetched["result"]["id"];
  CHECK(id == to_text(tagged<ShareId>(5)));
  const Json params = Json::object({{"id", id.substr(0, 8)}});

  CHECK(fixture.ask("share.status", params)["result"]["id"] == id);
  CHECK(fixture.ask("share.status", params)["result"]["size"].is_null());
  CHECK(fixture.ask("share.link", params)["result"]["link"].get<std::string>().find(id) !=
        std::string::npos);
  CHECK(code_of(fixture.ask("share.files", params)) == -32006);
  CHECK(fixture.ask("share.pause", params)["result"]["state"] == "paused");
  CHECK(fixture.ask("share.resume", params)["result"]["state"] != "paused");
  CHECK(fixture.ask("share.remove", params)["result"]["id"] == id);
  CHECK(code_of(fixture.ask("share.status", params)) == -32003);
}

TEST_CASE("lists come in pages", "[daemon]") {
  RpcFixture fixture;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    fixture.ask("share.fetch", Json::object({{"link", link_of(i)}}));
  }
  const Json page = fixture.ask("share.list", Json::object({{"offset", 3}, {"limit", 10}}));
  CHECK(page["result"]["count"] == 5);
  REQUIRE(page["result"]["shares"].size() == 2);
  CHECK(page["result"]["shares"][0]["id"] == to_text(tagged<ShareId>(4)));
  CHECK(fixture.ask("share.list", Json::object({{"offset", 5}}))["result"]["shares"].empty());
  CHECK(code_of(fixture.ask("share.list", Json::object({{"limit", 1001}}))) == -32602);
}

TEST_CASE("daemon.shutdown is answered and asked of the shell", "[daemon]") {
  RpcFixture fixture;
  CHECK_FALSE(fixture.rpc.is_shutdown_wanted());
  CHECK(fixture.ask("daemon.shutdown").contains("result"));
  CHECK(fixture.rpc.is_shutdown_wanted());
}

TEST_CASE("the config that daemon.config shows is the effective one", "[daemon]") {
  RpcFixture fixture;
  DaemonConfig config;
  config.limit_up = 1'000'000;
  fixture.rpc.on_config(config_to_json(config), "/elsewhere");
  CHECK(fixture.ask("daemon.config")["result"]["config"]["limits"]["up"] == "1MB/s");
  CHECK(fixture.ask("daemon.config")["result"]["paths"]["downloads"] == "/elsewhere");
}

TEST_CASE("limits are set now, for a time, and come back", "[daemon]") {
  RpcFixture fixture;
  CHECK(fixture.ask("limit.show")["result"]["down"].is_null());
  fixture.ask("limit.set", Json::object({{"down", 1000}}));
  const Json timed = fixture.ask(
      "limit.set", Json::object({{"down", 5000}, {"up", 7}, {"seconds", 60}}))["result"];
  CHECK(timed["down"] == 5000);
  CHECK(timed["up"] == 7);
  CHECK(timed["until"].is_string());
  CHECK(fixture.ask("daemon.status")["result"]["limit_down"] == 5000);
  CHECK(fixture.rpc.deadline() == fixture.now + std::chrono::seconds(60));

  fixture.now += std::chrono::seconds(60);
  fixture.rpc.on_time(fixture.now, fixture.node, fixture.out);
  const Json after = fixture.ask("limit.show")["result"];
  CHECK(after["down"] == 1000);
  CHECK(after["up"].is_null());
  CHECK(after["until"].is_null());
  CHECK(fixture.rpc.deadline() == kNever);

  const std::string id = fixture.add();
  CHECK(fixture.ask("limit.set", Json::object({{"id", id}, {"up", 9}}))["result"]["up"] == 9);
  CHECK(fixture.ask("limit.show", Json::object({{"id", id}}))["result"]["up"] == 9);
  CHECK(fixture.ask("limit.set", Json::object({{"id", id}, {"up", 0}}))["result"]["up"].is_null());
}

TEST_CASE("so many limits may wait for their end and no more", "[daemon]") {
  RpcFixture fixture;
  const Json timed = Json::object({{"up", 1}, {"seconds", 9}});
  CHECK(fixture.ask("limit.set", timed).contains("result"));
  CHECK(fixture.ask("limit.set", timed).contains("result"));  // the same one
  CHECK(kTimedLimitsMax == 1000);
}

TEST_CASE("a known share that is fetched into another directory is refused, not ignored",
          "[daemon]") {
  RpcFixture fixture;
  const Json first = Json::object({{"link", link_of(9)}, {"directory", "/a"}});
  REQUIRE(fixture.ask("share.fetch", first).contains("result"));
  CHECK(fixture.ask("share.fetch", first).contains("result"));
  CHECK(fixture.ask("share.fetch", Json::object({{"link", link_of(9)}})).contains("result"));
  const Json answer =
      fixture.ask("share.fetch", Json::object({{"link", link_of(9)}, {"directory", "/b"}}));
  CHECK(code_of(answer) == -32013);
  CHECK(answer["error"]["data"]["hint"].get<std::string>().find("peernet rm") != std::string::npos);
}

TEST_CASE("status names a private network, and a key is made at an absolute path only",
          "[daemon]") {
  CHECK(RpcFixture().ask("daemon.status")["result"]["network"].is_null());
  daemon::NodeConfig config;
  config.transfer.network_key = Key{};
  RpcFixture fixture(config);
  const Json network = fixture.ask("daemon.status")["result"]["network"];
  REQUIRE(network.is_string());
  CHECK(network.get<std::string>().size() == 16);
  const auto made = [&](const char* path) {
    return fixture.ask("network.new", Json::object({{"path", path}}));
  };
  CHECK(made("/etc/net.key")["result"]["path"] == "/etc/net.key");
  CHECK(code_of(made("net.key")) == -32002);
  CHECK(code_of(made("/a/../net.key")) == -32002);
}

TEST_CASE("metrics stand in both forms, each name described once", "[daemon]") {
  RpcFixture fixture;
  const Json result = fixture.ask("metrics.get")["result"];
  const auto text = result["text"].get<std::string>();
  for (const Json& metric : result["metrics"]) {
    const auto name = metric["name"].get<std::string>();
    CAPTURE(name);
    const std::string help = "# HELP " + name + " ";
    const auto place = text.find(help);
    REQUIRE(place != std::string::npos);
    CHECK(text.find(help, place + 1) == std::string::npos);
  }
  for (const char* const promised : {R"(connections{state="dialling"})",
                                     R"(connections{state="handshake_in"})",
                                     R"(connections{state="open_in"})",
                                     R"(connections{state="open_out"})",
                                     R"(rejects_total{reason="banned"})",
                                     R"(rejects_total{reason="address_limit"})",
                                     R"(rejects_total{reason="handshake_rate"})",
                                     R"(rejects_total{reason="protocol"})",
                                     R"(rejects_total{reason="unknown_share"})",
                                     R"(bytes_total{class="wire_in"})",
                                     R"(dht_queries_total{kind="get_peers",outcome="refused"})",
                                     "dht_items_stored",
                                     R"(bytes_total{class="wire_out"})",
                                     R"(bytes_total{class="verified_in"})",
                                     R"(bytes_total{class="wasted_in"})",
                                     R"(bytes_total{class="blocks_out"})",
                                     R"(bytes_total{class="reread"})",
                                     "hash_failures_total",
                                     R"(bans{of="peer"})",
                                     "pieces_durable",
                                     R"(control_requests_total{outcome="answered"})"}) {
    CAPTURE(promised);
    CHECK(text.find("\npeernet_" + std::string(promised) + " ") != std::string::npos);
  }
}

// ---- The table

constexpr std::array<std::string_view, 8> kAnsweredLater{
    "share.read", "share.preview", "share.verify", "peer.connect",
    "peer.drop",  "peer.ban",      "peer.unban",   "share.accept"};

TEST_CASE("every method answers in the shape that the table gives", "[daemon]") {
  RpcFixture fixture;
  const std::string id = fixture.add("/data/tree");
  for (const Method& method : methods()) {
    if (method.id == MethodName::share_remove) continue;
    // Those that wait for the network are in rpc_dht_test.cpp.
    if (method.name.starts_with("dht.") && !method.params.empty()) continue;
    // Those that wait for the disk, or want a peer or a quarantined share, are in
    // rpc_read_test.cpp, rpc_peers_test.cpp and e2e.
    if (std::ranges::count(kAnsweredLater, method.name) > 0) continue;
    Json params = Json::object();
    for (const Field& field : method.params) {
      if (field.presence != Presence::required) continue;
      params[std::string(field.name)] = field.name == "id"      ? Json(id)
                                        : field.name == "link"  ? Json(link_of(9))
                                        : field.name == "text"  ? Json("{}")
                                        : field.name == "key"   ? Json("log.level")
                                        : field.name == "value" ? Json("warn")
                                                                : Json("/data/file");
    }
    CAPTURE(method.name);
    const Json answer = fixture.ask(std::string(method.name), params);
    REQUIRE(answer.contains("result"));
    check_shape(answer["result"], *method.result);
  }
  const Json removed = fixture.ask("share.remove", Json::object({{"id", id}}));
  check_shape(removed["result"], *find_method("share.remove")->result);
}

TEST_CASE("rpc.discover describes every method with a schema", "[daemon]") {
  RpcFixture fixture;
  const Json document = fixture.ask("rpc.discover")["result"];

  CHECK(document["openrpc"] == "1.2.6");
  REQUIRE(document["methods"].size() == methods().size());
  for (const Json& method : document["methods"]) {
    CHECK_FALSE(method["summary"].get<std::string>().empty());
    CHECK(method["result"]["schema"]["type"] == "object");
    for (const Json& param : method["params"]) CHECK(param["schema"].contains("type"));
  }
  CHECK(document["x-events"].size() == kEventKindsCount);
}

TEST_CASE("the table of events stands in the order of their kinds", "[daemon]") {
  std::size_t index = 0;
  for (const EventRow& row : event_rows()) {
    CHECK(static_cast<std::size_t>(row.kind) == index++);
    CHECK(find_event_kind(row.name) == row.kind);
  }
  CHECK_FALSE(find_event_kind("nothing"));
}

}  // namespace
}  // namespace peernet::daemon
