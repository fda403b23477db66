#pragma once

// JSON at the edge of the house: parsing with limits and without exceptions, printing that never
// throws, and accessors that check type and range first. nlohmann's own accessors wrap negative
// numbers, and copying or printing a deep value overflows the stack (SECURITY.md 4.8), so nothing
// deeper than the limit is ever built.

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace peernet::daemon {

// Keys keep the order in which they were put: answers read as they were written.
using Json = nlohmann::ordered_json;

struct JsonRules {
  std::size_t depth_max = 32;
  std::size_t members_max = 256;      // of one object: finding a key is linear
  bool are_comments_allowed = false;  // "// to the end of the line"
};

// Where each key stands in the text, by its path with dots: the line counts from 1.
using JsonLines = std::map<std::string, std::size_t>;

// One value and nothing after it. A key that stands twice in an object is an error. Errors:
// malformed (with line and column), too_large
// (depth, members).
Result<Json> parse_json(std::string_view text, const JsonRules& rules, JsonLines* lines = nullptr);

// On one line, ASCII only: what is not valid UTF-8 becomes U+FFFD, everything outside ASCII an
// escape, so that a terminal or a log may show it.
std::string dump_json(const Json& value);
// The same over several lines, indented by two.
std::string dump_json_pretty(const Json& value);

// "an object", "text", "a whole number", ...: for messages.
std::string_view json_type_name(const Json& value);

// nullopt unless the value is a whole number in [0, 2^64); never a float, never negative.
std::optional<std::uint64_t> json_integer(const Json& value);
std::optional<std::string> json_text(const Json& value);
std::optional<bool> json_boolean(const Json& value);

// The member of an object, or null if it is not there.
const Json* json_find(const Json& object, std::string_view key);

}  // namespace peernet::daemon
