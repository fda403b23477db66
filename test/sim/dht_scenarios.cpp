#include "test/sim/dht_scenarios.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <set>

#include "test/sim/dht_attackers.h"

namespace peernet::dht_sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kAcknowledgedEnough = 6;
constexpr Duration kSettle = seconds(70);    // after the last start
constexpr Duration kPatience = seconds(15);  // for the last lookup of a batch
constexpr Duration kSpacing = milliseconds(50);
constexpr std::size_t kOneBootstrapMax = 200;  // larger networks grow over several

double ms(Duration duration) {
  return static_cast<double>(duration.count()) / 1000;
}

// A network of honest nodes that has had time to settle.
struct Network {
  World world;
  std::vector<HostId> nodes;

  explicit Network(const Setting& setting) : world(setting.seed, setting.options) {
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

  // The first node, or in a large network any two.
  std::vector<Endpoint> bootstrap() {
    if (reachable.empty()) return {};
    if (reachable.size() < kOneBootstrapMax) return {world.endpoint(reachable[0])};
    return {world.endpoint(pick(reachable)), world.endpoint(pick(reachable))};
  }
  HostId pick(const std::vector<HostId>& from) { return from[world.rng().below(from.size())]; }
  HostId pick_alive() {
    while (true) {
      const HostId host = pick(nodes);
      if (world.is_up(host)) return host;
    }
  }
  std::vector<Endpoint> endpoints() {
    std::vector<Endpoint> result;
    for (const HostId host : nodes) result.push_back(world.endpoint(host));
    return result;
  }

  std::set<HostId> natted;
  std::vector<HostId> reachable;
};

struct Key {
  DhtId key;
  dht::Item item;  // whose target the key is
  HostId announcer = 0;
};

// What all honest nodes have sent so far.
double queries_sent(Network& network) {
  double sent = 0;
  for (const HostId host : network.nodes) {
    if (network.world.is_up(host)) {
      sent += static_cast<double>(network.world.traffic(host).queries_out);
    }
  }
  return sent;
}

// Of what `store` does with `keys_count` keys, with the queries it makes all nodes send on top of
// what they sent in as much time before.
template <class Store>
Announces measured(Network& network, std::size_t keys_count, const Store& store) {
  World& world = network.world;
  const double first = queries_sent(network);
  world.run_for(kPatience + static_cast<int>(keys_count) * kSpacing);
  const double before = queries_sent(network);
  Announces announces = store();
  const double sent = queries_sent(network) - before - (before - first);
  announces.sent_mean = sent / static_cast<double>(keys_count);
  return announces;
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

std::vector<Key> draw_keys(Network& network, std::size_t count) {
  std::vector<Key> keys;
  for (std::size_t i = 0; i < count; ++i) {
    const auto text = to_hex(network.world.rng().tagged<DhtId>().view());
    const dht::Item item = dht::immutable_item(as_bytes(fmt::format("{}:{}", text.size(), text)));
    keys.push_back({dht::item_target(item), item, network.pick_alive()});
  }
  return keys;
}

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

template <class Seek>
std::vector<std::size_t> seek_all(Network& network, const std::vector<Key>& keys,
                                  std::size_t seekers, Duration spacing, const Seek& one) {
  std::vector<std::size_t> ids;
  for (std::size_t i = 0; i < seekers; ++i) {
    for (const Key& key : keys) {
      ids.push_back(one(network, key));
      network.world.run_for(spacing);
    }
  }
  return ids;
}

// All of it by one node.
template <class Begin>
std::vector<std::size_t> seek_from(Network& network, HostId seeker, const std::vector<Key>& keys,
                                   const Begin& begin) {
  std::vector<std::size_t> ids;
  for (const Key& key : keys) {
    if (key.announcer == seeker) continue;
    ids.push_back(begin(key));
    network.world.run_for(kSpacing);
  }
  return ids;
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

Announces announces_of(const World& world, const std::vector<LookupId>& lookups) {
  return stores_of(world, lookups,
                   [&](LookupId id) -> const LookupRecord& { return world.lookup(id); });
}

Announces puts_of(const World& world, const std::vector<ItemId>& items) {
  return stores_of(world, items, [&](ItemId id) -> const ItemRecord& { return world.item(id); });
}

void kill_some(Network& network, std::size_t count, const std::set<HostId>& spared) {
  while (count > 0) {
    const HostId host = network.pick_alive();
    if (spared.contains(host)) continue;
    network.world.kill(host);
    --count;
  }
}

}  // namespace

Spread spread(std::vector<double> values) {
  Spread result;
  result.count = values.size();
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const auto place = static_cast<std::size_t>(share * static_cast<double>(values.size()));
    return values[std::min(place, values.size() - 1)];
  };
  result.p50 = at(0.5);
  result.p95 = at(0.95);
  result.p99 = at(0.99);
  result.max = values.back();
  result.mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  return result;
}

SteadyReport steady(const Setting& setting, bool is_kill_measured) {
  SteadyReport report;
  Network network(setting);
  World& world = network.world;
  world.run_for(kSettle);
  std::vector<Key> keys = draw_keys(network, setting.keys);
  report.announces = announces_of(world, announce(network, keys));
  const auto found = seek_all(network, keys, setting.seekers, kSpacing, seek);
  world.run_for(kPatience);
  report.hits = hits_of(world, found);
  const auto missed = miss_all(network, setting.keys * setting.seekers, kSpacing);
  world.run_for(kPatience);
  report.misses = misses_of(world, missed);
  if (is_kill_measured) {
    std::set<HostId> spared;
    for (const Key& key : keys) spared.insert(key.announcer);
    if (spared.size() > setting.nodes / 2) spared.clear();
    kill_some(network, setting.nodes * 3 / 10, spared);
    // Nobody has had time to learn who is dead.
    const auto found_then = seek_all(network, keys, 1, milliseconds(10), seek);
    const auto missed_then = miss_all(network, setting.keys, milliseconds(10));
    world.run_for(kPatience);
    report.hits_after_kill = hits_of(world, found_then);
    report.misses_after_kill = misses_of(world, missed_then);
  }
  report.digest = world.digest();
  return report;
}

StartsReport starts(const Setting& setting, Start how, std::size_t count) {
  StartsReport report;
  std::vector<double> usable;
  std::vector<double> after_query;
  Network network(setting);
  World& world = network.world;
  world.run_for(kSettle);
  if (how == Start::late_bootstrap) {
    const Endpoint late = world.fresh_endpoint();
    std::vector<HostId> early;
    for (std::size_t i = 0; i < count; ++i) {
      early.push_back(world.add_node({{late}, {}, false, false, std::nullopt}));
      world.run_for(milliseconds(10));
    }
    world.run_for(seconds(30));
    const Time up = world.now();
    world.watch(late);
    world.add_node({network.bootstrap(), {}, false, true, late});
    world.run_for(minutes(2));
    for (const HostId host : early) {
      ++report.starts;
      const auto at = world.usable_at(host);
      if (!at) continue;
      ++report.usable;
      usable.push_back(ms(*at - up));
      // A query that was on its way when it came up may be answered too.
      const auto asked = world.sent_to_watched_at(host);
      after_query.push_back(asked && *asked < *at ? ms(*at - *asked) : 0);
    }
    report.usable_ms = spread(std::move(usable));
    report.usable_after_query_ms = spread(std::move(after_query));
    return report;
  }
  for (std::size_t i = 0; i < count; ++i) {
    NodeOptions options;
    options.is_settled = how == Start::saved;
    if (how == Start::bootstrap) {
      options.bootstrap = {world.endpoint(network.nodes[0])};
    } else {
      options.saved = world.node(network.pick(network.nodes))->snapshot();
    }
    const Time started = world.now();
    const HostId host = world.add_node(options);
    world.run_for(seconds(10));
    ++report.starts;
    if (const auto at = world.usable_at(host)) {
      ++report.usable;
      usable.push_back(ms(*at - started));
    }
    world.kill(host);
  }
  report.usable_ms = spread(std::move(usable));
  return report;
}

IdleReport idle(const Setting& setting) {
  IdleReport report;
  Network network(setting);
  World& world = network.world;
  world.run_for(seconds(20));
  std::vector<double> nodes;
  std::vector<double> percent;
  for (const HostId host : network.nodes) {
    nodes.push_back(world.node(host)->stats().nodes);
    percent.push_back(100 * nodes.back() / static_cast<double>(network.reachable.size() - 1));
  }
  report.table = spread(std::move(nodes));
  report.table_percent = spread(std::move(percent));

  world.run_for(minutes(20));
  std::vector<Traffic> before;
  for (const HostId host : network.nodes) before.push_back(world.traffic(host));
  const Duration length = minutes(40);
  world.run_for(length);
  std::vector<double> queries;
  std::vector<double> bytes;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const Traffic after = world.traffic(network.nodes[i]);
    queries.push_back(static_cast<double>(after.queries_out - before[i].queries_out) /
                      peernet::seconds(length));
    bytes.push_back(static_cast<double>(after.bytes_out - before[i].bytes_out) /
                    peernet::seconds(length));
  }
  report.queries = spread(std::move(queries));
  report.bytes = spread(std::move(bytes));
  return report;
}

