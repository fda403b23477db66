#pragma once

// The datagrams of a private network: each is sealed under a key made from the network key, and
// who has it not gets silence. A query counts for two minutes around its time of sending, and once:
// its nonce is remembered in two generations of fixed memory. When those fill too soon, queries no
// younger than the forgotten ones are refused. Answers need no such window: they are matched by
// transaction id and address.
//
//   24 bytes  nonce; its last bit is 0 for queries, 1 for answers
//   8 bytes   sealed: milliseconds since 1970 when it was sent
//   n bytes   sealed: the message
//   16 bytes  tag; version, address family, direction and network id go into it

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/rng.h"
#include "core/time.h"

namespace peernet::dht {

inline constexpr std::size_t kSealOverhead = 48;
inline constexpr Duration kSealWindow = std::chrono::minutes(2);  // before and after
inline constexpr std::size_t kNoncesMax = 65'536;                 // in each of two generations

enum class Direction : std::uint8_t { query, answer };

// Which nonces were seen; full at kNoncesMax. Memory is taken when the first is added.
class NonceSet {
 public:
  bool contains(const DatagramNonce& nonce) const;
  // Requires: not full.
  void add(const DatagramNonce& nonce);
  void clear();
  bool is_full() const { return count_ >= kNoncesMax; }

 private:
  std::size_t place_of(const DatagramNonce& nonce) const;

  // Open addressing. 32 bits of a nonce, and not 0; which place it has says 17 more.
  std::vector<std::uint32_t> prints_;
  std::size_t count_ = 0;
};

class Seal {
 public:
  Seal(const Key& network_key, bool is_v6, Rng rng);

  // Before it was told the time nothing is opened that is a query.
  void on_wall_clock(Time now, WallTime wall);

  Bytes close(Time now, Direction direction, BytesView message);
  // The direction, and in `message` what was sealed. nullopt: not of this network, too old or new,
  // or seen before; it deserves no answer.
  std::optional<Direction> open(Time now, BytesView datagram, Bytes& message);

 private:
  struct Generation {
    NonceSet nonces;
    Time began{};
    std::int64_t sent_max = 0;  // ms; of its queries
  };
  static Direction direction_of(const DatagramNonce& nonce);
  BytesView associated(Direction direction);
  std::int64_t wall_at(Time now) const;
  bool is_fresh(Time now, const DatagramNonce& nonce, std::int64_t sent);

  Key key_;
  Bytes associated_;
  Rng rng_;
  std::optional<std::int64_t> wall_offset_ms_;  // wall clock at Time zero
  std::array<Generation, 2> generations_;       // the newer first
  std::int64_t sent_floor_ = 0;                 // what was sent then or before may be forgotten
};

}  // namespace peernet::dht
