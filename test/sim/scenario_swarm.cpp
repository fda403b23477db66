// Days on which nothing is broken but a seed: how fast, and what survives.

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "test/sim/scenario.h"

namespace peernet::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

double best(World& world, const Hosts& hosts, const Content& content) {
  double most = 0;
  for (const HostIndex host : hosts) most = std::max(most, world.done(host, content));
  return most;
}

// A swarm behind capped uplinks: one seed, everybody else begins at the same moment.
struct Capped {
  std::uint32_t leechers_count = 0;
  std::uint64_t size = 0;
  std::uint32_t piece_length = kPiece;
  std::uint64_t seed_up = 0;
  std::uint64_t up = 0;
  std::uint64_t up_other = 0;  // of every other leecher; 0: the same
  std::uint64_t down = 0;
  Duration round_trip{40'000};
  // What must be reached, in multiples of the bound and of the size; 0: nothing.
  double median_max = 0;
  double last_max = 0;
  double copies_max = 0;
  double fairness_min = 0;
};

std::uint64_t sent_by(World& world, const Hosts& hosts) {
  std::uint64_t sum = 0;
  for (const HostIndex host : hosts) sum += world.network.bytes_up(host);
  return sum;
}

// Jain's index: 1 when all are equal, 1/n when one has everything.
double jain(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  return squares == 0 ? 1 : sum * sum / (static_cast<double>(values.size()) * squares);
}

// What each host sent for each byte it got, since `before`.
struct Traffic {
  std::uint64_t up = 0;
  std::uint64_t down = 0;
};

std::vector<Traffic> traffic_of(World& world, const Hosts& hosts) {
  std::vector<Traffic> traffic;
  for (const HostIndex host : hosts) {
    traffic.push_back({world.network.bytes_up(host), world.network.bytes_down(host)});
  }
  return traffic;
}

double fairness(const std::vector<Traffic>& before, const std::vector<Traffic>& after) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto down = static_cast<double>(after[i].down - before[i].down);
    ratios.push_back(static_cast<double>(after[i].up - before[i].up) / std::max(down, 1.0));
  }
  return jain(ratios);
}

// Median and last against what no swarm can beat (Kumar and Ross 2006), what the seed sent, and how
// much of the leechers' uplinks was used in each tenth of the time to the median.
void capped_swarm(World& world, Report& report, const Capped& swarm) {
  world.network.options.round_trip = swarm.round_trip;
  begin(world);
  const HostIndex seed = join(world, 1, newcomer(swarm.seed_up, swarm.down), seconds(1)).front();
  const std::uint64_t up_other = swarm.up_other == 0 ? swarm.up : swarm.up_other;
  const std::uint32_t others_count = swarm.leechers_count / 2;
  Hosts leechers =
      join(world, swarm.leechers_count - others_count, newcomer(swarm.up, swarm.down), seconds(5));
  for (const HostIndex host :
       join(world, others_count, newcomer(up_other, swarm.down), seconds(5))) {
    leechers.push_back(host);
  }
  world.run_for(seconds(20));
  const Content& content =
      world.keep(make_file(world.rng.next(), "film", swarm.size, swarm.piece_length));
  if (!offer(world, seed, content)) return;
  world.run_for(seconds(20));
  const auto bytes = static_cast<double>(swarm.size);
  const auto seed_up = static_cast<double>(swarm.seed_up);
  const auto leechers_up = static_cast<double>((swarm.leechers_count - others_count) * swarm.up +
                                               others_count * up_other);
  const double bound = std::max({bytes / seed_up, bytes / static_cast<double>(swarm.down),
                                 swarm.leechers_count * bytes / (seed_up + leechers_up)});
  const std::uint64_t before = world.network.bytes_up(seed);
  const std::vector<Traffic> traffic = traffic_of(world, leechers);
  fetch_all(world, leechers, content);
  std::string used;
  for (int tenth = 0; tenth < 10; ++tenth) {
    const std::uint64_t sent = sent_by(world, leechers);
    world.run_for(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(bound / 10)));
    used += fmt::format(" {:.0f}", 100 * static_cast<double>(sent_by(world, leechers) - sent) /
                                       (leechers_up * bound / 10));
  }
  if (!demand(world, leechers, content, minutes(30))) return;
  const Times taken = times_of(world, leechers, content);
  const double copies = static_cast<double>(world.network.bytes_up(seed) - before) / bytes;
  const double fair = fairness(traffic, traffic_of(world, leechers));
  report.push_back(times(world, leechers, content) +
                   fmt::format(", fluid bound {:.1f} s: {:.3f} and {:.3f} of it", bound,
                               taken.median / bound, taken.last / bound));
  report.push_back(fmt::format("the seed sent {:.2f} copies; Jain's index of given to got {:.3f}",
                               copies, fair));
  report.push_back("percent of the leechers' uplinks used, by tenths of the bound:" + used);
  const bool is_late = (swarm.median_max > 0 && taken.median > swarm.median_max * bound) ||
                       (swarm.last_max > 0 && taken.last > swarm.last_max * bound);
  const bool is_wasteful = swarm.copies_max > 0 && copies > swarm.copies_max;
  if (is_late || is_wasteful || fair < swarm.fairness_min) {
    world.fail("the swarm did not do as well as it must");
  }
  demand_rest(world);
}

}  // namespace

void one_seed_20_leechers(World& world, Report& report) {
  capped_swarm(world, report,
               {.leechers_count = 20,
                .size = 8 * kMiB,
                .seed_up = 500'000,
                .up = 250'000,
                .down = 1'000'000});
}

// The swarm that libtorrent, aria2 and transmission were measured in.
constexpr Capped kMeasured = {.leechers_count = 16,
                              .size = 32 * kMiB,
                              .piece_length = 262'144,
                              .seed_up = 2'000'000,
                              .up = 2'000'000,
                              .down = 100'000'000};

void capped_16(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.median_max = 1.15;
  swarm.last_max = 1.25;
  swarm.copies_max = 1.15;
  swarm.fairness_min = 0.97;
  capped_swarm(world, report, swarm);
}

void capped_4(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.leechers_count = 4;
  capped_swarm(world, report, swarm);
}

void capped_64(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.leechers_count = 64;
  capped_swarm(world, report, swarm);
}

void capped_unequal(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.up = 3'000'000;
  swarm.up_other = 1'000'000;
  swarm.median_max = 1.35;
  capped_swarm(world, report, swarm);
}

void capped_near(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.round_trip = std::chrono::milliseconds(5);
  capped_swarm(world, report, swarm);
}

void capped_far(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.round_trip = std::chrono::milliseconds(100);
  capped_swarm(world, report, swarm);
}

void capped_fast_seed(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.seed_up = 20'000'000;
  capped_swarm(world, report, swarm);
}

void capped_slow(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.size = 4 * kMiB;
  swarm.piece_length = kPiece;
  swarm.seed_up = 100'000;
  swarm.up = 100'000;
  swarm.median_max = 1.3;
  swarm.fairness_min = 0.97;
  capped_swarm(world, report, swarm);
}

// Its last round is half of it.
void capped_small(World& world, Report& report) {
  Capped swarm = kMeasured;
  swarm.size = 8 * kMiB;
  swarm.median_max = 1.35;
  swarm.copies_max = 1.25;
  capped_swarm(world, report, swarm);
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
