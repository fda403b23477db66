#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "core/identity.h"
#include "daemon/rpc.h"
#include "daemon/rpc_values.h"
#include "transfer/why.h"

// transfer.why: the engine's facts about one share, as JSON.

namespace peernet::daemon {
namespace {

std::uint64_t whole_seconds(Duration duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)) / 1'000'000U;
}

Json peer_facts_json(const transfer::WhyPeer& peer) {
  return Json::object({{"id", to_text(peer.id)},
                       {"endpoint", peer.endpoint.to_string()},
                       {"has_manifest", peer.has_manifest},
                       {"has_said_state", peer.has_said_state},
                       {"done", peer.done},
                       {"is_interesting", peer.is_interesting},
                       {"is_choking", peer.is_choking},
                       {"choke_age", whole_seconds(peer.since_choke)},
                       {"is_snubbed", peer.is_snubbed},
                       {"requests_out", peer.requests_out},
                       {"quiet", whole_seconds(peer.quiet)},
                       {"rate_down", whole_rate(peer.rate_down)}});
}

}  // namespace

Rpc::Answer Rpc::transfer_why(Call& call) {
  const Json* prefix = json_find(call.params, "id");
  const auto id = call.node.find_share(json_text(*prefix).value_or(std::string()));
  if (!id) return Result<Json>(id.error());
  const auto facts = call.node.why(call.now, *id);
  if (!facts) return Result<Json>(Error{Errc::not_found, "there is no such share", {}});
  const auto when = [&](std::optional<Time> time) {
    return time && *time != kNever ? Json(rfc3339(wall_at(*time))) : Json(nullptr);
  };
  const auto& status = facts->status;
  const auto ended = status.lookup ? std::optional(wall_at(status.lookup->at)) : std::nullopt;

  Json dials = Json::array();
  for (const auto& [attempt, what] : facts->dials) {
    const bool is_waiting = !attempt.is_connected && !attempt.is_dialling;
    dials.push_back(Json::object(
        {{"endpoint", attempt.endpoint.to_string()},
         {"found_by", transfer::word(attempt.source)},
         {"state", attempt.is_connected ? "connected"
                   : is_waiting         ? "waiting"
                                        : "dialling"},
         {"outcome", attempt.last ? Json(transfer::word(*attempt.last)) : Json(nullptr)},
         {"meaning", attempt.last ? transfer::sentence(*attempt.last) : std::string_view()},
         {"message", what},
         {"time", when(attempt.last ? std::optional(attempt.last_at) : std::nullopt)},
         {"next",
          when(is_waiting ? std::optional(std::max(attempt.due, call.now)) : std::nullopt)}}));
  }
  Json peers = Json::array();
  for (const transfer::WhyPeer& peer : facts->peers) peers.push_back(peer_facts_json(peer));
  Json bans = Json::array();
  for (const transfer::WhyBan& ban : facts->bans) {
    bans.push_back(Json::object({{"peer", to_text(ban.id)},
                                 {"endpoint", ban.endpoint.to_string()},
                                 {"reason", ban.what},
                                 {"time", when(ban.at)}}));
  }
  return Result<Json>(Json::object(
      {{"share", share_json(status, ended)},
       {"since", when(facts->since)},
       {"age", facts->since ? Json(whole_seconds(call.now - *facts->since)) : Json(nullptr)},
       {"has_lookups", facts->has_lookups},
       {"next_lookup", when(facts->next_lookup)},
       {"dials", std::move(dials)},
       {"dials_count", facts->dials_count},
       {"peers", std::move(peers)},
       {"peers_count", facts->peers_count},
       {"lost", Json::object({{"count", facts->lost_count},
                              {"files_count", facts->lost_files_count},
                              {"pieces", facts->lost_pieces}})},
       {"bans", std::move(bans)},
       {"limits",
        Json::object({{"is_limited", facts->is_limited},
                      {"down", facts->limit_down ? Json(*facts->limit_down) : Json(nullptr)},
                      {"is_memory_short", facts->is_memory_short}})},
       {"disk",
        Json::object({{"writes", facts->writes_at_disk}, {"is_syncing", facts->is_syncing}})},
       {"last_data", when(facts->last_data)},
       {"next_retry", when(facts->next_retry ? std::optional(std::max(*facts->next_retry, call.now))
                                             : std::nullopt)}}));
}

}  // namespace peernet::daemon
