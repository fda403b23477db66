#pragma once

// SwarmDay is one swarm from its first byte on: a seed, leechers behind access links, some of them
// hostile, perhaps coming and going; and the figures that came of it, beside what no swarm can
// beat.

#include <cstdint>
#include <string>
#include <vector>

#include "test/sim/scenario.h"

namespace peernet::sim {

enum class Hostile : std::uint8_t {
  rider,       // takes, and gives nothing
  large_view,  // a rider that knows every address from the start
  tyrant,      // BitTyrant
  sybil,       // riders in one network, which give to each other only
};

enum class Policy : std::uint8_t { product, tit_for_tat, prop_share, credit };

struct SwarmDay {
  std::uint32_t leechers_count = 16;  // hostile ones included
  std::uint32_t hostile_count = 0;
  Hostile hostile = Hostile::rider;
  Policy policy = Policy::product;  // of those that are honest
  std::uint64_t size = 32 * kMiB;
  std::uint32_t piece_length = 262'144;
  std::uint64_t seed_up = 2'000'000;
  std::uint64_t up = 2'000'000;
  std::uint64_t down = 100'000'000;
  Duration round_trip{40'000};     // median over the pairs
  std::size_t window = 1U << 20U;  // bytes of one stream on their way at a time
  double arrivals = 0;             // leechers that begin, a second (Poisson); 0: all at once
  double stay = 0;                 // mean seconds that one stays when it has all; 0: to the end
};

struct SwarmFigures {
  double bound = 0;         // s: no swarm serves everybody faster (Kumar and Ross 2006)
  double bound_honest = 0;  // likewise those that give, if those that do not got nothing
  double median = 0;        // s, of the honest
  double last = 0;
  double copies = 0;          // that the seed had sent when the last honest had all
  double uplinks_used = 0;    // of the honest leechers, until their median
  double jain = 0;            // of gave / got, over the honest
  double gave = 0;            // median of gave / got, over the honest
  double hostile_had = 0;     // of the file, median at the median of the honest; 0 without them
  double hostile_median = 0;  // s; 0 without them or where it did not come to that
};

// Failures are the world's.
SwarmFigures run_swarm(World& world, const SwarmDay& day);
std::string describe(const SwarmDay& day, const SwarmFigures& figures);

}  // namespace peernet::sim
