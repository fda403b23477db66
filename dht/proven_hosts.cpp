#include "dht/proven_hosts.h"

namespace peernet::dht {

namespace {

constexpr std::size_t kPlaces = 2 * kProvenMax;  // a power of two; at most half of it is taken

std::size_t home_of(std::uint64_t host) {
  return static_cast<std::size_t>(host) % kPlaces;
}

}  // namespace

void ProvenHosts::prove(Time now, std::uint64_t host) {
  if (slots_.empty()) {
    slots_.resize(kProvenMax);
    index_.resize(kPlaces);
  }
  std::size_t place = place_of(host);
  if (index_[place] == 0) {
    if (slots_[next_].until != Time{}) {
      erase(place_of(slots_[next_].host));
      place = place_of(host);  // what stood behind the erased one has moved
    }
    index_[place] = static_cast<std::uint16_t>(next_ + 1);
    slots_[next_].host = host;
    next_ = (next_ + 1) % kProvenMax;
  }
  slots_[index_[place] - 1U].until = now + kProvenFor;
}

bool ProvenHosts::contains(Time now, std::uint64_t host) const {
  if (index_.empty()) return false;
  const std::size_t place = place_of(host);
  return index_[place] != 0 && slots_[index_[place] - 1U].until > now;
}

std::size_t ProvenHosts::place_of(std::uint64_t host) const {
  std::size_t place = home_of(host);
  while (index_[place] != 0 && slots_[index_[place] - 1U].host != host) {
    place = (place + 1) % kPlaces;
  }
  return place;
}

// Moves those that stand behind the gap, and would be looked for before it, into it.
void ProvenHosts::erase(std::size_t place) {
  std::size_t gap = place;
  for (std::size_t at = (gap + 1) % kPlaces; index_[at] != 0; at = (at + 1) % kPlaces) {
    const std::size_t home = home_of(slots_[index_[at] - 1U].host);
    const std::size_t from_home = (at + kPlaces - home) % kPlaces;
    const std::size_t from_gap = (at + kPlaces - gap) % kPlaces;
    if (from_home < from_gap) continue;
    index_[gap] = index_[at];
    gap = at;
  }
  index_[gap] = 0;
}

}  // namespace peernet::dht
