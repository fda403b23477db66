#pragma once

// A second bencode reader for differential tests: recursive, copying, and written from BEP 3 alone.
// Gives back the canonical text of a value, or nothing.

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace peernet::test {

class NaiveBencode {
 public:
  NaiveBencode(std::string_view text, bool canonical, std::size_t depth_max)
      : text_(text), canonical_(canonical), depth_max_(depth_max) {}

  // The value printed again, first of equal keys only; nullopt if the text is not one value.
  std::optional<std::string> read_all() {
    auto value = read(0);
    if (!value || !text_.empty()) return std::nullopt;
    return value;
  }

 private:
  std::optional<std::string> read(std::size_t depth) {
    if (text_.empty()) return std::nullopt;
    switch (text_[0]) {
      case 'i': return read_integer();
      case 'l': return depth == depth_max_ ? std::nullopt : read_list(depth);
      case 'd': return depth == depth_max_ ? std::nullopt : read_dict(depth);
      default: {
        const auto content = read_string();
        if (!content) return std::nullopt;
        return std::to_string(content->size()) + ":" + *content;
      }
    }
  }

  std::optional<std::string> read_integer() {
    const std::size_t end = text_.find('e');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string digits(text_.substr(1, end - 1));
    if (digits.empty() || digits.size() > 20) return std::nullopt;
    text_.remove_prefix(end + 1);
    try {
      std::size_t used = 0;
      const long long number = std::stoll(digits, &used);
      // Only the one way to write a number survives being printed again.
      if (used != digits.size() || std::to_string(number) != digits) return std::nullopt;
    } catch (const std::exception&) {
      return std::nullopt;
    }
    return "i" + digits + "e";
  }

  std::optional<std::string> read_string() {
    const std::size_t colon = text_.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::string digits(text_.substr(0, colon));
    if (digits.empty() || digits.size() > 10) return std::nullopt;
    if (digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
    const unsigned long long size = std::stoull(digits);
    if (std::to_string(size) != digits) return std::nullopt;
    text_.remove_prefix(colon + 1);
    if (size > text_.size()) return std::nullopt;
    std::string content(text_.substr(0, static_cast<std::size_t>(size)));
    text_.remove_prefix(content.size());
    return content;
  }

  std::optional<std::string> read_list(std::size_t depth) {
    text_.remove_prefix(1);
    std::string printed = "l";
    while (!text_.empty() && text_[0] != 'e') {
      const auto value = read(depth + 1);
      if (!value) return std::nullopt;
      printed += *value;
    }
    if (text_.empty()) return std::nullopt;
    text_.remove_prefix(1);
    return printed + "e";
  }

  std::optional<std::string> read_dict(std::size_t depth) {
    text_.remove_prefix(1);
    std::string printed = "d";
    std::set<std::string> keys;
    while (!text_.empty() && text_[0] != 'e') {
      const auto key = read_string();
      if (!key) return std::nullopt;
      if (canonical_ && !keys.empty() && *keys.rbegin() >= *key) return std::nullopt;
      const auto value = read(depth + 1);
      if (!value) return std::nullopt;
      if (keys.insert(*key).second) {
        printed += std::to_string(key->size()) + ":" + *key + *value;
      }
    }
    if (text_.empty()) return std::nullopt;
    text_.remove_prefix(1);
    return printed + "e";
  }

  std::string_view text_;
  bool canonical_;
  std::size_t depth_max_;
};

}  // namespace peernet::test
