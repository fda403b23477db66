#include <nlohmann/json.hpp>

#include <filesystem>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"

// The commands that follow something until it ends: add, fetch, status.

namespace peernet::cli {

constexpr std::chrono::milliseconds kTick{1000};
constexpr std::size_t kLeftOutShownMax = 20;
constexpr unsigned kPlainStep = 10;  // percent between two lines of a log
constexpr double kLasting = 0.9;     // seconds a state stands before a log is told of it

namespace {

Failure connection_lost() {
  return Failure{kExitNoDaemon, "unavailable", "the connection to the daemon is lost",
                 "what was durable is kept and goes on when the daemon runs again"};
}

// ---- add ----

void tell_left_out(Screen& screen, const Json& result) {
  const std::uint64_t total = integer_at(result, "left_out_count").value_or(0);
  if (total == 0 || screen.is_json()) return;
  screen.story("left out (a share holds only files, and not what is excluded):");
  std::size_t told = 0;
  for (const Json& item : at(result, "left_out")) {
    if (told == kLeftOutShownMax) break;
    screen.story("  " + shown(text_at(item, "path")) + "  (" + shown(text_at(item, "reason")) +
                 ")");
    ++told;
  }
  if (total > told) screen.story("  and " + std::to_string(total - told) + " more");
}

int finish_add(Screen& screen, const Json& result, const std::string& name, std::uint64_t rate,
               std::vector<Json>* added) {
  if (screen.is_json()) {
    if (added != nullptr) {
      added->push_back(result);
    } else {
      screen.answer_json(result);
    }
    return kExitDone;
  }
  const std::uint64_t size = integer_at(result, "size").value_or(0);
  screen.end_moving_line(false);
  if (flag_at(result, "was_known")) {
    screen.story("shared already: " + shown(text_at(result, "name")));
  } else if (rate > 0) {
    screen.story(hashing_line(name, size, size, rate, screen.err_look()));
  }
  tell_left_out(screen, result);
  screen.answer_text(text_at(result, "link"));
  return kExitDone;
}

Outcome<Json> add_params(const AddOptions& options, const std::string& given) {
  auto path = absolute_path(given);
  if (auto* failure = std::get_if<Failure>(&path)) return std::move(*failure);
  Json params = Json::object({{"path", std::get<std::string>(path)}});
  if (options.piece_length) {
    const auto bytes = parse_bytes(*options.piece_length);
    if (!bytes) {
      return Failure{kExitUsage, "malformed",
                     "this is not a piece length: " + *options.piece_length,
                     "a power of two from 16KiB to 16MiB, such as 1MiB"};
    }
    params["piece_length"] = *bytes;
  }
  if (options.allow_unportable) params["allow_unportable"] = true;
  if (!options.exclude.empty()) params["exclude"] = options.exclude;
  return params;
}

// ---- fetch ----

// What is shown of a fetch as it goes on.
class FetchStory {
 public:
  explicit FetchStory(Screen& screen) : screen_(screen) {}

  void tell(const Json& share, std::optional<std::uint64_t> dht_nodes) {
    if (screen_.is_json()) {
      if (share != last_share_) screen_.story_json(share);
      last_share_ = share;
      return;
    }
    const std::string state = text_at(share, "state");
    const bool is_moving_data = state == "fetching" || state == "repairing";
    if (!is_head_told_ && is_moving_data && integer_at(share, "size")) {
      screen_.story(fetch_head(share, screen_.err_look()));
      is_head_told_ = true;
    }
    if (screen_.is_moving()) {
      screen_.moving_line(fetch_line(share, dht_nodes, screen_.err_look()));
      return;
    }
    tell_plainly(share, dht_nodes);
  }

 private:
  // In a log: a line for each tenth, and for each state or reason that lasts.
  void tell_plainly(const Json& share, std::optional<std::uint64_t> dht_nodes) {
    const std::string state = text_at(share, "state") + text_at(share, "reason");
    const auto done = percent(integer_at(share, "done").value_or(0), wanted_size(share));
    const unsigned step = done.value_or(0) / kPlainStep;
    if (state != state_) {
      state_ = state;
      state_since_ = seconds_now();
    }
    const bool is_new_state = state != told_state_ && seconds_now() - state_since_ >= kLasting;
    if (step == told_step_ && !is_new_state) return;
    told_state_ = state;
    told_step_ = step;
    screen_.story(fetch_plain(share, dht_nodes));
  }

  Screen& screen_;
  Json last_share_;
  bool is_head_told_ = false;
  std::string state_;
  double state_since_ = 0;
  std::string told_state_;
  unsigned told_step_ = 0;
};

// A fetch that is followed: asks for the share, waits for what happens to it.
class Follower {
 public:
  // The deadline is a moment of seconds_now(); `stall` are seconds.
  Follower(Session& session, Client& client, std::string id, std::optional<double> deadline,
           std::optional<double> stall)
      : session_(session),
        client_(client),
        id_(std::move(id)),
        deadline_(deadline),
        stall_(stall) {}

