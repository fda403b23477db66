// A day whose every number comes from the seed. Phase one breaks things for a while; phase two
// heals the world and demands progress: every leecher completes, and nothing is left over.

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

#include "test/sim/scenario.h"

namespace peernet::sim {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct Day {
  std::uint32_t seeds = 0;
  std::uint32_t leechers = 0;
  std::uint32_t bystanders = 0;
  std::uint32_t restricted = 0;  // leechers behind a NAT
  std::uint32_t contents = 0;
  std::uint32_t piece_length = 0;
  std::uint64_t size = 0;
  std::uint64_t up = 0;
  std::uint64_t down = 0;
  bool is_tree = false;
  bool is_lied_to = false;
  NetworkOptions network;
  double pauses = 0;        // per leecher and minute
  double seed_crashes = 0;  // per seed and minute
  double crashes = 0;       // per leecher and minute
  double partitions = 0;    // chance for each minute
  double disk_errors = 0;
  Duration breakage{};
};

Day draw(Rng& rng) {
  const auto often = [&](std::uint64_t one_in, double most) {
    return rng.below(one_in) == 0 ? rng.unit() * most : 0.0;
  };
  Day day;
  day.seeds = static_cast<std::uint32_t>(1 + rng.below(3));
  day.leechers = static_cast<std::uint32_t>(1 + rng.below(8));
  day.bystanders = static_cast<std::uint32_t>(rng.below(12));
  day.restricted = static_cast<std::uint32_t>(rng.below(day.leechers + 1) / 2);
  day.contents = static_cast<std::uint32_t>(1 + rng.below(2));
  day.piece_length = 16'384U << rng.below(7);
  day.size = 1 + rng.below(3 * kMiB);
  day.up = rng.below(3) == 0 ? 0 : 100'000 + rng.below(1'000'000);
  day.down = rng.below(3) == 0 ? 0 : 200'000 + rng.below(3'000'000);
  day.is_tree = rng.below(3) == 0;
  day.is_lied_to = rng.below(5) == 0;
  day.network.round_trip = Duration{static_cast<std::int64_t>(1000 + rng.below(150'000))};
  day.network.jitter = Duration{static_cast<std::int64_t>(rng.below(20'000))};
  day.network.loss = often(2, 0.15);
  day.network.duplicate = often(3, 0.1);
  day.network.reorder = often(3, 0.2);
  day.network.cut = rng.unit() * 0.5;
  day.network.stall = often(3, 0.02);
  day.network.reset = often(3, 0.003);
  day.crashes = often(2, 2);
  day.partitions = often(3, 0.7);
  day.disk_errors = often(4, 0.01);
  day.pauses = often(3, 4);
  day.seed_crashes = often(4, 0.5);
  day.breakage = seconds(60 + rng.below(240));
  return day;
}

std::string describe(const Day& day) {
  return fmt::format(
      "{} seeds, {} leechers ({} behind NAT), {} bystanders, {} x {} bytes{} in pieces of {}, up "
      "{}, "
      "down {}, round trip {:.0f} ms, loss {:.3f}, duplicate {:.3f}, reorder {:.3f}, cut {:.2f}, "
      "stall {:.4f}, reset {:.4f}, crashes {:.2f}/min (seeds {:.2f}), pauses {:.2f}/min, "
      "partitions {:.2f}, disk errors {:.4f}{}",
      day.seeds, day.leechers, day.restricted, day.bystanders, day.contents, day.size,
      day.is_tree ? " as a tree" : "", day.piece_length, day.up, day.down,
      1000 * peernet::seconds(day.network.round_trip), day.network.loss, day.network.duplicate,
      day.network.reorder, day.network.cut, day.network.stall, day.network.reset, day.crashes,
      day.seed_crashes, day.pauses, day.partitions, day.disk_errors,
      day.is_lied_to ? ", one seed lies" : "");
}

void crash_some(World& world, Rng& rng, const Hosts& hosts, double per_minute) {
  for (const HostIndex host : hosts) {
    if (rng.unit() >= per_minute / 60) continue;
    if (!world.host(host).is_running()) continue;
    const std::uint64_t how = rng.below(3);
    if (how == 0) {
      world.stop(host);
    } else if (how == 1) {
      world.kill(host);
    } else {
      world.cut_power(host);
    }
  }
  for (const HostIndex host : hosts) {
    if (!world.host(host).is_running() && rng.below(8) == 0) world.start(host);
  }
}

void pause_some(World& world, Rng& rng, const Day& day, const Hosts& hosts,
                const std::vector<const Content*>& contents) {
  for (const HostIndex host : hosts) {
    if (rng.unit() >= day.pauses / 60 || !world.host(host).is_running()) continue;
    const Content& content = *contents[rng.below(contents.size())];
    const auto id = world.share_id(content);
    if (!id || !world.host(host).node->share(world.timeline.now(), *id)) continue;
    world.pause(host, content, rng.below(2) == 0);
  }
}

// At the full minute of phase one.
void cut_some(World& world, Rng& rng, const Day& day, std::uint32_t second) {
  if (second % 60 == 0) {
    world.network.blocked = {};
    if (rng.unit() < day.partitions) {
      const std::uint64_t halves = rng.next();
      const bool is_one_way = rng.below(2) == 0;
      world.network.blocked = [halves, is_one_way](HostIndex from, HostIndex to) {
        const auto a = halves >> from % 64 & 1U;
        const auto b = halves >> to % 64 & 1U;
        return is_one_way ? a < b : a != b;
      };
    }
  }
}

// Whoever looked at the status would see what is not running, and resume it.
void try_again(World& world, const Hosts& hosts, const Content& content) {
  for (const HostIndex index : hosts) {
    const Host& host = world.host(index);
    const auto id = world.share_id(content);
    if (!host.is_running() || !id) continue;
    const auto status = host.node->share(world.timeline.now(), *id);
    if (status && (status->state == transfer::ShareState::failed ||
                   status->state == transfer::ShareState::paused)) {
      world.pause(index, content, false);
    }
  }
}

void set_disk_errors(World& world, const Hosts& hosts, double errors) {
  for (const HostIndex host : hosts) {
    world.host(host).disk.options.errors = errors;
    world.host(host).disk.options.sync_errors = errors;
    world.host(host).store.options.errors = errors;
  }
}

}  // namespace

void random_day(World& world, Report& report) {
  Rng rng = world.rng.fork();
  const Day day = draw(rng);
  report.push_back(describe(day));
  world.note(describe(day));
  world.oracle.is_everybody_honest = !day.is_lied_to;
  world.network.options = day.network;
  begin(world);
  join(world, day.bystanders, newcomer(), seconds(10));
  const Hosts seeds = join(world, day.seeds, newcomer(day.up, day.down), seconds(5));
  Hosts leechers;
  if (day.leechers > day.restricted) {
    leechers = join(world, day.leechers - day.restricted, newcomer(day.up, day.down), seconds(5));
  }
  HostOptions inside = newcomer(day.up, day.down);
  inside.link.nat = Nat::restricted;
  for (const HostIndex host : join(world, day.restricted, inside, seconds(5))) {
    leechers.push_back(host);
  }
  std::vector<const Content*> contents;
  for (std::uint32_t i = 0; i < day.contents; ++i) {
    const std::string name = fmt::format("share-{}", i);
    contents.push_back(&world.keep(
        day.is_tree ? make_tree(rng.next(), name, 2 + i * 20, day.size, day.piece_length)
                    : make_file(rng.next(), name, day.size, day.piece_length)));
    for (const HostIndex seed : seeds) {
      if (!offer(world, seed, *contents.back())) return;
    }
  }
  if (day.is_lied_to && seeds.size() > 1) world.host(seeds[0]).disk.options.is_lying = true;
  world.run_for(seconds(rng.below(60)));
  for (const Content* content : contents) fetch_all(world, leechers, *content);

  set_disk_errors(world, leechers, day.disk_errors);
  const auto length = static_cast<std::uint32_t>(peernet::seconds(day.breakage));
  for (std::uint32_t second = 0; second < length && !world.has_failed(); ++second) {
    crash_some(world, rng, leechers, day.crashes);
    crash_some(world, rng, seeds, day.seed_crashes);
    pause_some(world, rng, day, leechers, contents);
    cut_some(world, rng, day, second);
    world.run_for(seconds(1));
  }

  world.network.blocked = {};
  world.network.options.loss = 0;
  world.network.options.reset = 0;
  world.network.options.stall = 0;
  set_disk_errors(world, leechers, 0);
  world.run_for(seconds(6));  // who was stopping has stopped
  for (std::uint32_t host = 0; host < world.hosts_count(); ++host) {
    if (!world.host(host).is_running()) world.start(host);
  }
  world.run_for(seconds(5));
  for (const Content* content : contents) {
    for (const HostIndex host : leechers) {
      // A crash may have come before the wish was durable.
      const auto id = world.share_id(*content);
      if (!world.has_failed() && !world.host(host).node->share(world.timeline.now(), *id)) {
        world.fetch(host, *content);
      }
    }
    try_again(world, leechers, *content);
  }
  for (const Content* content : contents) {
    if (!demand(world, leechers, *content, hours(2))) return;
    report.push_back(content->name + ": " + times(world, leechers, *content));
  }
  demand_rest(world);
}

}  // namespace peernet::sim
