#include "core/sha256_lanes.h"

#include "core/check.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

// The functions alone are compiled for AVX-512, not the file: what the standard library's headers
// bring along must run on every processor.
#define PN_AVX512 __attribute__((target("avx512f,avx512bw")))
#define PN_INLINE PN_AVX512 __attribute__((always_inline)) inline

namespace peernet {
namespace {

constexpr std::size_t kChunkSize = 64;  // the block of FIPS 180-4
constexpr std::size_t kLengthSize = 8;  // of the message, at the end of its last chunk

constexpr std::array<std::uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
constexpr std::array<std::uint32_t, 8> kInitialState = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// A word of each of the sixteen messages. A type of its own: the compiler would warn that it drops
// the attributes of __m512i as the argument of a template.
struct Words {
  __m512i of;
};
using State = std::array<Words, 8>;
using Starts = std::array<const std::uint8_t*, kSha256Lanes>;

// The three-input functions of the rounds, as truth tables.
constexpr int kXor = 0x96;
constexpr int kChoose = 0xca;
constexpr int kMajority = 0xe8;

PN_INLINE __m512i sum(__m512i a, __m512i b) {
  return _mm512_add_epi32(a, b);
}

PN_INLINE __m512i exclusive_or(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, kXor);
}

PN_INLINE __m512i big_sigma0(__m512i a) {
  return exclusive_or(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22));
}
PN_INLINE __m512i big_sigma1(__m512i e) {
  return exclusive_or(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25));
}
PN_INLINE __m512i small_sigma0(__m512i w) {
  return exclusive_or(_mm512_ror_epi32(w, 7), _mm512_ror_epi32(w, 18), _mm512_srli_epi32(w, 3));
}
PN_INLINE __m512i small_sigma1(__m512i w) {
  return exclusive_or(_mm512_ror_epi32(w, 17), _mm512_ror_epi32(w, 19), _mm512_srli_epi32(w, 10));
}

// One round. The caller renames the variables instead of moving them along.
PN_INLINE void step(__m512i a, __m512i b, __m512i c, __m512i& d, __m512i e, __m512i f, __m512i g,
                    __m512i& h, const Words& word, std::uint32_t constant) {
  const __m512i added = sum(word.of, _mm512_set1_epi32(static_cast<int>(constant)));
  const __m512i choice = _mm512_ternarylogic_epi32(e, f, g, kChoose);
  const __m512i first = sum(sum(h, added), sum(big_sigma1(e), choice));
  d = sum(d, first);
  h = sum(first, sum(big_sigma0(a), _mm512_ternarylogic_epi32(a, b, c, kMajority)));
}

PN_INLINE void eight_rounds(State& s, const Words* words, const std::uint32_t* constants) {
  auto& [a, b, c, d, e, f, g, h] = s;
  step(a.of, b.of, c.of, d.of, e.of, f.of, g.of, h.of, words[0], constants[0]);
  step(h.of, a.of, b.of, c.of, d.of, e.of, f.of, g.of, words[1], constants[1]);
  step(g.of, h.of, a.of, b.of, c.of, d.of, e.of, f.of, words[2], constants[2]);
  step(f.of, g.of, h.of, a.of, b.of, c.of, d.of, e.of, words[3], constants[3]);
  step(e.of, f.of, g.of, h.of, a.of, b.of, c.of, d.of, words[4], constants[4]);
  step(d.of, e.of, f.of, g.of, h.of, a.of, b.of, c.of, words[5], constants[5]);
  step(c.of, d.of, e.of, f.of, g.of, h.of, a.of, b.of, words[6], constants[6]);
  step(b.of, c.of, d.of, e.of, f.of, g.of, h.of, a.of, words[7], constants[7]);
}

