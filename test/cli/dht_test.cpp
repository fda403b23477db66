#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>

#include "cli/commands.h"
#include "cli/render.h"
#include "test/cli/stage.h"

// `peernet dht` and its commands, against a daemon that has said everything beforehand.

namespace peernet::cli {
namespace {

const std::string kKey = "11f6ad8ec52a2984abaafd7c3b516503785c2072";

// An answer stands on one line.
std::string one_line(const std::string& json) {
  return Json::parse(json).dump();
}

DhtOptions with_key(const std::string& key = kKey) {
  DhtOptions options;
  options.key = key;
  return options;
}

TEST_CASE("dht shows the figures and the table by distance", "[cli]") {
  const Json stats = Json::parse(R"({"dht": {"is_enabled": true, "id": "a5ee", "is_joined": true,
    "nodes_count": 10, "nodes_good": 9, "lookups_count": 2, "keys_stored": 1, "peers_stored": 3,
    "queries_in": 5, "queries_out": 6, "replies_in": 4, "errors_in": 1, "dropped_in": 0,
    "bytes_in": 2048, "bytes_out": 100}, "address": "192.0.2.1", "items_stored": 0,
    "estimate": 1200,
    "buckets": [{"shared_bits": 0, "nodes_count": 8}, {"shared_bits": 1, "nodes_count": 2}]})");
  CHECK(render_dht(stats, {}) ==
        "  node         a5ee\n"
        "  joined       yes\n"
        "  address      192.0.2.1\n"
        "  table        10 nodes, 9 of them good\n"
        "  network      about 1200 nodes\n"
        "  lookups      2 running or waiting\n"
        "  stored here  3 peers under 1 key, 0 items\n"
        "  queries      5 in, 6 out; 4 replies, 1 error, 0 dropped\n"
        "  traffic      2.0 KiB in, 100 B out\n"
        "SHARED BITS  NODES\n"
        "          0      8  ########\n"
        "          1      2  ##\n");
  CHECK(render_dht(Json::parse(R"({"dht": {"is_enabled": false}})"), {}) ==
        "the DHT is off (discovery.dht in the config)\n");
  // Whatever is missing is no fault.
  CHECK_FALSE(render_dht(Json::parse(R"({"dht": {"is_enabled": true}})"), {}).empty());
}

TEST_CASE("a trace shows the queries in the order in which they were sent", "[cli]") {
  const Json steps = Json::parse(R"([
    {"node": "10.0.0.2:1", "id": "bb", "distance": 158, "asked": 0.25, "took": 3.0,
     "outcome": "failed", "is_announce": false, "nodes": 0, "peers": 0},
    {"node": "10.0.0.1:1", "id": null, "distance": null, "asked": 0.0, "took": 0.0512,
     "outcome": "answered", "is_announce": true, "nodes": 8, "peers": 1}])");
  CHECK(render_steps(steps, {}) ==
        "ASKED ms  TOOK ms  DISTANCE  NODE        OUTCOME            NODES  PEERS  ID\n"
        "     0.0     51.2         -  10.0.0.1:1  announce answered      8      1\n"
        "   250.0   3000.0       158  10.0.0.2:1  failed                 0      0  bb\n");
  CHECK(render_steps(Json::array(), {}) == "no query has ended\n");
  CHECK(render_steps(Json(7), {}) == "no query has ended\n");
}

