#include <nlohmann/json.hpp>

#include <utility>

#include "core/identity.h"
#include "daemon/rpc.h"
#include "daemon/rpc_values.h"

// What Rpc makes of events: answers to the calls that waited for them, and notifications.

namespace peernet::daemon {
namespace {

std::uint32_t bit(EventKind kind) {
  return std::uint32_t{1} << static_cast<unsigned>(kind);
}

std::string notification(const std::string& event) {
  return R"({"jsonrpc":"2.0","method":"event","params":)" + event + "}";
}

Json peer_gone_json(const PeerId& peer, const Endpoint& endpoint, const std::string& reason) {
  return Json::object(
      {{"peer", to_text(peer)}, {"endpoint", endpoint.to_string()}, {"reason", reason}});
}

std::vector<std::uint64_t> progress_numbers(const transfer::ShareStatus& share) {
  return {static_cast<std::uint64_t>(share.state),
          share.size,
          share.done,
          share.durable,
          share.uploaded,
          share.wasted,
          share.peers_connected,
          share.peers_known,
          whole_rate(share.rate_down),
          whole_rate(share.rate_up)};
}

}  // namespace

void Rpc::on_event(Time now, const transfer::Event& event, const Node& node) {
  using namespace transfer;  // NOLINT(google-build-using-namespace): the alternatives of Event
  std::visit(
      Overloaded{
          [&](const ImportProgress& e) { on_import_progress(now, e); },
          [&](const Imported& e) { on_imported(now, e, node); },
          [&](const ImportFailed& e) { on_import_failed(now, e); },
          [&](const ManifestKnown& e) {
            on_preview(now, e.id, node, std::nullopt);
            const auto share = node.share(now, e.id);
            if (!share) return;
            publish(now, EventKind::manifest,
                    Json::object({{"id", to_text(e.id)},
                                  {"name", share->name},
                                  {"size", share->size},
                                  {"files_count", share->files_count}}),
                    true);
          },
          [&](const Completed& e) {
            const auto share = node.share(now, e.id);
            publish(now, EventKind::completed,
                    Json::object({{"id", to_text(e.id)},
                                  {"name", share ? share->name : std::string()},
                                  {"path", share ? Json(share->path) : Json(nullptr)}}),
                    true);
          },
          [&](const Durable& e) {
            publish(now, EventKind::durable,
                    Json::object({{"id", to_text(e.id)}, {"bytes", e.bytes}}), false);
          },
          [&](const StateChanged& e) { on_state_changed(now, e, node); },
          [&](const Removed& e) { on_removed(now, e); },
          [&](const FileRead& e) { on_file_read(e); },
          [&](const VerifyProgress& e) { on_verify_progress(now, e); },
          [&](const Verified& e) { on_verified(now, e); },
          [&](const PeerJoined& e) {
            publish(now, EventKind::peer_joined,
                    Json::object({{"peer", to_text(e.peer)}, {"endpoint", e.endpoint.to_string()}}),
                    true);
          },
          [&](const PeerLeft& e) {
            publish(now, EventKind::peer_left, peer_gone_json(e.peer, e.endpoint, e.reason), true);
          },
          [&](const PeerBanned& e) {
            publish(now, EventKind::peer_banned, peer_gone_json(e.peer, e.endpoint, e.reason),
                    true);
          },
          [&](const Probed& e) { on_probed(e); },
          // What Node settles between its engines.
          [](const PeersWanted&) {},
          [](const AnnounceWanted&) {},
          [](const AnnounceOver&) {},
      },
      event);
}

void Rpc::on_import_progress(Time now, const transfer::ImportProgress& event) {
  const auto place = imports_.find(event.import);
  if (place == imports_.end()) return;
  PendingImport& import = place->second;
  const bool is_last = event.bytes_done == event.bytes_total;
  if (!is_last && now - import.told < kImportProgressInterval) return;
  import.told = now;
  const double elapsed = seconds(now - import.started);
  const double rate = elapsed > 0 ? static_cast<double>(event.bytes_done) / elapsed : 0;
  publish(now, EventKind::import_progress,
          Json::object({{"path", import.path},
                        {"done", event.bytes_done},
                        {"total", event.bytes_total},
                        {"rate", whole_rate(rate)}}),
          false);
}

void Rpc::on_imported(Time now, const transfer::Imported& event, const Node& node) {
  const std::string id = to_text(event.id);
  const auto share = node.share(now, event.id);
  const std::string name = share ? share->name : std::string();
  const std::string path = share ? share->path : std::string();
  publish(now, EventKind::imported,
          Json::object({{"id", id},
                        {"name", name},
                        {"path", path},
                        {"was_known", event.was_known},
                        {"left_out_count", event.left_out.size()}}),
          true);
  const auto place = imports_.find(event.import);
  if (place == imports_.end()) return;
  const PendingImport pending = std::move(place->second);
  imports_.erase(place);
  answer_pending(pending, Json::object({{"id", id},
                                        {"link", node.link(event.id).value_or(std::string())},
                                        {"name", name},
                                        {"path", path},
                                        {"size", share ? share->size : 0},
                                        {"files_count", share ? share->files_count : 0},
                                        {"was_known", event.was_known},
                                        {"left_out", left_out_json(event.left_out)},
                                        {"left_out_count", event.left_out.size()}}));
}

void Rpc::on_import_failed(Time now, const transfer::ImportFailed& event) {
  const auto place = imports_.find(event.import);
  if (place == imports_.end()) return;
  const PendingImport pending = std::move(place->second);
  imports_.erase(place);
  publish(now, EventKind::import_failed,
          Json::object({{"path", pending.path}, {"error", error_json(event.error)}}), true);
  answer_pending(pending, event.error);
}

void Rpc::on_state_changed(Time now, const transfer::StateChanged& event, const Node& node) {
  const auto share = node.share(now, event.id);
  if (share && share->error) on_preview(now, event.id, node, share->error);
  const bool has_error = share && share->error &&
                         (event.state == transfer::ShareState::failed ||
                          event.state == transfer::ShareState::quarantined);
  publish(now, EventKind::state,
          Json::object({{"id", to_text(event.id)},
                        {"state", state_word(event.state)},
                        {"reason", event.reason},
                        {"error", has_error ? error_json(*share->error) : Json(nullptr)}}),
          true);
}

void Rpc::on_removed(Time now, const transfer::Removed& event) {
  const std::string id = to_text(event.id);
  publish(
      now, EventKind::removed,
      Json::object(
          {{"id", id}, {"error", event.result ? Json(nullptr) : error_json(event.result.error())}}),
      true);
  const auto [begin, end] = removals_.equal_range(event.id);
  for (auto place = begin; place != end; ++place) {
    if (event.result) {
      answer_pending(place->second, Json::object({{"id", id}}));
    } else {
      answer_pending(place->second, event.result.error());
    }
  }
  removals_.erase(begin, end);
}

// The number of an event that is not kept is that of the newest kept one: it is always right as
// `since`.
void Rpc::publish(Time now, EventKind kind, Json params, bool is_kept) {
  if (is_kept) ++seq_;
  const bool is_heard = is_followed(kind);
  if (!is_kept && !is_heard) return;
  const EventRow& row = event_rows()[static_cast<std::size_t>(kind)];
  Json event = Json::object({{"seq", seq_}, {"time", rfc3339(wall_at(now))}, {"kind", row.name}});
  for (auto& [name, value] : params.items()) event[name] = std::move(value);
  std::string text = dump_json(event);
  for (const auto& [client, state] : clients_) {
    if (state.subscription && (state.subscription->kinds & bit(kind)) != 0) {
      reply(client, notification(text), false);
    }
  }
  if (!is_kept) return;
  text.shrink_to_fit();  // it stays for long, and there are thousands
  ring_.push_back(KeptEvent{seq_, kind, std::move(text)});
  if (ring_.size() > kEventRingMax) ring_.pop_front();
}

bool Rpc::is_followed(EventKind kind) const {
  for (const auto& [client, state] : clients_) {
    if (state.subscription && (state.subscription->kinds & bit(kind)) != 0) return true;
  }
  return false;
}

Rpc::Answer Rpc::events_subscribe(Call& call) {
  Subscription subscription;
  Json names = Json::array();
  const Json* kinds = json_find(call.params, "kinds");
  const bool is_all = kinds == nullptr || kinds->is_null();
  for (const EventRow& row : event_rows()) {
    if (is_all) subscription.kinds |= bit(row.kind);
  }
  for (const Json& item : is_all ? Json::array() : *kinds) {
    const std::string name = json_text(item).value_or(std::string());
    const auto kind = find_event_kind(name);
    if (!kind) {
      std::string all;
      for (const EventRow& row : event_rows()) {
        all += (all.empty() ? "" : ", ") + std::string(row.name);
      }
      return Result<Json>(Error{Errc::malformed,
                                "there is no event kind \"" + name.substr(0, 64) + "\"",
                                "the kinds are " + all});
    }
    subscription.kinds |= bit(*kind);
  }
  for (const EventRow& row : event_rows()) {
    if ((subscription.kinds & bit(row.kind)) != 0) names.push_back(row.name);
  }
  const Json* since = json_find(call.params, "since");
  const auto after = since == nullptr ? std::nullopt : json_integer(*since);
  const std::uint64_t oldest = ring_.empty() ? seq_ + 1 : ring_.front().seq;
  const bool is_lost = after && (*after + 1 < oldest || *after > seq_);

  // Only what moves from now on is told as progress.
  if (progress_at_ == kNever && (subscription.kinds & bit(EventKind::progress)) != 0) {
    told_.clear();
    for (const auto& share : call.node.shares(call.now)) {
      told_[share.id] = Told{progress_numbers(share), share.reason};
    }
    progress_at_ = call.now + kProgressInterval;
  }
  clients_[call.client].subscription = subscription;
  if (!is_followed(EventKind::progress)) progress_at_ = kNever;

  // The answer first, then what was kept.
  answer(call.pending(),
         Json::object({{"seq", seq_}, {"is_lost", is_lost}, {"kinds", std::move(names)}}));
  for (const KeptEvent& event : ring_) {
    const bool is_wanted = after && (event.seq > *after || *after > seq_);
    if (is_wanted && (subscription.kinds & bit(event.kind)) != 0) {
      reply(call.client, notification(event.text), false);
    }
  }
  return std::nullopt;
}

Rpc::Answer Rpc::events_unsubscribe(Call& call) {
  clients_[call.client].subscription.reset();
  if (!is_followed(EventKind::progress)) progress_at_ = kNever;
  return Result<Json>(Json::object());
}

void Rpc::tell_progress(Time now, const Node& node) {
  progress_at_ = now + kProgressInterval;
  std::map<ShareId, Told> told;
  for (const transfer::ShareStatus& share : node.shares(now)) {
    Told current{progress_numbers(share), share.reason};
    const auto before = told_.find(share.id);
    if (before == told_.end() || !(before->second == current)) {
      const auto ended = share.lookup ? std::optional(wall_at(share.lookup->at)) : std::nullopt;
      publish(now, EventKind::progress, Json::object({{"share", share_json(share, ended)}}), false);
    }
    told.emplace(share.id, std::move(current));
  }
  told_ = std::move(told);
}

}  // namespace peernet::daemon
