#pragma once

// What the daemon said, read without trust in its shape: a member that is missing or of another
// type gives nothing, never an exception.

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace peernet::cli {

// Keys keep the order in which the daemon wrote them.
using Json = nlohmann::ordered_json;

// The member of an object; a null value if there is none.
const Json& at(const Json& object, std::string_view key);
// The member of an object, moved out of it: answers may be large.
Json take(Json& object, std::string_view key);
std::string text_at(const Json& object, std::string_view key);
std::optional<std::uint64_t> integer_at(const Json& object, std::string_view key);
std::uint64_t count_at(const Json& object, std::string_view key);  // 0 if there is none
std::optional<double> number_at(const Json& object, std::string_view key);
bool flag_at(const Json& object, std::string_view key);

// ASCII only, so that a terminal may show it. Never throws.
std::string to_line(const Json& value);
std::string to_lines(const Json& value);

}  // namespace peernet::cli
