#include "test/sim/dht_network.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace peernet::dht_sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kAcknowledgedEnough = 6;
constexpr std::size_t kOneBootstrapMax = 200;  // larger networks grow over several

// Asked by one that does not keep what is sought itself: it would find it without asking anybody.
// `is_busy`: it asks already. `begin`: has it ask. `is_kept`: it was found at once.
template <class IsBusy, class Begin, class IsKept>
std::size_t seek_by_any(Network& network, HostId announcer, const IsBusy& is_busy,
                        const Begin& begin, const IsKept& is_kept) {
  const int tries = 20;
  std::size_t id = 0;
  for (int i = 0; i < tries; ++i) {
    HostId seeker = network.pick_alive();
    while (seeker == announcer || is_busy(seeker)) {
      // All may be busy: time has to pass.
      network.world.run_for(milliseconds(1));
      seeker = network.pick_alive();
    }
    id = begin(seeker);
    if (!is_kept(id)) break;
  }
  return id;
}

// What the records of lookups and of items have in common is added up by these.
struct HitsOf {
  Hits hits;
  std::vector<double> first;
  std::vector<double> complete;
  std::vector<double> queries;
  std::vector<double> hops;

  void add(const std::optional<Duration>& found) {
    ++hits.asked;
    if (!found) return;
    ++hits.found;
    first.push_back(ms(*found));
  }
  Hits result() {
    hits.first_peer_ms = spread(std::move(first));
    hits.complete_ms = spread(std::move(complete));
    hits.queries = spread(std::move(queries));
    hits.hops = spread(std::move(hops));
    return hits;
  }
};

struct AnnouncesOf {
  Announces announces;
  std::vector<double> took;
  std::vector<double> queries;
  std::vector<double> stores;

  void add(std::size_t stored, Duration duration) {
    stores.push_back(static_cast<double>(stored));
    if (stored < kAcknowledgedEnough) return;
    ++announces.acknowledged;
    took.push_back(ms(duration));
  }
  Announces result() {
    announces.acknowledged_ms = spread(std::move(took));
    announces.queries = spread(std::move(queries));
    announces.stores = spread(std::move(stores));
    return announces;
  }
};

// Of announces or puts, whose records `record_of` gives.
template <class Id, class RecordOf>
Announces stores_of(const World& world, const std::vector<Id>& ids, RecordOf record_of) {
  AnnouncesOf of;
  for (const Id id : ids) {
    const auto& record = record_of(id);
    if (!world.is_up(record.host)) continue;
    ++of.announces.asked;
    if (!record.done) continue;
    of.queries.push_back(record.done->nodes_asked);
    of.add(record.done->stored, record.done->took);
  }
  return of.result();
}

}  // namespace

Network::Network(const Setting& setting) : world(setting.seed, setting.options) {
  const Duration every =
      std::min<Duration>(milliseconds(50), seconds(60) / static_cast<int>(setting.nodes));
  for (std::size_t i = 0; i < setting.nodes; ++i) {
    NodeOptions options;
    options.is_natted = i > 0 && world.rng().below(100) < setting.natted_percent;
    options.bootstrap = bootstrap();
    if (options.is_natted) {
      natted.insert(world.add_node(options));
      nodes.push_back(static_cast<HostId>(world.hosts_count() - 1));
    } else {
      nodes.push_back(world.add_node(options));
      reachable.push_back(nodes.back());
    }
    world.run_for(every);
  }
}

std::vector<Endpoint> Network::bootstrap() {
  if (reachable.empty()) return {};
  if (reachable.size() < kOneBootstrapMax) return {world.endpoint(reachable[0])};
  return {world.endpoint(pick(reachable)), world.endpoint(pick(reachable))};
}

HostId Network::pick_alive() {
  while (true) {
    const HostId host = pick(nodes);
    if (world.is_up(host)) return host;
  }
}

std::vector<Endpoint> Network::endpoints() {
  std::vector<Endpoint> result;
  for (const HostId host : nodes) result.push_back(world.endpoint(host));
  return result;
}

