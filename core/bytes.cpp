#include "core/bytes.h"

#include <algorithm>
#include <cstring>

namespace peernet {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase32Digits = "abcdefghijklmnopqrstuvwxyz234567";

std::optional<std::uint8_t> hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return static_cast<std::uint8_t>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<std::uint8_t>(digit - 'a' + 10);
  if (digit >= 'A' && digit <= 'F') return static_cast<std::uint8_t>(digit - 'A' + 10);
  return std::nullopt;
}

std::optional<std::uint8_t> base32_value(char digit) {
  if (digit >= 'a' && digit <= 'z') return static_cast<std::uint8_t>(digit - 'a');
  if (digit >= '2' && digit <= '7') return static_cast<std::uint8_t>(digit - '2' + 26);
  return std::nullopt;
}

}  // namespace

void grow(Bytes& bytes, std::size_t more) {
  const std::size_t size = bytes.size();
  Bytes larger;
  larger.reserve(std::max(size + more, 2 * bytes.capacity()));
  larger.resize(size);
  if (size > 0) std::memcpy(larger.data(), bytes.data(), size);
  bytes.swap(larger);
}

Bytes to_bytes(BytesView view) {
  Bytes bytes;
  append(bytes, view);
  return bytes;
}

std::string to_hex(BytesView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kHexDigits[byte >> 4U]);
    text.push_back(kHexDigits[byte & 15U]);
  }
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = hex_value(text[i]);
    const auto low = hex_value(text[i + 1]);
    if (!high || !low) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*high << 4U | *low));
  }
  return bytes;
}

std::string to_base32(BytesView bytes) {
  std::string text;
  text.reserve((bytes.size() * 8 + 4) / 5);
  unsigned held = 0;
  unsigned held_bits = 0;
  for (const std::uint8_t byte : bytes) {
    held = (held << 8U | byte) & 0xfffU;
    held_bits += 8;
    while (held_bits >= 5) {
      held_bits -= 5;
      text.push_back(kBase32Digits[held >> held_bits & 31U]);
    }
  }
  if (held_bits > 0) text.push_back(kBase32Digits[held << (5 - held_bits) & 31U]);
  return text;
}

std::optional<Bytes> from_base32(std::string_view text) {
  Bytes bytes;
  bytes.reserve(text.size() * 5 / 8);
  unsigned held = 0;
  unsigned held_bits = 0;
  for (const char digit : text) {
    const auto value = base32_value(digit);
    if (!value) return std::nullopt;
    held = (held << 5U | *value) & 0xfffU;
    held_bits += 5;
    if (held_bits >= 8) {
      held_bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(held >> held_bits & 255U));
    }
  }
  // A whole spare character means a length that no encoder makes; spare bits must be zero so that
  // every value has one text only.
  if (held_bits >= 5 || (held & ((1U << held_bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace peernet
