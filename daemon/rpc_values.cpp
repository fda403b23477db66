#include "daemon/rpc_values.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "core/identity.h"
#include "daemon/config_edit.h"
#include "daemon/rpc_table.h"
#include "transfer/selection.h"

namespace peernet::daemon {

constexpr double kRateShownMax = 1e15;
constexpr std::int64_t kWallMin = -62'167'219'200'000;  // the year 0
constexpr std::int64_t kWallMax = 253'402'300'799'999;  // the last millisecond of 9999

constexpr std::size_t kPageDefault = 1000;
constexpr std::size_t kHostNameMax = 253;
constexpr std::int64_t kDay = 86'400'000;  // ms

namespace {

std::uint64_t whole_seconds(Duration duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)) / 1'000'000U;
}

double rounded(double value, double steps) {
  return std::round(value * steps) / steps;
}

Error bad_path(std::string what) {
  return Error{Errc::malformed, std::move(what), "give an absolute path, such as /srv/data"};
}

Json time_or_null(WallTime time) {
  return time.unix_ms == 0 ? Json(nullptr) : Json(rfc3339(time));
}

// A row of an answer, of which only what was asked for is made.
class Row {
 public:
  explicit Row(const Fields& fields) : fields_(fields) { members_.reserve(32); }
  template <class Make>
  void put(std::string_view name, const Make& make) {
    if (fields_.has(name)) members_.emplace_back(name, make());
  }
  Json take() { return std::move(members_); }

 private:
  const Fields& fields_;
  Json::object_t members_;
};

Json selections_json(const std::vector<Selection>& selections) {
  Json list = Json::array();
  for (const Selection& selection : selections) {
    list.push_back(Json::object({{"only", selection.only}, {"skip", selection.skip}}));
  }
  return list;
}

Json ratio_json(const transfer::ShareStatus& share) {
  if (share.size == 0) return nullptr;
  return rounded(static_cast<double>(share.uploaded) / static_cast<double>(share.size), 1000);
}

