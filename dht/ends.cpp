#include "dht/ends.h"

#include <algorithm>

namespace peernet::dht {

namespace {

void add(Families& to, const Families& families) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] |= families[i];
}

bool is_awaited(const Families& awaited, const Families& has_nodes) {
  for (std::size_t i = 0; i < awaited.size(); ++i) {
    if (awaited[i] && has_nodes[i]) return true;
  }
  return false;
}

}  // namespace

void Ends::begin_lookup(const DhtId& key, const Families& families) {
  auto found = std::find_if(lookups_.begin(), lookups_.end(),
                            [&](const Lookup& lookup) { return lookup.sum.key == key; });
  if (found == lookups_.end()) {
    found = lookups_.insert(lookups_.end(), Lookup{});
    found->sum.key = key;
  }
  add(found->awaited, families);
}

void Ends::begin_get(const DhtId& target, const Families& families) {
  auto found = std::find_if(items_.begin(), items_.end(), [&](const ItemCommand& command) {
    return !command.sum.is_put && command.sum.target == target;
  });
  if (found == items_.end()) {
    found = items_.insert(items_.end(), ItemCommand{});
    found->sum.target = target;
  }
  add(found->awaited, families);
}

void Ends::begin_put(const DhtId& target, const Families& families) {
  ItemCommand command;
  command.sum.target = target;
  command.sum.is_put = true;
  command.awaited = families;
  items_.push_back(command);
}

void Ends::forget_lookup(const DhtId& key) {
  std::erase_if(lookups_, [&](const Lookup& lookup) { return lookup.sum.key == key; });
}

std::optional<LookupDone> Ends::on_done(const LookupDone& done, std::size_t family,
                                        const Families& has_nodes) {
  const auto found = std::find_if(lookups_.begin(), lookups_.end(), [&](const Lookup& lookup) {
    return lookup.sum.key == done.key && lookup.awaited[family];
  });
  if (found == lookups_.end()) return std::nullopt;
  LookupDone& sum = found->sum;
  sum.nodes_asked += done.nodes_asked;
  sum.nodes_answered += done.nodes_answered;
  sum.peers_found += done.peers_found;
  sum.stored += done.stored;
  sum.store_targets += done.store_targets;
  sum.hops = std::max(sum.hops, done.hops);
  sum.took = std::max(sum.took, done.took);
  sum.is_announce |= done.is_announce;
  found->awaited[family] = false;
  if (is_awaited(found->awaited, has_nodes)) return std::nullopt;
  const LookupDone result = sum;
  lookups_.erase(found);
  return result;
}

std::optional<ItemDone> Ends::on_done(const ItemDone& done, std::size_t family,
                                      const Families& has_nodes) {
  const auto found = std::find_if(items_.begin(), items_.end(), [&](const ItemCommand& command) {
    return command.sum.target == done.target && command.sum.is_put == done.is_put &&
           command.awaited[family];
  });
  if (found == items_.end()) return std::nullopt;
  ItemDone& sum = found->sum;
  sum.nodes_asked += done.nodes_asked;
  sum.nodes_answered += done.nodes_answered;
  sum.stored += done.stored;
  sum.refused += done.refused;
  if (done.error != 0) sum.error = done.error;
  sum.took = std::max(sum.took, done.took);
  sum.is_found |= done.is_found;
  found->awaited[family] = false;
  if (is_awaited(found->awaited, has_nodes)) return std::nullopt;
  const ItemDone result = sum;
  items_.erase(found);
  return result;
}

bool Ends::on_found(const ItemFound& found) {
  bool is_better = false;
  for (ItemCommand& command : items_) {
    if (command.sum.target != found.target) continue;
    if (command.is_told && (!found.item.key || found.item.seq <= command.seq_told)) continue;
    command.is_told = true;
    command.seq_told = found.item.seq;
    is_better = true;
  }
  return is_better;
}

}  // namespace peernet::dht
