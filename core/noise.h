#pragma once

// The handshake states of Noise_XX_25519_ChaChaPoly_SHA256 and Noise_XXpsk0+psk3_25519_ChaChaPoly_
// SHA256 (Noise revision 34). Knows nothing of sockets, lengths or identities. Any error ends the
// handshake for good.

#include <cstdint>
#include <optional>
#include <utility>

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/result.h"

namespace peernet {

enum class Role : std::uint8_t { initiator, responder };

class NoiseHandshake {
 public:
  struct Keys {
    DhKeyPair fixed;                             // the static key pair
    DhKeyPair ephemeral;                         // drawn by the caller, used once
    std::optional<Key> psk;                      // present: XXpsk0+psk3
    std::optional<Key> psk_last = std::nullopt;  // absent: `psk` stands in both places
  };
  NoiseHandshake(Role role, Keys keys, BytesView prologue);

  // Three messages, the initiator writes the first. Requires: it is this side's turn.
  // write: h as it stands just before the payload is encrypted is what identities sign; the caller
  // therefore writes in two steps, begin_write (the tokens), then finish_write (the payload).
  void begin_write(Bytes& out);
  void finish_write(BytesView payload, Bytes& out);
  // read: begin_read consumes the tokens, finish_read opens the payload that is all the rest. Of
  // message 1 both are hashing only, without any Diffie-Hellman. Low-order points are refused when
  // they are read, so that writing cannot fail. Error: corrupt.
  Result<void> begin_read(BytesView& message);
  Result<Bytes> finish_read(BytesView message);

  bool is_my_turn_to_write() const;
  bool is_done() const { return message_index_ == 3; }
  const Hash& hash() const { return hash_; }                        // h
  const DhPublic& remote_static() const { return remote_static_; }  // known after it was read
  const DhPublic& remote_ephemeral() const { return remote_ephemeral_; }

  struct TransportKeys {
    Key send;
    Key receive;
  };
  // Requires: is_done().
  TransportKeys split() const;

 private:
  void mix_hash(BytesView bytes);
  void mix_key(BytesView input);
  void mix_key_and_hash(BytesView psk);
  void mix_last_psk();
  void mix_agreed(const Key& secret, const DhPublic& other);
  void mix_ephemeral(const DhPublic& shared);
  void write_ephemeral(Bytes& out);
  bool read_ephemeral(BytesView& message);
  bool read_static(BytesView& message);
  void encrypt_and_hash(BytesView plain, Bytes& out);
  std::optional<Bytes> decrypt_and_hash(BytesView sealed);

  Role role_;
  Keys keys_;
  DhPublic remote_static_;
  DhPublic remote_ephemeral_;
  Hash hash_;
  Key chaining_key_;
  std::optional<Key> cipher_key_;
  std::uint64_t nonce_ = 0;
  int message_index_ = 0;
  bool is_payload_due_ = false;  // between begin and finish
  bool is_dead_ = false;
};

}  // namespace peernet
