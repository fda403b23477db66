#include "dht/seal.h"

#include <algorithm>
#include <utility>

#include "core/codec.h"

namespace peernet::dht {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr char kKeyContext[9] = "pn-dgram";
constexpr std::uint64_t kSealKeyId = 1;
constexpr std::uint64_t kNetworkIdKeyId = 2;
constexpr std::size_t kTimeSize = 8;
constexpr std::size_t kPlaces = 2 * kNoncesMax;

std::int64_t ms_of(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

bool NonceSet::contains(const DatagramNonce& nonce) const {
  return !prints_.empty() && prints_[place_of(nonce)] != 0;
}

void NonceSet::add(const DatagramNonce& nonce) {
  if (prints_.empty()) prints_.resize(kPlaces);
  Reader reader(nonce.view());
  std::uint32_t& print = prints_[place_of(nonce)];
  if (print == 0) ++count_;
  print = std::max(reader.u32(), 1U);
}

void NonceSet::clear() {
  std::fill(prints_.begin(), prints_.end(), 0U);
  count_ = 0;
}

// Where it stands, or the free place it would take.
std::size_t NonceSet::place_of(const DatagramNonce& nonce) const {
  Reader reader(nonce.view());
  const std::uint32_t print = std::max(reader.u32(), 1U);
  std::size_t place = reader.u32() % kPlaces;
  while (prints_[place] != 0 && prints_[place] != print) place = (place + 1) % kPlaces;
  return place;
}

Seal::Seal(const Key& network_key, bool is_v6, Rng rng)
    : key_(derive_key(network_key, kSealKeyId, kKeyContext)), rng_(rng) {
  Writer writer(associated_);
  writer.u8(kVersion);
  writer.u8(is_v6 ? 6 : 4);
  writer.u8(0);  // the direction
  writer.bytes(derive_key(network_key, kNetworkIdKeyId, kKeyContext).view());
}

void Seal::on_wall_clock(Time now, WallTime wall) {
  wall_offset_ms_ = wall.unix_ms - ms_of(now.time_since_epoch());
}

Bytes Seal::close(Time now, Direction direction, BytesView message) {
  auto nonce = rng_.tagged<DatagramNonce>();
  std::uint8_t& last = nonce.bytes.back();
  last = static_cast<std::uint8_t>((last & 0xfeU) | static_cast<unsigned>(direction));
  Bytes plain;
  make_room(plain, kTimeSize + message.size());
  Writer writer(plain);
  writer.u64(static_cast<std::uint64_t>(wall_at(now)));
  writer.bytes(message);
  Bytes result;
  make_room(result, plain.size() + kSealOverhead);
  append(result, nonce.view());
  seal_datagram(key_, nonce, associated(direction), plain, result);
  return result;
}

std::optional<Direction> Seal::open(Time now, BytesView datagram, Bytes& message) {
  message.clear();
  if (datagram.size() < kSealOverhead) return std::nullopt;
  Reader reader(datagram);
  const auto nonce = reader.tagged<DatagramNonce>();
  const Direction direction = direction_of(nonce);
  if (!open_datagram(key_, nonce, associated(direction), reader.rest(), message)) {
    return std::nullopt;
  }
  Reader plain(message);
  const auto sent = static_cast<std::int64_t>(plain.u64());
  if (direction == Direction::query && !is_fresh(now, nonce, sent)) return std::nullopt;
  message.erase(message.begin(), message.begin() + kTimeSize);
  return direction;
}

Direction Seal::direction_of(const DatagramNonce& nonce) {
  return (nonce.bytes.back() & 1U) == 0 ? Direction::query : Direction::answer;
}

BytesView Seal::associated(Direction direction) {
  associated_[2] = static_cast<std::uint8_t>(direction);
  return associated_;
}

std::int64_t Seal::wall_at(Time now) const {
  return wall_offset_ms_.value_or(0) + ms_of(now.time_since_epoch());
}

bool Seal::is_fresh(Time now, const DatagramNonce& nonce, std::int64_t sent) {
  if (!wall_offset_ms_) return false;
  const std::int64_t wall = wall_at(now);
  const std::int64_t window = ms_of(kSealWindow);
  if (sent < wall - window || sent > wall + window || sent <= sent_floor_) return false;
  for (const Generation& generation : generations_) {
    if (generation.nonces.contains(nonce)) return false;
  }
  // The latest acceptable time of a query is four minutes after the earliest.
  if (generations_[0].nonces.is_full() || now - generations_[0].began >= 2 * kSealWindow) {
    std::swap(generations_[0], generations_[1]);
    Generation& dropped = generations_[0];
    if (now - generations_[1].began < 2 * kSealWindow) {
      // Dropped before its queries are too old to be taken again.
      sent_floor_ = std::max(sent_floor_, dropped.sent_max);
    }
    dropped.nonces.clear();
    dropped.began = now;
    dropped.sent_max = 0;
    if (sent <= sent_floor_) return false;
  }
  generations_[0].nonces.add(nonce);
  generations_[0].sent_max = std::max(generations_[0].sent_max, sent);
  return true;
}

}  // namespace peernet::dht
