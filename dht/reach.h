#pragma once

// Whether strangers can reach us. Who is behind an address translation without a mapped port sees
// others name an address that no interface of his has, and hears only from those he wrote to. While
// that is so and he has just come, he is hidden: he asks only (BEP 43), for others would list him
// in vain and wait for him.

#include <algorithm>
#include <utility>
#include <vector>

#include "core/endpoint.h"
#include "core/time.h"
#include "dht/address_vote.h"

namespace peernet::dht {

// Who stays longer is of use even so: those he has asked reach him through what he keeps open.
inline constexpr Duration kYoungFor = std::chrono::minutes(10);

class Reach {
 public:
  void start(Time now) { young_until_ = now + kYoungFor; }
  // Those of our interfaces, of one family, ports aside. Without any nothing is concluded.
  void set_own_addresses(std::vector<Endpoint> addresses) { own_ = std::move(addresses); }
  // Somebody asked whom we never wrote to.
  void on_unasked() { is_reached_ = true; }

  bool is_hidden(Time now, const AddressVote& vote) const {
    if (own_.empty() || is_reached_ || now >= young_until_) return false;
    const auto voted = vote.winner();
    return voted && std::none_of(own_.begin(), own_.end(), [&](const Endpoint& own) {
             return own.address == voted->address;
           });
  }
  Time young_until() const { return young_until_; }

 private:
  std::vector<Endpoint> own_;
  Time young_until_{};
  bool is_reached_ = false;
};

}  // namespace peernet::dht