TEST_CASE("dht lookup prints the peers, one a line, and the effort as the story", "[cli]") {
  Stage stage;
  stage.will_answer(one_line(R"({"peers": ["10.0.0.1:5000", "10.0.0.2:\u001b[2J"], "nodes_asked": 9,
    "nodes_answered": 8, "took": 0.25, "steps": []})"));
  CHECK(dht_lookup(stage.session(), with_key()) == 0);
  CHECK(stage.out.text() == "10.0.0.1:5000\n10.0.0.2:\\x1b[2J\n");
  CHECK(stage.err.text() == "2 peers (8 of 9 nodes answered, 250 ms)\n");
  const auto asked = stage.asked();
  REQUIRE(asked.size() == 1);
  CHECK(asked[0]["method"] == "dht.lookup");
  CHECK(asked[0]["params"]["key"] == kKey);
  CHECK(asked[0]["params"]["trace"] == false);
}

TEST_CASE("dht lookup that finds nobody ends with not found, also as a document", "[cli]") {
  const std::string nobody =
      R"({"peers": [], "nodes_asked": 9, "nodes_answered": 8, "took": 0.0021, "steps": []})";
  Stage stage;
  stage.will_answer(nobody);
  CHECK(dht_lookup(stage.session(), with_key()) == 3);
  CHECK(stage.out.text().empty());
  CHECK(stage.err.text() ==
        "peernet: no peers under this key (8 of 9 nodes answered, 2.1 ms)\n"
        "hint: has anybody announced it in the last half hour?\n");

  Stage json(true);
  json.will_answer(nobody);
  CHECK(dht_lookup(json.session(), with_key()) == 3);
  CHECK(Json::parse(json.out.text())["nodes_answered"] == 8);
  CHECK(json.err.text().empty());
}

TEST_CASE("dht lookup --trace tells the queries as the story", "[cli]") {
  Stage stage;
  stage.will_answer(one_line(R"({"peers": ["10.0.0.1:5000"], "nodes_asked": 1, "nodes_answered": 1,
    "took": 0.25, "steps": [{"node": "10.0.0.9:1", "id": "bb", "distance": 158, "asked": 0,
    "took": 0.1, "outcome": "answered", "is_announce": false, "nodes": 8, "peers": 1}]})"));
  DhtOptions options = with_key();
  options.is_traced = true;
  CHECK(dht_lookup(stage.session(), options) == 0);
  CHECK(stage.out.text() == "10.0.0.1:5000\n");
  CHECK(stage.err.text().find("10.0.0.9:1  answered") != std::string::npos);
  CHECK(stage.asked().at(0)["params"]["trace"] == true);
}

TEST_CASE("dht announce refuses what is no port", "[cli]") {
  for (const char* port : {"", "0", "65536", "x", "1.5", "-1", "80 "}) {
    Stage stage;
    DhtOptions options = with_key();
    options.port = port;
    CAPTURE(port);
    CHECK(dht_announce(stage.session(), options) == 2);
    CHECK(stage.asked().empty());
  }
  Stage stage;
  stage.will_answer(R"({"stored": 8, "nodes_asked": 9, "nodes_answered": 9, "took": 0.3})");
  DhtOptions options = with_key();
  options.port = "65535";
  CHECK(dht_announce(stage.session(), options) == 0);
  CHECK(stage.asked().at(0)["params"]["port"] == 65'535);
  CHECK(stage.err.text() == "announced to 8 nodes (9 of 9 nodes answered, 300 ms)\n");
}

TEST_CASE("dht ping prints the id", "[cli]") {
  Stage stage;
  stage.will_answer(R"({"endpoint": "10.0.0.1:7000", "id": "a5ee", "took": 0.012})");
  DhtOptions options;
  options.endpoint = "there:7000";
  CHECK(dht_ping(stage.session(), options) == 0);
  CHECK(stage.out.text() == "a5ee\n");
  CHECK(stage.err.text() == "10.0.0.1:7000 answers in 12 ms\n");
}

TEST_CASE("dht put reads the key file, and refuses what is none", "[cli]") {
  const std::string path = "/tmp/peernet-dht-test-key";
  const std::string digits(64, 'a');
  const auto put = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    Stage stage;
    stage.will_answer(one_line(R"({"target": "t0", "public_key": "k0", "seq": 3, "stored": 8,
      "nodes_asked": 9, "nodes_answered": 9, "took": 0.3})"));
    DhtOptions options;
    options.value = "v";
    options.key_file = path;
    options.seq = "3";
    options.salt = "s";
    const int code = dht_put(stage.session(), options);
    const auto asked = stage.asked();
    if (code == 0) {
      CHECK(stage.out.text() == "t0\n");
      CHECK(asked.at(0)["params"]["seq"] == 3);
      CHECK(asked.at(0)["params"]["salt"] == "s");
      return asked.at(0)["params"]["seed"].get<std::string>();
    }
    CHECK(asked.empty());
    return "exit " + std::to_string(code);
  };
  CHECK(put(digits) == digits);
  CHECK(put(digits + "\n") == digits);
  CHECK(put(digits + "\r\n") == digits);
  CHECK(put(std::string(32, 'a')) ==
        std::string("61616161616161616161616161616161") + "61616161616161616161616161616161");
  CHECK(put("") == "exit 2");
  CHECK(put(digits.substr(1)) == "exit 2");
  CHECK(put(digits + "a") == "exit 2");
  CHECK(put(digits + "\n\n\n") == "exit 2");
  CHECK(put(std::string(64, 'g')) == "exit 2");
  std::remove(path.c_str());
  CHECK([&] {
    Stage stage;
    DhtOptions options;
    options.key_file = path;
    return dht_put(stage.session(), options);
  }() == 3);
}

TEST_CASE("what belongs to mutable items is refused without a key", "[cli]") {
  for (auto member : {&DhtOptions::salt, &DhtOptions::seq, &DhtOptions::cas}) {
    Stage stage;
    DhtOptions options;
    options.*member = "1";
    CHECK(dht_put(stage.session(), options) == 2);
    CHECK(stage.asked().empty());
  }
}

TEST_CASE("dht get takes a target or a public key, and shows text as text", "[cli]") {
  const auto get = [](const std::string& key, const std::string& answer, int code) {
    Stage stage;
    if (code == 0) stage.will_answer(answer);
    CHECK(dht_get(stage.session(), with_key(key)) == code);
    const auto asked = stage.asked();
    const std::string param = asked.empty() ? "nothing" : asked[0]["params"].begin().key();
    return param + ": " + stage.out.text();
  };
  const std::string text = R"({"value": "3568", "text": "h", "seq": null, "took": 0})";
  CHECK(get(kKey, text, 0) == "target: h\n");
  CHECK(get(std::string(64, 'a'), text, 0) == "public_key: h\n");
  CHECK(get(kKey, R"({"value": "693165", "text": null, "took": 0})", 0) == "target: 693165\n");
  for (const char* wrong : {"", "12", "zzf6ad8ec52a2984abaafd7c3b516503785c2072"}) {
    CAPTURE(wrong);
    CHECK(get(wrong, "", 2) == "nothing: ");
  }
}

}  // namespace
}  // namespace peernet::cli
