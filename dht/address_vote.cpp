#include "dht/address_vote.h"

#include <algorithm>
#include <map>

namespace peernet::dht {

void AddressVote::add(const Endpoint& by, const Endpoint& told) {
  if (by.is_v6 != told.is_v6 || !told.is_usable()) return;
  if (!is_limited(by, special_use_is_global_) || !is_limited(told, special_use_is_global_)) return;
  const Endpoint region = region_of(by);
  std::erase_if(votes_, [&](const Vote& vote) { return vote.region == region; });
  if (votes_.size() >= kVotesMax) votes_.pop_front();
  votes_.push_back({region, told.prefix(128)});
}

std::optional<Endpoint> AddressVote::winner() const {
  if (votes_.size() < kVotesNeeded) return std::nullopt;
  std::map<Endpoint, std::size_t> counts;
  for (const Vote& vote : votes_) ++counts[vote.told];
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most->second < kVotesNeeded || most->second * 2 <= votes_.size()) return std::nullopt;
  return most->first;
}

}  // namespace peernet::dht
