#include <nlohmann/json.hpp>

#include <filesystem>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"

// peernet fetch: followed until it is whole, fails or the user goes; `verify --repair` likewise.

namespace peernet::cli {

constexpr std::chrono::milliseconds kTick{1000};
constexpr unsigned kPlainStep = 10;  // percent between two lines of a log
constexpr double kLasting = 0.9;     // seconds a state stands before a log is told of it

namespace {

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
    const auto done = percent(count_at(share, "done"), wanted_size(share));
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
    if (auto failure = refresh()) return no_answer(*failure);
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
    const bool is_nobody =
        count_at(share_, "peers_known") == 0 && count_at(share_, "peers_connected") == 0;
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
    if (auto failure = refresh()) return no_answer(*failure);
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
    if (kind == "removed") return removed(event);
    if (auto failure = refresh()) return no_answer(*failure);
    return std::nullopt;
  }

  int removed(const Json& event) {
    const Json& error = at(event, "error");
    return session_.screen().fail(error.is_object()
                                      ? failure_of(error)
                                      : Failure{kExitOther, "cancelled",
                                                "the share was removed while it was fetched",
                                                "the same link fetches it anew"});
  }

  int no_answer(const Failure& failure) {
    if (failure.kind == "cancelled") return interrupted();
    if (failure.kind != "not_found") return session_.screen().fail(failure);
    // The event that tells why it is gone has come before the answer.
    while (true) {
      const Message message = client_.next(std::chrono::milliseconds(0));
      if (message.kind != Message::Kind::event) return session_.screen().fail(failure);
      const bool is_it =
          text_at(message.value, "kind") == "removed" && text_at(message.value, "id") == id_;
      if (is_it) return removed(message.value);
    }
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
  screen.story(shown(text_at(result, "name")) + "  " + size_text(count_at(result, "size")) + ", " +
               plural(count_at(result, "files_count"), "file") +
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

}  // namespace peernet::cli
