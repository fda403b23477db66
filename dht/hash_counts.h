#pragma once

// How often each key is counted, by a secret 64-bit hash of it, of which 56 bits tell keys apart: 8
// bytes a place, at most three of four taken.

#include <cstdint>
#include <vector>

namespace peernet::dht {

class HashCounts {
 public:
  static constexpr std::uint8_t kCountMax = 255;

  std::uint8_t count(std::uint64_t hash) const;
  // Requires: its count is below kCountMax.
  void increment(std::uint64_t hash);
  // Nothing happens if it is not counted.
  void decrement(std::uint64_t hash);
  std::size_t size() const { return size_; }  // different keys

 private:
  // The place that has it, or the free one it would take.
  std::size_t place_of(std::uint64_t hash) const;
  std::size_t home_of(std::uint64_t hash) const { return (hash >> 8U) & (places_.size() - 1); }
  void grow();

  // Open addressing: the hash, with the count for its last byte; 0 where free. A power of two.
  std::vector<std::uint64_t> places_ = std::vector<std::uint64_t>(16);
  std::size_t size_ = 0;
};

}  // namespace peernet::dht
