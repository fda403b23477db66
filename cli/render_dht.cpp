#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/render.h"
#include "cli/text.h"

// What `peernet dht` and its commands show.

namespace peernet::cli {

constexpr std::uint64_t kIdBits = 160;

namespace {

std::string milliseconds(const Json& object, std::string_view key) {
  std::array<char, 32> text{};
  const double value = std::clamp(number_at(object, key).value_or(0), 0.0, 1e6);
  const int size = std::snprintf(text.data(), text.size(), "%.1f", value * 1000);
  return {text.data(), static_cast<std::size_t>(std::clamp(size, 0, 31))};
}

Color outcome_color(const std::string& outcome) {
  if (outcome == "answered") return Color::green;
  return outcome == "failed" ? Color::red : Color::yellow;
}

}  // namespace

std::string render_dht(const Json& stats, const Look& look) {
  const Json& dht = at(stats, "dht");
  if (!flag_at(dht, "is_enabled")) return "the DHT is off (discovery.dht in the config)\n";
  const std::string address = text_at(stats, "address");
  std::vector<Fact> facts{
      {"node", shown(text_at(dht, "id"))},
      {"joined", flag_at(dht, "is_joined") ? "yes" : "no: nobody answers"},
      {"address", address.empty() ? "not known yet" : shown(address)},
      {"table", plural(count_at(dht, "nodes_count"), "node") + ", " +
                    std::to_string(count_at(dht, "nodes_good")) + " of them good"},
  };
  if (flag_at(dht, "is_hidden")) {
    facts.push_back({"reach", "no stranger reaches us yet, so it only asks (BEP 43)"});
  }
  if (const auto estimate = integer_at(stats, "estimate")) {
    facts.push_back({"network", "about " + plural(*estimate, "node")});
  }
  facts.push_back(
      {"lookups", std::to_string(count_at(dht, "lookups_count")) + " running or waiting"});
  facts.push_back({"stored here", plural(count_at(dht, "peers_stored"), "peer") + " under " +
                                      plural(count_at(dht, "keys_stored"), "key") + ", " +
                                      plural(count_at(stats, "items_stored"), "item")});
  facts.push_back({"queries", std::to_string(count_at(dht, "queries_in")) + " in, " +
                                  std::to_string(count_at(dht, "queries_out")) + " out; " +
                                  std::to_string(count_at(dht, "replies_in")) + " replies, " +
                                  plural(count_at(dht, "errors_in"), "error") + ", " +
                                  std::to_string(count_at(dht, "dropped_in")) + " dropped"});
  facts.push_back({"traffic", size_text(count_at(dht, "bytes_in")) + " in, " +
                                  size_text(count_at(dht, "bytes_out")) + " out"});
  std::string text = render_facts(facts);
  const Json& buckets = at(stats, "buckets");
  if (!buckets.is_array() || buckets.empty()) return text;
  Table table({{"SHARED BITS", true}, {"NODES", true}, {""}});
  for (const Json& bucket : buckets) {
    const std::uint64_t nodes = count_at(bucket, "nodes_count");
    table.add({{std::to_string(count_at(bucket, "shared_bits"))},
               {std::to_string(nodes)},
               {std::string(std::min<std::uint64_t>(nodes, kIdBits), '#'), Color::cyan}});
  }
  return text + table.render(look);
}

std::string render_steps(const Json& steps, const Look& look) {
  if (!steps.is_array() || steps.empty()) return "no query has ended\n";
  std::vector<const Json*> in_order;
  for (const Json& step : steps) in_order.push_back(&step);
  std::stable_sort(in_order.begin(), in_order.end(), [](const Json* a, const Json* b) {
    return number_at(*a, "asked").value_or(0) < number_at(*b, "asked").value_or(0);
  });
  Table table({{"ASKED ms", true},
               {"TOOK ms", true},
               {"DISTANCE", true},
               {"NODE"},
               {"OUTCOME"},
               {"NODES", true, 1},
               {"PEERS", true},
               {"ID", false, 2}});
  for (const Json* step : in_order) {
    const std::string outcome = text_at(*step, "outcome");
    const auto distance = integer_at(*step, "distance");
    const std::string verb = flag_at(*step, "is_announce") ? "announce " : "";
    table.add({{milliseconds(*step, "asked")},
               {milliseconds(*step, "took")},
               {distance ? std::to_string(*distance) : "-"},
               {shown(text_at(*step, "node"))},
               {verb + shown(outcome), outcome_color(outcome)},
               {std::to_string(count_at(*step, "nodes"))},
               {std::to_string(count_at(*step, "peers"))},
               {shown(text_at(*step, "id"))}});
  }
  return table.render(look);
}

}  // namespace peernet::cli
