#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/control.h"
#include "cli/render.h"
#include "cli/text.h"

// Peers: who is connected, and what a user does with a single one.

namespace peernet::cli {

constexpr std::chrono::milliseconds kConnectTimeout{60'000};
constexpr std::size_t kStepWidth = 10;

namespace {

// One peer by HOST:PORT or by a link that names one, and each step on the way to it.
Outcome<Json> connect(Session& session, const std::string& where) {
  const bool is_link = where.starts_with("peernet:");
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return *failure;
  Client& client = *std::get<Client*>(connection);
  const auto sent =
      client.send("peer.connect", Json::object({{is_link ? "link" : "endpoint", where}}));
  if (const auto* failure = std::get_if<Failure>(&sent)) return *failure;
  const Message message = client.next(kConnectTimeout);
  if (message.kind == Message::Kind::answer) {
    if (message.failure) return *message.failure;
    return message.value;
  }
  return Failure{kExitNoDaemon, "unavailable", "the daemon did not answer", "peernet status"};
}

// What a failed step means for the exit code.
int code_of(const Json& result) {
  if (flag_at(result, "is_good")) return kExitDone;
  const Json& steps = at(result, "steps");
  const std::string last = steps.empty() ? std::string() : text_at(steps.back(), "name");
  return last == "resolve" || last == "share" ? kExitNotFound : kExitNetwork;
}

std::string render_steps_of(const Json& result, const Look& look) {
  std::string text;
  for (const Json& step : at(result, "steps")) {
    const bool is_good = flag_at(step, "is_good");
    const double took = number_at(step, "took").value_or(0);
    text += colored(is_good ? "ok   " : "fault", is_good ? Color::green : Color::red, look) + "  " +
            pad_right(shown(text_at(step, "name")), kStepWidth) + " " +
            pad_left(std::to_string(static_cast<int>(took * 1000)) + " ms", 8) + "  " +
            shown(text_at(step, "text")) + "\n";
  }
  return text;
}

int connect_by_hand(Session& session, const std::string& where) {
  Screen& screen = session.screen();
  const auto answer = connect(session, where);
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  const int code = code_of(result);
  if (screen.is_json()) {
    screen.answer_json(result);
    return code;
  }
  if (code == kExitDone) {
    screen.story("connected to " + shown(text_at(result, "endpoint")));
    screen.answer_text(text_at(result, "peer"));
    return code;
  }
  const Json& last = at(result, "steps").back();
  return screen.fail({code, "unavailable", text_at(last, "name") + ": " + text_at(last, "text"),
                      "every step of it: peernet doctor --peer " + shell_quoted(where)});
}

int ban_by_hand(Session& session, const PeersOptions& options) {
  Screen& screen = session.screen();
  Json params = Json::object({{"id", *options.ban}});
  if (options.duration) {
    const auto seconds = parse_seconds(*options.duration);
    if (!seconds || *seconds == 0) {
      return screen.fail({kExitUsage, "malformed", "this is not a duration: " + *options.duration,
                          "such as 30m, 2h or 7d"});
    }
    params["seconds"] = *seconds;
  }
  const auto answer = session.call("peer.ban", params);
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& ban = std::get<Json>(answer);
  const std::string id = short_id(text_at(ban, "id"));
  screen.story("banned " + id +
               (options.duration ? " for " + shown(*options.duration)
                                 : called(", until: peernet peers --unban " + id, screen.node())));
  if (screen.is_json()) screen.answer_json(ban);
  return kExitDone;
}

int simple(Session& session, const char* method, const std::string& id, const char* word) {
  Screen& screen = session.screen();
  const auto answer = session.call(method, Json::object({{"id", id}}));
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  screen.story(std::string(word) + " " + short_id(text_at(std::get<Json>(answer), "id")));
  if (screen.is_json()) screen.answer_json(std::get<Json>(answer));
  return kExitDone;
}

int list_banned(Session& session) {
  Screen& screen = session.screen();
  const auto bans = session.call_all("peer.bans", "bans");
  if (const auto* failure = std::get_if<Failure>(&bans)) return screen.fail(*failure);
  const auto& all = std::get<std::vector<Json>>(bans);
  if (screen.is_json()) {
    screen.answer_json(Json::object({{"bans", all}}));
    return kExitDone;
  }
  if (all.empty()) {
    screen.answer("no peer is banned\n");
    return kExitDone;
  }
  Table table({{"UNTIL"}, {"WHY"}, {"PEER"}});
  for (const Json& ban : all) {
    const std::string until = text_at(ban, "until");
    table.add({{until.size() < 19
                    ? "lifted"
                    : shown(until.substr(0, 10)) + " " + shown(until.substr(11, 8)) + " UTC"},
               {flag_at(ban, "is_by_hand") ? "by hand" : "wrong data"},
               {shown(text_at(ban, "id"))}});
  }
  screen.answer(table.render(screen.out_look()));
  return kExitDone;
}

}  // namespace

int peers(Session& session, const PeersOptions& options) {
  if (options.connect) return connect_by_hand(session, *options.connect);
  if (options.drop) return simple(session, "peer.drop", *options.drop, "dropped");
  if (options.ban) return ban_by_hand(session, options);
  if (options.unban) return simple(session, "peer.unban", *options.unban, "no longer banned:");
  if (options.are_banned) return list_banned(session);
  Screen& screen = session.screen();
  Json params = Json::object();
  if (options.id) params["id"] = *options.id;
  ask_for(options.selection, params);
  auto peers = session.call_all("peer.list", "peers", std::move(params));
  if (const auto* failure = std::get_if<Failure>(&peers)) return screen.fail(*failure);
  return answer_list(screen, options.selection, "peers",
                     std::move(std::get<std::vector<Json>>(peers)), render_peers);
}

int doctor_peer(Session& session, const std::string& where) {
  Screen& screen = session.screen();
  const auto answer = connect(session, where);
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  if (screen.is_json()) {
    screen.answer_json(result);
  } else {
    screen.answer(render_steps_of(result, screen.out_look()));
  }
  return code_of(result);
}

}  // namespace peernet::cli