// From sixteen rows, each a chunk of one message, to sixteen words, each of all messages.
PN_INLINE void transpose(Words* rows) {
  Words pairs[16];
  for (int i = 0; i < 16; i += 2) {
    pairs[i].of = _mm512_unpacklo_epi32(rows[i].of, rows[i + 1].of);
    pairs[i + 1].of = _mm512_unpackhi_epi32(rows[i].of, rows[i + 1].of);
  }
  // quads[4 g + j]: the words j, 4 + j, 8 + j and 12 + j of the messages 4 g to 4 g + 3.
  Words quads[16];
  for (int i = 0; i < 16; i += 4) {
    quads[i].of = _mm512_unpacklo_epi64(pairs[i].of, pairs[i + 2].of);
    quads[i + 1].of = _mm512_unpackhi_epi64(pairs[i].of, pairs[i + 2].of);
    quads[i + 2].of = _mm512_unpacklo_epi64(pairs[i + 1].of, pairs[i + 3].of);
    quads[i + 3].of = _mm512_unpackhi_epi64(pairs[i + 1].of, pairs[i + 3].of);
  }
  constexpr int even = 0x88;  // of the 128-bit parts of both
  constexpr int odd = 0xdd;
  for (int j = 0; j < 4; ++j) {
    const __m512i even_low = _mm512_shuffle_i32x4(quads[j].of, quads[4 + j].of, even);
    const __m512i even_high = _mm512_shuffle_i32x4(quads[8 + j].of, quads[12 + j].of, even);
    const __m512i odd_low = _mm512_shuffle_i32x4(quads[j].of, quads[4 + j].of, odd);
    const __m512i odd_high = _mm512_shuffle_i32x4(quads[8 + j].of, quads[12 + j].of, odd);
    rows[j].of = _mm512_shuffle_i32x4(even_low, even_high, even);
    rows[4 + j].of = _mm512_shuffle_i32x4(odd_low, odd_high, even);
    rows[8 + j].of = _mm512_shuffle_i32x4(even_low, even_high, odd);
    rows[12 + j].of = _mm512_shuffle_i32x4(odd_low, odd_high, odd);
  }
}

PN_AVX512 void compress(State& state, const Starts& starts, std::size_t chunks_count) {
  const __m512i big_endian = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
  for (std::size_t chunk = 0; chunk < chunks_count; ++chunk) {
    Words words[16];
    for (std::size_t i = 0; i < kSha256Lanes; ++i) {
      const __m512i row = _mm512_loadu_si512(starts[i] + chunk * kChunkSize);
      words[i].of = _mm512_shuffle_epi8(row, big_endian);
    }
    transpose(words);
    State next = state;
    for (std::size_t round = 0; round < kRoundConstants.size(); round += 16) {
      if (round > 0) {
        for (std::size_t i = 0; i < 16; ++i) {
          const __m512i before = sum(words[i].of, small_sigma0(words[(i + 1) % 16].of));
          words[i].of =
              sum(before, sum(words[(i + 9) % 16].of, small_sigma1(words[(i + 14) % 16].of)));
        }
      }
      eight_rounds(next, words, &kRoundConstants[round]);
      eight_rounds(next, words + 8, &kRoundConstants[round + 8]);
    }
    for (std::size_t i = 0; i < state.size(); ++i) state[i].of = sum(state[i].of, next[i].of);
  }
}

}  // namespace

bool has_sha256_lanes() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  return has;
}

PN_AVX512 void sha256_lanes(const std::array<BytesView, kSha256Lanes>& messages,
                            std::array<Hash, kSha256Lanes>& hashes) {
  const std::size_t size = messages[0].size();
  const std::size_t rest = size % kChunkSize;
  const std::size_t tail_size = rest + 1 + kLengthSize <= kChunkSize ? kChunkSize : 2 * kChunkSize;
  // What is left of each message, a one bit, zeros, and the length in bits.
  std::array<std::array<std::uint8_t, 2 * kChunkSize>, kSha256Lanes> tails{};
  Starts starts{};
  Starts tail_starts{};
  for (std::size_t i = 0; i < kSha256Lanes; ++i) {
    PN_CHECK(messages[i].size() == size);
    starts[i] = messages[i].data();
    tail_starts[i] = tails[i].data();
    std::ranges::copy(messages[i].last(rest), tails[i].begin());
    tails[i][rest] = 0x80;
    for (std::size_t byte = 0; byte < kLengthSize; ++byte) {
      tails[i][tail_size - 1 - byte] =
          static_cast<std::uint8_t>(std::uint64_t{size} * 8 >> (8 * byte));
    }
  }
  State state;
  for (std::size_t i = 0; i < state.size(); ++i) {
    state[i].of = _mm512_set1_epi32(static_cast<int>(kInitialState[i]));
  }
  compress(state, starts, size / kChunkSize);
  compress(state, tail_starts, tail_size / kChunkSize);
  for (std::size_t word = 0; word < state.size(); ++word) {
    std::array<std::uint32_t, kSha256Lanes> values{};
    _mm512_storeu_si512(values.data(), state[word].of);
    for (std::size_t i = 0; i < kSha256Lanes; ++i) {
      for (std::size_t byte = 0; byte < 4; ++byte) {
        hashes[i].bytes[4 * word + byte] = static_cast<std::uint8_t>(values[i] >> (24 - 8 * byte));
      }
    }
  }
}

}  // namespace peernet

#else

namespace peernet {

bool has_sha256_lanes() {
  return false;
}

void sha256_lanes(const std::array<BytesView, kSha256Lanes>& /*messages*/,
                  std::array<Hash, kSha256Lanes>& /*hashes*/) {
  PN_CHECK(false);
}

}  // namespace peernet

#endif
