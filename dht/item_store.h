#pragma once

// The items of BEP 44 that others put here. So many at most, for two hours since the last put; a
// host and a network have a share of their own. When the store is full, items far from our own id
// give way to nearer ones; nothing is ever displaced by mere arrival. What comes in here is
// checked.

#include <cstdint>
#include <map>
#include <optional>

#include "core/time.h"
#include "dht/config.h"
#include "dht/contact.h"
#include "dht/item.h"

namespace peernet::dht {

inline constexpr std::size_t kItemsOfHostMax = 32;  // put first by it
inline constexpr std::size_t kItemsOfNetworkMax = 64;
inline constexpr Duration kItemStoredFor = std::chrono::hours(2);

class ItemStore {
 public:
  ItemStore(const DhtId& own_id, bool special_use_is_global, const StoreLimits& limits)
      : own_id_(own_id), special_use_is_global_(special_use_is_global), items_max_(limits.items) {}

  // Would a put of this host be kept, as far as room goes? If not, no token is given.
  bool would_keep(Time now, const DhtId& target, const Endpoint& from) const;
  enum class Outcome : std::uint8_t {
    stored,
    full,
    cas_mismatch,  // another sequence number is stored than `cas` says
    seq_too_low,   // a newer item is stored, or another one with the same number
  };
  // Keeps it, or renews it. Requires: check(item) said yes.
  Outcome put(Time now, Item item, std::optional<std::int64_t> cas, const Endpoint& from);
  const Item* find(Time now, const DhtId& target) const;
  void drop_expired(Time now);
  // Our own id has changed.
  void move_to(const DhtId& own_id);

  std::size_t size() const { return items_.size(); }

 private:
  struct Stored {
    Item item;
    Endpoint by;  // who put it first
    Time expires;
  };
  bool has_room_for(const DhtId& place, const Endpoint& from) const;

  DhtId own_id_;
  bool special_use_is_global_;
  std::size_t items_max_;
  std::map<DhtId, Stored> items_;  // by distance from our own id
};

}  // namespace peernet::dht
