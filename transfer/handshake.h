#pragma once

// Handshake is the Noise exchange of one connection: 2-byte lengths, identities signed together
// with the transcript (SECURITY.md 4.3), and in a private network a first message that proves the
// network key before anything is answered (4.2). Whatever fails, fails silently: on_bytes() gives
// an error and nothing to send, and the caller closes. HandshakeGuard is what all connections of a
// process share: the memory that makes a recorded first message worthless.

#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/identity.h"
#include "core/noise.h"
#include "core/result.h"
#include "core/rng.h"
#include "core/time.h"

namespace peernet::transfer {

inline constexpr std::uint16_t kWireVersion = 1;      // in the prologue: another one cannot connect
inline constexpr std::uint16_t kProtocolVersion = 1;  // in the payloads: the highest understood
inline constexpr std::size_t kHandshakeMessageMax = 1024;    // bytes after the length
inline constexpr std::size_t kHandshakesSeenMax = 65'536;    // first messages remembered
inline constexpr std::int64_t kHandshakeWindowMs = 120'000;  // each way

struct HandshakeConfig {
  const Identity* identity = nullptr;  // outlives every handshake
  DhKeyPair process_static;            // fresh for each process, in memory only
  std::optional<Key> network_key;      // present: private network
  std::uint16_t listen_port = 0;       // TCP, 0: not reachable
  std::uint64_t capabilities = 0;
};

// Bytes that both sides must share before the first message; not secret (SECURITY.md 4.1.5).
Bytes handshake_prologue(const std::optional<Key>& network_key);

// The network id as people see it: 16 hex digits, by which members compare their keys.
std::string network_name(const Key& network_key);

// Remembers the ephemeral keys of first messages for as long as their time is within the window.
class HandshakeGuard {
 public:
  explicit HandshakeGuard(WallTime process_start) : floor_ms_(process_start.unix_ms) {}

  // Errors: refused (outside of the window, older than this process, seen before, or the memory is
  // full of others that still count).
  Result<void> admit(const DhPublic& ephemeral, WallTime sent, WallTime now);
  std::size_t size() const { return seen_.size(); }

 private:
  // Sent before this: refused. Rises above the start of the process with what was forgotten, so
  // that a clock set back does not bring it into the window again.
  std::int64_t floor_ms_;
  std::set<DhPublic> seen_;
  std::set<std::pair<std::int64_t, DhPublic>> by_time_;  // unix_ms of sending
};

struct HandshakeOutcome {
  PeerId peer;
  DhPublic peer_static;
  std::uint16_t version = 0;
  std::uint64_t capabilities = 0;
  std::uint16_t listen_port = 0;
  Hash handshake_hash;  // the channel binding
  Key send;
  Key receive;
};

class Handshake {
 public:
  // `expected`: whom we mean to reach, where that is known.
  Handshake(const HandshakeConfig& config, Role role, Rng& rng,
            std::optional<PeerId> expected = std::nullopt);

  // Once, before on_bytes: the initiator's first message; a responder has nothing to say yet.
  void start(WallTime now, Bytes& out);

  // Takes handshake messages off the front of `input` and appends the answers. Bytes after the
  // last handshake message stay in `input`: they are records. Errors, after which the handshake is
  // dead and nothing was appended: malformed, too_large, corrupt, refused.
  Result<void> on_bytes(BytesView& input, WallTime now, HandshakeGuard& guard, Bytes& out);

  Role role() const { return role_; }
  bool is_done() const { return outcome_.has_value(); }
  // Requires: is_done().
  const HandshakeOutcome& result() const;

 private:
  // Moves bytes of one message to partial_; true when it is complete.
  Result<bool> collect(BytesView& input);
  Result<void> on_message(BytesView message, WallTime now, HandshakeGuard& guard, Bytes& out);
  Result<void> on_first(BytesView message, WallTime now, HandshakeGuard& guard);
  Result<void> on_identity(BytesView message);
  Result<void> check_identity(BytesView payload, const Hash& transcript);
  void write_first(WallTime now, Bytes& out);
  void write_identity(Bytes& out);
  std::size_t first_size() const;
  NoiseHandshake make_noise(const DhKeyPair& ephemeral) const;
  void finish();

  HandshakeConfig config_;
  Role role_;
  std::optional<PeerId> expected_;
  Key ephemeral_secret_;
  std::optional<NoiseHandshake> noise_;  // a responder's: from an acceptable first message on
  Bytes partial_;                        // of one message, with its length
  bool is_dead_ = false;
  HandshakeOutcome learnt_;  // filled as it becomes known
  std::optional<HandshakeOutcome> outcome_;
};

}  // namespace peernet::transfer
