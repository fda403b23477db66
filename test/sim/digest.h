#pragma once

// Digest is a running 64-bit hash over everything the nodes asked for. Two runs with the same seed
// must end with the same digest, in two processes and with two compilers. It tells runs apart; it
// keeps no secret.

#include <cstdint>
#include <string_view>

#include "core/bytes.h"

namespace peernet::sim {

// A bijection of 64 bits that mixes well (the finaliser of SplitMix64).
inline std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31U);
}

class Digest {
 public:
  void number(std::uint64_t value) { state_ = mix(state_ ^ value) + 0x9e3779b97f4a7c15ULL; }

  void bytes(BytesView view) {
    number(view.size());
    std::size_t at = 0;
    std::uint64_t running = state_;
    for (; at + 8 <= view.size(); at += 8) running = (running ^ word(view, at)) * kPrime + 1;
    std::uint64_t tail = 0;
    for (; at < view.size(); ++at) tail = tail << 8U | view[at];
    state_ = mix(running ^ tail);
  }
  void text(std::string_view view) { bytes(as_bytes(view)); }

  std::uint64_t value() const { return state_; }

 private:
  static constexpr std::uint64_t kPrime = 0x9fb21c651e98df25ULL;

  static std::uint64_t word(BytesView view, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value |= std::uint64_t{view[at + i]} << (8 * i);
    return value;
  }

  std::uint64_t state_ = 0x243f6a8885a308d3ULL;
};

}  // namespace peernet::sim
