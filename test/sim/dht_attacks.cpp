// Scenarios of the DHT in which somebody means harm: to what is stored, to one node, or to all.

#include <memory>

#include "test/sim/dht_attackers.h"
#include "test/sim/dht_network.h"

namespace peernet::dht_sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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

}  // namespace

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

}  // namespace peernet::dht_sim
