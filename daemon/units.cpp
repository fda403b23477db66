#include "daemon/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <system_error>

namespace peernet::daemon {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
// The first of each size is what format_size writes.
constexpr std::array kUnits{
    Unit{"TiB", 1ULL << 40U}, Unit{"TB", 1'000'000'000'000ULL},
    Unit{"GiB", 1ULL << 30U}, Unit{"GB", 1'000'000'000ULL},
    Unit{"MiB", 1ULL << 20U}, Unit{"MB", 1'000'000ULL},
    Unit{"KiB", 1ULL << 10U}, Unit{"kB", 1'000ULL},
    Unit{"KB", 1'000ULL},     Unit{"B", 1ULL},
};

struct DurationUnit {
  std::string_view name;
  std::chrono::seconds seconds;
};
constexpr std::array kDurationUnits{DurationUnit{"h", std::chrono::hours(1)},
                                    DurationUnit{"m", std::chrono::minutes(1)},
                                    DurationUnit{"s", std::chrono::seconds(1)}};

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t whole = 0;
  const char* const end = text.data() + text.size();
  auto [place, fault] = std::from_chars(text.data(), end, whole);
  if (fault != std::errc{}) return std::nullopt;
  std::string_view rest(place, static_cast<std::size_t>(end - place));
  // Decimals: at most six, so that the arithmetic below stays whole.
  std::uint64_t decimals = 0;
  std::uint64_t scale = 1;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9' && scale < 1'000'000) {
      decimals = decimals * 10 + static_cast<std::uint64_t>(rest.front() - '0');
      scale *= 10;
      rest.remove_prefix(1);
    }
    if (scale == 1) return std::nullopt;
  }
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  const auto* const unit =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == rest; });
  if (unit == kUnits.end()) return std::nullopt;
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(whole, unit->bytes, &bytes)) return std::nullopt;
  const std::uint64_t fraction = decimals * unit->bytes;  // at most 10^6 x 2^40
  if (fraction % scale != 0) return std::nullopt;
  if (__builtin_add_overflow(bytes, fraction / scale, &bytes)) return std::nullopt;
  return bytes;
}

std::optional<std::uint64_t> parse_rate(std::string_view text) {
  if (!text.ends_with("/s")) return std::nullopt;
  return parse_size(text.substr(0, text.size() - 2));
}

std::optional<Duration> parse_duration(std::string_view text) {
  std::uint32_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [place, fault] = std::from_chars(text.data(), end, count);
  if (fault != std::errc{}) return std::nullopt;
  const std::string_view rest(place, static_cast<std::size_t>(end - place));
  for (const DurationUnit& unit : kDurationUnits) {
    if (unit.name == rest) return unit.seconds * std::int64_t{count};
  }
  return std::nullopt;
}

std::string format_size(std::uint64_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes != 0 && bytes % unit.bytes == 0) {
      return std::to_string(bytes / unit.bytes) + std::string(unit.name);
    }
  }
  return "0B";
}

std::string format_duration(Duration duration) {
  const auto* const unit = std::ranges::find_if(kDurationUnits, [&](const DurationUnit& one) {
    return duration % one.seconds == Duration{};
  });
  return std::to_string(duration / unit->seconds) + std::string(unit->name);
}

}  // namespace peernet::daemon
