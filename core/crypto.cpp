#include "core/crypto.h"

#include <sodium.h>

#include <algorithm>

#include "core/aead.h"
#include "core/check.h"
#include "core/hash.h"

namespace peernet {

static_assert(Signature::kSize == crypto_sign_BYTES && PeerId::kSize == crypto_sign_PUBLICKEYBYTES);
static_assert(DhPublic::kSize == crypto_scalarmult_BYTES);
static_assert(Mac::kSize == crypto_generichash_BYTES_MIN);
static_assert(DatagramNonce::kSize == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);

namespace {

constexpr std::size_t kDatagramTagSize = crypto_aead_xchacha20poly1305_ietf_ABYTES;

// The u coordinates of order 1, 2, 4 and 8 on Curve25519 and its twist, and those of them that have
// a second encoding below 2^255 (RFC 7748, section 5: values from p on are taken modulo p).
constexpr std::array<std::array<std::uint8_t, 32>, 7> kLowOrderPoints{{
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
     0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
     0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
     0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
     0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
}};

// libsodium's secret key: the seed and the public key behind it.
Secret<64> sign_secret(const Key& seed, PeerId& id) {
  Secret<64> secret;
  PN_CHECK(crypto_sign_seed_keypair(id.bytes.data(), secret.mutable_view().data(),
                                    seed.view().data()) == 0);
  return secret;
}

Key as_key(const Hash& hash) {
  return Key(hash.bytes);
}

}  // namespace

void crypto_start() {
  PN_CHECK(sodium_init() >= 0);
  aead_start();
}

bool secure_equal(BytesView a, BytesView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

template <std::size_t N>
Secret<N>::~Secret() {
  sodium_memzero(bytes_.data(), N);
}
template class Secret<32>;
template class Secret<64>;

void wipe(std::span<std::uint8_t> bytes) {
  sodium_memzero(bytes.data(), bytes.size());
}

PeerId sign_public(const Key& seed) {
  PeerId id;
  sign_secret(seed, id);
  return id;
}

Signature sign(const Key& seed, BytesView message) {
  PeerId id;
  const Secret<64> secret = sign_secret(seed, id);
  Signature signature;
  PN_CHECK(crypto_sign_detached(signature.bytes.data(), nullptr, message.data(), message.size(),
                                secret.view().data()) == 0);
  return signature;
}

bool verify(const PeerId& signer, BytesView message, const Signature& signature) {
  return crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(),
                                     signer.bytes.data()) == 0;
}

DhKeyPair DhKeyPair::make(Rng& rng) {
  DhKeyPair pair;
  rng.fill(pair.secret.mutable_view());
  pair.shared = dh_public(pair.secret);
  return pair;
}

DhPublic dh_public(const Key& secret) {
  DhPublic shared;
  PN_CHECK(crypto_scalarmult_base(shared.bytes.data(), secret.view().data()) == 0);
  return shared;
}

bool is_low_order(const DhPublic& point) {
  auto masked = point.bytes;
  masked.back() &= 0x7fU;  // X25519 ignores the top bit
  return std::find(kLowOrderPoints.begin(), kLowOrderPoints.end(), masked) != kLowOrderPoints.end();
}

std::optional<Key> dh(const Key& secret, const DhPublic& other) {
  Key agreed;
  if (crypto_scalarmult(agreed.mutable_view().data(), secret.view().data(), other.bytes.data()) !=
      0) {
    return std::nullopt;
  }
  return agreed;
}

std::array<Key, 2> hkdf2(const Key& chaining, BytesView input) {
  const Key temporary = as_key(hmac_sha256(chaining.view(), {input}));
  const std::array<std::uint8_t, 2> counters{1, 2};
  const BytesView counter = counters;
  const Key first = as_key(hmac_sha256(temporary.view(), {counter.first(1)}));
  const Key second = as_key(hmac_sha256(temporary.view(), {first.view(), counter.subspan(1)}));
  return {first, second};
}

std::array<Key, 3> hkdf3(const Key& chaining, BytesView input) {
  const Key temporary = as_key(hmac_sha256(chaining.view(), {input}));
  const std::array<std::uint8_t, 3> counters{1, 2, 3};
  const BytesView counter = counters;
  const Key first = as_key(hmac_sha256(temporary.view(), {counter.first(1)}));
  const Key second = as_key(hmac_sha256(temporary.view(), {first.view(), counter.subspan(1, 1)}));
  const Key third = as_key(hmac_sha256(temporary.view(), {second.view(), counter.subspan(2)}));
  return {first, second, third};
}

Mac keyed_mac(const Key& key, std::initializer_list<BytesView> parts) {
  crypto_generichash_state state;
  PN_CHECK(crypto_generichash_init(&state, key.view().data(), key.view().size(), Mac::kSize) == 0);
  for (const BytesView part : parts) {
    PN_CHECK(crypto_generichash_update(&state, part.data(), part.size()) == 0);
  }
  Mac mac;
  PN_CHECK(crypto_generichash_final(&state, mac.bytes.data(), Mac::kSize) == 0);
  return mac;
}

Key derive_key(const Key& master, std::uint64_t id, const char (&context)[9]) {
  static_assert(sizeof(context) - 1 == crypto_kdf_CONTEXTBYTES);
  Key key;
  PN_CHECK(crypto_kdf_derive_from_key(key.mutable_view().data(), key.view().size(), id, context,
                                      master.view().data()) == 0);
  return key;
}

void seal_datagram(const Key& key, const DatagramNonce& nonce, BytesView associated,
                   BytesView plain, Bytes& out) {
  const std::size_t at = out.size();
  out.resize(at + plain.size() + kDatagramTagSize);
  PN_CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(&out[at], nullptr, plain.data(), plain.size(),
                                                      associated.data(), associated.size(), nullptr,
                                                      nonce.bytes.data(), key.view().data()) == 0);
}

bool open_datagram(const Key& key, const DatagramNonce& nonce, BytesView associated,
                   BytesView sealed, Bytes& out) {
  if (sealed.size() < kDatagramTagSize) return false;
  const std::size_t at = out.size();
  out.resize(at + sealed.size() - kDatagramTagSize);
  const bool is_ours =
      crypto_aead_xchacha20poly1305_ietf_decrypt(
          out.data() + at, nullptr, nullptr, sealed.data(), sealed.size(), associated.data(),
          associated.size(), nonce.bytes.data(), key.view().data()) == 0;
  if (!is_ours) out.resize(at);
  return is_ours;
}

}  // namespace peernet
