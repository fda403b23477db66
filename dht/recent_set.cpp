#include "dht/recent_set.h"

#include <algorithm>
#include <bit>

namespace peernet::dht {

namespace {

constexpr std::size_t kSlotsMin = 16;

}  // namespace

void RecentSet::add(Time now, std::uint64_t key) {
  if (slots_.empty()) resize(std::min(kSlotsMin, count_max_));
  if (index_[place_of(key)] == 0) {
    // The first of all gives way, unless it still counts and there may be more.
    if (slots_[next_].until > now && slots_.size() < count_max_) {
      resize(std::min(2 * slots_.size(), count_max_));
    };
    if (slots_[next_].until != Time{}) erase(place_of(slots_[next_].key));
    index_[place_of(key)] = static_cast<std::uint16_t>(next_ + 1);
    slots_[next_].key = key;
    next_ = (next_ + 1) % slots_.size();
  }
  slots_[index_[place_of(key)] - 1U].until = now + lifetime_;
}

bool RecentSet::contains(Time now, std::uint64_t key) const {
  if (index_.empty()) return false;
  const std::size_t place = place_of(key);
  return index_[place] != 0 && slots_[index_[place] - 1U].until > now;
}

void RecentSet::resize(std::size_t slots_count) {
  std::rotate(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(next_), slots_.end());
  next_ = slots_.size();
  slots_.resize(slots_count);
  index_.assign(2 * std::bit_ceil(slots_count), 0);
  for (std::size_t slot = 0; slot < next_; ++slot) {
    index_[place_of(slots_[slot].key)] = static_cast<std::uint16_t>(slot + 1);
  }
}

std::size_t RecentSet::home_of(std::uint64_t key) const {
  return static_cast<std::size_t>(key) & (index_.size() - 1);
}

std::size_t RecentSet::place_of(std::uint64_t key) const {
  std::size_t place = home_of(key);
  while (index_[place] != 0 && slots_[index_[place] - 1U].key != key) {
    place = (place + 1) % index_.size();
  }
  return place;
}

// Moves those that stand behind the gap, and would be looked for before it, into it.
void RecentSet::erase(std::size_t place) {
  const std::size_t places = index_.size();
  std::size_t gap = place;
  for (std::size_t at = (gap + 1) % places; index_[at] != 0; at = (at + 1) % places) {
    const std::size_t home = home_of(slots_[index_[at] - 1U].key);
    const std::size_t from_home = (at + places - home) % places;
    const std::size_t from_gap = (at + places - gap) % places;
    if (from_home < from_gap) continue;
    index_[gap] = index_[at];
    gap = at;
  }
  index_[gap] = 0;
}

}  // namespace peernet::dht
