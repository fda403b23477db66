#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <utility>

#include "daemon/rpc.h"
#include "daemon/rpc_values.h"

// metrics.get and node.doctor: the counters of the engines and of the process, and what the node
// can check of itself.

namespace peernet::daemon {
namespace {

// One list, told as JSON and in Prometheus' text format.
class Metrics {
 public:
  void counter(std::string_view name, std::string_view help, std::uint64_t value,
               std::string_view label = {}) {
    add(name, "counter", help, value, label);
  }
  void gauge(std::string_view name, std::string_view help, std::uint64_t value,
             std::string_view label = {}) {
    add(name, "gauge", help, value, label);
  }
  Json json() const { return list_; }
  const std::string& text() const { return text_; }

 private:
  // `label`: such as state="dialling"; those of one name stand together.
  void add(std::string_view name, std::string_view type, std::string_view help, std::uint64_t value,
           std::string_view label) {
    const std::string full = "peernet_" + std::string(name);
    list_.push_back(Json::object(
        {{"name", full}, {"labels", label}, {"type", type}, {"help", help}, {"value", value}}));
    if (full != last_) {
      text_ += "# HELP " + full + " " + std::string(help) + "\n# TYPE " + full + " " +
               std::string(type) + "\n";
      last_ = full;
    }
    text_ += full + (label.empty() ? "" : "{" + std::string(label) + "}") + " " +
             std::to_string(value) + "\n";
  }

