// peernet_dhtsim: measures networks of DHT nodes in virtual time. The same arguments give the same
// lines on stdout, the last of which holds the digest of all datagrams.

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "test/sim/dht_scenarios.h"

namespace {

using namespace peernet::dht_sim;  // NOLINT(google-build-using-namespace)

constexpr const char* kUsage =
    "usage: peernet_dhtsim SCENARIO [--seed N] [--nodes N] [--keys N] [--seekers N] [--hostile N]\n"
    "                      [--natted PERCENT] [--count N] [--session SECONDS] [--items] [--json]\n"
    "  steady       announces and lookups, and the same right after 30 % were killed\n"
    "  scale        the same without the kill\n"
    "  starts       until a newcomer knows 8 nodes: from a bootstrap node, saved nodes, a late "
    "one\n"
    "  idle         what a table holds after 20 s, and what an idle node sends\n"
    "  sybils, sybils_bep42, colluders, colluders_alive, colluders_dead   --hostile many;\n"
    "               with --items they attack puts and gets, not announces and lookups\n"
    "  eclipse      --hostile sybils around the id of the one node that seeks\n"
    "  flood        --hostile sources at one node\n"
    "  churn        sessions with a median of --session\n";

struct Arguments {
  std::string scenario;
  Setting setting;
  std::size_t hostile = 20;
  std::size_t count = 100;
  std::uint64_t session_s = 600;
  bool is_json = false;
  bool is_of_items = false;
};

std::optional<std::uint64_t> number(const char* text) {
  std::uint64_t value = 0;
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

std::optional<Arguments> parse(int argc, char** argv) {
  if (argc < 2) return std::nullopt;
  Arguments arguments;
  arguments.scenario = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      arguments.is_json = true;
      continue;
    }
    if (name == "--items") {
      arguments.is_of_items = true;
      continue;
    }
    const auto value = i + 1 < argc ? number(argv[i + 1]) : std::nullopt;
    if (!value) return std::nullopt;
    ++i;
    if (name == "--seed") {
      arguments.setting.seed = *value;
    } else if (name == "--nodes" && *value >= 2) {
      arguments.setting.nodes = *value;
    } else if (name == "--keys" && *value >= 1) {
      arguments.setting.keys = *value;
    } else if (name == "--seekers" && *value >= 1) {
      arguments.setting.seekers = *value;
    } else if (name == "--natted" && *value <= 100) {
      arguments.setting.natted_percent = static_cast<unsigned>(*value);
    } else if (name == "--hostile") {
      arguments.hostile = *value;
    } else if (name == "--count") {
      arguments.count = *value;
    } else if (name == "--session" && *value >= 1) {
      arguments.session_s = *value;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

bool is_json = false;  // NOLINT: how the lines are written

void line(const std::string& what, const Spread& spread, const char* unit) {
  if (is_json) {
    fmt::print(
        "{{\"what\": \"{}\", \"unit\": \"{}\", \"n\": {}, \"p50\": {}, \"p95\": {}, \"p99\": {}, "
        "\"max\": {}, \"mean\": {}}}\n",
        what, unit, spread.count, spread.p50, spread.p95, spread.p99, spread.max, spread.mean);
    return;
  }
  fmt::print("{:32} {}\n", what, describe(spread, unit));
}

void share(const std::string& what, std::size_t count, std::size_t of) {
  if (is_json) {
    fmt::print("{{\"what\": \"{}\", \"count\": {}, \"of\": {}}}\n", what, count, of);
    return;
  }
  fmt::print("{:32} {} of {}\n", what, count, of);
}

void show(const std::string& what, const Hits& hits) {
  share(what + " found", hits.found, hits.asked);
  line(what + " first peer", hits.first_peer_ms, "ms");
  line(what + " complete", hits.complete_ms, "ms");
  line(what + " queries", hits.queries, "");
  line(what + " hops", hits.hops, "");
}

void show(const std::string& what, const Misses& misses) {
  share(what + " ended", misses.ended, misses.asked);
  line(what + " complete", misses.complete_ms, "ms");
  line(what + " queries", misses.queries, "");
}

void show(const std::string& what, const Announces& announces) {
  share(what + " by 6 of 8", announces.acknowledged, announces.asked);
  line(what + " acknowledged", announces.acknowledged_ms, "ms");
  line(what + " queries", announces.queries, "");
  line(what + " stores", announces.stores, "");
  if (announces.sent_mean > 0) {
    line(what + " sent", spread({announces.sent_mean}), "");
  }
}

void show(const std::string& store, const std::string& seek, const AttackReport& of) {
  show(store + " before", of.stores_before);
  show(seek + " before", of.before);
  show(store + " under attack", of.stores);
  show(seek + " under attack", of.under);
  show(seek + " after", of.after);
}

bool run(const Arguments& arguments) {
  const Setting& setting = arguments.setting;
  const std::map<std::string, Attack> attacks{{"sybils", Attack::sybils},
                                              {"sybils_bep42", Attack::sybils_bep42},
                                              {"colluders", Attack::colluders},
                                              {"colluders_alive", Attack::colluders_alive},
                                              {"colluders_dead", Attack::colluders_dead},
                                              {"eclipse", Attack::eclipse}};
  if (arguments.scenario == "steady" || arguments.scenario == "scale") {
    const bool is_kill_measured = arguments.scenario == "steady";
    const SteadyReport report = steady(setting, is_kill_measured);
    show("announce", report.announces);
    show("hit", report.hits);
    show("miss", report.misses);
    if (is_kill_measured) {
      show("hit after kill", report.hits_after_kill);
      show("miss after kill", report.misses_after_kill);
    }
    if (is_json) {
      fmt::print("{{\"what\": \"digest\", \"value\": \"{:016x}\"}}\n", report.digest);
    } else {
      fmt::print("digest {:016x}\n", report.digest);
    }
  } else if (arguments.scenario == "starts") {
    const std::pair<const char*, Start> kinds[] = {{"bootstrap", Start::bootstrap},
                                                   {"saved", Start::saved},
                                                   {"late bootstrap", Start::late_bootstrap}};
    for (const auto& [name, how] : kinds) {
      const StartsReport report = starts(setting, how, arguments.count);
      share(std::string("usable, ") + name, report.usable, report.starts);
      line(std::string("usable after, ") + name, report.usable_ms, "ms");
      if (how != Start::late_bootstrap) continue;
      line("usable after it could answer", report.usable_after_query_ms, "ms");
    }
  } else if (arguments.scenario == "idle") {
    const IdleReport report = idle(setting);
    line("table after 20 s", report.table, "nodes");
    line("table after 20 s", report.table_percent, "% of what is reachable");
    line("idle queries", report.queries, "/s");
    line("idle bytes", report.bytes, "B/s");
  } else if (const auto kind = attacks.find(arguments.scenario); kind != attacks.end()) {
    const Stored stored = arguments.is_of_items ? Stored::items : Stored::peers;
    const AttackReport report = attack(setting, kind->second, arguments.hostile, stored);
    show(arguments.is_of_items ? "put" : "announce", arguments.is_of_items ? "get" : "lookup",
         report);
  } else if (arguments.scenario == "flood") {
    const FloodReport report = flood(setting, arguments.hostile);
    fmt::print("proven served {:.1f} %, newcomers served {:.1f} %, amplification {:.2f}\n",
               report.proven_served_percent, report.newcomers_served_percent, report.amplification);
  } else if (arguments.scenario == "churn") {
    const ChurnReport report =
        churn(setting, std::chrono::seconds(arguments.session_s), std::chrono::minutes(20));
    show("announce", report.announces);
    show("hit", report.hits);
    show("miss", report.misses);
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  if (arguments) is_json = arguments->is_json;
  if (!arguments || !run(*arguments)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  return 0;
}
