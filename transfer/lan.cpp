#include "transfer/lan.h"

#include <algorithm>

#include "core/check.h"
#include "core/codec.h"

namespace peernet::transfer {
namespace {

constexpr std::string_view kMagic = "PNL1";
constexpr std::size_t kHeadSize = 16;
constexpr char kLanContext[9] = "pn-dgram";
constexpr std::uint64_t kLanKeyId = 3;  // 1 and 2 are the DHT's

}  // namespace

Bytes encode(const LanMessage& message) {
  PN_CHECK(message.sought.size() + message.held.size() <= kLanKeysMax);
  Bytes bytes;
  Writer writer(bytes);
  writer.bytes(as_bytes(kMagic));
  writer.u64(message.sender);
  writer.u16(message.port);
  writer.u8(static_cast<std::uint8_t>(message.sought.size()));
  writer.u8(static_cast<std::uint8_t>(message.held.size()));
  for (const LanKey& key : message.sought) writer.bytes(key.view());
  for (const LanKey& key : message.held) writer.bytes(key.view());
  return bytes;
}

Result<LanMessage> decode_lan(BytesView datagram) {
  const Error malformed{Errc::malformed, "no message of the local network", {}};
  Reader reader(datagram);
  const BytesView magic = reader.bytes(kMagic.size());
  if (to_bytes(magic) != to_bytes(as_bytes(kMagic))) return malformed;
  LanMessage message;
  message.sender = reader.u64();
  message.port = reader.u16();
  const std::size_t sought = reader.u8();
  const std::size_t held = reader.u8();
  if (sought + held > kLanKeysMax || datagram.size() != kHeadSize + (sought + held) * LanKey::kSize)
    return malformed;
  for (std::size_t i = 0; i < sought; ++i) message.sought.push_back(reader.tagged<LanKey>());
  for (std::size_t i = 0; i < held; ++i) message.held.push_back(reader.tagged<LanKey>());
  return message;
}

Lan::Lan(const std::optional<Key>& network_key, std::uint16_t listen_port, Rng rng)
    : listen_port_(listen_port), rng_(std::move(rng)), sender_(rng_.next()) {
  if (network_key) key_ = derive_key(*network_key, kLanKeyId, kLanContext);
}

Duration Lan::below(Duration most) {
  return Duration(
      static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

void Lan::set(Time now, const ShareId& share, bool is_sought) {
  const auto [place, is_new] = entries_.try_emplace(share);
  Entry& entry = place->second;
  if (is_new) {
    entry.key = lan_key(share);
    by_key_.emplace(entry.key, share);
  }
  const bool is_news = is_new || (is_sought && !entry.is_sought);
  entry.is_sought = is_sought;
  if (!is_news) return;
  entry.said_count = 0;
  Time at = now + below(kLanFirst);
  if (entry.said_at) at = std::max(at, *entry.said_at + kLanThird);
  due_.set(share, std::min(at, due_.at(share).value_or(kNever)));
}

void Lan::remove(const ShareId& share) {
  const auto found = entries_.find(share);
  if (found == entries_.end()) return;
  by_key_.erase(found->second.key);
  entries_.erase(found);
  due_.cancel(share);
}

// ---- What comes

std::optional<Lan::Heard> Lan::on_datagram(Time now, WallTime wall, const Endpoint& from,
                                           BytesView bytes) {
  std::optional<Bytes> plain;
  if (key_) {
    plain = opened(wall, bytes);
    if (!plain) return std::nullopt;
    bytes = *plain;
  }
  const auto message = decode_lan(bytes);
  if (!message || message->sender == sender_) return std::nullopt;
  Heard heard;
  heard.peer = from;
  heard.peer.port = message->port;
  for (const LanKey& key : message->sought) {
    const auto ours = by_key_.find(key);
    if (ours == by_key_.end()) continue;
    heard.shares.push_back(ours->second);
    answer(now, ours->second);
  }
  for (const LanKey& key : message->held) {
    const auto ours = by_key_.find(key);
    if (ours == by_key_.end()) continue;
    heard.shares.push_back(ours->second);
    on_held(now, ours->second);
  }
  return heard;
}

// Somebody seeks it: it is said soon, by everybody at another moment.
void Lan::answer(Time now, const ShareId& share) {
  Entry& entry = entries_.at(share);
  Time at = now + below(kLanAnswerSpread);
  if (entry.said_at) at = std::max(at, *entry.said_at + kLanAnswerGap);
  if (due_.at(share).value_or(kNever) <= at) return;
  entry.is_answer = true;
  entry.heard = 0;
  due_.set(share, at);
}

// Who seeks it has heard of enough others without us.
void Lan::on_held(Time now, const ShareId& share) {
  Entry& entry = entries_.at(share);
  if (!entry.is_answer || ++entry.heard < kLanAnswersEnough) return;
  entry.is_answer = false;
  due_.set(share, now + kLanInterval);
}

// ---- What is said

// What is due, in one datagram; what was said together stays together, so that a node with many
// shares wakes up for few datagrams.
void Lan::on_time(Time now, WallTime wall, Effects& out) {
  if (now < deadline()) return;
  const Duration regular = kLanInterval - kLanJitter + below(2 * kLanJitter);
  LanMessage message;
  message.sender = sender_;
  message.port = listen_port_;
  std::vector<std::pair<ShareId, Time>> again;
  while (again.size() < kLanKeysMax) {
    const auto share = due_.pop_expired(now);
    if (!share) break;
    Entry& entry = entries_.at(*share);
    (entry.is_sought ? message.sought : message.held).push_back(entry.key);
    entry.said_at = now;
    entry.is_answer = false;
    const std::uint32_t count = entry.is_sought ? ++entry.said_count : 0;
    again.emplace_back(*share, now + (count == 1 ? kLanSecond : count == 2 ? kLanThird : regular));
  }
  for (const auto& [share, at] : again) due_.set(share, at);
  next_send_ = now + kLanGap;
  const Bytes plain = encode(message);
  out.push_back(SendMulticast{key_ ? sealed(wall, plain) : plain});
}

Time Lan::deadline() const {
  return due_.next() == kNever ? kNever : std::max(due_.next(), next_send_);
}

// ---- Private network: nonce ‖ sealed (u64 milliseconds since 1970 ‖ message). One that is
// replayed while it counts can only have an address tried that Dialer would try anyway.

Bytes Lan::sealed(WallTime wall, BytesView message) {
  const auto nonce = rng_.tagged<DatagramNonce>();
  Bytes plain;
  Writer writer(plain);
  writer.u64(static_cast<std::uint64_t>(wall.unix_ms));
  writer.bytes(message);
  Bytes result = to_bytes(nonce.view());
  seal_datagram(*key_, nonce, as_bytes(kMagic), plain, result);
  return result;
}

std::optional<Bytes> Lan::opened(WallTime wall, BytesView datagram) const {
  if (datagram.size() < DatagramNonce::kSize) return std::nullopt;
  Reader reader(datagram);
  const auto nonce = reader.tagged<DatagramNonce>();
  Bytes plain;
  if (!open_datagram(*key_, nonce, as_bytes(kMagic), reader.rest(), plain)) return std::nullopt;
  Reader opened(plain);
  const auto sent = static_cast<std::int64_t>(opened.u64());
  if (plain.size() < sizeof(sent)) return std::nullopt;
  if (sent < wall.unix_ms - kLanWindowMs || sent > wall.unix_ms + kLanWindowMs) return std::nullopt;
  return to_bytes(opened.rest());
}

}  // namespace peernet::transfer
