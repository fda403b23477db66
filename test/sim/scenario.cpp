#include "test/sim/scenario.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace peernet::sim {
namespace {

constexpr Duration kImportLimit = std::chrono::minutes(2);

std::string describe(World& world, HostIndex index, const Content& content) {
  const Host& host = world.host(index);
  const auto id = world.share_id(content);
  if (!host.is_running()) return fmt::format("host {} does not run", index);
  const auto status = id ? host.node->share(world.timeline.now(), *id) : std::nullopt;
  if (!status) return fmt::format("host {} does not know the share", index);
  static constexpr const char* states[] = {"opening",   "finding",     "fetching", "scanning",
                                           "finishing", "seeding",     "damaged",  "repairing",
                                           "paused",    "quarantined", "failed"};
  std::string lookup = "no lookup";
  if (status->lookup) {
    lookup = fmt::format("lookup at {:.1f} s asked {} and found {}",
                         seconds(status->lookup->at - kWorldStart), status->lookup->nodes_asked,
                         status->lookup->peers_found);
  }
  return fmt::format("host {} is {} with {}/{} pieces, {} connected, {} known, {}, reason \"{}\"{}",
                     index, states[static_cast<std::size_t>(status->state)], status->pieces_done,
                     status->pieces_count, status->peers_connected, status->peers_known, lookup,
                     status->reason, status->error ? ", error " + status->error->what : "");
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"bootstrap_200", "200 nodes join through one and find each other's shares", bootstrap_200},
      {"dead_bootstrap", "after all have joined, the bootstrap node is gone", dead_bootstrap},
      {"peers_of_peers", "no DHT: who knows one peer learns of the others", peers_of_peers},
      {"one_seed_20_leechers", "against the fluid bound, with capped links", one_seed_20_leechers},
      {"ordered_read", "a reader in order while the swarm fetches", ordered_read},
      {"some_files", "some files are fetched, then more, under crashes", some_files},
      {"repair", "damage on disks, found by verify and put right", repair},
      {"capped_16", "the same as other clients were measured in it: 32 MiB, 2 MB/s up", capped_16},
      {"capped_4", "four leechers", capped_4},
      {"capped_64", "64 leechers", capped_64},
      {"capped_unequal", "half of them 3 MB/s up, half 1 MB/s", capped_unequal},
      {"capped_near", "round trips of 5 ms", capped_near},
      {"capped_far", "round trips of 100 ms", capped_far},
      {"capped_fast_seed", "a seed of ten times the uplink", capped_fast_seed},
      {"capped_slow", "100 kB/s up, 4 MiB", capped_slow},
      {"capped_small", "8 MiB", capped_small},
      {"seed_dies_at_60", "once the leechers together hold every piece", seed_dies_at_60},
      {"seed_dies_too_early", "before they do; it comes back later", seed_dies_too_early},
      {"seed_dies_after_two", "A seeds to B and C, dies at 60 % of D", seed_dies_after_two},
      {"crash_restart", "a leecher loses power again and again", crash_restart},
      {"crash_at_the_end", "the power goes while a share is put into its place", crash_at_the_end},
      {"lossy_cut", "lost datagrams, cut, stalled and reset streams", lossy_cut},
      {"liar", "a seed that serves altered blocks", liar},
      {"split", "the network falls into two halves, and heals", split},
      {"limited_share", "one of two shares on a connection has a limit", limited_share},
      {"limited_peers",
       "each peer has a limit over all shares, first at the seed, then at a leecher",
       limited_peers},
      {"disk_full", "no space left, then some", disk_full},
      {"flaky_disk", "reads, writes and syncs that fail now and then", flaky_disk},
      {"tree", "a directory with empty, odd and executable files", tree},
      {"tampered", "a seed whose file is changed all the time", tampered},
      {"blackout", "everybody loses power at once, three times", blackout},
      {"commands", "pause, resume, remove and fetch again, in any order", commands},
      {"random", "everything from the seed: breakage, then healing, then progress", random_day},
  };
  return all;
}

HostIndex begin(World& world) {
  HostOptions options;
  options.name = "bootstrap";
  const HostIndex host = world.add_host(options);
  world.name(kBootstrapName, host);
  world.start(host);
  return host;
}

HostOptions newcomer(std::uint64_t up, std::uint64_t down) {
  HostOptions options;
  options.link.up = up;
  options.link.down = down;
  options.bootstrap = {kBootstrapName};
  return options;
}