  Json list_ = Json::array();
  std::string text_;
  std::string last_;
};

void add_transfer(Metrics& metrics, const transfer::TransferStats& stats) {
  constexpr std::string_view connections_help = "connections by state";
  metrics.gauge("connections", connections_help, stats.dialling, R"(state="dialling")");
  metrics.gauge("connections", connections_help, stats.unproven_in, R"(state="handshake_in")");
  metrics.gauge("connections", connections_help, stats.established_in, R"(state="open_in")");
  metrics.gauge("connections", connections_help, stats.established_out, R"(state="open_out")");
  metrics.counter("accepted_total", "inbound connections", stats.accepted);
  constexpr std::string_view rejects_help = "what was turned away, by reason";
  for (std::size_t i = 0; i < stats.rejects.size(); ++i) {
    const auto reason = transfer::word(static_cast<transfer::Reject>(i));
    metrics.counter("rejects_total", rejects_help, stats.rejects.at(i),
                    "reason=\"" + std::string(reason) + "\"");
  }
  metrics.counter("dials_total", "connections tried", stats.dials);
  metrics.counter("dials_failed_total", "dials that proved nothing", stats.dials_failed);
  metrics.counter("sessions_total", "handshakes that were done", stats.sessions);
  constexpr std::string_view bytes_help = "bytes by class";
  metrics.counter("bytes_total", bytes_help, stats.wire_in, R"(class="wire_in")");
  metrics.counter("bytes_total", bytes_help, stats.wire_out, R"(class="wire_out")");
  metrics.counter("bytes_total", bytes_help, stats.verified_in, R"(class="verified_in")");
  metrics.counter("bytes_total", bytes_help, stats.wasted_in, R"(class="wasted_in")");
  metrics.counter("bytes_total", bytes_help, stats.blocks_out, R"(class="blocks_out")");
  metrics.counter("bytes_total", bytes_help, stats.reread, R"(class="reread")");
  metrics.counter("hash_failures_total", "data that did not match its hash", stats.hash_failures);
  metrics.gauge("bans", "peers that are banned now", stats.bans, R"(of="peer")");
  metrics.gauge("bans", "peers that are banned now", stats.bans_of_hosts, R"(of="host_score")");
  metrics.gauge("addresses_known", "addresses that may be dialled", stats.addresses_known);
  metrics.gauge("imports", "imports under way", stats.imports);
  metrics.gauge("block_bytes_held", "block data held in memory", stats.block_bytes_held);
  metrics.gauge("pieces_durable", "pieces that survive a crash", stats.pieces_durable);
}

void add_dht(Metrics& metrics, const dht::Stats& stats) {
  metrics.gauge("dht_nodes", "nodes in the routing table", stats.nodes, R"(state="known")");
  metrics.gauge("dht_nodes", "nodes in the routing table", stats.nodes_good, R"(state="good")");
  metrics.gauge("dht_lookups", "lookups that run or wait", stats.lookups_active);
  metrics.gauge("dht_keys_stored", "keys announced here", stats.stored_keys);
  metrics.gauge("dht_peers_stored", "addresses announced here", stats.stored_peers);
  constexpr std::string_view messages_help = "DHT messages";
  metrics.counter("dht_messages_total", messages_help, stats.queries_in, R"(kind="query_in")");
  metrics.counter("dht_messages_total", messages_help, stats.queries_out, R"(kind="query_out")");
  metrics.counter("dht_messages_total", messages_help, stats.replies_in, R"(kind="reply_in")");
  metrics.counter("dht_messages_total", messages_help, stats.errors_in, R"(kind="error_in")");
  metrics.counter("dht_messages_total", messages_help, stats.dropped_in, R"(kind="dropped_in")");
  constexpr std::string_view queries_help = "DHT queries by kind, and what became of them";
  for (std::size_t i = 0; i < dht::kQueryKinds; ++i) {
    const auto add = [&](std::string_view outcome, std::uint64_t count) {
      metrics.counter("dht_queries_total", queries_help, count,
                      "kind=\"" + std::string(dht::kQueryWords.at(i)) + "\",outcome=\"" +
                          std::string(outcome) + "\"");
    };
    const dht::QueryCounts& kind = stats.by_kind.at(i);
    add("received", kind.in);
    add("answered", kind.answered);
    add("refused", kind.refused);
    add("limited", kind.limited);
    add("sent", kind.out);
    add("reply_received", kind.replies_in);
  }
  metrics.gauge("dht_items_stored", "items put here (BEP 44)", stats.stored_items);
  metrics.counter("dht_bytes_total", "bytes of datagrams", stats.bytes_in, R"(way="in")");
  metrics.counter("dht_bytes_total", "bytes of datagrams", stats.bytes_out, R"(way="out")");
}

std::string_view word(ControlReject why) {
  switch (why) {
    case ControlReject::clients_limit: return "clients_limit";
    case ControlReject::user: return "user";
    case ControlReject::line: return "line";
    case ControlReject::unread: return "unread";
    case ControlReject::idle: break;
  }
  return "idle";
}

std::string_view level_word(DoctorCheck::Level level) {
  switch (level) {
    case DoctorCheck::Level::ok: return "ok";
    case DoctorCheck::Level::warning: return "warning";
    case DoctorCheck::Level::fault: break;
  }
  return "fault";
}

DoctorCheck dht_check(const NodeStatus& status) {
  const dht::Stats& stats = status.dht;
  if (!status.is_dht_enabled) {
    return {"dht", DoctorCheck::Level::warning, "off",
            "peers come from links alone: peernet config set discovery.dht true"};
  }
  std::string text = std::to_string(stats.nodes) + (stats.nodes == 1 ? " node, " : " nodes, ") +
                     std::to_string(stats.nodes_good) + " of them good, " +
                     std::to_string(stats.replies_in) + " replies so far";
  if (stats.is_joined) return {"dht", DoctorCheck::Level::ok, std::move(text), {}};
  const bool is_silent = stats.replies_in == 0;
  return {"dht", DoctorCheck::Level::fault,
          is_silent ? "no node has ever answered" : "no node answers now (" + text + ")",
          "peernet config set bootstrap '[\"HOST:PORT\"]' with a node that runs; UDP must pass"};
}

}  // namespace

Rpc::Answer Rpc::metrics_get(Call& call) {
  const NodeStatus status = call.node.status(call.now);
  Metrics metrics;
  metrics.counter("uptime_seconds", "since the start",
                  static_cast<std::uint64_t>(seconds(status.uptime)));
  metrics.gauge("shares", "shares", status.shares_count);
  metrics.gauge("peers_connected", "connected peers", status.peers_connected);
  add_transfer(metrics, call.node.transfer_stats());
  if (status.is_dht_enabled) add_dht(metrics, status.dht);
  if (context_.hooks.process) {
    const ProcessFacts facts = context_.hooks.process();
    metrics.gauge("resident_bytes", "resident memory", facts.resident);
    metrics.gauge("descriptors", "open file descriptors", facts.descriptors);
    metrics.gauge("loop_lag_p99_microseconds",
                  "how late the loop is at worst in 99 of 100 turns, of the last thousand",
                  static_cast<std::uint64_t>(facts.loop_lag_p99.count()));
    metrics.gauge("descriptors_max", "descriptors that may be open", facts.descriptors_max);
    constexpr std::string_view control_help =
        "clients of the control socket turned away, by reason";
    for (std::size_t i = 0; i < facts.control_rejects.size(); ++i) {
      const auto reason = word(static_cast<ControlReject>(i));
      metrics.counter("control_rejects_total", control_help, facts.control_rejects.at(i),
                      "reason=\"" + std::string(reason) + "\"");
    }
  }
  constexpr std::string_view calls_help = "requests at the control socket, by outcome";
  metrics.counter("control_requests_total", calls_help, answered_count_, R"(outcome="answered")");
  metrics.counter("control_requests_total", calls_help, refused_count_, R"(outcome="refused")");
  metrics.gauge("control_clients", "connections of the control socket", clients_.size());
  metrics.counter("events_total", "events that were kept", seq_);
  return Result<Json>(Json::object({{"metrics", metrics.json()}, {"text", metrics.text()}}));
}

Rpc::Answer Rpc::node_doctor(Call& call) {
  std::vector<DoctorCheck> checks;
  if (context_.hooks.doctor) checks = context_.hooks.doctor();
  const NodeStatus status = call.node.status(call.now);
  checks.push_back(dht_check(status));
  const auto stats = call.node.transfer_stats();
  const bool was_reached = stats.accepted > stats.turned_away;
  checks.push_back({"reachable", was_reached ? DoctorCheck::Level::ok : DoctorCheck::Level::warning,
                    was_reached ? std::to_string(stats.accepted) + " inbound connections so far"
                                : "unknown: nobody has connected to us yet",
                    was_reached ? std::string()
                                : "where others are to dial us, port " +
                                      std::to_string(status.port) + " must be open for TCP"});
  Json list = Json::array();
  std::uint64_t faults = 0;
  for (const DoctorCheck& check : checks) {
    if (check.level == DoctorCheck::Level::fault) ++faults;
    list.push_back(Json::object({{"name", check.name},
                                 {"level", level_word(check.level)},
                                 {"text", check.text},
                                 {"fix", check.fix}}));
  }
  return Result<Json>(Json::object({{"checks", std::move(list)}, {"faults_count", faults}}));
}

}  // namespace peernet::daemon