Json peer_shares_json(const transfer::PeerStatus& peer) {
  Json list = Json::array();
  for (const transfer::PeerShareStatus& share : peer.shares) {
    if (list.size() == kPeerSharesShownMax) break;
    list.push_back(Json::object(
        {{"id", to_text(share.id)}, {"done", rounded(std::clamp(share.done, 0.0, 1.0), 10'000)}}));
  }
  return list;
}

}  // namespace

Fields::Fields(const Json& params) {
  const Json* list = json_find(params, "fields");
  if (list == nullptr || list->is_null()) return;
  names_.emplace();
  for (const Json& name : *list) names_->push_back(json_text(name).value_or(std::string()));
}

bool Fields::has(std::string_view name) const {
  return !names_ || std::find(names_->begin(), names_->end(), name) != names_->end();
}

std::string text_of(const Json& params, std::string_view name) {
  const Json* value = json_find(params, name);
  return value == nullptr ? std::string() : json_text(*value).value_or(std::string());
}

bool flag_of(const Json& params, std::string_view name) {
  const Json* value = json_find(params, name);
  return value != nullptr && json_boolean(*value).value_or(false);
}

std::optional<std::uint64_t> integer_of(const Json& params, std::string_view name) {
  const Json* value = json_find(params, name);
  return value == nullptr ? std::nullopt : json_integer(*value);
}

Result<std::vector<std::string>> globs_of(const Json& params, std::string_view name) {
  std::vector<std::string> globs;
  const Json* list = json_find(params, name);
  if (list == nullptr || list->is_null()) return globs;
  for (const Json& item : *list) globs.push_back(json_text(item).value_or(std::string()));
  if (auto checked = transfer::check_globs(globs); !checked) return checked.error();
  return globs;
}

Result<std::optional<Selection>> selection_of(const Json& params) {
  const bool is_given =
      json_find(params, "only") != nullptr || json_find(params, "skip") != nullptr;
  if (!is_given) return std::optional<Selection>();
  auto only = globs_of(params, "only");
  if (!only) return only.error();
  auto skip = globs_of(params, "skip");
  if (!skip) return skip.error();
  return std::optional(Selection{*std::move(only), *std::move(skip)});
}

Result<HostAndPort> parse_host(const std::string& text) {
  const Error wrong{Errc::malformed, "that is not HOST:PORT",
                    "such as 192.0.2.1:7341, [2001:db8::1]:7341 or host.example.org:7341"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong;
  const auto port = Endpoint::parse("0.0.0.0:" + text.substr(colon + 1));
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string::npos) {
    return wrong;
  }
  const bool is_plain = std::all_of(host.begin(), host.end(), [](char c) { return c > ' '; });
  const bool is_name = !host.empty() && host.size() <= kHostNameMax && is_plain;
  if (!port || port->port == 0 || !is_name) return wrong;
  return HostAndPort{std::move(host), port->port};
}

Result<std::string> clean_path(const std::string& path) {
  if (path.empty() || path.front() != '/') return bad_path("the path is not absolute: " + path);
  if (path.find('\0') != std::string::npos) return bad_path("the path contains a zero byte");
  std::string clean;
  std::string_view rest = path;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(part.size());
    if (part.empty()) continue;
    if (part == "." || part == "..")
      return bad_path("the path has a part \"" + std::string(part) + "\": " + path);
    clean.append("/").append(part);
  }
  return clean.empty() ? std::string("/") : clean;
}

std::string rfc3339(WallTime time) {
  const std::int64_t ms = std::clamp(time.unix_ms, kWallMin, kWallMax);
  const std::int64_t days = ms >= 0 ? ms / kDay : -((-ms + kDay - 1) / kDay);
  const std::int64_t rest = ms - days * kDay;
  const std::chrono::year_month_day date{
      std::chrono::sys_days(std::chrono::days(static_cast<int>(days)))};
  std::array<char, 32> text{};
  const int size =
      std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                    static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                    static_cast<unsigned>(date.day()), static_cast<int>(rest / 3'600'000),
                    static_cast<int>(rest / 60'000 % 60), static_cast<int>(rest / 1000 % 60),
                    static_cast<int>(rest % 1000));
  return {text.data(), static_cast<std::size_t>(std::max(size, 0))};
}

std::string_view state_word(transfer::ShareState state) {
  switch (state) {
    case transfer::ShareState::opening: return "opening";
    case transfer::ShareState::finding: return "finding";
    case transfer::ShareState::fetching: return "fetching";
    case transfer::ShareState::scanning: return "scanning";
    case transfer::ShareState::finishing: return "finishing";
    case transfer::ShareState::seeding: return "seeding";
    case transfer::ShareState::partial: return "partial";
    case transfer::ShareState::damaged: return "damaged";
    case transfer::ShareState::repairing: return "repairing";
    case transfer::ShareState::paused: return "paused";
    case transfer::ShareState::quarantined: return "quarantined";
    case transfer::ShareState::failed: return "failed";
  }
  return "unknown";
}

std::string_view state_word(const transfer::ShareStatus& share) {
  if (share.state != transfer::ShareState::fetching || share.reason.empty()) {
    return state_word(share.state);
  }
  // Held back by a limit, it goes on, if slowly.
  using enum transfer::Cause;
  const bool is_stalled =
      share.cause == none
          ? whole_rate(share.rate_down) == 0
          : share.cause != limited && share.cause != peer_limited && share.cause != memory_short;
  return is_stalled ? "stalled" : state_word(share.state);
}

std::string hint_of(const Error& error) {
  return error.hint.empty() ? std::string(usual_hint(error.code)) : error.hint;
}

Json error_json(const Error& error) {
  return Json::object({{"code", -32000 - exit_code(error.code)},
                       {"kind", error_kind(error.code)},
                       {"message", error.what},
                       {"hint", hint_of(error)}});
}

Json node_json(const NodeFacts& facts, const Fields& fields) {
  const NodeStatus& status = facts.status;
  const transfer::Limits& limits = facts.limits;
  Row row(fields);
  row.put("version", [&] { return facts.version; });
  row.put("time", [&] { return rfc3339(facts.time); });
  row.put("id", [&] { return to_text(status.id); });
  row.put("name", [&] { return status.name; });
  row.put("port", [&] { return status.port; });
  row.put("uptime", [&] { return static_cast<std::uint64_t>(seconds(status.uptime)); });
  row.put("dht", [&] { return dht_json(status); });
  row.put("rate_down", [&] { return whole_rate(status.rate_down); });
  row.put("rate_up", [&] { return whole_rate(status.rate_up); });
  row.put("limit_down", [&] { return limits.down ? Json(*limits.down) : Json(nullptr); });
  row.put("limit_up", [&] { return limits.up ? Json(*limits.up) : Json(nullptr); });
  row.put("network", [&] { return status.network ? Json(*status.network) : Json(nullptr); });
  row.put("peers_connected", [&] { return status.peers_connected; });
  row.put("shares_count", [&] { return status.shares_count; });
  return row.take();
}

Json share_json(const transfer::ShareStatus& share, std::optional<WallTime> lookup_ended,
                const Fields& fields) {
  Row row(fields);
  row.put("id", [&] { return to_text(share.id); });
  row.put("state", [&] { return state_word(share); });
  row.put("cause", [&] { return transfer::word(share.cause); });
  row.put("reason", [&] { return share.reason; });
  row.put("error", [&] { return share.error ? error_json(*share.error) : Json(nullptr); });
  row.put("name", [&] { return share.name; });
  row.put("path", [&] { return share.path.empty() ? Json(nullptr) : Json(share.path); });
  row.put("is_directory", [&] { return share.files_count > 0 && !share.is_single_file; });
  // No share is empty: 0 says that the size is not known.
  row.put("size", [&] { return share.size == 0 ? Json(nullptr) : Json(share.size); });
  row.put("wanted", [&] { return share.wanted == 0 ? Json(nullptr) : Json(share.wanted); });
  row.put("done", [&] { return share.done; });
  row.put("durable", [&] { return share.durable; });
  row.put("pieces_count", [&] { return share.pieces_count; });
  row.put("pieces_done", [&] { return share.pieces_done; });
  row.put("files_count", [&] { return share.files_count; });
  row.put("files_wanted", [&] { return share.files_wanted; });
  row.put("selections", [&] { return selections_json(share.selections); });
  row.put("rate_down", [&] { return whole_rate(share.rate_down); });
  row.put("rate_up", [&] { return whole_rate(share.rate_up); });
  row.put("downloaded", [&] { return share.downloaded; });
  row.put("uploaded", [&] { return share.uploaded; });
  row.put("wasted", [&] { return share.wasted; });
  row.put("reread", [&] { return share.reread; });
  row.put("ratio", [&] { return ratio_json(share); });
  row.put("eta", [&] { return share.eta ? Json(whole_seconds(*share.eta)) : Json(nullptr); });
  row.put("peers_connected", [&] { return share.peers_connected; });
  row.put("peers_known", [&] { return share.peers_known; });
  row.put("lookup", [&] {
    return share.lookup && lookup_ended ? Json::object({{"time", rfc3339(*lookup_ended)},
                                                        {"nodes_asked", share.lookup->nodes_asked},
                                                        {"peers_found", share.lookup->peers_found}})
                                        : Json(nullptr);
  });
  row.put("verification", [&] {
    return share.verification ? Json::object({{"done", share.verification->done},
                                              {"total", share.verification->total},
                                              {"damaged", share.verification->damaged}})
                              : Json(nullptr);
  });
  row.put("added", [&] { return rfc3339(share.added); });
  row.put("completed", [&] { return time_or_null(share.completed); });
  return row.take();
}

Json peer_json(const transfer::PeerStatus& peer, const Fields& fields) {
  Row row(fields);
  row.put("id", [&] { return to_text(peer.id); });
  row.put("endpoint", [&] { return peer.endpoint.to_string(); });
  row.put("is_inbound", [&] { return peer.is_inbound; });
  row.put("found_by", [&] { return peer.found_by.empty() ? Json(nullptr) : Json(peer.found_by); });
  row.put("is_choked", [&] { return peer.is_choked; });
  row.put("is_interested", [&] { return peer.is_interested; });
  row.put("is_choking", [&] { return peer.is_choking; });
  row.put("is_interesting", [&] { return peer.is_interesting; });
  row.put("rate_down", [&] { return whole_rate(peer.rate_down); });
  row.put("rate_up", [&] { return whole_rate(peer.rate_up); });
  row.put("downloaded", [&] { return peer.downloaded; });
  row.put("uploaded", [&] { return peer.uploaded; });
  row.put("requests_out", [&] { return peer.requests_out; });
  row.put("round_trip",
          [&] { return peer.round_trip ? Json(seconds(*peer.round_trip)) : Json(nullptr); });
  row.put("connected", [&] { return whole_seconds(peer.connected); });
  row.put("shares", [&] { return peer_shares_json(peer); });
  row.put("shares_count", [&] { return peer.shares.size(); });
  return row.take();
}

Json file_json(const transfer::ShareFiles& files, std::size_t file_index, const Fields& fields) {
  const FileSpec& file = files.files.at(file_index);
  Row row(fields);
  row.put("path", [&] { return file.path; });
  row.put("size", [&] { return file.size; });
  row.put("done", [&] { return file_index < files.done.size() ? files.done[file_index] : 0; });
  row.put("is_wanted",
          [&] { return file_index >= files.is_wanted.size() || files.is_wanted[file_index]; });
  row.put("is_executable", [&] { return file.is_executable; });
  return row.take();
}

Json left_out_json(const std::vector<LeftOut>& left_out) {
  Json list = Json::array();
  for (const LeftOut& item : left_out) {
    if (list.size() == kLeftOutShownMax) break;
    list.push_back(Json::object({{"path", item.path}, {"reason", item.reason}}));
  }
  return list;
}

Json dht_json(const NodeStatus& status) {
  const dht::Stats& stats = status.dht;
  return Json::object({{"is_enabled", status.is_dht_enabled},
                       {"id", to_hex(stats.id.view())},
                       {"is_joined", stats.is_joined},
                       {"is_hidden", stats.is_hidden},
                       {"nodes_count", stats.nodes},
                       {"nodes_good", stats.nodes_good},
                       {"lookups_count", stats.lookups_active},
                       {"keys_stored", stats.stored_keys},
                       {"peers_stored", stats.stored_peers},
                       {"queries_in", stats.queries_in},
                       {"queries_out", stats.queries_out},
                       {"replies_in", stats.replies_in},
                       {"errors_in", stats.errors_in},
                       {"dropped_in", stats.dropped_in},
                       {"bytes_in", stats.bytes_in},
                       {"bytes_out", stats.bytes_out}});
}

Json paths_json(const Paths& paths) {
  return Json::object({{"config", paths.config},
                       {"state", paths.state},
                       {"identity", paths.identity},
                       {"database", paths.database},
                       {"leaves", paths.leaves},
                       {"socket", paths.socket},
                       {"downloads", paths.downloads}});
}

std::string config_edit_line(std::string_view text, const std::string& key,
                             const std::string& value) {
  auto edited = edit_config(text, key, value);
  if (!edited) return dump_json(Json::object({{"error", error_json(edited.error())}}));
  return dump_json(
      Json::object({{"text", *std::move(edited)}, {"needs_restart", needs_restart(key)}}));
}

std::uint64_t whole_rate(double rate) {
  if (!(rate > 0)) return 0;
  return static_cast<std::uint64_t>(std::min(rate, kRateShownMax));
}

Page page_of(const Json& params, std::size_t count) {
  const std::size_t begin =
      std::min<std::uint64_t>(integer_of(params, "offset").value_or(0), count);
  const std::size_t limit = integer_of(params, "limit").value_or(kPageDefault);
  return Page{begin, begin + std::min(limit, count - begin)};
}

Error too_many_pending() {
  return Error{Errc::refused,
               "this connection already waits for " + std::to_string(kRpcPendingMax) + " answers",
               "wait for one of them"};
}

}  // namespace peernet::daemon