Hosts join(World& world, std::uint32_t count, const HostOptions& options, Duration spread) {
  Hosts hosts;
  for (std::uint32_t i = 0; i < count; ++i) {
    HostOptions mine = options;
    mine.name = fmt::format("host-{}", world.hosts_count());
    hosts.push_back(world.add_host(mine));
    world.start(hosts.back());
    world.run_for(spread / std::max<std::uint32_t>(count, 1));
  }
  return hosts;
}

bool offer(World& world, HostIndex host, const Content& content) {
  world.add(host, content);
  if (world.run_until([&] { return world.share_id(content).has_value(); }, kImportLimit)) {
    return true;
  }
  world.fail(fmt::format("host {} does not finish adding {}", host, content.name));
  return false;
}

void fetch_all(World& world, const Hosts& hosts, const Content& content) {
  for (const HostIndex host : hosts) world.fetch(host, content);
}

bool demand(World& world, const Hosts& hosts, const Content& content, Duration limit) {
  const auto lacks = [&](HostIndex host) { return !world.is_complete(host, content); };
  if (world.run_until([&] { return std::none_of(hosts.begin(), hosts.end(), lacks); }, limit)) {
    return true;
  }
  const auto first = std::find_if(hosts.begin(), hosts.end(), lacks);
  if (first != hosts.end()) {
    world.fail(fmt::format("after {:.0f} s, {} of {} hosts lack {}; {}", seconds(world.elapsed()),
                           std::count_if(hosts.begin(), hosts.end(), lacks), hosts.size(),
                           content.name, describe(world, *first, content)));
  }
  return false;
}

std::uint32_t pieces_count(const Content& content) {
  std::uint64_t count = 0;
  for (const ContentFile& file : content.files) {
    count += (file.bytes.size() + content.piece_length - 1) / content.piece_length;
  }
  return static_cast<std::uint32_t>(count);
}

std::uint32_t pieces_held(World& world, const Hosts& hosts, const Content& content) {
  constexpr std::uint64_t block_size = 16 * 1024;
  std::uint32_t held = 0;
  for (const ContentFile& file : content.files) {
    for (std::uint64_t at = 0; at < file.bytes.size(); at += content.piece_length) {
      const std::uint64_t end =
          std::min<std::uint64_t>(file.bytes.size(), at + content.piece_length);
      const auto holds = [&](HostIndex index) {
        const Host& host = world.host(index);
        if (!host.is_running()) return false;
        for (const auto& [storage, holding] : host.holdings) {
          if (!holding.share || holding.share != world.share_id(content)) continue;
          for (std::uint32_t i = 0; i < holding.spec.files.size(); ++i) {
            if (holding.spec.files[i].path != file.path) continue;
            std::uint64_t block = at;
            while (block < end && holding.right_blocks.contains({i, block})) block += block_size;
            return block >= end;
          }
        }
        return false;
      };
      if (std::any_of(hosts.begin(), hosts.end(), holds)) ++held;
    }
  }
  return held;
}

void demand_rest(World& world) {
  world.run_for(std::chrono::seconds(30));
  // A commit or a sync may be under way at any one moment, but not for long.
  for (std::uint32_t i = 0; i < world.hosts_count(); ++i) {
    Host& host = world.host(i);
    const auto is_idle = [&] {
      return host.disk.jobs_count() == 0 && host.store.jobs_count() == 0;
    };
    if (host.is_running() && !world.run_until(is_idle, std::chrono::seconds(30))) {
      world.oracle.at_rest(host);
    }
  }
}

Times times_of(World& world, const Hosts& hosts, const Content& content) {
  std::vector<double> taken;
  for (const HostIndex host : hosts) {
    const ShareFacts& facts = world.host(host).shares[world.share_id(content).value_or(ShareId{})];
    if (facts.fetched && facts.completed)
      taken.push_back(seconds(*facts.completed - *facts.fetched));
  }
  if (taken.empty()) return {};
  std::sort(taken.begin(), taken.end());
  return {taken[taken.size() / 2], taken.back()};
}

std::string times(World& world, const Hosts& hosts, const Content& content) {
  const Times taken = times_of(world, hosts, content);
  if (taken.last == 0) return "nobody";
  return fmt::format("median {:.1f} s, last {:.1f} s", taken.median, taken.last);
}

}  // namespace peernet::sim
