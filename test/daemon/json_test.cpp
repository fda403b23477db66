#include "daemon/json.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <string>

namespace peernet::daemon {
namespace {

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

std::string object_of(std::size_t members) {
  std::string text = "{";
  for (std::size_t i = 0; i < members; ++i) {
    text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":0";
  }
  return text + "}";
}

TEST_CASE("JSON is read in the order in which it stands", "[daemon]") {
  const auto json = parse_json(R"({"z":1,"a":[true,null,"x",-2,1.5],"m":{"q":{}}})", {});

  REQUIRE(json);
  CHECK(dump_json(*json) == R"({"z":1,"a":[true,null,"x",-2,1.5],"m":{"q":{}}})");
}

TEST_CASE("JSON nested to the limit is read, one deeper is refused", "[daemon]") {
  CHECK(parse_json(nested(32), {}));
  CHECK(parse_json(nested(33), {}).error().code == Errc::too_large);
  CHECK(parse_json(nested(500'000), {}).error().code == Errc::too_large);
}

TEST_CASE("an object of too many members is refused", "[daemon]") {
  CHECK(parse_json(object_of(256), {}));
  CHECK(parse_json(object_of(257), {}).error().code == Errc::too_large);
}

TEST_CASE("a key that stands twice is refused", "[daemon]") {
  const auto json = parse_json(R"({"a":1,"b":{"a":2},"a":3})", {});

  REQUIRE_FALSE(json);
  CHECK(json.error().code == Errc::malformed);
  CHECK(json.error().what == "the key \"a\" stands twice");
}

TEST_CASE("what is not JSON is an error that names the place", "[daemon]") {
  const auto json = parse_json("{\"a\":\n  nonsense}", {});
  REQUIRE_FALSE(json);
  CHECK(json.error().what.find("line 2") != std::string::npos);

  for (const char* text : {"", " ", "{", "}", "[1,]", "{} {}", "'a'", "nul", "\"\xff\"", "1e999",
                           "// comment\n{}", "\"\x01\"", "{\"a\" 1}", "01"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_json(text, {}));
  }
}

TEST_CASE("comments are read where they are allowed, and lines are told", "[daemon]") {
  JsonLines lines;
  const auto json = parse_json("// first [[[\n{\n  \"a\": { // why\n    \"b\": 1 } }\n",
                               {.are_comments_allowed = true}, &lines);

  REQUIRE(json);
  CHECK(lines.at("a") == 3);
  CHECK(lines.at("a.b") == 4);
}

TEST_CASE("only whole numbers that fit are whole numbers", "[daemon]") {
  const auto integer = [](const char* text) { return json_integer(*parse_json(text, {})); };

  CHECK(integer("0") == 0U);
  CHECK(integer("18446744073709551615") == 18'446'744'073'709'551'615U);
  CHECK_FALSE(integer("-1"));
  CHECK_FALSE(integer("18446744073709551616"));
  CHECK_FALSE(integer("1.0"));
  CHECK_FALSE(integer("1e3"));
  CHECK_FALSE(integer("\"1\""));
  CHECK_FALSE(integer("true"));
}

TEST_CASE("what is printed is ASCII, also of text that is not valid UTF-8", "[daemon]") {
  CHECK(dump_json(Json("a\xff\x80z")) == R"("a\ufffd\ufffdz")");
  CHECK(dump_json(Json("\x1b[2J\x7f\xc2\x9b")) == R"("\u001b[2J\u007f\u009b")");
  CHECK(dump_json(Json("\xe2\x80\xae")) == R"("\u202e")");
}

}  // namespace
}  // namespace peernet::daemon
