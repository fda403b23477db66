#pragma once

// The hosts that have proved their address lately, by a secret hash of it: 16 bytes each, 4,096 at
// most. When there is no room, the one that was proved first of all goes.

#include <cstdint>
#include <vector>

#include "core/time.h"

namespace peernet::dht {

inline constexpr std::size_t kProvenMax = 4'096;
inline constexpr Duration kProvenFor = std::chrono::minutes(10);

class ProvenHosts {
 public:
  void prove(Time now, std::uint64_t host);
  bool contains(Time now, std::uint64_t host) const;

 private:
  struct Slot {
    std::uint64_t host = 0;
    Time until{};  // zero: the slot was never used
  };
  // Where the index has the host, or the free place it would go to.
  std::size_t place_of(std::uint64_t host) const;
  void erase(std::size_t place);

  // Memory is taken with the first proof.
  std::vector<Slot> slots_;           // in the order of the first proofs, round and round
  std::vector<std::uint16_t> index_;  // open addressing: slot number and one, 0 where free
  std::size_t next_ = 0;              // the slot to use next
};

}  // namespace peernet::dht
