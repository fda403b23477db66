#include "test/sim/dht_scenarios.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <set>

#include "test/sim/dht_network.h"

namespace peernet::dht_sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

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
