#include "dht/packed_peers.h"

#include <algorithm>

#include "core/codec.h"

namespace peernet::dht {

namespace {

constexpr std::size_t kSecondsSize = 4;
constexpr std::size_t kGrowBy = 16;  // entries: most keys have few peers

std::uint32_t whole_seconds(Time time) {
  return static_cast<std::uint32_t>(
      std::chrono::ceil<std::chrono::seconds>(time.time_since_epoch()).count());
}

bool begins_with(BytesView bytes, BytesView prefix) {
  return as_text(bytes).starts_with(as_text(prefix));
}

}  // namespace

Endpoint PackedPeers::endpoint(std::size_t number) const {
  const BytesView entry = at(number);
  return Endpoint::unpack(entry.first(entry.size() - kSecondsSize)).value_or(Endpoint{});
}

Time PackedPeers::expires(std::size_t number) const {
  return Time(std::chrono::seconds(Reader(at(number).last(kSecondsSize)).u32()));
}

std::optional<std::size_t> PackedPeers::find(const Endpoint& endpoint) const {
  Bytes compact;
  endpoint.pack(compact);
  const std::size_t count_v4 = v4_.size() / kSizeV4;
  const std::size_t end = endpoint.is_v6 ? size() : count_v4;
  for (std::size_t i = endpoint.is_v6 ? count_v4 : 0; i < end; ++i) {
    if (begins_with(at(i), compact)) return i;
  }
  return std::nullopt;
}

bool PackedPeers::has_host(const Endpoint& host) const {
  const Bytes& entries = host.is_v6 ? v6_ : v4_;
  const std::size_t entry_size = host.is_v6 ? kSizeV6 : kSizeV4;
  const BytesView prefix = BytesView(host.address).first(host.is_v6 ? 8 : 4);
  for (std::size_t offset = 0; offset < entries.size(); offset += entry_size) {
    if (begins_with(BytesView(entries).subspan(offset), prefix)) return true;
  }
  return false;
}

void PackedPeers::add(const Endpoint& endpoint, Time expires) {
  Bytes& entries = endpoint.is_v6 ? v6_ : v4_;
  const std::size_t entry_size = endpoint.is_v6 ? kSizeV6 : kSizeV4;
  if (entries.capacity() < entries.size() + entry_size) {
    entries.reserve(entries.size() + kGrowBy * entry_size);
  }
  endpoint.pack(entries);
  Writer(entries).u32(whole_seconds(expires));
}

void PackedPeers::renew(std::size_t number, Time expires) {
  const Endpoint here = endpoint(number);
  erase(number);
  add(here, expires);
}

void PackedPeers::erase(std::size_t number) {
  const std::size_t count_v4 = v4_.size() / kSizeV4;
  const bool is_v6 = number >= count_v4;
  Bytes& entries = is_v6 ? v6_ : v4_;
  const auto entry_size = static_cast<std::ptrdiff_t>(is_v6 ? kSizeV6 : kSizeV4);
  const auto place = static_cast<std::ptrdiff_t>(is_v6 ? number - count_v4 : number) * entry_size;
  std::copy(entries.end() - entry_size, entries.end(), entries.begin() + place);
  entries.resize(entries.size() - static_cast<std::size_t>(entry_size));
}

BytesView PackedPeers::at(std::size_t number) const {
  const std::size_t count_v4 = v4_.size() / kSizeV4;
  if (number < count_v4) return BytesView(v4_).subspan(number * kSizeV4, kSizeV4);
  return BytesView(v6_).subspan((number - count_v4) * kSizeV6, kSizeV6);
}

}  // namespace peernet::dht
