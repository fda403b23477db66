// Days on which nothing is broken but a seed: how fast, and what survives.

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "test/sim/scenario.h"

namespace peernet::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kPiece = 65'536;

double best(World& world, const Hosts& hosts, const Content& content) {
  double most = 0;
  for (const HostIndex host : hosts) most = std::max(most, world.done(host, content));
  return most;
}

}  // namespace

void one_seed_20_leechers(World& world, Report& report) {
  constexpr std::uint64_t size = 8 * kMiB;
  constexpr std::uint64_t seed_up = 500'000;
  constexpr std::uint64_t up = 250'000;
  constexpr std::uint64_t down = 1'000'000;
  constexpr std::uint32_t leechers_count = 20;
  begin(world);
  const HostIndex seed = join(world, 1, newcomer(seed_up, down), seconds(1)).front();
  const Hosts leechers = join(world, leechers_count, newcomer(up, down), seconds(10));
  world.run_for(seconds(20));
  const Content& content = world.keep(make_file(world.rng.next(), "film", size, kPiece));
  if (!offer(world, seed, content)) return;
  world.run_for(seconds(20));
  const std::uint64_t before = world.network.bytes_up(seed);
  fetch_all(world, leechers, content);
  if (!demand(world, leechers, content, minutes(30))) return;
  const auto bytes = static_cast<double>(size);
  const double bound =
      std::max({bytes / seed_up, bytes / down,
                leechers_count * bytes / static_cast<double>(seed_up + leechers_count * up)});
  report.push_back(times(world, leechers, content) + fmt::format(", fluid bound {:.1f} s", bound));
  report.push_back(fmt::format("the seed sent {:.2f} copies",
                               static_cast<double>(world.network.bytes_up(seed) - before) / bytes));
  demand_rest(world);
}

void seed_dies_at_60(World& world, Report& report) {
  begin(world);
  const HostIndex seed = join(world, 1, newcomer(1'000'000, 2'000'000), seconds(1)).front();
  const Hosts leechers = join(world, 6, newcomer(250'000, 2'000'000), seconds(5));
  const Content& content = world.keep(make_file(world.rng.next(), "film", 6 * kMiB, kPiece));
  if (!offer(world, seed, content)) return;
  world.run_for(seconds(20));
  fetch_all(world, leechers, content);
  const bool is_spread = world.run_until(
      [&] {
        return best(world, leechers, content) >= 0.6 &&
               pieces_held(world, leechers, content) == pieces_count(content);
      },
      minutes(30));
  if (!is_spread) {
    world.fail("the leechers never held every piece together");
    return;
  }
  report.push_back(fmt::format("the best leecher had {:.0f} %, together they had all",
                               100 * best(world, leechers, content)));
  world.cut_power(seed);
  demand(world, leechers, content, minutes(30));
}

void seed_dies_too_early(World& world, Report& report) {
  begin(world);
  const HostIndex seed = join(world, 1, newcomer(300'000, 2'000'000), seconds(1)).front();
  const Hosts leechers = join(world, 4, newcomer(500'000, 2'000'000), seconds(5));
  const Content& content = world.keep(make_file(world.rng.next(), "film", 4 * kMiB, kPiece));
  if (!offer(world, seed, content)) return;
  world.run_for(seconds(20));
  fetch_all(world, leechers, content);
  world.run_until([&] { return best(world, leechers, content) >= 0.5; }, minutes(30));
  if (world.has_failed()) return;
  world.kill(seed);
  const std::uint32_t survived = pieces_held(world, leechers, content);
  world.run_for(minutes(10));
  for (const HostIndex host : leechers) {
    if (survived < pieces_count(content) && world.is_complete(host, content)) {
      world.fail("a leecher is complete though a piece has no holder");
    }
    // What is left must have gone round.
    const double there = static_cast<double>(survived) / pieces_count(content);
    if (world.done(host, content) + 0.001 < there) {
      world.fail(fmt::format("host {} has {:.1f} % of what the swarm holds {:.1f} % of", host,
                             100 * world.done(host, content), 100 * there));
    }
  }
  report.push_back(
      fmt::format("{} of {} pieces survived and went round", survived, pieces_count(content)));
  if (world.has_failed()) return;
  world.start(seed);
  demand(world, leechers, content, minutes(45));
}

void seed_dies_after_two(World& world, Report& report) {
  begin(world);
  const Hosts hosts = join(world, 4, newcomer(400'000, 2'000'000), seconds(4));
  const Content& content = world.keep(make_file(world.rng.next(), "film", 6 * kMiB, kPiece));
  if (!offer(world, hosts[0], content)) return;
  world.run_for(seconds(20));
  fetch_all(world, {hosts[1], hosts[2]}, content);
  if (!demand(world, {hosts[1], hosts[2]}, content, minutes(10))) return;
  world.fetch(hosts[3], content);
  if (!world.run_until([&] { return world.done(hosts[3], content) >= 0.6; }, minutes(10))) {
    world.fail("D never has 60 %");
    return;
  }
  world.cut_power(hosts[0]);
  if (!demand(world, {hosts[3]}, content, minutes(10))) return;
  report.push_back("D: " + times(world, {hosts[3]}, content));
}

void tree(World& world, Report& report) {
  begin(world);
  const Hosts hosts = join(world, 4, newcomer(), seconds(4));
  const Content& content =
      world.keep(make_tree(world.rng.next(), "photos", 40, 3 * kMiB, 16 * kKiB));
  if (!offer(world, hosts[0], content)) return;
  world.run_for(seconds(20));
  fetch_all(world, {hosts[1], hosts[2], hosts[3]}, content);
  if (!demand(world, {hosts[1], hosts[2], hosts[3]}, content, minutes(10))) return;
  report.push_back(times(world, {hosts[1], hosts[2], hosts[3]}, content));
  // And it can be taken away again, with its files and nothing else.
  world.remove(hosts[1], content, true);
  world.run_for(seconds(30));
  for (const std::string& path : world.host(hosts[1]).disk.list_paths()) {
    world.fail("removed, and still there: " + path);
  }
  demand_rest(world);
}

}  // namespace peernet::sim
