#include "cli/commands.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <system_error>

#include "cli/render.h"
#include "cli/text.h"
#include "core/escape.h"

namespace peernet::cli {

constexpr std::chrono::milliseconds kShutdownTimeout{15'000};

namespace {

// For commands whose whole answer is a line for people and a document for programs.
template <class Print>
int ask(Session& session, std::string_view method, const Json& params, const Print& print) {
  const auto answer = session.call(method, params);
  if (const auto* failure = std::get_if<Failure>(&answer)) return session.screen().fail(*failure);
  const Json& result = std::get<Json>(answer);
  if (session.screen().is_json()) {
    session.screen().answer_json(result);
  } else {
    print(result);
  }
  return kExitDone;
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

std::string name_for_story(const Json& share) {
  const std::string name = text_at(share, "name");
  return short_id(text_at(share, "id")) + (name.empty() ? "" : "  " + shown(name));
}

}  // namespace

int answer_list(Screen& screen, const Selection& selection, const std::string& name,
                std::vector<Json> rows, const RenderList& render) {
  auto selected = select(selection, std::move(rows));
  if (const auto* failure = std::get_if<Failure>(&selected)) return screen.fail(*failure);
  auto& chosen = std::get<std::vector<Json>>(selected);
  if (screen.is_json()) {
    screen.answer_json(Json::object({{name, std::move(chosen)}}));
  } else {
    screen.answer(selection.fields.empty() ? render(chosen, screen.out_look())
                                           : render_selected(selection, chosen, screen.out_look()));
  }
  return kExitDone;
}

int list(Session& session, const std::optional<std::string>& id, const Selection& selection) {
  Screen& screen = session.screen();
  if (!id) {
    Json params = Json::object();
    ask_for(selection, params);
    auto shares = session.call_all("share.list", "shares", std::move(params));
    if (const auto* failure = std::get_if<Failure>(&shares)) return screen.fail(*failure);
    return answer_list(screen, selection, "shares", std::move(std::get<std::vector<Json>>(shares)),
                       render_list);
  }
  const auto share = session.call("share.status", Json::object({{"id", *id}}));
  if (const auto* failure = std::get_if<Failure>(&share)) return screen.fail(*failure);
  Json params = Json::object({{"id", *id}});
  ask_for(selection, params);
  auto files = session.call_all("share.files", "files", std::move(params));
  if (const auto* failure = std::get_if<Failure>(&files)) return screen.fail(*failure);
  auto& all = std::get<std::vector<Json>>(files);
  const Json& facts = std::get<Json>(share);
  const std::string name = text_at(facts, "name");
  if (!screen.is_json()) {
    return answer_list(screen, selection, "files", std::move(all),
                       [&](const std::vector<Json>& rows, const Look& look) {
                         return render_files(rows, name, look);
                       });
  }
  const auto selected = select(selection, std::move(all));
  if (const auto* failure = std::get_if<Failure>(&selected)) return screen.fail(*failure);
  screen.answer_json(Json::object({{"id", at(facts, "id")},
                                   {"name", at(facts, "name")},
                                   {"is_directory", at(facts, "is_directory")},
                                   {"files", std::get<std::vector<Json>>(selected)}}));
  return kExitDone;
}

// Answered when nothing works on the share's files any more, which may take as long as its last
// job on a slow disk.
int remove(Session& session, const std::string& id, bool is_data_deleted) {
  Screen& screen = session.screen();
  const auto share = session.call("share.status", Json::object({{"id", id}}));
  if (const auto* failure = std::get_if<Failure>(&share)) return screen.fail(*failure);
  const Json& facts = std::get<Json>(share);
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  const auto sent =
      client.send("share.remove",
                  Json::object({{"id", text_at(facts, "id")}, {"delete_data", is_data_deleted}}));
  if (const auto* failure = std::get_if<Failure>(&sent)) return screen.fail(*failure);
  while (true) {
    const Message message = client.next(std::chrono::hours(24));
    if (message.kind == Message::Kind::lost) return screen.fail(connection_lost());
    if (message.kind != Message::Kind::answer) continue;
    if (message.failure) return screen.fail(*message.failure);
    break;
  }
  screen.story("removed " + name_for_story(facts) +
               (is_data_deleted ? ", with its files" : "; its files stay where they are"));
  if (screen.is_json()) {
    screen.answer_json(Json::object({{"id", at(facts, "id")},
                                     {"path", at(facts, "path")},
                                     {"is_data_deleted", is_data_deleted}}));
  }
  return kExitDone;
}

int pause(Session& session, const std::string& id) {
  return ask(session, "share.pause", Json::object({{"id", id}}),
             [&](const Json& share) { session.screen().story("paused " + name_for_story(share)); });
}

int resume(Session& session, const std::string& id) {
  return ask(session, "share.resume", Json::object({{"id", id}}), [&](const Json& share) {
    session.screen().story(text_at(share, "state") + " " + name_for_story(share));
  });
}

int accept(Session& session, const std::string& id) {
  return ask(session, "share.accept", Json::object({{"id", id}}), [&](const Json& share) {
    session.screen().story("accepted " + name_for_story(share));
  });
}

int identity(Session& session) {
  return ask(session, "identity.show", Json::object(),
             [&](const Json& result) { session.screen().answer_text(text_at(result, "id")); });
}

int link(Session& session, const std::string& id) {
  return ask(session, "share.link", Json::object({{"id", id}}),
             [&](const Json& result) { session.screen().answer_text(text_at(result, "link")); });
}

// Answered without a daemon: where things are is the first thing one asks when none starts.
int config_path(Session& session) {
  const Json paths = paths_json(session.paths());
  if (session.screen().is_json()) {
    session.screen().answer_json(paths);
  } else {
    session.screen().answer(render_paths(paths));
  }
  return kExitDone;
}

int config_show(Session& session) {
  return ask(session, "daemon.config", Json::object(), [&](const Json& result) {
    session.screen().answer(to_lines(at(result, "config")) + "\n");
  });
}

int rpc(Session& session, const std::optional<std::string>& method,
        const std::optional<std::string>& params) {
  Screen& screen = session.screen();
  if (!method) {
    return ask(session, "rpc.discover", Json::object(), [&](const Json& document) {
      screen.answer(render_methods(document, screen.out_look()));
    });
  }
  Json given = Json::object();
  if (params) {
    given = Json::parse(*params, nullptr, /*allow_exceptions=*/false);
    if (given.is_discarded()) {
      return screen.fail({kExitUsage, "malformed", "the parameters are not JSON: " + *params,
                          R"(such as '{"id": "s7q2mfx4"}')"});
    }
  }
  // Calls like share.add take their time: no limit on the answer, and events are passed on.
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  const auto sent = client.send(*method, given);
  if (const auto* failure = std::get_if<Failure>(&sent)) return screen.fail(*failure);
  // Whoever subscribes wants to see what comes, until Ctrl-C.
  const bool is_followed = *method == "events.subscribe";
  while (true) {
    const Message message = client.next(std::chrono::hours(24));
    switch (message.kind) {
      case Message::Kind::answer:
        if (message.failure) return screen.fail(*message.failure);
        if (!is_followed) {
          screen.answer_json(message.value);
          return kExitDone;
        }
        screen.answer_json_line(message.value);
        break;
      case Message::Kind::event: screen.answer_json_line(message.value); break;
      case Message::Kind::lost: return screen.fail(connection_lost());
      case Message::Kind::quiet:
      case Message::Kind::interrupted: break;
    }
  }
}

int shutdown(Session& session) {
  Screen& screen = session.screen();
  const auto answer = session.call("daemon.shutdown");
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  // The connection closes when everything is saved.
  const Message message = std::get<Client*>(connection)->next(kShutdownTimeout);
  if (message.kind != Message::Kind::lost) {
    return screen.fail({kExitTimedOut, "timed_out", "the daemon has not stopped yet",
                        "its log says what it waits for"});
  }
  screen.story("stopped");
  if (screen.is_json()) screen.answer_json(Json::object({{"is_stopped", true}}));
  return kExitDone;
}

int version(Session& session) {
  if (session.screen().is_json()) {
    session.screen().answer_json(Json::object({{"version", PEERNET_VERSION}}));
  } else {
    session.screen().answer("peernet " PEERNET_VERSION "\n");
  }
  return kExitDone;
}

Outcome<std::string> absolute_path(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.empty()) {
    return Failure{kExitUsage, "malformed", "the path is empty", "name a file or a directory"};
  }
  if (!is_valid_utf8(path)) {
    return Failure{kExitUsage, "malformed", "the path is not valid UTF-8: " + path,
                   "names in a share are UTF-8; rename it"};
  }
  std::error_code fault;
  fs::path given(path);
  if (!given.has_filename()) given = given.parent_path();  // "dir/"
  const fs::path last = given.filename();
  const bool is_dots = last == "." || last == "..";
  const fs::path absolute = fs::absolute(given, fault);
  if (fault) {
    return Failure{kExitOther, "io", "where is this? " + path + ": " + fault.message(),
                   "an absolute path says it from anywhere"};
  }
  const fs::path resolved = is_dots || absolute == absolute.root_path()
                                ? fs::weakly_canonical(absolute, fault)
                                : fs::weakly_canonical(absolute.parent_path(), fault) / last;
  if (fault) {
    return Failure{kExitOther, "io", "where is this? " + path + ": " + fault.message(),
                   "an absolute path says it from anywhere"};
  }
  return resolved.string();
}

}  // namespace peernet::cli
