// peernet_swarmsim: one swarm in virtual time, and its figures. The same arguments give the same
// line.

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include "test/sim/swarm_day.h"

namespace {

using namespace peernet::sim;  // NOLINT(google-build-using-namespace)

constexpr const char* kUsage =
    "usage: peernet_swarmsim [--NAME VALUE ...] [--json]\n"
    "  --seed N        (1)\n"
    "  --leechers N    hostile ones included (16)\n"
    "  --hostile N     of them (0)\n"
    "  --kind K        rider, large_view, tyrant or sybil (rider)\n"
    "  --policy P      of the honest: product, tit_for_tat, prop_share or credit (product)\n"
    "  --kib N         size of the file (32768)\n"
    "  --piece-kib N   (256)\n"
    "  --seed-up N     bytes a second (2000000)\n"
    "  --up N          (2000000)\n"
    "  --down N        (100000000)\n"
    "  --round-trip N  ms, median over the pairs (40)\n"
    "  --window N      KiB of one stream on their way at a time (1024)\n"
    "  --arrivals N    leechers that begin in 1000 s, as a Poisson process (0: all at once)\n"
    "  --stay N        seconds that one stays, on the mean, when it has all (0: to the end)\n";

std::optional<std::uint64_t> number(const char* text) {
  std::uint64_t value = 0;
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

struct Arguments {
  SwarmDay day;
  std::uint64_t seed = 1;
  bool is_json = false;
};

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  SwarmDay& day = arguments.day;
  static const std::map<std::string_view, Hostile> kinds = {{"rider", Hostile::rider},
                                                            {"large_view", Hostile::large_view},
                                                            {"tyrant", Hostile::tyrant},
                                                            {"sybil", Hostile::sybil}};
  static const std::map<std::string_view, Policy> policies = {{"product", Policy::product},
                                                              {"tit_for_tat", Policy::tit_for_tat},
                                                              {"prop_share", Policy::prop_share},
                                                              {"credit", Policy::credit}};
  const std::map<std::string_view, std::function<void(std::uint64_t)>> numbers = {
      {"--seed", [&](auto n) { arguments.seed = n; }},
      {"--leechers", [&](auto n) { day.leechers_count = static_cast<std::uint32_t>(n); }},
      {"--hostile", [&](auto n) { day.hostile_count = static_cast<std::uint32_t>(n); }},
      {"--kib", [&](auto n) { day.size = n * kKiB; }},
      {"--piece-kib", [&](auto n) { day.piece_length = static_cast<std::uint32_t>(n * kKiB); }},
      {"--seed-up", [&](auto n) { day.seed_up = n; }},
      {"--up", [&](auto n) { day.up = n; }},
      {"--down", [&](auto n) { day.down = n; }},
      {"--round-trip", [&](auto n) { day.round_trip = std::chrono::milliseconds(n); }},
      {"--window", [&](auto n) { day.window = n * kKiB; }},
      {"--arrivals", [&](auto n) { day.arrivals = static_cast<double>(n) / 1000; }},
      {"--stay", [&](auto n) { day.stay = static_cast<double>(n); }},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      arguments.is_json = true;
      continue;
    }
    if (i + 1 == argc) return std::nullopt;
    const char* const value = argv[++i];
    if (name == "--kind" && kinds.contains(value)) {
      day.hostile = kinds.at(value);
    } else if (name == "--policy" && policies.contains(value)) {
      day.policy = policies.at(value);
    } else if (numbers.contains(name) && number(value)) {
      numbers.at(name)(*number(value));
    } else {
      return std::nullopt;
    }
  }
  if (day.leechers_count == 0 || day.hostile_count >= day.leechers_count) return std::nullopt;
  return arguments;
}

std::string json(const SwarmFigures& figures) {
  return fmt::format(
      R"({{"bound": {:.3f}, "bound_honest": {:.3f}, "median": {:.3f}, "last": {:.3f}, )"
      R"("copies": {:.3f}, "uplinks_used": {:.3f}, "jain": {:.4f}, "gave": {:.3f}, )"
      R"("hostile_had": {:.3f}, "hostile_median": {:.3f}}})",
      figures.bound, figures.bound_honest, figures.median, figures.last, figures.copies,
      figures.uplinks_used, figures.jain, figures.gave, figures.hostile_had,
      figures.hostile_median);
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  if (!arguments) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  World world({.seed = arguments->seed, .has_digest = false});
  const SwarmFigures figures = run_swarm(world, arguments->day);
  if (world.has_failed()) {
    std::fprintf(stderr, "%s\n", world.oracle.failure()->c_str());
    return 1;
  }
  std::printf("%s\n", arguments->is_json ? json(figures).c_str()
                                         : describe(arguments->day, figures).c_str());
  return 0;
}
