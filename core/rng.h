#pragma once

// Rng is a ChaCha20 stream from a 32-byte seed: the only source of chance in the house. The daemon
// seeds it from the system, the simulator from its seed, and the same seed gives the same numbers
// with every compiler. fork() gives a child whose draws never shift its parent's. Each block also
// replaces the key, so that a leaked state says nothing about the keys that were drawn before.

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "core/bytes.h"

namespace peernet {

class Rng {
 public:
  using Seed = std::array<std::uint8_t, 32>;
  explicit Rng(const Seed& seed) : key_(seed) {}
  explicit Rng(std::uint64_t seed);  // for tests and the simulator

  std::uint64_t next();
  // Uniform in [0, bound). Requires: bound > 0.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [0, 1).
  double unit();
  void fill(std::span<std::uint8_t> out);
  template <class T>
  T tagged() {
    T result;
    fill(result.bytes);
    return result;
  }
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      using std::swap;
      swap(items[i - 1], items[below(i)]);
    }
  }
  // What a child begins with, and the child.
  Seed draw_seed();
  Rng fork() { return Rng(draw_seed()); }

 private:
  void refill();

  Seed key_{};
  std::array<std::uint8_t, 256> block_{};
  std::size_t used_ = sizeof(block_);
};

}  // namespace peernet
