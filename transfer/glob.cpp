#include "transfer/glob.h"

#include <optional>
#include <vector>

namespace peernet::transfer {
namespace {

struct Class {
  bool is_match = false;
  std::size_t size = 0;  // of "[...]" in the pattern
};

// A '[' that is never closed is an ordinary character.
std::optional<Class> match_class(std::string_view pattern, char c) {
  std::size_t at = 1;
  const bool is_negated = at < pattern.size() && pattern[at] == '!';
  if (is_negated) ++at;
  bool is_in = false;
  bool is_first = true;
  while (at < pattern.size() && (is_first || pattern[at] != ']')) {
    is_first = false;
    const char low = pattern[at];
    const bool is_range =
        at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']';
    const char high = is_range ? pattern[at + 2] : low;
    is_in = is_in || (low <= c && c <= high);
    at += is_range ? 3 : 1;
  }
  if (at >= pattern.size()) return std::nullopt;
  return Class{is_in != is_negated, at + 1};
}

// One component. The last '*' takes as much as is needed: no other has to be tried again.
bool matches_component(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;  // by that star, up to here
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
      continue;
    }
    std::size_t size = 0;  // of what matches name[n]
    if (p < pattern.size()) {
      const auto set = pattern[p] == '[' ? match_class(pattern.substr(p), name[n]) : std::nullopt;
      if (set) {
        size = set->is_match ? set->size : 0;
      } else if (pattern[p] == '?') {
        size = 1;
      } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
        size = pattern[p + 1] == name[n] ? 2 : 0;
      } else {
        size = pattern[p] == name[n] ? 1 : 0;
      }
    }
    if (size > 0) {
      p += size;
      ++n;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    n = ++taken;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (!part.empty()) parts.push_back(part);
    path.remove_prefix(part.size());
    if (!path.empty()) path.remove_prefix(1);
  }
  return parts;
}

}  // namespace

std::size_t glob_prefix(std::string_view pattern, std::string_view path) {
  constexpr std::size_t kNone = std::string_view::npos;
  const auto names = components(path);
  const auto end_of = [&](std::size_t count) {
    const std::string_view last = names[count - 1];
    return static_cast<std::size_t>(last.data() + last.size() - path.data());
  };
  if (pattern.find('/') == kNone) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (matches_component(pattern, names[i])) return end_of(i + 1);
    }
    return kNone;
  }
  // reached[i]: what was read of the pattern names exactly the first i components.
  const auto parts = components(pattern);
  std::vector<bool> reached(names.size() + 1, false);
  reached[0] = !parts.empty();
  for (const std::string_view part : parts) {
    std::vector<bool> next(names.size() + 1, false);
    for (std::size_t i = 0; i <= names.size(); ++i) {
      if (part == "**") {
        next[i] = reached[i] || (i > 0 && next[i - 1]);
      } else if (i > 0 && reached[i - 1]) {
        next[i] = matches_component(part, names[i - 1]);
      }
    }
    reached = std::move(next);
  }
  for (std::size_t i = 1; i <= names.size(); ++i) {
    if (reached[i]) return end_of(i);
  }
  return kNone;
}

}  // namespace peernet::transfer