  int run() {
    FetchStory story(session_.screen());
    if (auto failure = refresh()) return session_.screen().fail(*failure);
    while (true) {
      if (const auto code = ended()) return *code;
      story.tell(share_, dht_nodes_);
      if (deadline_ && seconds_now() >= *deadline_) return time_is_up();
      if (stall_ && seconds_now() - moved_at_ >= *stall_) return stalled();
      if (const auto code = wait()) return *code;
    }
  }

 private:
  std::string short_command() const { return "peernet status " + short_id(id_); }

  std::optional<Failure> refresh() {
    auto share = client_.call("share.status", Json::object({{"id", id_}}));
    if (auto* failure = std::get_if<Failure>(&share)) return std::move(*failure);
    take(std::get<Json>(share));
    client_.drop_kept("progress");
    dht_nodes_.reset();
    const std::string state = text_at(share_, "state");
    if (state != "finding" && state != "stalled") return std::nullopt;
    const auto dht = client_.call("dht.status");
    if (const auto* status = std::get_if<Json>(&dht); status && flag_at(*status, "is_enabled")) {
      dht_nodes_ = integer_at(*status, "nodes_count");
    }
    return std::nullopt;
  }

  // The exit code, once there is nothing more to wait for.
  std::optional<int> ended() {
    Screen& screen = session_.screen();
    const std::string state = text_at(share_, "state");
    if (is_done_state(state)) {
      screen.end_moving_line(false);
      if (screen.is_json()) {
        screen.answer_json(share_);
        return kExitDone;
      }
      const std::uint64_t size = wanted_size(share_).value_or(0);
      screen.story("complete  " + shown(text_at(share_, "name")) + "  " + size_text(size));
      screen.answer_text(text_at(share_, "path"));
      return kExitDone;
    }
    if (state == "failed" || state == "quarantined") {
      Failure failure = failure_of(at(share_, "error"));
      if (failure.message.empty()) failure.message = text_at(share_, "reason");
      if (failure.hint.empty()) failure.hint = "try again with: peernet resume " + short_id(id_);
      return screen.fail(failure);
    }
    if (state == "damaged") {
      return screen.fail({kExitCorrupt, "corrupt", text_at(share_, "reason"),
                          "peernet verify --repair " + short_id(id_)});
    }
    if (state == "paused") {
      return screen.fail({kExitUnfinished, "cancelled",
                          "the share is paused; what is there is kept",
                          "go on with: peernet resume " + short_id(id_)});
    }
    return std::nullopt;
  }

  int time_is_up() {
    const bool is_nobody = integer_at(share_, "peers_known").value_or(0) == 0 &&
                           integer_at(share_, "peers_connected").value_or(0) == 0;
    if (is_nobody) {
      return session_.screen().fail({kExitNotFound, "not_found",
                                     "no one who has it was found in time",
                                     "it goes on in the background: " + short_command()});
    }
    return session_.screen().fail({kExitTimedOut, "timed_out", "it is not complete in time",
                                   "it goes on in the background: " + short_command()});
  }

  int stalled() {
    std::string what = "nothing came for so long";
    if (const std::string reason = text_at(share_, "reason"); !reason.empty()) {
      what += ": " + reason;
    }
    return session_.screen().fail(
        {kExitTimedOut, "timed_out", what,
         "it goes on in the background; peernet why " + short_id(id_) + " tells more"});
  }

  // Something came, or it is in another state.
  void take(const Json& share) {
    if (text_at(share, "state") != text_at(share_, "state") ||
        integer_at(share, "done") != integer_at(share_, "done") || moved_at_ == 0) {
      moved_at_ = seconds_now();
    }
    share_ = share;
  }

  int interrupted() {
    Screen& screen = session_.screen();
    screen.end_moving_line(true);
    screen.story(called("continues in the background: " + short_command(), screen.node()));
    if (screen.is_json()) screen.answer_json(share_);
    return kExitUnfinished;
  }

  // Until something is known that was not before.
  std::optional<int> wait() {
    Screen& screen = session_.screen();
    const Message message = client_.next(kTick);
    switch (message.kind) {
      case Message::Kind::interrupted: return interrupted();
      case Message::Kind::lost: return screen.fail(connection_lost());
      case Message::Kind::answer: return std::nullopt;
      case Message::Kind::event: return on_event(message.value);
      case Message::Kind::quiet: break;
    }
    if (auto failure = refresh()) return fail_unless_interrupted(*failure);
    return std::nullopt;
  }

