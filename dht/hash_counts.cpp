#include "dht/hash_counts.h"

#include "core/check.h"

namespace peernet::dht {

namespace {

constexpr std::uint64_t kCountBits = 0xff;

}  // namespace

std::uint8_t HashCounts::count(std::uint64_t hash) const {
  return static_cast<std::uint8_t>(places_[place_of(hash)] & kCountBits);
}

void HashCounts::increment(std::uint64_t hash) {
  std::uint64_t* place = &places_[place_of(hash)];
  PN_CHECK((*place & kCountBits) < kCountMax);
  if (*place == 0) {
    if ((size_ + 1) * 4 > places_.size() * 3) {
      grow();
      place = &places_[place_of(hash)];
    }
    ++size_;
    *place = hash & ~kCountBits;
  }
  ++*place;
}

void HashCounts::decrement(std::uint64_t hash) {
  std::size_t gap = place_of(hash);
  if (places_[gap] == 0 || (--places_[gap] & kCountBits) > 0) return;
  --size_;
  // Those that stand behind the gap, and would be looked for before it, move into it.
  const std::size_t mask = places_.size() - 1;
  for (std::size_t at = (gap + 1) & mask; places_[at] != 0; at = (at + 1) & mask) {
    const std::size_t home = home_of(places_[at]);
    if (((at - home) & mask) < ((at - gap) & mask)) continue;
    places_[gap] = places_[at];
    gap = at;
  }
  places_[gap] = 0;
}

std::size_t HashCounts::place_of(std::uint64_t hash) const {
  std::size_t place = home_of(hash);
  while (places_[place] != 0 && ((places_[place] ^ hash) & ~kCountBits) != 0) {
    place = (place + 1) & (places_.size() - 1);
  }
  return place;
}

void HashCounts::grow() {
  std::vector<std::uint64_t> before(2 * places_.size());
  before.swap(places_);
  for (const std::uint64_t entry : before) {
    if (entry != 0) places_[place_of(entry)] = entry;
  }
}

}  // namespace peernet::dht
