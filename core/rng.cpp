#include "core/rng.h"

#include <sodium.h>

#include <algorithm>
#include <limits>

#include "core/check.h"
#include "core/hash.h"

namespace peernet {

static_assert(std::tuple_size_v<Rng::Seed> == crypto_stream_chacha20_KEYBYTES);

Rng::Rng(std::uint64_t seed) {
  std::array<std::uint8_t, 8> encoded{};
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    encoded[i] = static_cast<std::uint8_t>(seed >> (8 * (7 - i)));
  }
  key_ = sha256({as_bytes("peernet/1 rng"), encoded}).bytes;
}

std::uint64_t Rng::next() {
  std::array<std::uint8_t, 8> drawn{};
  fill(drawn);
  std::uint64_t value = 0;
  for (const std::uint8_t byte : drawn) value = value << 8U | byte;
  return value;
}

std::uint64_t Rng::below(std::uint64_t bound) {
  PN_CHECK(bound > 0);
  // 2^64 mod bound: drawing again below it leaves every remainder equally likely.
  const std::uint64_t uneven = (std::numeric_limits<std::uint64_t>::max() % bound + 1) % bound;
  std::uint64_t value = next();
  while (value < uneven) value = next();
  return value % bound;
}

double Rng::unit() {
  return static_cast<double>(next() >> 11U) * 0x1p-53;
}

void Rng::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    if (used_ == block_.size()) refill();
    const std::size_t size = std::min(out.size(), block_.size() - used_);
    const auto drawn = std::span(block_).subspan(used_, size);
    std::copy(drawn.begin(), drawn.end(), out.begin());
    // What was handed out may be a key: it does not stay behind.
    std::fill(drawn.begin(), drawn.end(), std::uint8_t{0});
    used_ += size;
    out = out.subspan(size);
  }
}

Rng::Seed Rng::draw_seed() {
  Seed seed;
  fill(seed);
  return seed;
}

void Rng::refill() {
  std::array<std::uint8_t, sizeof(key_) + sizeof(block_)> stream{};
  const std::array<std::uint8_t, crypto_stream_chacha20_NONCEBYTES> nonce{};
  crypto_stream_chacha20(stream.data(), stream.size(), nonce.data(), key_.data());
  const auto next_key = stream.begin() + sizeof(key_);
  std::copy(stream.begin(), next_key, key_.begin());
  std::copy(next_key, stream.end(), block_.begin());
  sodium_memzero(stream.data(), stream.size());
  used_ = 0;
}

}  // namespace peernet
