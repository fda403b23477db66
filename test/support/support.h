#pragma once

// What nearly every test needs: bytes written as hex, and ids made from a small number.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/check.h"

namespace peernet::test {

// Spaces are allowed and mean nothing.
inline Bytes hex(std::string_view text) {
  std::string digits;
  for (const char digit : text) {
    if (digit != ' ') digits += digit;
  }
  auto bytes = from_hex(digits);
  PN_CHECK(bytes.has_value());
  return *std::move(bytes);
}

// An id, hash or key like ShareId whose last eight bytes count: tagged<PeerId>(7).
template <class T>
T tagged(std::uint64_t number) {
  T result;
  for (std::size_t i = 0; i < std::min<std::size_t>(8, T::kSize); ++i) {
    result.bytes[T::kSize - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return result;
}

template <class T>
T tagged(std::string_view hex_text) {
  auto result = T::from(hex(hex_text));
  PN_CHECK(result.has_value());
  return *result;
}

// `size` bytes that differ from their neighbours and from those of another seed.
inline Bytes pattern(std::size_t size, std::uint8_t seed = 1) {
  Bytes bytes(size);
  std::uint32_t state = seed * 2654435761U + 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24U);
  }
  return bytes;
}

}  // namespace peernet::test
