#include "daemon/config_edit.h"

#include <catch2/catch.hpp>

namespace peernet::daemon {
namespace {

std::string edited(std::string_view text, std::string_view key, std::string_view value) {
  const auto result = edit_config(text, key, value);
  CAPTURE(text, key, value);
  if (!result) FAIL(result.error().what);
  return *result;
}

TEST_CASE("a value is replaced where it stands, and comments stay", "[daemon]") {
  CHECK(edited("{ // mine\n  \"limits\": { \"up\": \"1MB/s\" } // \"up\": 7\n}\n", "limits.up",
               "2MB/s") == "{ // mine\n  \"limits\": { \"up\": \"2MB/s\" } // \"up\": 7\n}\n");
}

TEST_CASE("an empty config gets its first key", "[daemon]") {
  CHECK(edited("", "limits.up", "8MB/s") == "{\n  \"limits\": { \"up\": \"8MB/s\" }\n}\n");
  CHECK(edited("// nothing\n", "listen", R"(["127.0.0.1:0"])") ==
        "// nothing\n{\n  \"listen\": [\"127.0.0.1:0\"]\n}\n");
}

TEST_CASE("a new key stands on a line of its own after the others", "[daemon]") {
  CHECK(edited("{\n  \"bootstrap\": [] // none, \"yet\"\n}\n", "discovery.dht", "false") ==
        "{\n  \"bootstrap\": [], // none, \"yet\"\n  \"discovery\": { \"dht\": false }\n}\n");
  const std::string twice =
      edited(edited("{\"log\":{\"level\":\"warn\"}}", "log.format", "json"), "log.level", "debug");
  const auto config = parse_config(twice);
  REQUIRE(config.has_value());
  CHECK(config->log_levels.all == "debug");
  CHECK(config->log_format == "json");
}

TEST_CASE("a value that JSON does not know is text; one that must be text may look like a number",
          "[daemon]") {
  const auto named = parse_config(edited("", "identity.name", "42"));
  REQUIRE(named.has_value());
  CHECK(named->name == "42");
  const auto none = parse_config(edited("{\"limits\":{\"up\":\"1MB/s\"}}", "limits.up", "null"));
  REQUIRE(none.has_value());
  CHECK_FALSE(none->limit_up.has_value());
}

TEST_CASE("what is not a key, not a value, or not a config is refused", "[daemon]") {
  CHECK(edit_config("", "limits.upp", "1MB/s").error().code == Errc::not_found);
  CHECK(edit_config("", "limits.upp", "1MB/s").error().hint == "did you mean \"limits.up\"?");
  CHECK(edit_config("", "limits", "{}").error().code == Errc::not_found);
  CHECK(edit_config("", "limits.up", "fast").error().code == Errc::malformed);
  CHECK(edit_config("", "limits.connections", "0").error().code == Errc::malformed);
  CHECK(edit_config("", "nat.port_mapping", "true").error().code == Errc::refused);
  CHECK(edit_config("{ broken", "limits.up", "1MB/s").error().code == Errc::malformed);
}

TEST_CASE("every key can be set in every file to what it is by default", "[daemon]") {
  for (const ConfigKeyRow& row : config_keys()) {
    for (const char* text : {"", "{}", "{ }\n", "{ // a } b\n}", "{\"log\": {}, \"limits\":{}}"}) {
      CAPTURE(row.key, text);
      const char* value = row.key == "listen"                          ? "[\"0.0.0.0:1\"]"
                          : row.key == "bootstrap"                     ? "[\"a:1\", \"[::1]:2\"]"
                          : row.expects.starts_with("a size")          ? "\"64MiB\""
                          : row.expects.starts_with("a duration")      ? "\"30s\""
                          : row.expects.starts_with("a whole")         ? "20"
                          : row.key == "log.level"                     ? "\"warn\""
                          : row.key == "log.format"                    ? "\"json\""
                          : row.key == "identity.name"                 ? "\"a // b } \\\" c\""
                          : row.key == "discovery.dht"                 ? "false"
                          : row.key == "testing.special_use_is_global" ? "true"
                          : row.expects.starts_with("true")            ? "false"
                                                                       : "null";
      const std::string once = edited(text, row.key, value);
      CHECK(edited(once, row.key, value) == once);
    }
  }
}

TEST_CASE("what differs is named by key, and what a reload takes over needs no restart",
          "[daemon]") {
  DaemonConfig before;
  DaemonConfig after;
  after.limit_up = 1000;
  after.peer_limits = {{2000, 3000}, false};
  after.connections = 9;
  CHECK(changed_keys(before, before).empty());
  CHECK(changed_keys(before, after) == std::vector<std::string>{"limits.up", "limits.peer_up",
                                                                "limits.peer_down", "limits.lan",
                                                                "limits.connections"});
  for (const char* key : {"limits.up", "limits.peer_up", "limits.peer_down", "limits.lan"}) {
    CHECK_FALSE(needs_restart(key));
  }
  CHECK(needs_restart("limits.connections"));
  take_over(before, after);
  CHECK(changed_keys(before, after) == std::vector<std::string>{"limits.connections"});
}

}  // namespace
}  // namespace peernet::daemon
