#include "core/escape.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace peernet {

namespace {

constexpr char32_t kReplacement = 0xfffd;
constexpr std::string_view kDigits = "0123456789abcdef";
// By the size of a UTF-8 sequence: the bits of its first byte that count, and the least code point
// that needs so many bytes.
constexpr std::array<std::uint8_t, 5> kLeadMask{0, 0x7f, 0x1f, 0x0f, 0x07};
constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};

struct Range {
  char32_t first;
  char32_t last;
};

// Unicode 15: general categories Cc, Cf, Zl and Zp, and the letters that show as nothing. Sorted.
constexpr std::array<Range, 24> kDangerous{{
    {0x0000, 0x001f},    // C0
    {0x007f, 0x009f},    // DEL, C1
    {0x00ad, 0x00ad},    // soft hyphen
    {0x034f, 0x034f},    // grapheme joiner
    {0x0600, 0x0605},    // Arabic number signs
    {0x061c, 0x061c},    // Arabic letter mark (bidi)
    {0x06dd, 0x06dd},    // Arabic end of ayah
    {0x070f, 0x070f},    // Syriac abbreviation mark
    {0x115f, 0x1160},    // Hangul fillers
    {0x17b4, 0x17b5},    // Khmer inherent vowels
    {0x180b, 0x180f},    // Mongolian selectors and vowel separator
    {0x200b, 0x200f},    // zero-width space and joiners, bidi marks
    {0x2028, 0x202e},    // line and paragraph separators, bidi embeddings and overrides
    {0x2060, 0x206f},    // word joiner, invisible operators, bidi isolates
    {0x3164, 0x3164},    // Hangul filler
    {0xfeff, 0xfeff},    // byte order mark
    {0xffa0, 0xffa0},    // half-width Hangul filler
    {0xfff9, 0xfffb},    // interlinear annotation
    {0x110bd, 0x110cd},  // Kaithi number signs
    {0x13430, 0x1343f},  // Egyptian format controls
    {0x1bca0, 0x1bca3},  // shorthand format controls
    {0x1d173, 0x1d17a},  // musical format controls
    {0xe0000, 0xe0fff},  // tags, variation selectors supplement
    {0x110000, 0xffffffff},
}};

void append_escape(std::string& out, char letter, std::uint32_t value, unsigned digits_count) {
  out += '\\';
  out += letter;
  for (unsigned i = digits_count; i > 0; --i) out += kDigits[value >> (4 * (i - 1)) & 15U];
}

void append_escape(std::string& out, char32_t code_point) {
  const auto value = static_cast<std::uint32_t>(code_point);
  if (code_point < 0x80) {
    append_escape(out, 'x', value, 2);
  } else if (code_point < 0x10000) {
    append_escape(out, 'u', value, 4);
  } else {
    append_escape(out, 'U', value, 8);
  }
}

// The bytes of the sequence this byte begins, or 0 if no sequence begins so.
std::size_t sequence_size(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xf0 && lead < 0xf5) return 4;
  return 0;
}

// The size of the valid sequence at the front, 0 if there is none.
std::size_t decode_front(std::string_view text, char32_t& code_point) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  if (byte(0) < 0x80) {
    code_point = byte(0);
    return 1;
  }
  const std::size_t size = sequence_size(byte(0));
  if (size == 0 || size > text.size()) return 0;
  char32_t value = byte(0) & kLeadMask[size];
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return 0;
    value = value << 6U | (byte(i) & 0x3fU);
  }
  const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest[size] || value > 0x10ffff || is_surrogate) return 0;
  code_point = value;
  return size;
}

}  // namespace

std::string escape(Untrusted text) {
  std::string out;
  out.reserve(text.text.size());
  std::string_view rest = text.text;
  while (!rest.empty()) {
    const std::string_view before = rest;
    const char32_t code_point = next_code_point(rest);
    const std::size_t size = before.size() - rest.size();
    if (code_point == kReplacement && size == 1) {
      append_escape(out, 'x', static_cast<std::uint8_t>(before.front()), 2);
    } else if (is_dangerous(code_point)) {
      append_escape(out, code_point);
    } else if (code_point == U'\\') {
      out += "\\\\";
    } else {
      out += before.substr(0, size);
    }
  }
  return out;
}

bool is_valid_utf8(std::string_view text) {
  char32_t code_point = 0;
  while (!text.empty()) {
    const std::size_t size = decode_front(text, code_point);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

char32_t next_code_point(std::string_view& text) {
  if (text.empty()) return kReplacement;
  char32_t code_point = 0;
  const std::size_t size = decode_front(text, code_point);
  text.remove_prefix(size == 0 ? 1 : size);
  return size == 0 ? kReplacement : code_point;
}

bool is_dangerous(char32_t code_point) {
  if (code_point >= 0x20 && code_point < 0x7f) return false;  // most of what is ever asked
  const auto* const range = std::lower_bound(
      kDangerous.begin(), kDangerous.end(), code_point,
      [](const Range& candidate, char32_t value) { return candidate.last < value; });
  return range != kDangerous.end() && range->first <= code_point;
}

}  // namespace peernet