AttackReport attack(const Setting& setting, Attack kind, std::size_t hostile, Stored stored) {
  AttackReport report;
  Network network(setting);
  World& world = network.world;
  world.run_for(kSettle);
  std::vector<Key> before = draw_keys(network, setting.keys);
  const bool is_of_peers = stored == Stored::peers;
  const auto store = [&](std::vector<Key>& keys) {
    return measured(network, keys.size(), [&] {
      return is_of_peers ? announces_of(world, announce(network, keys))
                         : puts_of(world, put(network, keys));
    });
  };
  // Who is eclipsed is one node, and it seeks by itself.
  const HostId victim = network.pick_alive();
  const auto seek_as_victim = [&](const Key& key) {
    return is_of_peers ? world.get_peers(victim, key.key) : world.get_item(victim, key.key);
  };
  const auto seek_as_any = [&](Network& in, const Key& key) {
    return is_of_peers ? seek(in, key) : seek_item(in, key);
  };
  const auto find = [&](const std::vector<Key>& of) {
    const auto ids = kind == Attack::eclipse
                         ? seek_from(network, victim, of, seek_as_victim)
                         : seek_all(network, of, setting.seekers, kSpacing, seek_as_any);
    world.run_for(kPatience);
    return is_of_peers ? hits_of(world, ids) : item_hits_of(world, ids);
  };
  report.stores_before = store(before);
  report.before = find(before);

  std::vector<Key> keys = draw_keys(network, setting.keys);
  std::vector<HostId> attackers;
  if (kind == Attack::sybils || kind == Attack::sybils_bep42) {
    for (const Key& key : keys) {
      const auto more =
          add_sybils(world, key.key, hostile, kind == Attack::sybils_bep42, network.endpoints());
      attackers.insert(attackers.end(), more.begin(), more.end());
    }
  } else if (kind == Attack::eclipse) {
    attackers =
        add_sybils(world, world.node(victim)->stats().id, hostile, true, {world.endpoint(victim)});
  } else {
    const unsigned alive =
        kind == Attack::colluders ? 50 : (kind == Attack::colluders_alive ? 100 : 0);
    attackers = add_colluders(world, hostile, alive, network.endpoints());
  }
  world.run_for(seconds(60));
  report.stores = store(keys);
  report.under = find(keys);

  for (const HostId host : attackers) world.kill(host);
  world.run_for(seconds(30));
  report.after = find(keys);
  return report;
}

