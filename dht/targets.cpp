#include "dht/targets.h"

#include <algorithm>
#include <utility>

namespace peernet::dht {

void Targets::restart(Time now) {
  since_ = now;
  targets_.clear();
}

void Targets::add(Lookup::Found found) {
  Target target;
  target.contact = found.contact;
  target.token = std::move(found.token);
  targets_.push_back(std::move(target));
}

void Targets::add_stores(const Lookup& lookup, bool is_lookup_over) {
  const bool is_crowded = lookup.is_crowded();
  auto nearest = lookup.nearest(2 * kLookupWidth);
  // Among so many, those with a right to their ids first.
  std::stable_partition(nearest.begin(), nearest.end(), [&](const Lookup::Found& found) {
    return has_right_to_id(found.contact, special_use_is_global_);
  });
  const std::size_t count_max = is_lookup_over && !is_crowded ? kLookupWidth : kStoresMax;
  for (Lookup::Found& found : nearest) {
    if (targets_.size() >= count_max) return;
    if (is_store_wanted(found, is_crowded, is_lookup_over)) add(std::move(found));
  }
}

Targets::Target* Targets::next() {
  for (Target& target : targets_) {
    if (!std::exchange(target.is_due, false)) continue;
    ++target.attempts;
    return &target;
  }
  return nullptr;
}

bool Targets::on_reply(const Transaction& transaction) {
  Target* target = find(transaction);
  if (target == nullptr) return false;
  // A late answer counts also after a refusal.
  target->is_acknowledged = true;
  return !std::exchange(target->is_settled, true);
}

bool Targets::on_refused(const Transaction& transaction) {
  Target* target = find(transaction);
  return target != nullptr && !std::exchange(target->is_settled, true);
}

void Targets::on_stage(const Transaction& transaction) {
  Target* target = find(transaction);
  if (target == nullptr) return;
  if (transaction.stage == Transaction::Stage::slow) {
    target->is_due = !target->is_settled && target->attempts < kTargetAttemptsMax;
  } else if (transaction.stage == Transaction::Stage::lapsed && target->in_flight > 0) {
    --target->in_flight;
  }
}

bool Targets::is_awaited() const {
  return std::any_of(targets_.begin(), targets_.end(), [](const Target& target) {
    return !target.is_settled && target.in_flight > 0;
  });
}

std::size_t Targets::acknowledged_count() const {
  return static_cast<std::size_t>(
      std::count_if(targets_.begin(), targets_.end(),
                    [](const Target& target) { return target.is_acknowledged; }));
}

bool Targets::is_stored_enough(const Lookup& lookup, bool is_lookup_over) const {
  const auto hopeful = lookup.hopeful();
  if (hopeful.size() < kLookupWidth) return false;
  const auto acknowledged =
      std::count_if(targets_.begin(), targets_.end(), [&](const Target& target) {
        return target.is_acknowledged &&
               (is_lookup_over ||
                std::find(hopeful.begin(), hopeful.end(), target.contact) != hopeful.end());
      });
  return static_cast<std::size_t>(acknowledged) >= kStoresEnough;
}

Targets::Target* Targets::find(const Transaction& transaction) {
  if (transaction.sent < since_) return nullptr;
  for (Target& target : targets_) {
    if (target.contact.endpoint == transaction.to) return &target;
  }
  return nullptr;
}

bool Targets::is_store_wanted(const Lookup::Found& found, bool is_crowded,
                              bool is_lookup_over) const {
  if (found.token.empty()) return false;
  const bool is_probably_nearest = found.expected > 0 && found.expected <= kLookupWidth &&
                                   has_right_to_id(found.contact, special_use_is_global_);
  if (!is_lookup_over && !is_probably_nearest) return false;
  const Endpoint& endpoint = found.contact.endpoint;
  const bool is_one_of_region = is_crowded && is_limited(endpoint, special_use_is_global_);
  return std::none_of(targets_.begin(), targets_.end(), [&](const Target& target) {
    const Endpoint& other = target.contact.endpoint;
    return other == endpoint || (is_one_of_region && region_of(other) == region_of(endpoint));
  });
}

}  // namespace peernet::dht
