// The one-shot functions of libcrypto's EVP interface allocate and look up the digest on each call,
// which costs more than hashing a 64-byte Merkle node does. The low-level functions run the same
// SHA-NI code from a context on the stack; they are deprecated and not removed.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "core/sha256_lanes.h"

namespace peernet {

namespace {

constexpr std::size_t kSha256BlockSize = 64;
// Sixteen lanes take the time of seven messages one after the other.
constexpr std::size_t kLanesWorthwhile = 8;
constexpr std::uint32_t kCastagnoli = 0x82f63b78;  // reflected polynomial

class Sha256 {
 public:
  Sha256() { SHA256_Init(&context_); }  // NOLINT(cppcoreguidelines-pro-type-member-init)
  void update(BytesView bytes) { SHA256_Update(&context_, bytes.data(), bytes.size()); }
  Hash finish() {
    Hash hash;
    SHA256_Final(hash.bytes.data(), &context_);
    return hash;
  }
  void wipe() { OPENSSL_cleanse(&context_, sizeof(context_)); }

 private:
  SHA256_CTX context_;
};

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ ((crc & 1U) != 0 ? kCastagnoli : 0U);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

}  // namespace

Hash sha256(BytesView bytes) {
  Sha256 state;
  state.update(bytes);
  return state.finish();
}

Hash sha256(std::initializer_list<BytesView> parts) {
  Sha256 state;
  for (const BytesView part : parts) state.update(part);
  return state.finish();
}

std::vector<Hash> sha256_each(std::span<const BytesView> inputs) {
  std::vector<Hash> hashes;
  hashes.reserve(inputs.size());
  while (!inputs.empty()) {
    const auto differs = std::ranges::find_if(
        inputs, [&](BytesView input) { return input.size() != inputs.front().size(); });
    const auto alike = static_cast<std::size_t>(differs - inputs.begin());
    const std::size_t count = std::min(alike, kSha256Lanes);
    if (count >= kLanesWorthwhile && has_sha256_lanes()) {
      std::array<BytesView, kSha256Lanes> messages;
      std::array<Hash, kSha256Lanes> found;
      messages.fill(inputs.front());  // the lanes that nothing is left for
      std::copy_n(inputs.begin(), count, messages.begin());
      sha256_lanes(messages, found);
      hashes.insert(hashes.end(), found.begin(), found.begin() + count);
    } else {
      for (const BytesView input : inputs.first(count)) hashes.push_back(sha256(input));
    }
    inputs = inputs.subspan(count);
  }
  return hashes;
}

DhtId sha1(std::initializer_list<BytesView> parts) {
  SHA_CTX context;
  SHA1_Init(&context);
  for (const BytesView part : parts) SHA1_Update(&context, part.data(), part.size());
  DhtId id;
  SHA1_Final(id.bytes.data(), &context);
  return id;
}

// RFC 2104.
Hash hmac_sha256(BytesView key, std::initializer_list<BytesView> parts) {
  std::array<std::uint8_t, kSha256BlockSize> inner_pad{};
  std::array<std::uint8_t, kSha256BlockSize> outer_pad{};
  const Hash hashed_key = key.size() > kSha256BlockSize ? sha256(key) : Hash{};
  if (key.size() > kSha256BlockSize) key = hashed_key.view();
  for (std::size_t i = 0; i < kSha256BlockSize; ++i) {
    const unsigned byte = i < key.size() ? key[i] : 0U;
    inner_pad[i] = static_cast<std::uint8_t>(byte ^ 0x36U);
    outer_pad[i] = static_cast<std::uint8_t>(byte ^ 0x5cU);
  }
  Sha256 inner;
  inner.update(inner_pad);
  for (const BytesView part : parts) inner.update(part);
  const Hash inner_hash = inner.finish();
  Sha256 outer;
  outer.update(outer_pad);
  outer.update(inner_hash.view());
  const Hash mac = outer.finish();
  inner.wipe();
  outer.wipe();
  OPENSSL_cleanse(inner_pad.data(), inner_pad.size());
  OPENSSL_cleanse(outer_pad.data(), outer_pad.size());
  return mac;
}

std::uint32_t crc32c(BytesView bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::uint8_t byte : bytes) crc = crc >> 8U ^ kCrcTable[(crc ^ byte) & 255U];
  return ~crc;
}

}  // namespace peernet
