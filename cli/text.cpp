#include "cli/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>

#include "core/escape.h"

namespace peernet::cli {

constexpr std::uint64_t kDay = 86'400;  // seconds
constexpr std::uint64_t kSecondsMax = 1'000'000'000;

namespace {

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array kUnits{Unit{"B", 1.0},
                            Unit{"KiB", 1024.0},
                            Unit{"MiB", 1048576.0},
                            Unit{"GiB", 1073741824.0},
                            Unit{"TiB", 1099511627776.0},
                            Unit{"PiB", 1125899906842624.0}};

// What a size may be given in.
struct SizeUnit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array kSizeUnits{SizeUnit{"", 1},
                                SizeUnit{"B", 1},
                                SizeUnit{"KiB", 1ULL << 10U},
                                SizeUnit{"MiB", 1ULL << 20U},
                                SizeUnit{"GiB", 1ULL << 30U},
                                SizeUnit{"TiB", 1ULL << 40U},
                                SizeUnit{"kB", 1'000},
                                SizeUnit{"KB", 1'000},
                                SizeUnit{"MB", 1'000'000},
                                SizeUnit{"GB", 1'000'000'000},
                                SizeUnit{"TB", 1'000'000'000'000}};

// The largest unit in which the value is at least 1. What would round up to "1024.0" takes the
// next one.
const Unit& unit_for(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  std::size_t index = 0;
  while (index + 1 < kUnits.size() && value >= 1023.95 * kUnits[index].bytes) ++index;
  return kUnits[index];
}

std::string number_in(std::uint64_t bytes, const Unit& unit) {
  std::array<char, 32> text{};
  const int size = unit.bytes == 1.0 ? std::snprintf(text.data(), text.size(), "%llu",
                                                     static_cast<unsigned long long>(bytes))
                                     : std::snprintf(text.data(), text.size(), "%.1f",
                                                     static_cast<double>(bytes) / unit.bytes);
  return {text.data(), static_cast<std::size_t>(std::max(size, 0))};
}

std::string two_digits(std::uint64_t value) {
  return (value < 10 ? "0" : "") + std::to_string(value);
}

struct Range {
  char32_t first;
  char32_t last;
};

// Marks that stand on the character before them (the blocks of Unicode made for them).
constexpr std::array kCombining{
    Range{0x0300, 0x036f}, Range{0x0483, 0x0489},  Range{0x0591, 0x05bd}, Range{0x0610, 0x061a},
    Range{0x064b, 0x065f}, Range{0x0e34, 0x0e3a},  Range{0x0e47, 0x0e4e}, Range{0x1ab0, 0x1aff},
    Range{0x1dc0, 0x1dff}, Range{0x20d0, 0x20ff},  Range{0x3099, 0x309a}, Range{0xfe00, 0xfe0f},
    Range{0xfe20, 0xfe2f}, Range{0xe0100, 0xe01ef}};
// East Asian Wide and Fullwidth (Unicode annex 11), and pictographs shown as emoji.
constexpr std::array kWide{
    Range{0x1100, 0x115f},   Range{0x2e80, 0x303e},   Range{0x3041, 0x33ff},
    Range{0x3400, 0x4dbf},   Range{0x4e00, 0x9fff},   Range{0xa000, 0xa4cf},
    Range{0xa960, 0xa97f},   Range{0xac00, 0xd7a3},   Range{0xf900, 0xfaff},
    Range{0xfe30, 0xfe6f},   Range{0xff00, 0xff60},   Range{0xffe0, 0xffe6},
    Range{0x1f300, 0x1f64f}, Range{0x1f680, 0x1f6ff}, Range{0x1f900, 0x1f9ff},
    Range{0x1fa70, 0x1faff}, Range{0x20000, 0x3fffd}};

template <std::size_t N>
bool is_in(char32_t c, const std::array<Range, N>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return c >= range.first && c <= range.last; });
}

std::size_t columns_of(char32_t c) {
  if (c < kCombining.front().first) return 1;
  if (is_in(c, kCombining)) return 0;
  return is_in(c, kWide) ? 2 : 1;
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
  const Unit& unit = unit_for(bytes);
  return number_in(bytes, unit) + " " + std::string(unit.name);
}

std::string rate_text(std::uint64_t bytes_per_second) {
  return size_text(bytes_per_second) + "/s";
}

std::string done_text(std::uint64_t done, std::uint64_t total) {
  const Unit& unit = unit_for(total);
  return number_in(done, unit) + "/" + number_in(total, unit) + " " + std::string(unit.name);
}

std::string countdown_text(std::uint64_t seconds) {
  if (seconds >= 4 * kDay) return std::to_string(seconds / kDay) + " d";
  const std::string tail = two_digits(seconds % 60);
  if (seconds < 3600) return std::to_string(seconds / 60) + ":" + tail;
  return std::to_string(seconds / 3600) + ":" + two_digits(seconds / 60 % 60) + ":" + tail;
}

std::string age_text(std::uint64_t seconds) {
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " m";
  const std::uint64_t hours = seconds / 3600;
  if (hours < 24) return std::to_string(hours) + " h " + std::to_string(seconds / 60 % 60) + " m";
  return std::to_string(hours / 24) + " d";
}

std::optional<unsigned> percent(std::uint64_t done, std::optional<std::uint64_t> total) {
  if (!total || *total == 0) return std::nullopt;
  if (done >= *total) return 100;
  const double share = static_cast<double>(done) / static_cast<double>(*total);
  return std::min(99U, static_cast<unsigned>(share * 100));
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [place, fault] = std::from_chars(text.data(), end, value);
  if (fault != std::errc{}) return std::nullopt;
  const std::string_view name(place, static_cast<std::size_t>(end - place));
  for (const SizeUnit& unit : kSizeUnits) {
    if (unit.name != name) continue;
    if (value > (std::uint64_t{1} << 50U) / unit.bytes) return std::nullopt;
    return value * unit.bytes;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_seconds(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [place, fault] = std::from_chars(text.data(), end, value);
  if (fault != std::errc{}) return std::nullopt;
  const std::string_view unit(place, static_cast<std::size_t>(end - place));
  std::uint64_t scale = 0;
  if (unit.empty() || unit == "s") scale = 1;
  if (unit == "m") scale = 60;
  if (unit == "h") scale = 3600;
  if (unit == "d") scale = 86'400;
  if (scale == 0 || value > kSecondsMax / scale) return std::nullopt;
  return value * scale;
}

std::string shown(std::string_view untrusted) {
  return escape(Untrusted{untrusted});
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) width += columns_of(next_code_point(text));
  return width;
}

std::string cut(std::string_view text, std::size_t width) {
  if (width_of(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string_view rest = text;
  std::size_t used = 0;
  std::size_t kept = 0;
  while (!rest.empty()) {
    used += columns_of(next_code_point(rest));
    if (used > width - 1) break;
    kept = text.size() - rest.size();
  }
  return std::string(text.substr(0, kept)) + "…";
}

std::string pad_left(std::string_view text, std::size_t width) {
  const std::size_t used = width_of(text);
  return std::string(used < width ? width - used : 0, ' ').append(text);
}

std::string pad_right(std::string_view text, std::size_t width) {
  const std::size_t used = width_of(text);
  return std::string(text).append(used < width ? width - used : 0, ' ');
}

std::string folded(const std::vector<std::string>& parts, const Folding& folding) {
  std::string text;
  std::size_t used = folding.begun;
  bool is_line_empty = true;
  for (const std::string& part : parts) {
    const std::size_t size = width_of(part);
    const std::size_t wanted = (is_line_empty ? 0 : folding.gap.size()) + size;
    if (folding.width != 0 && used + wanted > folding.width && !is_line_empty) {
      while (text.ends_with(' ')) text.pop_back();
      text += "\n" + std::string(folding.indent, ' ') + part;
      used = folding.indent + size;
      is_line_empty = size == 0;
      continue;
    }
    text.append(is_line_empty ? "" : folding.gap).append(part);
    used += wanted;
    is_line_empty = is_line_empty && size == 0;
  }
  return text;
}

std::string folded(std::string_view text, const Folding& folding) {
  std::vector<std::string> words;
  while (true) {
    const std::size_t space = text.find(' ');
    words.emplace_back(text.substr(0, space));
    if (space == std::string_view::npos) return folded(words, folding);
    text.remove_prefix(space + 1);
  }
}

std::string called(std::string_view text, std::string_view node) {
  constexpr std::string_view program = "peernet ";
  std::string result;
  while (true) {
    const std::size_t place = node.empty() ? std::string_view::npos : text.find(program);
    if (place == std::string_view::npos) return result.append(text);
    result.append(text.substr(0, place));
    // Not the end of a longer word or of a path.
    const char before = result.empty() ? ' ' : result.back();
    const bool is_word = before != '/' && std::isalnum(static_cast<unsigned char>(before)) == 0;
    result.append(program);
    text.remove_prefix(place + program.size());
    const bool is_command = is_word && !text.empty() && text.front() >= 'a' && text.front() <= 'z';
    if (is_command) result.append(node).append(" ");
  }
}

std::string shell_quoted(std::string_view argument) {
  const bool is_plain =
      !argument.empty() && std::all_of(argument.begin(), argument.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/._-+=:,@%").find(c) != std::string_view::npos;
      });
  if (is_plain) return std::string(argument);
  std::string text = "'";
  for (const char c : argument) {
    if (c == '\'') {
      text += R"('"'"')";  // without a backslash, which shown() would double
    } else {
      text += c;
    }
  }
  return text + "'";
}

}  // namespace peernet::cli
