// Days on which finding is what matters.

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "test/sim/scenario.h"

namespace peernet::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// Each of `pairs` hosts from the front shares a small file; as many from the back fetch one each,
// knowing nothing but the link.
void find_each_other(World& world, const Hosts& hosts, std::uint32_t pairs, Duration limit,
                     Report& report) {
  std::vector<const Content*> contents;
  for (std::uint32_t i = 0; i < pairs; ++i) {
    contents.push_back(&world.keep(
        make_file(world.rng.next(), fmt::format("small-{}", i), 40'000 + 1000 * i, 65'536)));
    if (!offer(world, hosts[i], *contents.back())) return;
  }
  world.run_for(seconds(30));  // the announces
  const Time begun = world.timeline.now();
  for (std::uint32_t i = 0; i < pairs; ++i) {
    world.fetch(hosts[hosts.size() - 1 - i], *contents[i]);
  }
  for (std::uint32_t i = 0; i < pairs; ++i) {
    if (!demand(world, {hosts[hosts.size() - 1 - i]}, *contents[i], limit)) return;
  }
  report.push_back(fmt::format("{} shares found and fetched in {:.1f} s by {} nodes", pairs,
                               peernet::seconds(world.timeline.now() - begun), hosts.size()));
}

}  // namespace

// Leechers that come one after the other know the slow seed alone, and nobody has a DHT. Each is to
// hear of the others from it; the one that has peer exchange off meets only who dials it.
void peers_of_peers(World& world, Report& report) {
  HostOptions options;
  options.link.up = 60'000;
  options.link.down = 2'000'000;
  const HostIndex seed = join(world, 1, options, seconds(1)).front();
  const Hosts leechers = join(world, 8, options, seconds(1));
  options.transfer.has_pex = false;
  const HostIndex deaf = join(world, 1, options, seconds(1)).front();
  const Content& content = world.keep(make_file(world.rng.next(), "film", 6 * kMiB, 65'536));
  if (!offer(world, seed, content)) return;
  for (const HostIndex host : leechers) {
    world.fetch(host, content, {seed});
    world.run_for(seconds(3));
  }
  world.fetch(deaf, content, {seed});
  world.run_for(seconds(90));
  const auto met = [&](HostIndex host, std::string_view how) {
    std::uint32_t count = 0;
    for (const auto& peer : world.host(host).node->peers(world.timeline.now())) {
      if (peer.found_by == how) ++count;
    }
    return count;
  };
  std::uint32_t told = 0;
  std::uint32_t fewest = ~0U;
  for (const HostIndex host : leechers) {
    if (world.has_failed()) return;
    told += met(host, "pex");
    const auto peers = world.host(host).node->peers(world.timeline.now()).size();
    fewest = std::min(fewest, static_cast<std::uint32_t>(peers));
  }
  report.push_back(fmt::format(
      "{} connections by peer exchange; the loneliest of 8 leechers has {} peers", told, fewest));
  if (fewest < 7) world.fail("a leecher has not met the others");
  if (met(deaf, "pex") > 0) world.fail("peer exchange is off, and it dialled who was named");
  demand(world, leechers, content, minutes(10));
}

void bootstrap_200(World& world, Report& report) {
  world.network.options.loss = 0.02;
  begin(world);
  const Hosts hosts = join(world, 200, newcomer(), minutes(1));
  world.run_for(seconds(30));
  std::uint32_t nodes_min = ~0U;
  for (const HostIndex host : hosts) {
    if (world.has_failed()) return;
    const auto status = world.host(host).node->status(world.timeline.now());
    if (!status.dht.is_joined) world.fail(fmt::format("host {} did not join", host));
    nodes_min = std::min(nodes_min, status.dht.nodes);
  }
  report.push_back(fmt::format("the poorest table holds {} nodes", nodes_min));
  find_each_other(world, hosts, 20, minutes(5), report);
  report.push_back(fmt::format("{} datagrams", world.network.datagrams_count()));
}

void dead_bootstrap(World& world, Report& report) {
  const HostIndex bootstrap = begin(world);
  const Hosts hosts = join(world, 40, newcomer(), seconds(30));
  world.run_for(minutes(2));
  world.cut_power(bootstrap);
  find_each_other(world, hosts, 10, minutes(5), report);
  if (world.has_failed()) return;
  // Who was here before comes back without anybody's help.
  for (std::uint32_t i = 20; i < 25; ++i) world.stop(hosts[i]);
  world.run_for(seconds(10));
  for (std::uint32_t i = 20; i < 25; ++i) world.start(hosts[i]);
  world.run_for(minutes(1));
  for (std::uint32_t i = 20; i < 25 && !world.has_failed(); ++i) {
    if (!world.host(hosts[i]).node->status(world.timeline.now()).dht.is_joined) {
      world.fail(fmt::format("host {} does not find back without the bootstrap node", hosts[i]));
    }
  }
}

}  // namespace peernet::sim
