#pragma once

// Names over libsodium: identities, signatures, key agreement, sealed datagrams, keyed hashes.
// Secret wipes itself, is never printed, and is compared only in constant time.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>

#include "core/bytes.h"
#include "core/rng.h"

namespace peernet {

// Call once before anything else of core; stops the program if the library cannot start.
void crypto_start();

template <std::size_t N>
class Secret {
 public:
  Secret() = default;
  explicit Secret(const std::array<std::uint8_t, N>& bytes) : bytes_(bytes) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret();  // wipes

  BytesView view() const { return bytes_; }
  std::span<std::uint8_t> mutable_view() { return bytes_; }

 private:
  std::array<std::uint8_t, N> bytes_{};
};
extern template class Secret<32>;
extern template class Secret<64>;

using Key = Secret<32>;
using Signature = Tagged<struct SignatureTag, 64>;
using DhPublic = Tagged<struct DhPublicTag, 32>;  // X25519

void wipe(std::span<std::uint8_t> bytes);

// Ed25519. The seed is the private key of RFC 8032.
PeerId sign_public(const Key& seed);
Signature sign(const Key& seed, BytesView message);
// Strict: refuses small-order keys and non-canonical S.
bool verify(const PeerId& signer, BytesView message, const Signature& signature);

// X25519.
struct DhKeyPair {
  Key secret;
  DhPublic shared;  // the public half
  static DhKeyPair make(Rng& rng);
};
DhPublic dh_public(const Key& secret);
// The points whose agreed key is the same for everybody. Told by comparison, without a key.
bool is_low_order(const DhPublic& point);
// nullopt for a low-order point, which is treated like a bad tag.
std::optional<Key> dh(const Key& secret, const DhPublic& other);

// HKDF of the Noise specification with HMAC-SHA-256: two or three outputs.
std::array<Key, 2> hkdf2(const Key& chaining, BytesView input);
std::array<Key, 3> hkdf3(const Key& chaining, BytesView input);

// Keyed BLAKE2b with 16 bytes out: tokens.
using Mac = Tagged<struct MacTag, 16>;
Mac keyed_mac(const Key& key, std::initializer_list<BytesView> parts);
// A key for one purpose, from the network key: id and context are fixed in the caller.
Key derive_key(const Key& master, std::uint64_t id, const char (&context)[9]);

// XChaCha20-Poly1305 for single datagrams: 24-byte nonce, associated data.
using DatagramNonce = Tagged<struct DatagramNonceTag, 24>;
void seal_datagram(const Key& key, const DatagramNonce& nonce, BytesView associated,
                   BytesView plain, Bytes& out);
bool open_datagram(const Key& key, const DatagramNonce& nonce, BytesView associated,
                   BytesView sealed, Bytes& out);

}  // namespace peernet
