#include "transfer/bitfield.h"

#include <algorithm>
#include <bit>

#include "core/check.h"

namespace peernet::transfer {
namespace {

constexpr std::uint32_t kWordBits = 64;

std::uint64_t mask_of(std::uint32_t index) {
  return std::uint64_t{1} << (index % kWordBits);
}

std::uint8_t reversed(std::uint8_t byte) {
  unsigned result = 0;
  for (unsigned bit = 0; bit < 8; ++bit) {
    result |= ((unsigned{byte} >> bit) & 1U) << (7 - bit);
  }
  return static_cast<std::uint8_t>(result);
}

}  // namespace

Bitfield::Bitfield(std::uint32_t size)
    : size_(size), words_((std::size_t{size} + kWordBits - 1) / kWordBits) {}

bool Bitfield::set(std::uint32_t index) {
  PN_CHECK(index < size_);
  std::uint64_t& word = words_[index / kWordBits];
  if ((word & mask_of(index)) != 0) return false;
  word |= mask_of(index);
  ++count_set_;
  return true;
}

bool Bitfield::reset(std::uint32_t index) {
  PN_CHECK(index < size_);
  std::uint64_t& word = words_[index / kWordBits];
  if ((word & mask_of(index)) == 0) return false;
  word &= ~mask_of(index);
  --count_set_;
  return true;
}

bool Bitfield::test(std::uint32_t index) const {
  PN_CHECK(index < size_);
  return (words_[index / kWordBits] & mask_of(index)) != 0;
}

void Bitfield::set_all() {
  std::fill(words_.begin(), words_.end(), ~std::uint64_t{0});
  if (size_ % kWordBits != 0) words_.back() = mask_of(size_) - 1;
  count_set_ = size_;
}

void Bitfield::reset_all() {
  std::fill(words_.begin(), words_.end(), std::uint64_t{0});
  count_set_ = 0;
}

bool Bitfield::has_wanted(const Bitfield& other) const {
  PN_CHECK(size_ == other.size_);
  if (other.none() || all()) return false;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    if ((other.words_[i] & ~words_[i]) != 0) return true;
  }
  return false;
}

template <class Word>
std::optional<std::uint32_t> Bitfield::next_where(std::uint32_t from, Word word) const {
  if (from >= size_) return std::nullopt;
  std::size_t at = from / kWordBits;
  std::uint64_t bits = word(at) & ~(mask_of(from) - 1);
  while (bits == 0) {
    if (++at == words_.size()) return std::nullopt;
    bits = word(at);
  }
  const auto index = static_cast<std::uint32_t>(at * kWordBits) +
                     static_cast<std::uint32_t>(std::countr_zero(bits));
  if (index >= size_) return std::nullopt;
  return index;
}

std::optional<std::uint32_t> Bitfield::next_set(std::uint32_t from) const {
  return next_where(from, [this](std::size_t at) { return words_[at]; });
}

std::optional<std::uint32_t> Bitfield::next_unset(std::uint32_t from) const {
  return next_where(from, [this](std::size_t at) { return ~words_[at]; });
}

std::optional<std::uint32_t> Bitfield::next_common(const Bitfield& other,
                                                   std::uint32_t from) const {
  PN_CHECK(size_ == other.size_);
  return next_where(from, [this, &other](std::size_t at) { return words_[at] & other.words_[at]; });
}

Bytes Bitfield::pack() const {
  Bytes packed(packed_size(size_));
  for (std::size_t i = 0; i < packed.size(); ++i) {
    packed[i] = reversed(static_cast<std::uint8_t>(words_[i / 8] >> (8 * (i % 8))));
  }
  return packed;
}

std::optional<Bitfield> Bitfield::unpack(BytesView packed, std::uint32_t size) {
  if (packed.size() != packed_size(size)) return std::nullopt;
  Bitfield result(size);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    result.words_[i / 8] |= std::uint64_t{reversed(packed[i])} << (8 * (i % 8));
  }
  if (size % kWordBits != 0 && (result.words_.back() & ~(mask_of(size) - 1)) != 0) {
    return std::nullopt;
  }
  for (const std::uint64_t word : result.words_) {
    result.count_set_ += static_cast<std::uint32_t>(std::popcount(word));
  }
  return result;
}

}  // namespace peernet::transfer
