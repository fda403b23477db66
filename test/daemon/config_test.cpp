#include "daemon/config.h"

#include <catch2/catch.hpp>

#include <string>

namespace peernet::daemon {
namespace {

Error error_of(const std::string& text) {
  const auto config = parse_config(text);
  REQUIRE_FALSE(config);
  return config.error();
}

// A list of `count` different endpoints or names.
std::string list_of(std::size_t count) {
  std::string text = "[";
  for (std::size_t i = 0; i < count; ++i) {
    text += (i == 0 ? "" : ",") + std::string("\"127.0.0.1:") + std::to_string(2000 + i) + "\"";
  }
  return text + "]";
}

TEST_CASE("an empty config is a whole one", "[daemon]") {
  for (const char* text : {"", " \n\t", "{}", "// nothing here\n", "// a\n{ } // b"}) {
    CAPTURE(text);
    const auto config = parse_config(text);
    REQUIRE(config);
    CHECK(config->name.empty());
    CHECK(config->listen_is_default);
    REQUIRE(config->listen.size() == 2);
    CHECK(config->listen[0].to_string() == "0.0.0.0:7341");
    CHECK(config->listen[1].to_string() == "[::]:7341");
    CHECK(config->bootstrap.empty());
    CHECK(config->dht);
    CHECK_FALSE(config->limit_up);
    CHECK(config->connections == 512);
    CHECK(config->memory == 256ULL << 20U);
    CHECK(config->log_levels.all == "info");
    CHECK_FALSE(config->special_use_is_global);
  }
}

TEST_CASE("every key of the config is read", "[daemon]") {
  const auto config = parse_config(R"({
    "identity": { "name": "lab-1" },   // a comment with "quotes" and [brackets
    "listen": ["127.0.0.1:0", "[::1]:7000"],
    "bootstrap": ["seed-a.example.org:7341", "192.0.2.1:6881", "[2001:db8::1]:6881"],
    "network": { "key_file": null },
    "discovery": { "dht": false, "lan": false, "pex": false },
    "nat": { "port_mapping": false },
    "paths": { "downloads": "/srv/get" },
    "limits": { "up": "8MB/s", "down": "1.5MiB/s", "connections": 64, "upload_slots": 5,
                "memory": "64MiB", "half_open": 8, "dials": 200, "handshakes": 50,
                "manifest_size": "64KiB", "manifest_entries": 7,
                "control_clients": 4, "control_requests": 10,
                "dht_keys": 16, "dht_peers": 1048576, "dht_items": 16384 },
    "hooks": { "completed": ["/bin/true"], "scan": ["/usr/bin/scan", "-r", "{path}"],
               "timeout": "90s" },
    "log": { "level": "debug", "shares": "info", "peers": "error", "format": "json",
             "file": "/var/log/peernet", "max_size": "1MiB" },
    "testing": { "special_use_is_global": true } })");

