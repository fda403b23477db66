#pragma once

// How the config writes sizes, rates and durations: a number and its unit, exact, and the same text
// read again gives the same value.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"

namespace peernet::daemon {

// "8MiB", "1.5 GB", "512KiB": binary and decimal units. nullopt on anything else, a fraction of a
// byte included.
std::optional<std::uint64_t> parse_size(std::string_view text);
// The same with "/s" behind it: bytes a second.
std::optional<std::uint64_t> parse_rate(std::string_view text);
// "90s", "10m", "2h": whole numbers.
std::optional<Duration> parse_duration(std::string_view text);
// The shortest exact text, in the largest unit that divides it.
std::string format_size(std::uint64_t bytes);
// The same in the largest unit that divides it. Requires: whole seconds.
std::string format_duration(Duration duration);

}  // namespace peernet::daemon
