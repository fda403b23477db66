#pragma once

// Scenario is a named day, and the small language in which the days are written: who is there, who
// shares, who fetches, and what must have come of it. The numbers that matter stand in the
// scenario.

#include <cstdint>
#include <string>
#include <vector>

#include "test/sim/world.h"

namespace peernet::sim {

using Hosts = std::vector<HostIndex>;
// What is worth printing about a run that went well.
using Report = std::vector<std::string>;

struct Scenario {
  const char* name;
  const char* what;
  void (*run)(World& world, Report& report);
};

const std::vector<Scenario>& scenarios();

inline constexpr const char* kBootstrapName = "bootstrap.test";
inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * 1024;
inline constexpr std::uint32_t kPiece = 65'536;  // bytes of a piece of most shares

// Starts the node that all others know.
HostIndex begin(World& world);
// Options of a host that knows only kBootstrapName.
HostOptions newcomer(std::uint64_t up = 0, std::uint64_t down = 0);
// Adds `count` hosts and starts them, evenly spread over `spread`.
Hosts join(World& world, std::uint32_t count, const HostOptions& options, Duration spread);
// Adds the content on the host and waits until it was hashed.
bool offer(World& world, HostIndex host, const Content& content);
void fetch_all(World& world, const Hosts& hosts, const Content& content);
// Waits until all of them have it; it is a failure if they do not within `limit`.
bool demand(World& world, const Hosts& hosts, const Content& content, Duration limit);
// The pieces of which at least one of the running hosts holds every byte on its disk.
std::uint32_t pieces_held(World& world, const Hosts& hosts, const Content& content);
std::uint32_t pieces_count(const Content& content);
// After all is done: no job may be left over, and nobody may have had more than its share of work.
void demand_rest(World& world);
// Median and last time from fetch to completion, in seconds, of those that completed.
struct Times {
  double median = 0;
  double last = 0;
};
Times times_of(World& world, const Hosts& hosts, const Content& content);
// The same in words.
std::string times(World& world, const Hosts& hosts, const Content& content);

void peers_of_peers(World& world, Report& report);
void bootstrap_200(World& world, Report& report);
void dead_bootstrap(World& world, Report& report);
void one_seed_20_leechers(World& world, Report& report);
void capped_16(World& world, Report& report);
void capped_4(World& world, Report& report);
void capped_64(World& world, Report& report);
void capped_unequal(World& world, Report& report);
void capped_near(World& world, Report& report);
void capped_far(World& world, Report& report);
void capped_fast_seed(World& world, Report& report);
void capped_slow(World& world, Report& report);
void capped_small(World& world, Report& report);
void seed_dies_at_60(World& world, Report& report);
void seed_dies_too_early(World& world, Report& report);
void seed_dies_after_two(World& world, Report& report);
void crash_restart(World& world, Report& report);
void crash_at_the_end(World& world, Report& report);
void lossy_cut(World& world, Report& report);
void liar(World& world, Report& report);
void ordered_read(World& world, Report& report);
void repair(World& world, Report& report);
void some_files(World& world, Report& report);
void split(World& world, Report& report);
void disk_full(World& world, Report& report);
void limited_share(World& world, Report& report);
void limited_peers(World& world, Report& report);
void flaky_disk(World& world, Report& report);
void tree(World& world, Report& report);
void tampered(World& world, Report& report);
void blackout(World& world, Report& report);
void commands(World& world, Report& report);
void random_day(World& world, Report& report);

}  // namespace peernet::sim
