#pragma once

// What our own address is, as those say who answered us (the `ip` of BEP 42). Each region (/16, /32
// in IPv6) has one vote, its last; an address is believed when at least 8 regions name it, and more
// than half of all that vote. So nobody moves us who does not answer our queries from 8 places.

#include <cstdint>
#include <deque>
#include <optional>

#include "core/endpoint.h"
#include "core/time.h"
#include "dht/contact.h"

namespace peernet::dht {

inline constexpr std::size_t kVotesNeeded = 8;
inline constexpr std::size_t kVotesMax = 64;  // the oldest goes

class AddressVote {
 public:
  explicit AddressVote(bool special_use_is_global)
      : special_use_is_global_(special_use_is_global) {}

  // `by` answered a query of ours and says it came from `told`. Exempt addresses neither vote nor
  // are voted for.
  void add(const Endpoint& by, const Endpoint& told);
  // The address, with port 0. Empty while too few agree.
  std::optional<Endpoint> winner() const;
  std::size_t size() const { return votes_.size(); }

 private:
  struct Vote {
    Endpoint region;
    Endpoint told;
  };

  bool special_use_is_global_;
  std::deque<Vote> votes_;  // the latest at the end
};

}  // namespace peernet::dht
