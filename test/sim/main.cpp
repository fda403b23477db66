// peernet_sim: runs scenarios of the simulator. The same seed gives the same run, and the same line
// on stdout; it prints no real time, for it knows none.

#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "test/sim/scenario.h"

namespace {

using namespace peernet::sim;  // NOLINT(google-build-using-namespace)

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t runs = 1;
  std::string scenario = "random";
  bool is_logging = false;
  bool is_loud = false;
  bool is_list = false;
};

constexpr const char* kUsage =
    "usage: peernet_sim [--seed N] [--scenario NAME|all] [--runs K] [--log] [--loud] [--list]\n"
    "  --seed N      the first seed (1)\n"
    "  --scenario    a named day, all of them, or random (the default)\n"
    "  --runs K      seeds N to N+K-1\n"
    "  --log         keep the log, and print its end when something fails\n"
    "  --loud        print every line of the log as it comes\n"
    "  --list        the scenarios\n";

std::optional<std::uint64_t> number(const char* text) {
  std::uint64_t value = 0;
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (name == "--log") {
      arguments.is_logging = true;
    } else if (name == "--loud") {
      arguments.is_loud = true;
    } else if (name == "--list") {
      arguments.is_list = true;
    } else if (name == "--scenario" && value != nullptr) {
      arguments.scenario = value;
      ++i;
    } else if ((name == "--seed" || name == "--runs") && value != nullptr && number(value)) {
      (name == "--seed" ? arguments.seed : arguments.runs) = *number(value);
      ++i;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

// What a check that fails (PN_CHECK aborts) still has to know.
struct Running {
  const World* world = nullptr;
  const Scenario* scenario = nullptr;
  char seed[24] = {};
  bool is_logging = false;
};
Running running;  // NOLINT: a signal handler has nothing else

// An abort in a quiet run is played again with the log on, as it will come out the same.
void on_abort(int /*signal*/) {
  if (running.world == nullptr) return;
  if (running.is_logging) {
    running.world->print_log();
    std::fprintf(stderr, "aborted; replay: peernet_sim --seed %s --scenario %s --log\n",
                 running.seed, running.scenario->name);
    return;
  }
  execl("/proc/self/exe", "peernet_sim", "--seed", running.seed, "--scenario",
        running.scenario->name, "--log", static_cast<char*>(nullptr));
}

bool play(const Scenario& scenario, std::uint64_t seed, const Arguments& arguments) {
  World world({.seed = seed, .is_logging = arguments.is_logging, .is_loud = arguments.is_loud});
  running = {.world = &world,
             .scenario = &scenario,
             .seed = {},
             .is_logging = arguments.is_logging || arguments.is_loud};
  std::snprintf(running.seed, sizeof(running.seed), "%llu", static_cast<unsigned long long>(seed));
  Report report;
  scenario.run(world, report);
  running.world = nullptr;
  const auto& failure = world.oracle.failure();
  if (failure && !arguments.is_logging && !arguments.is_loud) {
    Arguments again = arguments;
    again.is_logging = true;
    return play(scenario, seed, again);
  }
  if (failure) {
    world.print_log();
    std::fprintf(stderr, "\nFAILED  %s, seed %llu\n  %s\n", scenario.name,
                 static_cast<unsigned long long>(seed), failure->c_str());
    for (const std::string& line : report) std::fprintf(stderr, "  %s\n", line.c_str());
    std::fprintf(stderr, "  replay: peernet_sim --seed %llu --scenario %s --log\n\n",
                 static_cast<unsigned long long>(seed), scenario.name);
  }
  std::printf("%-22s seed %-6llu %s  digest %016llx  %9llu inputs  %8.1f virtual s\n",
              scenario.name, static_cast<unsigned long long>(seed), failure ? "FAILED" : "ok    ",
              static_cast<unsigned long long>(world.digest()),
              static_cast<unsigned long long>(world.inputs_count()),
              peernet::seconds(world.elapsed()));
  if (!failure) {
    for (const std::string& line : report) std::printf("    %s\n", line.c_str());
  }
  std::fflush(stdout);
  return !failure;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  if (!arguments) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (arguments->is_list) {
    for (const Scenario& scenario : scenarios()) {
      std::printf("%-22s %s\n", scenario.name, scenario.what);
    }
    return 0;
  }
  std::signal(SIGABRT, on_abort);
  bool is_known = false;
  bool is_good = true;
  for (const Scenario& scenario : scenarios()) {
    if (arguments->scenario != "all" && arguments->scenario != scenario.name) continue;
    is_known = true;
    for (std::uint64_t i = 0; i < arguments->runs; ++i) {
      is_good = play(scenario, arguments->seed + i, *arguments) && is_good;
    }
  }
  if (!is_known) {
    std::fprintf(stderr, "no scenario %s; --list names them\n", arguments->scenario.c_str());
    return 2;
  }
  return is_good ? 0 : 1;
}
