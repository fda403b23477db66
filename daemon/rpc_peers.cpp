#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "core/identity.h"
#include "daemon/rpc.h"
#include "daemon/rpc_values.h"
#include "transfer/link.h"

// peer.*: who is connected, and what a user does with single peers.

namespace peernet::daemon {
namespace {

std::string_view step_word(transfer::ProbeStep::Kind kind) {
  using enum transfer::ProbeStep::Kind;
  switch (kind) {
    case resolve: return "resolve";
    case connect: return "connect";
    case handshake: return "handshake";
    case identity: return "identity";
    case share: break;
  }
  return "share";
}

Json probed_json(const transfer::Probed& probed) {
  Json steps = Json::array();
  bool is_good = true;
  for (const transfer::ProbeStep& step : probed.steps) {
    is_good = is_good && step.is_good;
    steps.push_back(Json::object({{"name", step_word(step.kind)},
                                  {"is_good", step.is_good},
                                  {"text", step.text},
                                  {"took", seconds(step.took)}}));
  }
  return Json::object(
      {{"is_good", is_good},
       {"peer", probed.peer ? Json(to_text(*probed.peer)) : Json(nullptr)},
       {"endpoint", probed.endpoint ? Json(probed.endpoint->to_string()) : Json(nullptr)},
       {"steps", std::move(steps)}});
}

// Who is to be dialled, and for which share.
Result<transfer::ProbeRequest> read_request(const Json& params) {
  transfer::ProbeRequest request;
  if (const std::string text = text_of(params, "link"); !text.empty()) {
    const auto link = transfer::parse_link(text);
    if (!link) return link.error();
    request.share = link->id;
    if (!link->peers.empty()) {
      request.host = link->peers.front().host;
      request.port = link->peers.front().port;
    }
  }
  if (const std::string text = text_of(params, "endpoint"); !text.empty()) {
    auto where = parse_host(text);
    if (!where) return where.error();
    request.host = std::move(where->host);
    request.port = where->port;
  }
  if (request.host.empty()) {
    return Error{Errc::malformed, "this says nobody to connect to",
                 "give HOST:PORT, or a link that names a peer (pe=HOST:PORT)"};
  }
  return request;
}

}  // namespace

Rpc::Answer Rpc::peer_list(Call& call) {
  auto peers = call.node.peers(call.now);
  if (const std::string prefix = text_of(call.params, "id"); !prefix.empty()) {
    const auto id = call.node.find_share(prefix);
    if (!id) return Result<Json>(id.error());
    std::erase_if(peers, [&](const transfer::PeerStatus& peer) {
      return std::none_of(peer.shares.begin(), peer.shares.end(),
                          [&](const auto& share) { return share.id == *id; });
    });
  }
  const Page page = page_of(call.params, peers.size());
  Json list = Json::array();
  const Fields fields(call.params);
  for (std::size_t i = page.begin; i < page.end; ++i) list.push_back(peer_json(peers[i], fields));
  return Result<Json>(Json::object({{"peers", std::move(list)}, {"count", peers.size()}}));
}

Rpc::Answer Rpc::peer_connect(Call& call) {
  const auto request = read_request(call.params);
  if (!request) return Result<Json>(request.error());
  Client& client = clients_[call.client];
  if (client.pending_count >= kRpcPendingMax) return Result<Json>(too_many_pending());
  const auto number = call.node.connect(call.now, *request, call.out);
  if (!number) return Result<Json>(number.error());
  probes_.emplace(*number, call.pending());
  ++client.pending_count;
  return std::nullopt;
}

void Rpc::on_probed(const transfer::Probed& event) {
  const auto place = probes_.find(event.probe);
  if (place == probes_.end()) return;
  const Pending pending = std::move(place->second);
  probes_.erase(place);
  answer_pending(pending, probed_json(event));
}

Rpc::Answer Rpc::peer_drop(Call& call) {
  const auto id = call.node.find_peer(call.now, text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  if (auto done = call.node.drop_peer(call.now, *id, call.out); !done) {
    return Result<Json>(done.error());
  }
  return Result<Json>(Json::object({{"id", to_text(*id)}}));
}

Json Rpc::ban_json(const transfer::Bans::Banned& ban) const {
  return Json::object(
      {{"id", to_text(ban.peer)},
       {"until", ban.until == kNever ? Json(nullptr) : Json(rfc3339(wall_at(ban.until)))},
       {"is_by_hand", ban.is_by_hand}});
}

Rpc::Answer Rpc::peer_ban(Call& call) {
  const auto id = call.node.find_peer(call.now, text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  std::optional<Duration> duration;
  if (const auto whole = integer_of(call.params, "seconds")) {
    duration = std::chrono::seconds(*whole);
  }
  if (auto done = call.node.ban_peer(call.now, *id, duration, call.out); !done) {
    return Result<Json>(done.error());
  }
  return Result<Json>(ban_json({*id, duration ? call.now + *duration : kNever, true}));
}

Rpc::Answer Rpc::peer_unban(Call& call) {
  const auto id = call.node.find_peer(call.now, text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  if (auto done = call.node.unban_peer(call.now, *id, call.out); !done) {
    return Result<Json>(done.error());
  }
  return Result<Json>(Json::object({{"id", to_text(*id)}}));
}

Rpc::Answer Rpc::peer_bans(Call& call) {
  const auto bans = call.node.banned(call.now);
  const Page page = page_of(call.params, bans.size());
  Json list = Json::array();
  for (std::size_t i = page.begin; i < page.end; ++i) list.push_back(ban_json(bans[i]));
  return Result<Json>(Json::object({{"bans", std::move(list)}, {"count", bans.size()}}));
}

}  // namespace peernet::daemon
