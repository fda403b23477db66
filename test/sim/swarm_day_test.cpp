#include "test/sim/swarm_day.h"

#include <catch2/catch.hpp>

namespace peernet::sim {
namespace {

// Twelve leechers, four of them hostile.
SwarmFigures figures_with(Hostile kind) {
  SwarmDay day;
  day.leechers_count = 12;
  day.hostile_count = 4;
  day.hostile = kind;
  day.size = 4 * kMiB;
  day.piece_length = 65'536;
  day.seed_up = 500'000;
  day.up = 500'000;
  World world({.seed = 1, .has_digest = false});
  const SwarmFigures figures = run_swarm(world, day);
  CHECK_FALSE(world.has_failed());
  return figures;
}

TEST_CASE("who takes and gives nothing has little when those who give have all", "[sim]") {
  for (const Hostile kind : {Hostile::rider, Hostile::large_view, Hostile::sybil}) {
    const SwarmFigures figures = figures_with(kind);
    CHECK(figures.median < 1.5 * figures.bound_honest);
    CHECK(figures.hostile_had < 0.4);
    CHECK(figures.hostile_median > 1.15 * figures.median);
  }
}

TEST_CASE("a tyrant gains little, and costs the others little", "[sim]") {
  const SwarmFigures figures = figures_with(Hostile::tyrant);
  CHECK(figures.median < 1.8 * figures.bound_honest);
  CHECK(figures.hostile_median > 0.85 * figures.median);
}

}  // namespace
}  // namespace peernet::sim
