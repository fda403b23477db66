#include "dht/item_store.h"

#include <utility>

#include "dht/node_id.h"

namespace peernet::dht {

bool ItemStore::would_keep(Time now, const DhtId& target, const Endpoint& from) const {
  return find(now, target) != nullptr || has_room_for(distance(target, own_id_), from);
}

ItemStore::Outcome ItemStore::put(Time now, Item item, std::optional<std::int64_t> cas,
                                  const Endpoint& from) {
  const DhtId place = distance(item_target(item), own_id_);
  const auto found = items_.find(place);
  if (found != items_.end() && found->second.expires > now) {
    Stored& stored = found->second;
    if (item.key) {
      const bool is_same = item.seq == stored.item.seq && item.value == stored.item.value;
      if (cas && *cas != stored.item.seq) return Outcome::cas_mismatch;
      if (item.seq <= stored.item.seq && !is_same) return Outcome::seq_too_low;
      stored.item = std::move(item);
    }
    stored.expires = now + kItemStoredFor;
    return Outcome::stored;
  }
  if (found != items_.end()) items_.erase(found);
  if (!has_room_for(place, from)) return Outcome::full;
  if (items_.size() >= items_max_) items_.erase(std::prev(items_.end()));
  items_.emplace(place, Stored{std::move(item), from, now + kItemStoredFor});
  return Outcome::stored;
}

const Item* ItemStore::find(Time now, const DhtId& target) const {
  const auto found = items_.find(distance(target, own_id_));
  if (found == items_.end() || found->second.expires <= now) return nullptr;
  return &found->second.item;
}

void ItemStore::drop_expired(Time now) {
  std::erase_if(items_, [&](const auto& entry) { return entry.second.expires <= now; });
}

void ItemStore::move_to(const DhtId& own_id) {
  std::map<DhtId, Stored> moved;
  const DhtId shift = distance(own_id, own_id_);
  for (auto& [place, stored] : items_) moved.emplace(distance(place, shift), std::move(stored));
  items_ = std::move(moved);
  own_id_ = own_id;
}

bool ItemStore::has_room_for(const DhtId& place, const Endpoint& from) const {
  if (is_limited(from, special_use_is_global_)) {
    const Endpoint host = host_of(from);
    const Endpoint network = network_of(from);
    std::size_t of_host = 0;
    std::size_t of_network = 0;
    for (const auto& [other, stored] : items_) {
      if (host_of(stored.by) == host) ++of_host;
      if (network_of(stored.by) == network) ++of_network;
    }
    if (of_host >= kItemsOfHostMax || of_network >= kItemsOfNetworkMax) return false;
  }
  return items_.size() < items_max_ || place < items_.rbegin()->first;
}

}  // namespace peernet::dht