FloodReport flood(const Setting& setting, std::size_t flooders) {
  const std::size_t probers_count = 20;
  FloodReport report;
  Network network(setting);
  World& world = network.world;
  world.run_for(kSettle);
  const Endpoint victim = world.endpoint(network.nodes[1]);
  const auto add_probers = [&] {
    std::vector<Prober*> probers;
    for (std::size_t i = 0; i < probers_count; ++i) {
      auto prober = std::make_unique<Prober>(victim, world.rng().tagged<DhtId>());
      probers.push_back(prober.get());
      world.add_actor(std::move(prober));
      world.run_for(milliseconds(37));
    }
    return probers;
  };
  const auto proven = add_probers();
  world.run_for(seconds(10));
  std::vector<Flooder*> gang;
  for (std::size_t i = 0; i < flooders; ++i) {
    auto flooder = std::make_unique<Flooder>(victim, world.rng().tagged<DhtId>(), milliseconds(20));
    gang.push_back(flooder.get());
    world.add_actor(std::move(flooder));
  }
  world.run_for(seconds(5));
  for (Prober* prober : proven) prober->queries_count = prober->answers_count = 0;
  const auto newcomers = add_probers();
  world.run_for(seconds(30));
  const auto percent = [](const std::vector<Prober*>& probers) {
    double asked = 0;
    double answered = 0;
    for (const Prober* prober : probers) {
      asked += static_cast<double>(prober->queries_count);
      answered += static_cast<double>(prober->answers_count);
    }
    return 100 * answered / asked;
  };
  report.proven_served_percent = percent(proven);
  report.newcomers_served_percent = percent(newcomers);
  double out = 0;
  double in = 0;
  for (const Flooder* flooder : gang) {
    out += static_cast<double>(flooder->bytes_out);
    in += static_cast<double>(flooder->bytes_in);
  }
  report.amplification = out > 0 ? in / out : 0;
  return report;
}