  std::optional<int> on_event(const Json& event) {
    const std::string kind = text_at(event, "kind");
    if (kind == "progress") {
      const Json& share = at(event, "share");
      if (text_at(share, "id") == id_) take(share);
      return std::nullopt;
    }
    if (text_at(event, "id") != id_) return std::nullopt;
    if (kind == "removed") {
      return session_.screen().fail(
          {kExitOther, "cancelled", "the share was removed while it was fetched", {}});
    }
    if (auto failure = refresh()) return fail_unless_interrupted(*failure);
    return std::nullopt;
  }

  int fail_unless_interrupted(const Failure& failure) {
    return failure.kind == "cancelled" ? interrupted() : session_.screen().fail(failure);
  }

  Session& session_;
  Client& client_;
  std::string id_;
  std::optional<double> deadline_;
  std::optional<double> stall_;
  double moved_at_ = 0;
  Json share_;
  std::optional<std::uint64_t> dht_nodes_;
};

void add_selection(Json& params, const FetchOptions& options) {
  // Without a pattern everything is meant, also of a share of which only some was wanted.
  params["only"] = options.only;
  params["skip"] = options.skip;
}

Outcome<Json> fetch_params(const FetchOptions& options) {
  Json params = Json::object({{"link", options.link}});
  if (options.directory) {
    auto directory = absolute_path(*options.directory);
    if (auto* failure = std::get_if<Failure>(&directory)) return std::move(*failure);
    std::error_code fault;
    const auto resolved =
        std::filesystem::weakly_canonical(std::get<std::string>(directory), fault);
    params["directory"] = fault ? std::get<std::string>(directory) : resolved.string();
  }
  if (options.allow_unportable) params["allow_unportable"] = true;
  if (options.is_sequential) params["sequential"] = true;
  add_selection(params, options);
  return params;
}

// ---- status ----

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
      return Failure{kExitNotFound, "not_found", "the filter leaves nothing", {}};
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

namespace {

// The answer comes when everything is hashed; until then the events of the import move the line.
// `added` collects the answers of several, with --json.
int add_one(Session& session, const AddOptions& options, const std::string& given,
            std::vector<Json>* added) {
  Screen& screen = session.screen();
  const auto params = add_params(options, given);
  if (const auto* failure = std::get_if<Failure>(&params)) return screen.fail(*failure);
  const std::string path = text_at(std::get<Json>(params), "path");
  const std::string name = std::filesystem::path(path).filename().string();
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  client.wake_on(-1);  // the Interrupt of the path before this one is gone
  const auto subscribed =
      client.call("events.subscribe", Json::object({{"kinds", Json::array({"import_progress"})}}));
  if (const auto* failure = std::get_if<Failure>(&subscribed)) return screen.fail(*failure);

  const Interrupt interrupt;
  client.wake_on(interrupt.descriptor());
  const auto sent = client.send("share.add", std::get<Json>(params));
  if (const auto* failure = std::get_if<Failure>(&sent)) return screen.fail(*failure);
  std::uint64_t rate = 0;
  while (true) {
    const Message message = client.next(kTick);
    switch (message.kind) {
      case Message::Kind::answer:
        if (message.failure) return screen.fail(*message.failure);
        return finish_add(screen, message.value, name, rate, added);
      case Message::Kind::event: {
        if (text_at(message.value, "path") != path) break;
        rate = integer_at(message.value, "rate").value_or(0);
        if (screen.is_json()) {
          screen.story_json(message.value);
          break;
        }
        screen.moving_line(hashing_line(name, integer_at(message.value, "done").value_or(0),
                                        integer_at(message.value, "total").value_or(0), rate,
                                        screen.err_look()));
        break;
      }
      case Message::Kind::quiet: break;
      case Message::Kind::interrupted:
        // Closing the connection cancels the import.
        return screen.fail({kExitOther, "cancelled", "interrupted: nothing is shared", {}});
      case Message::Kind::lost: return screen.fail(connection_lost());
    }
  }
}

}  // namespace

// The first that fails ends it; those before it are shared.
int add(Session& session, const AddOptions& options) {
  if (options.is_stdin) {
    if (!options.paths.empty() || !options.name) {
      return session.screen().fail({kExitUsage, "usage", "--stdin takes a --name and no path",
                                    "such as: tar c x | peernet add --stdin --name x.tar"});
    }
    const auto path = keep_stdin(session, *options.name);
    if (const auto* failure = std::get_if<Failure>(&path)) return session.screen().fail(*failure);
    return add_one(session, options, std::get<std::string>(path), nullptr);
  }
  if (options.paths.empty() || options.name) {
    return session.screen().fail(
        {kExitUsage, "usage",
         options.name ? "--name is for --stdin: a path has a name" : "what is to be shared?",
         "such as: peernet add survey.tar"});
  }
  if (options.paths.size() == 1) return add_one(session, options, options.paths.front(), nullptr);
  std::vector<Json> added;
  for (const std::string& path : options.paths) {
    if (const int code = add_one(session, options, path, &added); code != kExitDone) return code;
  }
  if (session.screen().is_json()) {
    session.screen().answer_json(Json::object({{"added", std::move(added)}}));
  }
  return kExitDone;
}

namespace {

// Seconds of a duration that was given, if it was.
Outcome<std::optional<double>> seconds_of(const std::optional<std::string>& text) {
  if (!text) return std::optional<double>();
  const auto seconds = parse_seconds(*text);
  if (!seconds) {
    return Failure{kExitUsage, "malformed", "this is not a duration: " + *text,
                   "such as 30s, 10m or 2h"};
  }
  return std::optional(static_cast<double>(*seconds));
}

std::optional<Failure> subscribe_to_share(Client& client) {
  const auto subscribed = client.call(
      "events.subscribe",
      Json::object(
          {{"kinds", Json::array({"progress", "manifest", "state", "completed", "removed"})}}));
  if (const auto* failure = std::get_if<Failure>(&subscribed)) return *failure;
  return std::nullopt;
}

}  // namespace

// Subscribes first, so that nothing is missed between the call and the first event.
int fetch(Session& session, const FetchOptions& options) {
  Screen& screen = session.screen();
  const auto timeout = seconds_of(options.timeout);
  if (const auto* failure = std::get_if<Failure>(&timeout)) return screen.fail(*failure);
  const auto stall = seconds_of(options.stall);
  if (const auto* failure = std::get_if<Failure>(&stall)) return screen.fail(*failure);
  std::optional<double> deadline = std::get<std::optional<double>>(timeout);
  if (deadline) *deadline += seconds_now();
  const auto params = fetch_params(options);
  if (const auto* failure = std::get_if<Failure>(&params)) return screen.fail(*failure);
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  if (!options.is_detached) {
    if (const auto failure = subscribe_to_share(client)) return screen.fail(*failure);
  }
  const auto answer = client.call("share.fetch", std::get<Json>(params));
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  std::string id = text_at(result, "id");
  if (options.is_detached) {
    screen.story(
        called("fetching in the background: peernet status " + short_id(id), screen.node()));
    if (screen.is_json()) {
      screen.answer_json(result);
    } else {
      screen.answer_text(id);
    }
    return kExitDone;
  }
  const Interrupt interrupt;
  client.wake_on(interrupt.descriptor());
  return Follower(session, client, std::move(id), deadline, std::get<std::optional<double>>(stall))
      .run();
}

int preview(Session& session, const FetchOptions& options) {
  Screen& screen = session.screen();
  const auto timeout = seconds_of(options.timeout ? options.timeout : options.stall);
  if (const auto* failure = std::get_if<Failure>(&timeout)) return screen.fail(*failure);
  const auto limit = std::get<std::optional<double>>(timeout);
  const double deadline = seconds_now() + limit.value_or(0);
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  Json params = Json::object({{"link", options.link}});
  add_selection(params, options);
  const auto sent = client.send("share.preview", params);
  if (const auto* failure = std::get_if<Failure>(&sent)) return screen.fail(*failure);
  Message message;
  // Ctrl-C ends the program: the daemon forgets it with the connection.
  while (message.kind != Message::Kind::answer) {
    message = client.next(kTick);
    if (message.kind == Message::Kind::lost) return screen.fail(connection_lost());
    if (message.kind == Message::Kind::quiet && limit && seconds_now() >= deadline) {
      return screen.fail({kExitTimedOut, "timed_out", "nobody has said in time what it contains",
                          "is it shared anywhere, by a node that runs?"});
    }
  }
  if (message.failure) return screen.fail(*message.failure);
  const Json& result = message.value;
  const auto files =
      session.call_all("share.files", "files", Json::object({{"id", text_at(result, "id")}}));
  if (const auto* failure = std::get_if<Failure>(&files)) return screen.fail(*failure);
  const auto& all = std::get<std::vector<Json>>(files);
  if (screen.is_json()) {
    Json answer = result;
    answer["files"] = all;
    screen.answer_json(answer);
    return kExitDone;
  }
  screen.story(shown(text_at(result, "name")) + "  " +
               size_text(integer_at(result, "size").value_or(0)) + ", " +
               plural(integer_at(result, "files_count").value_or(0), "file") +
               (flag_at(result, "is_known") ? "; it is here already" : "; nothing is fetched"));
  screen.answer(render_files(all, text_at(result, "name"), screen.out_look()));
  return kExitDone;
}

int follow_repair(Session& session, Client& client, const Interrupt& interrupt,
                  const std::string& id) {
  if (const auto failure = subscribe_to_share(client)) return session.screen().fail(*failure);
  client.wake_on(interrupt.descriptor());
  return Follower(session, client, id, std::nullopt, std::nullopt).run();
}

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
