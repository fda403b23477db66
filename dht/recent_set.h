#pragma once

// A set of 64-bit keys that each count for a while: since the last time they were added. It grows
// to a limit; where there is no more room, the key that was new first of all goes. About 20 bytes a
// key. Keys that strangers choose must be hashed under a secret.

#include <cstdint>
#include <vector>

#include "core/time.h"

namespace peernet::dht {

class RecentSet {
 public:
  // Requires: 0 < count_max < 2^16.
  RecentSet(std::size_t count_max, Duration lifetime)
      : count_max_(count_max), lifetime_(lifetime) {}

  void add(Time now, std::uint64_t key);
  bool contains(Time now, std::uint64_t key) const;

 private:
  struct Slot {
    std::uint64_t key = 0;
    Time until{};  // zero: the slot was never used
  };
  void resize(std::size_t slots_count);
  std::size_t home_of(std::uint64_t key) const;
  // Where the index has the key, or the free place it would go to.
  std::size_t place_of(std::uint64_t key) const;
  void erase(std::size_t place);

  std::size_t count_max_;
  Duration lifetime_;
  std::vector<Slot> slots_;  // in the order in which they were new, round and round
  // Open addressing: slot number and one, 0 where free. A power of two, at least twice the slots.
  std::vector<std::uint16_t> index_;
  std::size_t next_ = 0;  // the slot to use next
};

}  // namespace peernet::dht
