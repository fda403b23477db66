#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"

// peernet status: once, or again and again.

namespace peernet::cli {

constexpr std::chrono::milliseconds kTick{1000};

namespace {

// NOLINTNEXTLINE(bugprone-exception-escape): moving JSON does not throw
struct Snapshot {
  Json node;
  std::vector<Json> shares;
};

Outcome<Snapshot> take_snapshot(Session& session, const StatusOptions& options) {
  Snapshot snapshot;
  auto node = session.call("daemon.status");
  if (auto* failure = std::get_if<Failure>(&node)) return std::move(*failure);
  snapshot.node = std::move(std::get<Json>(node));
  if (options.id) {
    auto share = session.call("share.status", Json::object({{"id", *options.id}}));
    if (auto* failure = std::get_if<Failure>(&share)) return std::move(*failure);
    auto selected = select(options.selection, {std::get<Json>(share)});
    if (auto* failure = std::get_if<Failure>(&selected)) return std::move(*failure);
    snapshot.shares = std::move(std::get<std::vector<Json>>(selected));
    if (snapshot.shares.empty()) {
      return Failure{kExitNotFound, "not_found", "the filter leaves nothing",
                     "without --filter it is shown"};
    }
    return snapshot;
  }
  // The table needs half of what there is; a thousand shares are a lot of text.
  Json params = Json::object();
  const Selection& selection = options.selection;
  if (!session.screen().is_json() && selection.is_everything()) {
    params["fields"] = {"id",      "state",  "reason", "error",           "name",
                        "size",    "wanted", "done",   "is_directory",    "rate_down",
                        "rate_up", "ratio",  "eta",    "peers_connected", "peers_known"};
  }
  ask_for(selection, params);
  auto shares = session.call_all("share.list", "shares", params);
  if (auto* failure = std::get_if<Failure>(&shares)) return std::move(*failure);
  auto selected = select(options.selection, std::move(std::get<std::vector<Json>>(shares)));
  if (auto* failure = std::get_if<Failure>(&selected)) return std::move(*failure);
  snapshot.shares = std::move(std::get<std::vector<Json>>(selected));
  return snapshot;
}

std::string render_snapshot(const Snapshot& snapshot, const StatusOptions& options,
                            const Look& look) {
  const bool is_single = options.id.has_value();
  if (!options.selection.fields.empty()) {
    return render_selected(options.selection, snapshot.shares, look);
  }
  return render_node(snapshot.node, look) + (is_single ? render_share(snapshot.shares.front(), look)
                                                       : render_shares(snapshot.shares, look));
}

Json snapshot_json(Snapshot snapshot, bool is_single) {
  Json json = Json::object({{"node", std::move(snapshot.node)}});
  if (is_single) {
    json["share"] = std::move(snapshot.shares.front());
  } else {
    json["shares"] = std::move(snapshot.shares);
  }
  return json;
}

int watch_status(Session& session, const StatusOptions& options) {
  Screen& screen = session.screen();
  const Interrupt interrupt;
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  while (true) {
    auto taken = take_snapshot(session, options);
    if (const auto* failure = std::get_if<Failure>(&taken)) return screen.fail(*failure);
    auto& snapshot = std::get<Snapshot>(taken);
    if (screen.is_json()) {
      screen.answer_json_line(snapshot_json(std::move(snapshot), options.id.has_value()));
    } else {
      screen.redraw(render_snapshot(snapshot, options, screen.out_look()));
    }
    client.wake_on(interrupt.descriptor());
    const Message message = client.next(kTick);
    client.wake_on(-1);
    if (message.kind == Message::Kind::interrupted) return kExitDone;
    if (message.kind == Message::Kind::lost) return screen.fail(connection_lost());
  }
}

}  // namespace

int status(Session& session, const StatusOptions& options) {
  if (options.is_watched) return watch_status(session, options);
  Screen& screen = session.screen();
  auto taken = take_snapshot(session, options);
  if (const auto* failure = std::get_if<Failure>(&taken)) return screen.fail(*failure);
  auto& snapshot = std::get<Snapshot>(taken);
  if (screen.is_json()) {
    screen.answer_json(snapshot_json(std::move(snapshot), options.id.has_value()));
  } else {
    screen.answer(render_snapshot(snapshot, options, screen.out_look()));
  }
  return kExitDone;
}

}  // namespace peernet::cli
