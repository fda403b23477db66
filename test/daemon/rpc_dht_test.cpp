#include <map>
#include <set>

#include "dht/node_id.h"
#include "test/daemon/rpc_fixture.h"

// The methods dht.*, with a network of one other node that answers at once, or not at all.

namespace peernet::daemon {
namespace {

using namespace std::chrono_literals;
using test::check_shape;
using test::RpcFixture;
using test::tagged;

const Endpoint kHere = Endpoint::v4(0x0a000001, 7000);
const Endpoint kThere = Endpoint::v4(0x0a000002, 7000);
const std::string kKey = "11f6ad8ec52a2984abaafd7c3b516503785c2072";
const std::string kSeed(64, '7');

struct Net : RpcFixture {
  explicit Net(bool has_other = true) : other({}, Rng(2), log) {
    on_send = [this](const SendDatagram& datagram) {
      ++sent_count;
      if (is_silent || datagram.to != kThere) return;
      other.on_datagram(now, kHere, datagram.bytes, other_out);
      carry_other();
    };
    on_resolve = [this](const Resolve& wanted) {
      if (wanted.host == "slow") return;
      std::vector<Endpoint> found;
      if (wanted.host == "there") found.push_back(Endpoint::v4(0x0a000002, wanted.port));
      if (wanted.host == "v6") found.push_back(Endpoint::v6({1}, wanted.port));
      node.on_resolved(now, wanted.job, found, out);
    };
    other.start(now, {}, other_out);
    if (!has_other) return;
    other.add_node(now, kHere, other_out);
    carry_other();
    settle();
    REQUIRE(node.status(now).dht.nodes == 1);
  }

  void carry_other() {
    for (const Effect& effect : std::exchange(other_out, {})) {
      const auto* datagram = std::get_if<SendDatagram>(&effect);
      if (datagram != nullptr && datagram->to == kHere) {
        node.on_datagram(now, kThere, datagram->bytes, out);
      }
    }
  }

  void pass(Duration duration) {
    const Time end = now + duration;
    while (true) {
      const Time next = std::min({node.deadline(), other.deadline(), rpc.deadline(), end});
      now = std::max(now, next);
      node.on_time(now, out);
      other.on_time(now, other_out);
      carry_other();
      if (rpc.deadline() <= now) rpc.on_time(now, node, out);
      settle();
      if (now >= end) return;
    }
  }

  // The answer to one call, with time for it.
  Json call(const std::string& method, const Json& params) {
    Json answer = ask(method, params);
    if (!answer.is_null()) return answer;
    pass(15s);
    const auto answers = sent();
    REQUIRE(answers.size() == 1);
    return answers[0];
  }
  Json result(const std::string& method, const Json& params) {
    const Json answer = call(method, params);
    CAPTURE(method, answer.dump());
    REQUIRE(answer.contains("result"));
    check_shape(answer["result"], *find_method(method)->result);
    return answer["result"];
  }
  std::string fault(const std::string& method, const Json& params) {
    const Json answer = call(method, params);
    CAPTURE(method, answer.dump());
    REQUIRE(answer.contains("error"));
    CHECK_FALSE(answer["error"]["data"]["hint"].get<std::string>().empty());
    return answer["error"]["data"]["kind"];
  }

