#pragma once

// AeadKey is one key of the record cipher, ChaCha20-Poly1305 (RFC 8439), by libcrypto. The nonce is
// a 64-bit counter as Noise lays it out: 4 zero bytes, then the counter little-endian. The cipher's
// context is made once and kept, for setting a key is the dear part; it is wiped with the object.

#include <cstdint>
#include <initializer_list>

#include "core/bytes.h"
#include "core/crypto.h"

namespace peernet {

inline constexpr std::size_t kTagSize = 16;

// Loads the cipher, which takes libcrypto a few milliseconds: crypto_start() does, so that no peer
// waits for it.
void aead_start();

class AeadKey {
 public:
  explicit AeadKey(const Key& key);
  AeadKey(AeadKey&& other) noexcept;
  AeadKey& operator=(AeadKey&& other) noexcept;
  ~AeadKey();

  // Appends ciphertext of the concatenated parts, then the tag.
  void seal(std::uint64_t nonce, BytesView associated, std::initializer_list<BytesView> parts,
            Bytes& out);
  // Appends the plain text. False, with `out` as it was, if the tag does not match.
  bool open(std::uint64_t nonce, BytesView associated, BytesView sealed, Bytes& out);

 private:
  void* context_;  // EVP_CIPHER_CTX, owned
};

}  // namespace peernet