std::vector<Key> draw_keys(Network& network, std::size_t count) {
  std::vector<Key> keys;
  for (std::size_t i = 0; i < count; ++i) {
    const auto text = to_hex(network.world.rng().tagged<DhtId>().view());
    const dht::Item item = dht::immutable_item(as_bytes(fmt::format("{}:{}", text.size(), text)));
    keys.push_back({dht::item_target(item), item, network.pick_alive()});
  }
  return keys;
}

std::vector<LookupId> announce(Network& network, std::vector<Key>& keys) {
  std::vector<LookupId> lookups;
  for (Key& key : keys) {
    lookups.push_back(network.world.announce(key.announcer, key.key, 6000));
    network.world.run_for(kSpacing);
  }
  network.world.run_for(kPatience);
  return lookups;
}

std::vector<ItemId> put(Network& network, std::vector<Key>& keys) {
  std::vector<ItemId> items;
  for (Key& key : keys) {
    items.push_back(network.world.put_item(key.announcer, key.item));
    network.world.run_for(kSpacing);
  }
  network.world.run_for(kPatience);
  return items;
}

LookupId seek(Network& network, const Key& key) {
  World& world = network.world;
  return seek_by_any(
      network, key.announcer, [&](HostId host) { return world.is_seeking(host, key.key); },
      [&](HostId host) { return world.get_peers(host, key.key); },
      [&](LookupId id) { return world.lookup(id).first_peer.has_value(); });
}

ItemId seek_item(Network& network, const Key& key) {
  World& world = network.world;
  return seek_by_any(
      network, key.announcer, [&](HostId host) { return world.is_seeking_item(host, key.key); },
      [&](HostId host) { return world.get_item(host, key.key); },
      [&](ItemId id) { return world.item(id).found.has_value(); });
}

std::vector<LookupId> miss_all(Network& network, std::size_t count, Duration spacing) {
  std::vector<LookupId> lookups;
  for (std::size_t i = 0; i < count; ++i) {
    lookups.push_back(
        network.world.get_peers(network.pick_alive(), network.world.rng().tagged<DhtId>()));
    network.world.run_for(spacing);
  }
  return lookups;
}

Hits hits_of(const World& world, const std::vector<LookupId>& lookups) {
  HitsOf of;
  for (const LookupId id : lookups) {
    const LookupRecord& record = world.lookup(id);
    if (!world.is_up(record.host)) continue;
    of.add(record.first_peer);
    if (!record.done) continue;
    of.complete.push_back(ms(record.done->took));
    of.queries.push_back(record.done->nodes_asked);
    of.hops.push_back(record.done->hops);
  }
  return of.result();
}

Hits item_hits_of(const World& world, const std::vector<ItemId>& items) {
  HitsOf of;
  for (const ItemId id : items) {
    const ItemRecord& record = world.item(id);
    if (!world.is_up(record.host)) continue;
    of.add(record.found);
    if (!record.done) continue;
    of.complete.push_back(ms(record.done->took));
    of.queries.push_back(record.done->nodes_asked);
  }
  return of.result();
}

Misses misses_of(const World& world, const std::vector<LookupId>& lookups) {
  Misses misses;
  std::vector<double> complete;
  std::vector<double> queries;
  for (const LookupId id : lookups) {
    const LookupRecord& record = world.lookup(id);
    if (!world.is_up(record.host)) continue;
    ++misses.asked;
    if (!record.done) continue;
    ++misses.ended;
    complete.push_back(ms(record.done->took));
    queries.push_back(record.done->nodes_asked);
  }
  misses.complete_ms = spread(std::move(complete));
  misses.queries = spread(std::move(queries));
  return misses;
}

Announces announces_of(const World& world, const std::vector<LookupId>& lookups) {
  return stores_of(world, lookups,
                   [&](LookupId id) -> const LookupRecord& { return world.lookup(id); });
}

Announces puts_of(const World& world, const std::vector<ItemId>& items) {
  return stores_of(world, items, [&](ItemId id) -> const ItemRecord& { return world.item(id); });
}

}  // namespace peernet::dht_sim
