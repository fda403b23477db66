#pragma once

// Bytes owns, BytesView looks. Tagged gives fixed-size ids and hashes distinct types, so that a
// peer id is never passed where a share id belongs. Text forms: lower-case hex, and RFC 4648
// base32 in lower case without padding.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace peernet {

// Leaves new bytes uninitialised on resize: every buffer here is filled by a read or a cipher next.
template <class T>
struct DefaultInitAllocator : std::allocator<T> {
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): the name is the standard's
    using other = DefaultInitAllocator<U>;
  };
  template <class U>
  void construct(U* place) noexcept {
    ::new (static_cast<void*>(place)) U;
  }
  template <class U, class... Args>
  void construct(U* place, Args&&... args) {
    ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
  }
};

using Bytes = std::vector<std::uint8_t, DefaultInitAllocator<std::uint8_t>>;
using BytesView = std::span<const std::uint8_t>;

template <class Tag, std::size_t N>
struct Tagged {
  static constexpr std::size_t kSize = N;
  std::array<std::uint8_t, N> bytes{};

  BytesView view() const { return bytes; }
  // NOLINTNEXTLINE(modernize-use-nullptr): a false alarm
  // NOLINTNEXTLINE(modernize-use-nullptr): it takes the comparison with 0 for a pointer
  auto operator<=>(const Tagged&) const = default;

  // nullopt unless view has exactly N bytes.
  static std::optional<Tagged> from(BytesView view) {
    if (view.size() != N) return std::nullopt;
    Tagged result;
    for (std::size_t i = 0; i < N; ++i) result.bytes[i] = view[i];
    return result;
  }
};

using Hash = Tagged<struct HashTag, 32>;        // SHA-256
using ShareId = Tagged<struct ShareIdTag, 32>;  // SHA-256 of the manifest (BEP 52 info dictionary)
using PeerId = Tagged<struct PeerIdTag, 32>;    // Ed25519 public key
using DhtId = Tagged<struct DhtIdTag, 20>;      // 160 bits: a DHT node or a DHT key (BEP 5)

inline BytesView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
// Capacity for `more` bytes beyond the size, growing by doubling. A vector with an allocator of its
// own moves its elements one by one when it grows; this moves them as one block, so that whatever
// makes a buffer longer asks for room first.
void grow(Bytes& bytes, std::size_t more);
inline void make_room(Bytes& bytes, std::size_t more) {
  if (bytes.capacity() - bytes.size() < more) grow(bytes, more);
}
inline void append(Bytes& to, BytesView from) {
  if (from.empty()) return;
  make_room(to, from.size());
  const std::size_t at = to.size();
  to.resize(at + from.size());
  std::memcpy(&to[at], from.data(), from.size());
}
Bytes to_bytes(BytesView view);

std::string to_hex(BytesView bytes);
std::optional<Bytes> from_hex(std::string_view text);  // either case; nullopt on anything else

std::string to_base32(BytesView bytes);
// Lower case only, no padding; nullopt on other characters, impossible lengths or non-zero spare
// bits.
std::optional<Bytes> from_base32(std::string_view text);

// In constant time for equal sizes. The only comparison for tokens, tags and keys.
bool secure_equal(BytesView a, BytesView b);

}  // namespace peernet
