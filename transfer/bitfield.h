#pragma once

// Bitfield is a set of piece numbers below a fixed size, with its count kept. Packed as in BEP 3:
// piece 0 is the high bit of the first byte, spare bits are zero.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/bytes.h"

namespace peernet::transfer {

class Bitfield {
 public:
  explicit Bitfield(std::uint32_t size = 0);

  // Requires of every index: index < size(). Each tells whether the bit changed.
  bool set(std::uint32_t index);
  bool reset(std::uint32_t index);
  bool test(std::uint32_t index) const;
  void set_all();
  void reset_all();

  std::uint32_t size() const { return size_; }
  std::uint32_t count_set() const { return count_set_; }
  bool all() const { return count_set_ == size_; }
  bool none() const { return count_set_ == 0; }
  bool operator==(const Bitfield&) const = default;

  // Is there a bit set in `other` that is not set here: does a peer with `other` have something
  // that we lack? Requires: equal sizes.
  bool has_wanted(const Bitfield& other) const;

  // The first index at or after `from` that is set (unset, set in both); nullopt if there is none.
  // `from` may be size().
  std::optional<std::uint32_t> next_set(std::uint32_t from) const;
  std::optional<std::uint32_t> next_unset(std::uint32_t from) const;
  std::optional<std::uint32_t> next_common(const Bitfield& other, std::uint32_t from) const;

  Bytes pack() const;
  static std::size_t packed_size(std::uint32_t size) { return (std::size_t{size} + 7) / 8; }
  // nullopt unless there are exactly the bytes for `size` bits and the spare bits are zero.
  static std::optional<Bitfield> unpack(BytesView packed, std::uint32_t size);

 private:
  template <class Word>
  std::optional<std::uint32_t> next_where(std::uint32_t from, Word word) const;

  std::uint32_t size_;
  std::uint32_t count_set_ = 0;
  std::vector<std::uint64_t> words_;  // bit i is bit i%64 of word i/64; bits past size_ are zero
};

}  // namespace peernet::transfer