  REQUIRE(config);
  CHECK(config->name == "lab-1");
  CHECK_FALSE(config->listen_is_default);
  CHECK(config->listen[1].to_string() == "[::1]:7000");
  REQUIRE(config->bootstrap.size() == 3);
  CHECK(config->bootstrap[0].host == "seed-a.example.org");
  CHECK(config->bootstrap[0].port == 7341);
  CHECK(config->bootstrap[2].host == "2001:db8::1");
  CHECK_FALSE(config->dht);
  CHECK(config->downloads == "/srv/get");
  CHECK(config->limit_up == 8'000'000U);
  CHECK(config->limit_down == 1'572'864U);
  CHECK(config->connections == 64);
  CHECK(config->upload_slots == 5U);
  CHECK(config->memory == 64ULL << 20U);
  CHECK(config->half_open == 8);
  CHECK(config->dials == 200);
  CHECK(config->handshakes == 50);
  CHECK(config->manifest_size == 64ULL << 10U);
  CHECK(config->manifest_entries == 7);
  CHECK(config->control_clients == 4);
  CHECK(config->control_requests == 10);
  CHECK(config->dht_store.keys == 16);
  CHECK(config->dht_store.peers == 1'048'576);
  CHECK(config->dht_store.items == 16'384);
  for (const char* const wrong :
       {R"("handshakes": 0)", R"("handshakes": 10001)", R"("manifest_size": "63KiB")",
        R"("manifest_size": "129MiB")", R"("manifest_entries": 0)",
        R"("manifest_entries": 1000001)", R"("control_clients": 3)", R"("control_clients": 4097)",
        R"("control_requests": 9)", R"("control_requests": 100001)", R"("dht_keys": 15)",
        R"("dht_keys": 65537)", R"("dht_peers": 15)", R"("dht_peers": 1048577)",
        R"("dht_items": 15)", R"("dht_items": 16385)"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_config(R"({"limits": {)" + std::string(wrong) + "}}"));
  }
  CHECK_FALSE(parse_config(R"({"limits": {"half_open": 7}})"));
  CHECK_FALSE(parse_config(R"({"limits": {"half_open": 16385}})"));
  CHECK_FALSE(parse_config(R"({"limits": {"dials": 0}})"));
  CHECK_FALSE(parse_config(R"({"limits": {"dials": 201}})"));
  CHECK(config->hooks.completed == std::vector<std::string>{"/bin/true"});
  CHECK(config->hooks.scan == std::vector<std::string>{"/usr/bin/scan", "-r", "{path}"});
  CHECK(config->hooks.timeout == std::chrono::seconds(90));
  CHECK(config->log_levels.all == "debug");
  CHECK(config->log_levels.shares == "info");
  CHECK(config->log_levels.peers == "error");
  CHECK(config->log_file == "/var/log/peernet");
  CHECK(config->log_size == 1U << 20U);
  CHECK(config->log_format == "json");
  CHECK(config->special_use_is_global);
}

TEST_CASE("a hook is a program by its absolute path, with a time it may take", "[daemon]") {
  std::string list = "\"/bin/true\"";
  for (std::size_t i = 1; i < kHookArgumentsMax; ++i) list += ",\"x\"";
  CHECK(parse_config("{\"hooks\": {\"scan\": [" + list + "]}}"));
  for (const std::string& text :
       {std::string(R"({"scan": []})"), std::string(R"({"scan": ["scan.sh"]})"),
        std::string(R"({"scan": "/bin/true"})"), std::string(R"({"scan": ["/bin/true", 1]})"),
        std::string(R"({"scan": ["/bin/a\u0000b"]})"), "{\"scan\": [" + list + ",\"x\"]}",
        "{\"scan\": [\"/" + std::string(kHookArgumentSizeMax, 'x') + "\"]}",
        std::string(R"({"timeout": "0s"})"), std::string(R"({"timeout": "25h"})"),
        std::string(R"({"timeout": "10"})"), std::string(R"({"timeout": "-1s"})"),
        std::string(R"({"timeout": 10})")}) {
    CAPTURE(text);
    CHECK_FALSE(parse_config("{\"hooks\": " + text + "}"));
  }
}

TEST_CASE("an unknown key is refused with its place and the nearest valid key", "[daemon]") {
  const Error error = error_of("{\n  \"limits\": {\n    \"upp\": null } }");
  CHECK(error.code == Errc::malformed);
  CHECK(error.what == "limits.upp (line 3): there is no such key");
  CHECK(error.hint == "did you mean \"limits.up\"?");

  CHECK(error_of(R"({"lissten": []})").hint == "did you mean \"listen\"?");
  CHECK(error_of(R"({"level": "info"})").hint == "did you mean \"log.level\"?");
  CHECK(error_of(R"({"limits.up": null, "x": 1})").hint ==
        "sections are objects: \"limits\": { \"up\": ... }");
}

TEST_CASE("a value of the wrong type or range says what is expected", "[daemon]") {
  const Error error = error_of(R"({"limits": {"connections": "many"}})");
  CHECK(error.what == "limits.connections (line 1): expected a whole number from 1 to 65535");
  CHECK(error.hint == "it says \"many\"");

  for (const char* text : {R"({"limits": {"connections": 0}})",
                           R"({"limits": {"connections": 65536}})",
                           R"({"limits": {"connections": -1}})",
                           R"({"limits": {"connections": 1.5}})",
                           R"({"limits": {"upload_slots": 0}})",
                           R"({"limits": {"upload_slots": 1001}})",
                           R"({"limits": {"memory": "1MiB"}})",
                           R"({"limits": {"memory": 268435456}})",
                           R"({"limits": {"memory": "2TiB"}})",
                           R"({"limits": {"up": "0B/s"}})",
                           R"({"limits": {"up": "8MB"}})",
                           R"({"limits": {"up": 8}})",
                           R"({"limits": []})",
                           R"({"listen": []})",
                           R"({"listen": ["localhost:1"]})",
                           R"({"listen": "0.0.0.0:1"})",
                           R"({"listen": ["127.0.0.1:1", "127.0.0.1:1"]})",
                           R"({"bootstrap": ["a"]})",
                           R"({"bootstrap": ["a:0"]})",
                           R"({"bootstrap": ["a:70000"]})",
                           R"({"bootstrap": ["::1:80"]})",
                           R"({"bootstrap": ["a b:80"]})",
                           R"({"bootstrap": [":80"]})",
                           R"({"bootstrap": ["[nonsense]:80"]})",
                           R"({"bootstrap": ["a:+80"]})",
                           R"({"bootstrap": null})",
                           R"({"paths": {"downloads": "relative"}})",
                           R"({"paths": {"downloads": "/a\u0000b"}})",
                           R"({"log": {"level": "loud"}})",
                           R"({"log": {"format": "xml"}})",
                           R"({"identity": {"name": "a\nb"}})",
                           R"({"identity": {"name": "\u202e"}})",
                           R"({"identity": {"name": null}})",
                           R"({"discovery": {"dht": 1}})",
                           R"({"discovery": {"lan": "no"}})",
                           R"({"testing": true})",
                           R"([])",
                           R"("text")",
                           R"({"network": {"key_file": 7}})",
                           R"({"network": {"key_file": "network.key"}})"}) {
    CAPTURE(text);
    const Error wrong = error_of(text);
    CHECK(wrong.code == Errc::malformed);
    CHECK(wrong.what.find("expected") + wrong.what.find("not an object") != std::string::npos);
    CHECK_FALSE(wrong.hint.empty());
  }
}

TEST_CASE("a feature that is not built yet is refused, saying so", "[daemon]") {
  const Error error = error_of(R"({"nat": {"port_mapping": true}})");
  CHECK(error.code == Errc::refused);
  CHECK(error.what.find("not built yet") != std::string::npos);
  CHECK_FALSE(error.hint.empty());
}

TEST_CASE("the lists, the name and the text of a config have limits", "[daemon]") {
  CHECK(parse_config(R"({"listen": )" + list_of(kListenMax) + "}"));
  CHECK_FALSE(parse_config(R"({"listen": )" + list_of(kListenMax + 1) + "}"));
  CHECK(parse_config(R"({"bootstrap": )" + list_of(kBootstrapMax) + "}"));
  CHECK_FALSE(parse_config(R"({"bootstrap": )" + list_of(kBootstrapMax + 1) + "}"));
  const auto named = [](std::size_t size) {
    return R"({"identity": {"name": ")" + std::string(size, 'n') + "\"}}";
  };
  CHECK(parse_config(named(kNameSizeMax)));
  CHECK_FALSE(parse_config(named(kNameSizeMax + 1)));
  CHECK(parse_config(std::string(kConfigSizeMax, ' ')));
  CHECK(parse_config(std::string(kConfigSizeMax + 1, ' ')).error().code == Errc::too_large);
}

TEST_CASE("a config nested too deep is refused", "[daemon]") {
  const std::string deep =
      R"({"listen": )" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  CHECK(parse_config(deep).error().code == Errc::too_large);
}

TEST_CASE("broken JSON names line and column", "[daemon]") {
  const Error error = error_of("{\n  \"listen\": [\"127.0.0.1:1\",\n}");
  CHECK(error.code == Errc::malformed);
  CHECK(error.what.find("line 3") != std::string::npos);
  CHECK(error_of(R"({"log": {}, "log": {}})").what.find("stands twice") != std::string::npos);
}

TEST_CASE("what config_to_json writes is read as the same config", "[daemon]") {
  DaemonConfig config;
  config.name = "n\"1";
  config.listen = {*Endpoint::parse("127.0.0.1:1234")};
  config.bootstrap = {{"seed.example.org", 1}, {"2001:db8::1", 2}};
  config.dht = false;
  config.downloads = "/d";
  config.limit_up = 1'000'001;
  config.limit_down = 3ULL << 20U;
  config.peer_limits = {{1'000, 2'000}, false};
  config.upload_slots = 9;
  config.memory = 100'000'000;
  config.log_levels.all = "trace";
  config.log_levels.peers = "warn";
  config.log_file = "/l";
  config.log_size = 1U << 20U;
  config.hooks.scan = {"/s", "{path}"};
  config.hooks.timeout = std::chrono::minutes(90);

  const std::string text = config_to_json(config);
  const auto again = parse_config(text);

  REQUIRE(again);
  CHECK(config_to_json(*again) == text);
  CHECK(again->name == config.name);
  CHECK(again->listen == config.listen);
  CHECK(again->bootstrap[1].host == "2001:db8::1");
  CHECK(again->limit_up == config.limit_up);
  CHECK(again->limit_down == config.limit_down);
  CHECK(again->peer_limits == config.peer_limits);
  CHECK(again->memory == config.memory);
  CHECK(again->hooks.scan == config.hooks.scan);
  CHECK(again->hooks.timeout == config.hooks.timeout);
  CHECK(again->log_levels.peers == config.log_levels.peers);
  CHECK(config_to_json(*parse_config("")) == config_to_json(DaemonConfig{}));
}

}  // namespace
}  // namespace peernet::daemon
