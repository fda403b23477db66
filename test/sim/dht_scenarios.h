#pragma once

// What is measured in the DHT world: each function builds a network, lets it live, and gives
// figures. All of them are of virtual time and depend on nothing but the seed and the numbers
// given.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "test/sim/dht_world.h"

namespace peernet::dht_sim {

// Of durations in ms, or of counts.
struct Spread {
  std::size_t count = 0;
  double p50 = 0;
  double p95 = 0;
  double p99 = 0;
  double max = 0;
  double mean = 0;
};
Spread spread(std::vector<double> values);

// Lookups for keys that were announced.
struct Hits {
  std::size_t asked = 0;
  std::size_t found = 0;
  Spread first_peer_ms;
  Spread complete_ms;
  Spread queries;
  Spread hops;
};
struct Misses {
  std::size_t asked = 0;
  std::size_t ended = 0;
  Spread complete_ms;
  Spread queries;
};
struct Announces {
  std::size_t asked = 0;
  std::size_t acknowledged = 0;  // by 6 or more
  Spread acknowledged_ms;
  Spread queries;
  Spread stores;  // nodes that had acknowledged when it was told
  double sent_mean =
      0;  // queries sent for one in all, those after it was told and stores with them
};

struct Setting {
  std::uint64_t seed = 1;
  std::size_t nodes = 100;
  std::size_t keys = 40;
  std::size_t seekers = 4;  // of each key
  unsigned natted_percent = 0;
  Options options{};
};

struct SteadyReport {
  Announces announces;
  Hits hits;
  Misses misses;
  Hits hits_after_kill;
  Misses misses_after_kill;
  std::uint64_t digest = 0;
};
// The setting of ANCHORS.md: announces, lookups of what is there and of what is not, and the same
// right after 30 % of the nodes were killed.
SteadyReport steady(const Setting& setting, bool is_kill_measured = true);

struct StartsReport {
  std::size_t starts = 0;
  std::size_t usable = 0;  // within 10 s
  Spread usable_ms;
  // Of a late bootstrap node: since the first query to it that it could answer.
  Spread usable_after_query_ms;
};
enum class Start : std::uint8_t { bootstrap, saved, late_bootstrap };
// How long until a newcomer has heard of 8 nodes that answer.
StartsReport starts(const Setting& setting, Start how, std::size_t count);

struct IdleReport {
  Spread table;          // nodes in a table 20 s after the last start
  Spread table_percent;  // of those that can be reached
  Spread queries;        // a second, of an idle node, 20 to 60 min after the start
  Spread bytes;
};
IdleReport idle(const Setting& setting);

enum class Attack : std::uint8_t {
  sybils,
  sybils_bep42,
  colluders,
  colluders_alive,
  colluders_dead,
  eclipse  // sybils around one node's id, who talk to it alone
};
// What is stored and sought under attack: peers, announced and looked up, or items, put and got.
enum class Stored : std::uint8_t { peers, items };
struct AttackReport {
  Announces stores_before;
  Hits before;
  Announces stores;  // under attack
  Hits under;
  Hits after;  // 30 s after they left, what was stored under attack
};
// `hostile`: sybils for each of setting.keys keys, or colluders in all. setting.nodes are honest.
AttackReport attack(const Setting& setting, Attack kind, std::size_t hostile, Stored stored);

struct FloodReport {
  double proven_served_percent = 0;     // of the queries of nodes that answered the victim before
  double newcomers_served_percent = 0;  // of nodes it never heard of
  double amplification = 0;             // bytes back to the flooders for each of theirs
};
// Flooders ask one node 50 times a second each.
FloodReport flood(const Setting& setting, std::size_t flooders);

struct ChurnReport {
  Hits hits;
  Misses misses;
  Announces announces;
};
// Sessions are exponential with this median; who leaves is replaced by a newcomer.
ChurnReport churn(const Setting& setting, Duration session_median, Duration length);

std::string describe(const Spread& spread, const char* unit);

}  // namespace peernet::dht_sim