  dht::Dht other;
  Effects other_out;
  bool is_silent = false;
  std::size_t sent_count = 0;
};

Json key(const std::string& text = kKey) {
  return Json::object({{"key", text}});
}

}  // namespace

TEST_CASE("what dht.announce announced, dht.lookup of another node finds", "[daemon]") {
  Net net;
  const Json announced = net.result("dht.announce", {{"key", kKey}, {"port", 5000}});
  CHECK(announced["stored"] == 1);
  CHECK(announced["port"] == 5000);
  CHECK(announced["steps"].empty());

  const Json found = net.result("dht.lookup", key());
  CHECK(found["peers"] == Json::array({"10.0.0.1:5000"}));
  CHECK(found["nodes_answered"] == 1);

  const Json absent = net.result("dht.lookup", key(std::string(40, '0')));
  CHECK(absent["peers"].empty());
}

TEST_CASE("a traced lookup lists its queries", "[daemon]") {
  Net net;
  net.result("dht.announce", {{"key", kKey}, {"port", 5000}});
  const Json found = net.result("dht.lookup", {{"key", kKey}, {"trace", true}});
  REQUIRE(found["steps"].size() == 1);
  const Json& step = found["steps"][0];
  CHECK(step["node"] == kThere.to_string());
  CHECK(step["outcome"] == "answered");
  CHECK(step["peers"] == 1);
  CHECK(step["distance"].get<int>() > 140);

  const Json announced =
      net.result("dht.announce", {{"key", kKey}, {"port", 5000}, {"trace", true}});
  REQUIRE(announced["steps"].size() == 2);
  CHECK(announced["steps"][1]["is_announce"] == true);
}

TEST_CASE("calls for one key share a lookup, and each is answered", "[daemon]") {
  Net net(false);
  net.line(RpcFixture::request("dht.lookup", key()), ClientId{1});
  net.line(RpcFixture::request("dht.lookup", key()), ClientId{2});
  net.line(RpcFixture::request("dht.announce", {{"key", kKey}, {"port", 5000}}), ClientId{3});
  net.settle();
  CHECK(net.rpc.is_idle_allowed(ClientId{1}));
  CHECK(net.sent(ClientId{1}).empty());

  net.other.add_node(net.now, kHere, net.other_out);
  net.carry_other();
  net.settle();
  net.pass(5s);
  CHECK(net.sent(ClientId{1}).at(0).contains("result"));
  CHECK(net.sent(ClientId{2}).at(0).contains("result"));
  CHECK(net.sent(ClientId{3}).at(0)["result"]["stored"] == 1);
  CHECK_FALSE(net.rpc.is_idle_allowed(ClientId{1}));
}

TEST_CASE("without a node that answers dht calls fail, and say so", "[daemon]") {
  for (const bool has_other : {false, true}) {
    Net net(has_other);
    net.is_silent = true;
    CHECK(net.fault("dht.lookup", key()) == "unavailable");
    CHECK(net.fault("dht.announce", {{"key", kKey}, {"port", 5000}}) == "unavailable");
    CHECK(net.fault("dht.put", {{"text", "x"}}) == "unavailable");
    CHECK(net.fault("dht.get", {{"target", kKey}}) == "unavailable");
  }
}

TEST_CASE("with the DHT off dht calls are refused at once", "[daemon]") {
  NodeConfig config;
  config.is_dht_enabled = false;
  RpcFixture fixture(config);
  for (const auto& [method, params] : std::map<std::string, Json>{
           {"dht.lookup", key()},
           {"dht.announce", {{"key", kKey}, {"port", 5000}}},
           {"dht.put", {{"text", "x"}}},
           {"dht.get", {{"target", kKey}}},
           {"dht.ping", {{"endpoint", "10.0.0.2:7000"}}},
       }) {
    CAPTURE(method);
    CHECK(fixture.ask(method, params)["error"]["data"]["kind"] == "unavailable");
  }
  CHECK(fixture.ask("dht.stats")["result"]["dht"]["is_enabled"] == false);
}

TEST_CASE("dht.put and dht.get: an immutable item", "[daemon]") {
  Net net;
  const Json put = net.result("dht.put", {{"text", "Hello World!"}});
  CHECK(put["target"] == "e5f96f6f38320f0f33959cb4d3d656452117aadb");  // BEP 44's test 3
  CHECK(put["stored"] == 1);
  CHECK(put["seq"].is_null());
  const Json got = net.result("dht.get", {{"target", put["target"]}});
  CHECK(got["text"] == "Hello World!");
  CHECK(got["value"] == "31323a48656c6c6f20576f726c6421");
  CHECK(got["public_key"].is_null());

  const Json number = net.result("dht.put", {{"value", "693165"}});
  const Json got_number = net.result("dht.get", {{"target", number["target"]}});
  CHECK(got_number["text"].is_null());
  CHECK(got_number["value"] == "693165");

  CHECK(net.fault("dht.get", {{"target", kKey}}) == "not_found");
}

TEST_CASE("dht.put and dht.get: a mutable item, its versions and compare-and-swap", "[daemon]") {
  Net net;
  const Json first =
      net.result("dht.put", {{"text", "one"}, {"seed", kSeed}, {"salt", "s"}, {"seq", 1}});
  CHECK(first["seq"] == 1);
  const Json by_key = {{"public_key", first["public_key"]}, {"salt", "s"}};
  CHECK(net.result("dht.get", by_key)["text"] == "one");
  CHECK(net.result("dht.get", {{"target", first["target"]}, {"salt", "s"}})["seq"] == 1);

  // By default the time is the sequence number, so that the next is always newer.
  const Json second = net.result("dht.put", {{"text", "two"}, {"seed", kSeed}, {"salt", "s"}});
  CHECK(second["seq"] == 1'700'000'000 + 0);
  CHECK(net.result("dht.get", by_key)["text"] == "two");

  CHECK(net.fault("dht.put", {{"text", "old"}, {"seed", kSeed}, {"salt", "s"}, {"seq", 1}}) ==
        "refused");
  CHECK(net.fault(
            "dht.put",
            {{"text", "x"}, {"seed", kSeed}, {"salt", "s"}, {"seq", 2'000'000'000}, {"cas", 7}}) ==
        "refused");
  CHECK(net.result("dht.put", {{"text", "x"},
                               {"seed", kSeed},
                               {"salt", "s"},
                               {"seq", 2'000'000'000},
                               {"cas", 1'700'000'000}})["stored"] == 1);
  // Another salt is another item.
  CHECK(net.fault("dht.get", {{"public_key", first["public_key"]}}) == "not_found");
}

TEST_CASE("wrong parameters of dht calls are refused before anything is sent", "[daemon]") {
  Net net;
  const std::size_t sent_before = net.sent_count;
  for (const char* wrong : {"", "12", "zzf6ad8ec52a2984abaafd7c3b516503785c2072",
                            "11f6ad8ec52a2984abaafd7c3b516503785c20720"}) {
    CAPTURE(wrong);
    CHECK(net.fault("dht.lookup", key(wrong)) == "malformed");
    CHECK(net.fault("dht.announce", {{"key", wrong}, {"port", 1}}) == "malformed");
    CHECK(net.fault("dht.get", {{"target", wrong}}) == "malformed");
    CHECK(net.fault("dht.get", {{"public_key", wrong}}) == "malformed");
    CHECK(net.fault("dht.put", {{"text", "x"}, {"seed", wrong}}) == "malformed");
  }
  CHECK(net.fault("dht.announce", {{"key", kKey}, {"port", 0}}) == "invalid_params");
  CHECK(net.fault("dht.announce", {{"key", kKey}, {"port", 65'536}}) == "invalid_params");
  CHECK(net.fault("dht.put", Json::object()) == "malformed");
  CHECK(net.fault("dht.put", {{"text", "x"}, {"value", "693165"}}) == "malformed");
  CHECK(net.fault("dht.put", {{"value", "6931"}}) == "malformed");
  CHECK(net.fault("dht.put", {{"value", "xx"}}) == "malformed");
  CHECK(net.fault("dht.put", {{"text", "x"}, {"salt", "s"}}) == "malformed");
  CHECK(net.fault("dht.put", {{"text", "x"}, {"seq", 1}}) == "malformed");
  CHECK(net.fault("dht.put", {{"text", "x"}, {"cas", 1}}) == "malformed");
  CHECK(net.fault("dht.put", {{"text", std::string(997, 'x')}}) == "too_large");
  CHECK(net.fault("dht.put", {{"text", "x"}, {"seed", kSeed}, {"salt", std::string(65, 's')}}) ==
        "malformed");
  CHECK(net.fault("dht.get", Json::object()) == "malformed");
  CHECK(net.fault("dht.get", {{"target", kKey}, {"public_key", kSeed}}) == "malformed");
  for (const char* wrong : {"", ":", "there", "there:", "there:x", "there:0", "there:1023",
                            "there:65536", ":7000", "1:2:7000", "[]:7000", "th ere:7000"}) {
    CAPTURE(wrong);
    CHECK(net.fault("dht.ping", {{"endpoint", wrong}}) == "malformed");
  }
  CHECK(net.sent_count == sent_before);
}

TEST_CASE("dht.ping finds a host by name, and tells who is there", "[daemon]") {
  Net net;
  const Json pinged = net.result("dht.ping", {{"endpoint", "there:7000"}});
  CHECK(pinged["endpoint"] == kThere.to_string());
  CHECK(pinged["id"] == to_hex(net.other.stats().id.view()));
  CHECK(net.fault("dht.ping", {{"endpoint", "nowhere:7000"}}) == "not_found");
  CHECK(net.fault("dht.ping", {{"endpoint", "there:7001"}}) == "timed_out");
}

TEST_CASE("a dht call that nothing comes of ends after a minute", "[daemon]") {
  Net net;
  net.line(RpcFixture::request("dht.ping", {{"endpoint", "slow:7000"}}));
  net.settle();
  net.pass(kDhtCallTimeout - 1ms);
  CHECK(net.sent().empty());
  net.pass(1ms);
  CHECK(net.sent().at(0)["error"]["data"]["kind"] == "timed_out");
  CHECK(net.rpc.deadline() == kNever);
}

TEST_CASE("a client waits for so many dht calls, and none is left when it goes", "[daemon]") {
  Net net;
  for (std::size_t i = 0; i < kRpcPendingMax; ++i) {
    net.line(RpcFixture::request("dht.ping", {{"endpoint", "slow:7000"}}));
  }
  CHECK(net.fault("dht.lookup", key()) == "refused");
  net.rpc.on_client_gone(net.now, ClientId{1}, net.node, net.out);
  net.line(RpcFixture::request("dht.lookup", key()));
  net.rpc.on_client_gone(net.now, ClientId{1}, net.node, net.out);
  net.pass(kDhtCallTimeout + 1s);
  CHECK(net.sent().empty());
}

TEST_CASE("no more raw lookups run than are allowed", "[daemon]") {
  Net net(false);
  for (std::size_t i = 0; i < kRawLookupsMax; ++i) {
    REQUIRE(net.node.dht_lookup(net.now, tagged<DhtId>(i + 1), false, net.out));
  }
  const auto over = net.node.dht_lookup(net.now, tagged<DhtId>(9999), false, net.out);
  REQUIRE_FALSE(over);
  CHECK(over.error().code == Errc::refused);
  // One that runs is joined.
  CHECK(net.node.dht_lookup(net.now, tagged<DhtId>(1), false, net.out));

  for (std::size_t i = 0; i < kRawPingsMax; ++i) {
    REQUIRE(net.node.dht_ping(net.now, "slow", 7000, net.out));
  }
  CHECK_FALSE(net.node.dht_ping(net.now, "slow", 7000, net.out));
}

TEST_CASE("dht.stats shows the table by distance", "[daemon]") {
  Net net;
  const Json stats = net.result("dht.stats", Json::object());
  REQUIRE(stats["nodes"].size() == 1);
  CHECK(stats["nodes"][0]["endpoint"] == kThere.to_string());
  REQUIRE(stats["buckets"].size() == 1);
  CHECK(stats["buckets"][0]["shared_bits"] == stats["nodes"][0]["shared_bits"]);
  CHECK(stats["buckets"][0]["nodes_count"] == 1);
}

}  // namespace peernet::daemon