ChurnReport churn(const Setting& setting, Duration session_median, Duration length) {
  Network network(setting);
  World& world = network.world;
  world.run_for(kSettle);
  // The announcers and the first node stay: what is measured is the keeping, not the kept.
  std::vector<Key> keys = draw_keys(network, setting.keys);
  std::set<HostId> spared{network.nodes[0]};
  for (const Key& key : keys) spared.insert(key.announcer);
  const double mean_s = peernet::seconds(session_median) / std::numbers::ln2;
  const double per_second = static_cast<double>(setting.nodes) / mean_s;
  std::vector<LookupId> announced;
  std::vector<LookupId> found;
  std::vector<LookupId> missed;
  const Time begun = world.now();
  const Time end = begun + length;
  // Half of the time to reach the steady mix of ages; a key is announced when it is first needed.
  Time next_leave = begun;
  Time next_lookup = begun + length / 2;
  std::size_t key_next = 0;
  while (world.now() < end) {
    world.run_until(std::min({next_leave, next_lookup, end}));
    if (world.now() >= next_leave) {
      const double wait_s = -std::log(1 - world.rng().unit()) / per_second;
      next_leave += Duration(static_cast<std::int64_t>(wait_s * 1e6) + 1);
      const HostId leaver = network.pick_alive();
      if (spared.contains(leaver)) continue;
      world.kill(leaver);
      NodeOptions options;
      while (options.bootstrap.size() < 2) {
        const HostId host = network.pick_alive();
        if (!network.natted.contains(host)) options.bootstrap.push_back(world.endpoint(host));
      }
      options.is_natted = world.rng().below(100) < setting.natted_percent;
      network.nodes.push_back(world.add_node(options));
      std::erase(network.nodes, leaver);
      if (options.is_natted) network.natted.insert(network.nodes.back());
    }
    if (world.now() >= next_lookup) {
      const Duration every = length / 2 / static_cast<int>(setting.keys * (setting.seekers + 1));
      next_lookup += every;
      // Announced once, then sought in turn until the end.
      const std::size_t round = key_next / keys.size();
      const Key& key = keys[key_next % keys.size()];
      ++key_next;
      if (round == 0) {
        announced.push_back(world.announce(key.announcer, key.key, 6000));
      } else {
        found.push_back(seek(network, key));
        missed.push_back(world.get_peers(network.pick_alive(), world.rng().tagged<DhtId>()));
      }
    }
  }
  world.run_for(kPatience);
  return {hits_of(world, found), misses_of(world, missed), announces_of(world, announced)};
}

std::string describe(const Spread& spread, const char* unit) {
  return fmt::format("p50 {:.1f} p95 {:.1f} p99 {:.1f} max {:.1f} mean {:.1f} {} (n={})",
                     spread.p50, spread.p95, spread.p99, spread.max, spread.mean, unit,
                     spread.count);
}

}  // namespace peernet::dht_sim
