#include "dht/dht.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace peernet::dht {

namespace {

constexpr std::size_t kV4 = 0;
constexpr std::size_t kV6 = 1;
constexpr Families kBoth{true, true};

}  // namespace

template <class Act>
void Dht::for_each(const Families& families, Act act) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i] && families[i]) act(*nodes_[i]);
  }
}

Dht::Dht(const Config& config, Rng rng, Log& log) {
  PN_CHECK(config.has_v4 || config.has_v6);
  if (config.has_v4) nodes_[kV4].emplace(config, false, rng.fork(), log);
  if (config.has_v6) nodes_[kV6].emplace(config, true, rng.fork(), log);
}

void Dht::start(Time now, const DhtRecord& saved, Effects& out) {
  DhtRecord record = saved;
  for (auto& node : nodes_) {
    if (!node) continue;
    node->start(now, record, out);
    // Both begin with one id (BEP 32), until their addresses tell them apart (BEP 42).
    record.id = node->stats().id;
  }
  settle(now, out);
}

void Dht::on_datagram(Time now, const Endpoint& from, BytesView bytes, Effects& out) {
  Node* node = node_of(from);
  if (node == nullptr) {
    ++foreign_datagrams_;
    foreign_bytes_ += bytes.size();
    return;
  }
  const auto& other = nodes_[from.is_v6 ? kV4 : kV6];
  node->on_datagram(now, from, bytes, other ? &*other : nullptr, out);
  settle(now, out);
}

void Dht::on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out) {
  for_each(kBoth, [&](Node& node) { node.on_resolved(now, job, endpoints, out); });
  settle(now, out);
}

void Dht::on_time(Time now, Effects& out) {
  for_each(kBoth, [&](Node& node) { node.on_time(now, out); });
  settle(now, out);
}

void Dht::on_wall_clock(Time now, WallTime wall) {
  for_each(kBoth, [&](Node& node) { node.on_wall_clock(now, wall); });
}

void Dht::get_peers(Time now, const DhtId& key, Effects& out) {
  const Families families = families_now();
  ends_.begin_lookup(key, families);
  for_each(families, [&](Node& node) { node.get_peers(now, key, out); });
  settle(now, out);
}

void Dht::announce(Time now, const DhtId& key, std::uint16_t port, bool implied_port,
                   Effects& out) {
  const Families families = families_now();
  ends_.begin_lookup(key, families);
  for_each(families, [&](Node& node) { node.announce(now, key, port, implied_port, out); });
  settle(now, out);
}

void Dht::trace(const DhtId& key) {
  for_each(kBoth, [&](Node& node) { node.trace(key); });
}

void Dht::forget(const DhtId& key) {
  ends_.forget_lookup(key);
  for_each(kBoth, [&](Node& node) { node.forget(key); });
}

void Dht::get_item(Time now, const DhtId& target, BytesView salt, Effects& out) {
  const Families families = families_now();
  ends_.begin_get(target, families);
  for_each(families, [&](Node& node) { node.get_item(now, target, salt, out); });
  settle(now, out);
}

Result<DhtId> Dht::put_item(Time now, const Item& item, std::optional<std::int64_t> cas,
                            Effects& out) {
  if (auto checked = check(item); !checked) return checked.error();
  const Families families = families_now();
  ends_.begin_put(item_target(item), families);
  for_each(families, [&](Node& node) { node.put_item(now, item, cas, out); });
  settle(now, out);
  return item_target(item);
}

void Dht::set_read_only(bool is_read_only) {
  for_each(kBoth, [&](Node& node) { node.set_read_only(is_read_only); });
}

void Dht::set_own_addresses(Time now, const std::vector<Endpoint>& addresses) {
  for_each(kBoth, [&](Node& node) { node.set_own_addresses(now, addresses); });
}

void Dht::add_node(Time now, const Endpoint& endpoint, Effects& out) {
  if (Node* node = node_of(endpoint)) node->add_node(now, endpoint, out);
  settle(now, out);
}

bool Dht::ping(Time now, std::uint64_t number, const Endpoint& endpoint, Effects& out) {
  Node* node = node_of(endpoint);
  const bool is_asked = node != nullptr && node->ping(now, number, endpoint, out);
  settle(now, out);
  return is_asked;
}

