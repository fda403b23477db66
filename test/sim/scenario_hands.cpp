// Days on which people are at work: they change files under a running node, pull the plug of all of
// it, and give one command after the other.

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "test/sim/scenario.h"

namespace peernet::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

}  // namespace

// Everybody is honest: who serves a changed block has broken the promise, and would be banned.
void tampered(World& world, Report& report) {
  begin(world);
  const HostIndex changing = join(world, 1, newcomer(1'000'000, 1'000'000), seconds(1)).front();
  const HostIndex steady = join(world, 1, newcomer(200'000, 1'000'000), seconds(1)).front();
  const Hosts leechers = join(world, 4, newcomer(300'000, 1'000'000), seconds(4));
  const Content& content = world.keep(make_file(world.rng.next(), "film", 4 * kMiB, kPiece));
  if (!offer(world, changing, content) || !offer(world, steady, content)) return;
  world.run_for(seconds(20));
  fetch_all(world, leechers, content);
  const std::string path = Disk::join(kSharedDirectory, content.name, "");
  world.host(changing).is_tampered = true;
  std::uint32_t changes = 0;
  for (; changes < 600 && !world.has_failed(); ++changes) {
    const std::uint64_t offset = world.rng.below(content.size());
    world.host(changing).disk.tamper(path, offset);
    world.run_for(milliseconds(world.rng.below(100)));
    // Most are taken back: the file is as it was, and newer.
    if (world.rng.below(10) != 0) world.host(changing).disk.tamper(path, offset);
    world.run_for(milliseconds(world.rng.below(20)));
  }
  if (!demand(world, leechers, content, minutes(30))) return;
  report.push_back(fmt::format("{} changes; ", changes) + times(world, leechers, content));
}

// Both shares go over one connection. The limit of one holds back nothing of the other, and is
// kept.
void limited_share(World& world, Report& report) {
  constexpr std::uint64_t limit = 50'000;
  constexpr std::uint64_t up = 1'000'000;
  begin(world);
  const HostIndex seed = join(world, 1, newcomer(up, up), seconds(1)).front();
  const HostIndex leecher = join(world, 1, newcomer(up, up), seconds(1)).front();
  const Content& slow = world.keep(make_file(world.rng.next(), "slow", 4 * kMiB, kPiece));
  const Content& free = world.keep(make_file(world.rng.next(), "free", 16 * kMiB, kPiece));
  if (!offer(world, seed, slow) || !offer(world, seed, free)) return;
  world.limit(seed, slow, {limit, std::nullopt});
  world.run_for(seconds(20));
  world.fetch(leecher, slow);
  world.run_for(seconds(10));
  const double slow_before = world.done(leecher, slow);
  world.fetch(leecher, free);
  world.run_for(seconds(5));
  const double free_before = world.done(leecher, free);
  world.run_for(seconds(10));
  if (world.has_failed()) return;
  const double free_rate = (world.done(leecher, free) - free_before) * (16 * kMiB) / 10;
  const double slow_rate = (world.done(leecher, slow) - slow_before) * (4 * kMiB) / 15;
  report.push_back(fmt::format("{:.0f} B/s of the limited share, {:.0f} B/s of the other",
                               slow_rate, free_rate));
  if (free_rate < 0.85 * (up - limit)) world.fail("the limit of one share holds back the other");
  if (slow_rate < 0.85 * limit || slow_rate > 1.05 * limit) world.fail("the limit is not kept");
}

// One leecher fetches two shares and another a third. What is allowed for each peer is what each
// gets, to 5 % over 10 s, and not more with two shares than with one. It is so little that nobody
// has had its allowance in that time.
void limited_peers(World& world, Report& report) {
  constexpr std::uint64_t up = 1'000'000;
  constexpr double size = 16 * kMiB;
  begin(world);
  const HostIndex seed = join(world, 1, newcomer(up, up), seconds(1)).front();
  const Hosts leechers = join(world, 2, newcomer(up, up), seconds(2));
  std::vector<const Content*> contents;
  for (const char* name : {"one", "two", "three"}) {
    contents.push_back(&world.keep(make_file(world.rng.next(), name, 16 * kMiB, kPiece)));
    if (!offer(world, seed, *contents.back())) return;
  }
  world.limit_peers(seed, {{60'000, std::nullopt}});
  world.run_for(seconds(20));
  world.fetch(leechers[0], *contents[0]);
  world.fetch(leechers[0], *contents[1]);
  world.fetch(leechers[1], *contents[2]);
  world.run_for(seconds(5));
  const auto got = [&] {
    const double first =
        world.done(leechers[0], *contents[0]) + world.done(leechers[0], *contents[1]);
    return std::array{first * size, world.done(leechers[1], *contents[2]) * size};
  };
  const auto demand_rates = [&](double first, double second) {
    const auto before = got();
    world.run_for(seconds(10));
    const auto after = got();
    const std::array rates{(after[0] - before[0]) / 10, (after[1] - before[1]) / 10};
    report.push_back(fmt::format("{:.0f} and {:.0f} B/s of {:.0f} and {:.0f}", rates[0], rates[1],
                                 first, second));
    const bool is_kept =
        std::abs(rates[0] - first) <= 0.05 * first && std::abs(rates[1] - second) <= 0.05 * second;
    if (!is_kept) world.fail("the limit of each peer is not kept");
  };
  demand_rates(60'000, 60'000);
  world.limit_peers(leechers[0], {{std::nullopt, 30'000}});
  world.run_for(seconds(3));  // what was asked for before comes first
  demand_rates(30'000, 60'000);
}

void blackout(World& world, Report& report) {
  const HostIndex bootstrap = begin(world);
  const Hosts hosts = join(world, 8, newcomer(300'000, 1'000'000), seconds(8));
  const Content& content = world.keep(make_file(world.rng.next(), "film", 4 * kMiB, kPiece));
  if (!offer(world, hosts[0], content)) return;
  world.run_for(seconds(20));
  const Hosts leechers(hosts.begin() + 1, hosts.end());
  fetch_all(world, leechers, content);
  for (int times = 0; times < 3; ++times) {
    world.run_for(milliseconds(2000 + world.rng.below(6000)));
    if (world.has_failed()) return;
    for (std::uint32_t i = 0; i < world.hosts_count(); ++i) world.cut_power(i);
    world.run_for(seconds(30));
    world.start(bootstrap);
    for (const HostIndex host : hosts) {
      world.run_for(milliseconds(world.rng.below(3000)));
      world.start(host);
    }
  }
  if (!demand(world, leechers, content, minutes(45))) return;
  std::uint64_t written = 0;
  for (const HostIndex host : leechers) written += world.host(host).fetched_bytes;
  report.push_back(fmt::format(
      "{:.3f} times what was needed was written",
      static_cast<double>(written) / static_cast<double>(leechers.size() * content.size())));
  demand_rest(world);
}

void commands(World& world, Report& report) {
  begin(world);
  const Hosts hosts = join(world, 5, newcomer(400'000, 800'000), seconds(5));
  const Content& content =
      world.keep(make_tree(world.rng.next(), "photos", 15, 2 * kMiB, 32 * kKiB));
  if (!offer(world, hosts[0], content)) return;
  world.run_for(seconds(20));
  const Hosts leechers(hosts.begin() + 1, hosts.end());
  fetch_all(world, leechers, content);
  const auto is_known = [&](HostIndex host) {
    return world.host(host)
        .node->share(world.timeline.now(), world.share_id(content).value())
        .has_value();
  };
  std::uint32_t removals = 0;
  std::vector<bool> is_leaving(world.hosts_count(), false);
  for (std::uint32_t i = 0; i < 400 && !world.has_failed(); ++i) {
    world.run_for(milliseconds(world.rng.below(400)));
    if (world.has_failed()) return;
    const HostIndex host = leechers[world.rng.below(leechers.size())];
    if (!is_known(host)) {
      is_leaving[host] = false;
      world.fetch(host, content);
      continue;
    }
    if (is_leaving[host]) continue;
    switch (world.rng.below(8)) {
      case 0:
        world.remove(host, content, true);
        is_leaving[host] = true;
        ++removals;
        break;
      case 1:
      case 2: world.pause(host, content, true); break;
      default: world.pause(host, content, false); break;
    }
  }
  world.run_for(seconds(30));
  for (const HostIndex host : leechers) {
    if (world.has_failed()) return;
    if (!is_known(host)) {
      world.fetch(host, content);
    } else {
      world.pause(host, content, false);
    }
  }
  if (!demand(world, leechers, content, minutes(45))) return;
  report.push_back(fmt::format("{} removals", removals));
  demand_rest(world);
}

}  // namespace peernet::sim
