#include "core/noise.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/aead.h"
#include "core/check.h"
#include "core/hash.h"

namespace peernet {

namespace {

constexpr std::string_view kName = "Noise_XX_25519_ChaChaPoly_SHA256";
constexpr std::string_view kNamePsk = "Noise_XXpsk0+psk3_25519_ChaChaPoly_SHA256";
constexpr std::size_t kSealedKeySize = DhPublic::kSize + kTagSize;

// Noise, section 5.2: a name that fits the hash stands as it is, a longer one is hashed.
Hash first_hash(bool has_psk) {
  static_assert(kName.size() == Hash::kSize && kNamePsk.size() > Hash::kSize);
  return has_psk ? sha256(as_bytes(kNamePsk)) : *Hash::from(as_bytes(kName));
}

Error corrupt(const char* what) {
  return {Errc::corrupt, what, {}};
}

}  // namespace

NoiseHandshake::NoiseHandshake(Role role, Keys keys, BytesView prologue)
    : role_(role),
      keys_(std::move(keys)),
      hash_(first_hash(keys_.psk.has_value())),
      chaining_key_(hash_.bytes) {
  mix_hash(prologue);
}

void NoiseHandshake::begin_write(Bytes& out) {
  PN_CHECK(is_my_turn_to_write() && !is_payload_due_);
  is_payload_due_ = true;
  switch (message_index_) {
    case 0:  // psk, e
      if (keys_.psk) mix_key_and_hash(keys_.psk->view());
      write_ephemeral(out);
      break;
    case 1:  // e, ee, s, es
      write_ephemeral(out);
      mix_agreed(keys_.ephemeral.secret, remote_ephemeral_);
      encrypt_and_hash(keys_.fixed.shared.view(), out);
      mix_agreed(keys_.fixed.secret, remote_ephemeral_);
      break;
    default:  // s, se, psk
      encrypt_and_hash(keys_.fixed.shared.view(), out);
      mix_agreed(keys_.fixed.secret, remote_ephemeral_);
      mix_last_psk();
  }
}

void NoiseHandshake::finish_write(BytesView payload, Bytes& out) {
  PN_CHECK(is_my_turn_to_write() && is_payload_due_);
  encrypt_and_hash(payload, out);
  is_payload_due_ = false;
  ++message_index_;
}

Result<void> NoiseHandshake::begin_read(BytesView& message) {
  if (is_dead_) return corrupt("the handshake has already failed");
  PN_CHECK(!is_my_turn_to_write() && !is_done() && !is_payload_due_);
  // Alive again only if all of the message turns out well.
  is_dead_ = true;
  switch (message_index_) {
    case 0:  // psk, e
      if (keys_.psk) mix_key_and_hash(keys_.psk->view());
      if (!read_ephemeral(message)) return corrupt("the first key is missing or weak");
      break;
    case 1:  // e, ee, s, es
      if (!read_ephemeral(message)) return corrupt("the second key is missing or weak");
      mix_agreed(keys_.ephemeral.secret, remote_ephemeral_);
      if (!read_static(message)) return corrupt("the responder's key does not open");
      mix_agreed(keys_.ephemeral.secret, remote_static_);
      break;
    default:  // s, se, psk
      if (!read_static(message)) return corrupt("the initiator's key does not open");
      mix_agreed(keys_.ephemeral.secret, remote_static_);
      mix_last_psk();
  }
  is_payload_due_ = true;
  is_dead_ = false;
  return {};
}

Result<Bytes> NoiseHandshake::finish_read(BytesView message) {
  if (is_dead_) return corrupt("the handshake has already failed");
  PN_CHECK(!is_my_turn_to_write() && is_payload_due_);
  auto payload = decrypt_and_hash(message);
  if (!payload) {
    is_dead_ = true;
    return corrupt("a handshake payload does not open");
  }
  is_payload_due_ = false;
  ++message_index_;
  return *std::move(payload);
}

bool NoiseHandshake::is_my_turn_to_write() const {
  if (is_done() || is_dead_) return false;
  return (message_index_ % 2 == 0) == (role_ == Role::initiator);
}

NoiseHandshake::TransportKeys NoiseHandshake::split() const {
  PN_CHECK(is_done());
  const auto [first, second] = hkdf2(chaining_key_, {});
  if (role_ == Role::initiator) return {first, second};
  return {second, first};
}

void NoiseHandshake::mix_hash(BytesView bytes) {
  hash_ = sha256({hash_.view(), bytes});
}

void NoiseHandshake::mix_key(BytesView input) {
  const auto [chaining, cipher] = hkdf2(chaining_key_, input);
  chaining_key_ = chaining;
  cipher_key_ = cipher;
  nonce_ = 0;
}

void NoiseHandshake::mix_key_and_hash(BytesView psk) {
  const auto [chaining, hashed, cipher] = hkdf3(chaining_key_, psk);
  chaining_key_ = chaining;
  mix_hash(hashed.view());
  cipher_key_ = cipher;
  nonce_ = 0;
}

void NoiseHandshake::mix_last_psk() {
  if (!keys_.psk) return;
  mix_key_and_hash(keys_.psk_last ? keys_.psk_last->view() : keys_.psk->view());
}

void NoiseHandshake::mix_agreed(const Key& secret, const DhPublic& other) {
  const auto agreed = dh(secret, other);
  // Low-order points were refused when they were read, and no other point makes dh() fail.
  PN_CHECK(agreed.has_value());
  mix_key(agreed->view());
}

void NoiseHandshake::mix_ephemeral(const DhPublic& shared) {
  mix_hash(shared.view());
  // Noise, section 9.2: with a psk, e must also make the key fresh.
  if (keys_.psk) mix_key(shared.view());
}

void NoiseHandshake::write_ephemeral(Bytes& out) {
  append(out, keys_.ephemeral.shared.view());
  mix_ephemeral(keys_.ephemeral.shared);
}

bool NoiseHandshake::read_ephemeral(BytesView& message) {
  if (message.size() < DhPublic::kSize) return false;
  remote_ephemeral_ = *DhPublic::from(message.first(DhPublic::kSize));
  message = message.subspan(DhPublic::kSize);
  if (is_low_order(remote_ephemeral_)) return false;
  mix_ephemeral(remote_ephemeral_);
  return true;
}

bool NoiseHandshake::read_static(BytesView& message) {
  if (message.size() < kSealedKeySize) return false;
  const auto opened = decrypt_and_hash(message.first(kSealedKeySize));
  if (!opened) return false;
  message = message.subspan(kSealedKeySize);
  remote_static_ = *DhPublic::from(*opened);
  return !is_low_order(remote_static_);
}

void NoiseHandshake::encrypt_and_hash(BytesView plain, Bytes& out) {
  const std::size_t begin = out.size();
  if (cipher_key_) {
    AeadKey(*cipher_key_).seal(nonce_++, hash_.view(), {plain}, out);
  } else {
    append(out, plain);
  }
  mix_hash(BytesView(out).subspan(begin));
}

std::optional<Bytes> NoiseHandshake::decrypt_and_hash(BytesView sealed) {
  Bytes plain;
  if (!cipher_key_) {
    append(plain, sealed);
  } else if (!AeadKey(*cipher_key_).open(nonce_++, hash_.view(), sealed, plain)) {
    return std::nullopt;
  }
  mix_hash(sealed);
  return plain;
}

}  // namespace peernet