std::optional<Event> Dht::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Time Dht::deadline() const {
  Time earliest = kNever;
  for (const auto& node : nodes_) {
    if (node) earliest = std::min(earliest, node->deadline());
  }
  return earliest;
}

Stats Dht::stats() const {
  const bool has_v4 = nodes_[kV4].has_value();
  Stats sum = has_v4 ? nodes_[kV4]->stats() : nodes_[kV6]->stats();
  sum.dropped_in += foreign_datagrams_;
  sum.bytes_in += foreign_bytes_;
  if (!has_v4) {
    sum.nodes6 = sum.nodes;
    sum.address6 = std::exchange(sum.address, std::nullopt);
  } else if (nodes_[kV6]) {
    const Stats v6 = nodes_[kV6]->stats();
    sum.address6 = v6.address;
    sum.nodes6 = v6.nodes;
    sum.nodes += v6.nodes;
    sum.nodes_good += v6.nodes_good;
    sum.stored_keys += v6.stored_keys;
    sum.stored_peers += v6.stored_peers;
    sum.stored_items += v6.stored_items;
    for (std::size_t kind = 0; kind < kQueryKinds; ++kind)
      sum.by_kind.at(kind) += v6.by_kind.at(kind);
    sum.queries_in += v6.queries_in;
    sum.queries_out += v6.queries_out;
    sum.replies_in += v6.replies_in;
    sum.errors_in += v6.errors_in;
    sum.dropped_in += v6.dropped_in;
    sum.bytes_in += v6.bytes_in;
    sum.bytes_out += v6.bytes_out;
    sum.is_joined |= v6.is_joined;
    sum.is_hidden &= v6.is_hidden;
    sum.lookups_active = std::max(sum.lookups_active, v6.lookups_active);
  }
  return sum;
}

DhtRecord Dht::snapshot() const {
  DhtRecord record;
  for (const auto& node : nodes_) {
    if (!node) continue;
    DhtRecord of_family = node->snapshot();
    if (record.id == DhtId{}) record.id = of_family.id;
    const bool is_alone = !nodes_[kV4] || !nodes_[kV6];
    const std::size_t count_max = is_alone ? kRememberedMax : kRememberedMax / 2;
    if (of_family.nodes.size() > count_max) of_family.nodes.resize(count_max);
    record.nodes.insert(record.nodes.end(), of_family.nodes.begin(), of_family.nodes.end());
  }
  return record;
}

Families Dht::families_now() const {
  const Families has = has_nodes();
  if (has[kV4] || has[kV6]) return has;
  return {nodes_[kV4].has_value(), nodes_[kV6].has_value()};
}

Families Dht::has_nodes() const {
  Families result{};
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    result[i] = nodes_[i] && nodes_[i]->nodes_count() > 0;
  }
  return result;
}

void Dht::settle(Time now, Effects& out) {
  if (nodes_[kV4] && nodes_[kV6]) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      Node& other = *nodes_[1 - i];
      for (const Node::Introduced& introduced : nodes_[i]->take_introductions()) {
        other.on_introduction(now, introduced, out);
      }
      nodes_[i]->set_wants_both(other.nodes_count() < kNodesWanted);
    }
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i]) continue;
    nodes_[i]->take_introductions();
    while (auto event = nodes_[i]->next_event()) tell(std::move(*event), i);
  }
}

void Dht::tell(Event event, std::size_t family) {
  if (const auto* done = std::get_if<LookupDone>(&event)) {
    const auto end = ends_.on_done(*done, family, has_nodes());
    if (!end) return;
    // Where it still waits for a first node nobody needs it any more.
    for_each(kBoth, [&](Node& node) { node.forget(end->key); });
    events_.emplace_back(*end);
  } else if (const auto* item_done = std::get_if<ItemDone>(&event)) {
    if (const auto end = ends_.on_done(*item_done, family, has_nodes())) events_.emplace_back(*end);
  } else if (const auto* found = std::get_if<ItemFound>(&event)) {
    if (ends_.on_found(*found)) events_.push_back(std::move(event));
  } else {
    events_.push_back(std::move(event));
  }
}

}  // namespace peernet::dht
