#include "transfer/handshake.h"

#include <algorithm>
#include <limits>

#include "core/aead.h"
#include "core/check.h"
#include "core/codec.h"
#include "core/hash.h"

namespace peernet::transfer {
namespace {

constexpr std::string_view kPrologueName = "PeerNet/1";
constexpr std::string_view kIdentityContext = "PeerNet noise identity v1";
constexpr std::size_t kLengthSize = 2;
constexpr std::size_t kTimeSize = 8;

// The network key itself is never used (SECURITY.md 4.1.13): one derived key for Noise, one that
// is only compared.
constexpr std::uint64_t kNoisePskKeyId = 1;
constexpr std::uint64_t kNetworkIdKeyId = 2;
constexpr char kNoiseContext[9] = "pn-noise";

std::uint8_t role_byte(Role role) {
  return role == Role::initiator ? 0 : 1;
}

Role other(Role role) {
  return role == Role::initiator ? Role::responder : Role::initiator;
}

Error fault(Errc code, const char* what) {
  return {code, what, ""};
}

// What an identity signs: context, the signer's role, h as it stands just before its payload is
// encrypted, and the rest of that payload.
Bytes signed_text(Role signer, const Hash& transcript, BytesView rest) {
  const std::uint8_t role = role_byte(signer);
  Bytes text;
  append(text, as_bytes(kIdentityContext));
  append(text, BytesView(&role, 1));
  append(text, transcript.view());
  append(text, sha256(rest).view());
  return text;
}

}  // namespace

Bytes handshake_prologue(const std::optional<Key>& network_key) {
  Bytes prologue;
  Writer writer(prologue);
  writer.bytes(as_bytes(kPrologueName));
  writer.u16(kWireVersion);
  writer.bytes(network_key ? derive_key(*network_key, kNetworkIdKeyId, kNoiseContext).view()
                           : Hash{}.view());
  return prologue;
}

std::string network_name(const Key& network_key) {
  return to_hex(derive_key(network_key, kNetworkIdKeyId, kNoiseContext).view().first(8));
}

Result<void> HandshakeGuard::admit(const DhPublic& ephemeral, WallTime sent, WallTime now) {
  while (!by_time_.empty() && by_time_.begin()->first < now.unix_ms - kHandshakeWindowMs) {
    floor_ms_ = std::max(floor_ms_, by_time_.begin()->first + 1);
    seen_.erase(by_time_.begin()->second);
    by_time_.erase(by_time_.begin());
  }
  if (sent.unix_ms < floor_ms_ || sent.unix_ms < now.unix_ms - kHandshakeWindowMs ||
      sent.unix_ms > now.unix_ms + kHandshakeWindowMs) {
    return fault(Errc::refused, "a first message from another time");
  }
  if (seen_.contains(ephemeral)) return fault(Errc::refused, "a first message for the second time");
  if (seen_.size() >= kHandshakesSeenMax) {
    return fault(Errc::refused, "more first messages than can be remembered");
  }
  seen_.insert(ephemeral);
  by_time_.emplace(sent.unix_ms, ephemeral);
  return {};
}

Handshake::Handshake(const HandshakeConfig& config, Role role, Rng& rng,
                     std::optional<PeerId> expected)
    : config_(config), role_(role), expected_(expected) {
  PN_CHECK(config.identity != nullptr);
  // Only drawn here: a responder pays for the public half once a first message is acceptable.
  rng.fill(ephemeral_secret_.mutable_view());
}

void Handshake::start(WallTime now, Bytes& out) {
  if (role_ == Role::responder) return;
  PN_CHECK(!noise_);
  noise_ = make_noise({ephemeral_secret_, dh_public(ephemeral_secret_)});
  write_first(now, out);
}

Result<void> Handshake::on_bytes(BytesView& input, WallTime now, HandshakeGuard& guard,
                                 Bytes& out) {
  if (is_dead_) return fault(Errc::closed, "the handshake has already failed");
  Bytes answer;
  while (!is_done() && !input.empty()) {
    const auto complete = collect(input);
    if (complete && !*complete) break;
    const auto taken =
        complete ? on_message(BytesView(partial_).subspan(kLengthSize), now, guard, answer)
                 : Result<void>(complete.error());
    partial_.clear();
    if (!taken) {
      is_dead_ = true;
      return taken.error();
    }
  }
  append(out, answer);
  return {};
}

const HandshakeOutcome& Handshake::result() const {
  PN_CHECK(is_done());
  return *outcome_;
}

Result<bool> Handshake::collect(BytesView& input) {
  const auto take_to = [&](std::size_t size) {
    const std::size_t count = std::min(size - partial_.size(), input.size());
    append(partial_, input.first(count));
    input = input.subspan(count);
    return partial_.size() == size;
  };
  if (partial_.size() < kLengthSize && !take_to(kLengthSize)) return false;
  const std::size_t size = Reader(partial_).u16();
  const bool is_first = role_ == Role::responder && !noise_;
  if (is_first && size != first_size()) {
    return fault(Errc::malformed, "a first message has the wrong size");
  }
  if (size > kHandshakeMessageMax) return fault(Errc::too_large, "a handshake message is too long");
  return take_to(kLengthSize + size);
}

Result<void> Handshake::on_message(BytesView message, WallTime now, HandshakeGuard& guard,
                                   Bytes& out) {
  if (role_ == Role::responder && !noise_) {
    auto first = on_first(message, now, guard);
    if (first) write_identity(out);
    return first;
  }
  PN_CHECK(noise_.has_value());
  auto identity = on_identity(message);
  if (!identity) return identity;
  // The initiator speaks last, and only to one whose identity it has checked.
  if (role_ == Role::initiator) write_identity(out);
  finish();
  return {};
}

Result<void> Handshake::on_first(BytesView message, WallTime now, HandshakeGuard& guard) {
  if (config_.network_key) {
    // Hashing only: no key is made and no agreement computed for one who does not know the network
    // key, or who repeats what another said.
    auto probe = make_noise({});
    BytesView rest = message;
    auto begun = probe.begin_read(rest);
    if (!begun) return begun;
    const auto payload = probe.finish_read(rest);
    if (!payload) return payload.error();
    Reader reader(*payload);
    const std::uint64_t sent = reader.u64();
    if (!reader.done() || sent > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
      return fault(Errc::malformed, "a first message has no time");
    }
    auto admitted = guard.admit(probe.remote_ephemeral(), {static_cast<std::int64_t>(sent)}, now);
    if (!admitted) return admitted;
  }
  noise_ = make_noise({ephemeral_secret_, dh_public(ephemeral_secret_)});
  auto begun = noise_->begin_read(message);
  if (!begun) return begun;
  const auto payload = noise_->finish_read(message);
  if (!payload) return payload.error();
  return {};
}

Result<void> Handshake::on_identity(BytesView message) {
  auto begun = noise_->begin_read(message);
  if (!begun) return begun;
  const Hash transcript = noise_->hash();
  const auto payload = noise_->finish_read(message);
  if (!payload) return payload.error();
  learnt_.peer_static = noise_->remote_static();
  return check_identity(*payload, transcript);
}

Result<void> Handshake::check_identity(BytesView payload, const Hash& transcript) {
  Reader reader(payload);
  learnt_.peer = reader.tagged<PeerId>();
  const auto signature = reader.tagged<Signature>();
  const BytesView rest = reader.rest();
  if (!reader.ok()) return fault(Errc::malformed, "an identity is cut short");
  if (!verify(learnt_.peer, signed_text(other(role_), transcript, rest), signature)) {
    return fault(Errc::corrupt, "the identity did not sign this handshake");
  }
  if (expected_ && learnt_.peer != *expected_) {
    return fault(Errc::refused, "another identity than the one that was dialled");
  }
  if (learnt_.peer == config_.identity->id()) {
    return fault(Errc::refused, "this is ourselves");
  }
  // What a later version adds at the end is signed and ignored.
  Reader fields(rest);
  learnt_.version = fields.u16();
  learnt_.capabilities = fields.u64();
  learnt_.listen_port = fields.u16();
  if (!fields.ok() || learnt_.version == 0) {
    return fault(Errc::malformed, "an identity lacks version, capabilities or port");
  }
  return {};
}

void Handshake::write_first(WallTime now, Bytes& out) {
  Bytes payload;
  if (config_.network_key) Writer(payload).u64(static_cast<std::uint64_t>(now.unix_ms));
  Bytes message;
  noise_->begin_write(message);
  noise_->finish_write(payload, message);
  PN_CHECK(message.size() == first_size());
  Writer writer(out);
  writer.u16(static_cast<std::uint16_t>(message.size()));
  writer.bytes(message);
}

void Handshake::write_identity(Bytes& out) {
  Bytes rest;
  Writer fields(rest);
  fields.u16(kProtocolVersion);
  fields.u64(config_.capabilities);
  fields.u16(config_.listen_port);

  Bytes message;
  noise_->begin_write(message);
  const Identity& identity = *config_.identity;
  const Signature signature = identity.sign(signed_text(role_, noise_->hash(), rest));
  Bytes payload;
  append(payload, identity.id().view());
  append(payload, signature.view());
  append(payload, rest);
  noise_->finish_write(payload, message);

  Writer writer(out);
  writer.u16(static_cast<std::uint16_t>(message.size()));
  writer.bytes(message);
}

std::size_t Handshake::first_size() const {
  return DhPublic::kSize + (config_.network_key ? kTimeSize + kTagSize : 0);
}

NoiseHandshake Handshake::make_noise(const DhKeyPair& ephemeral) const {
  std::optional<Key> psk;
  if (config_.network_key) psk = derive_key(*config_.network_key, kNoisePskKeyId, kNoiseContext);
  return {role_,
          {.fixed = config_.process_static, .ephemeral = ephemeral, .psk = psk},
          handshake_prologue(config_.network_key)};
}

void Handshake::finish() {
  const auto keys = noise_->split();
  learnt_.handshake_hash = noise_->hash();
  learnt_.send = keys.send;
  learnt_.receive = keys.receive;
  outcome_ = learnt_;
  // Nothing that could open a recording of this connection is kept.
  noise_.reset();
  learnt_ = {};
  ephemeral_secret_ = Key{};
}

}  // namespace peernet::transfer
