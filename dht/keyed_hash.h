#pragma once

// SipHash-2-4 (Aumasson, Bernstein 2012) of a few words under a key of our own: where strangers
// choose what is put into a table, they do not choose where it stands.

#include <array>
#include <bit>
#include <cstdint>

#include "core/rng.h"

namespace peernet::dht {

class KeyedHash {
 public:
  explicit KeyedHash(Rng& rng) : key_{rng.next(), rng.next()} {}

  template <std::size_t N>
  std::uint64_t operator()(const std::array<std::uint64_t, N>& words) const {
    State v{key_[0] ^ 0x736f6d6570736575U, key_[1] ^ 0x646f72616e646f6dU,
            key_[0] ^ 0x6c7967656e657261U, key_[1] ^ 0x7465646279746573U};
    for (const std::uint64_t word : words) absorb(v, word);
    absorb(v, std::uint64_t{sizeof(words)} << 56U);
    v[2] ^= 0xffU;
    for (int i = 0; i < 4; ++i) round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
  }

 private:
  using State = std::array<std::uint64_t, 4>;
  static void round(State& v) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = std::rotl(v[1], 13) ^ v[0];
    v[3] = std::rotl(v[3], 16) ^ v[2];
    v[0] = std::rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = std::rotl(v[1], 17) ^ v[2];
    v[3] = std::rotl(v[3], 21) ^ v[0];
    v[2] = std::rotl(v[2], 32);
  }
  static void absorb(State& v, std::uint64_t word) {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
  }

  std::array<std::uint64_t, 2> key_;
};

}  // namespace peernet::dht
