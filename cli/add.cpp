#include <nlohmann/json.hpp>

#include <filesystem>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"

// peernet add: followed until everything is hashed.

namespace peernet::cli {

constexpr std::chrono::milliseconds kTick{1000};
constexpr std::size_t kLeftOutShownMax = 20;

namespace {

void tell_left_out(Screen& screen, const Json& result) {
  const std::uint64_t total = count_at(result, "left_out_count");
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
  const std::uint64_t size = count_at(result, "size");
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
        rate = count_at(message.value, "rate");
        if (screen.is_json()) {
          screen.story_json(message.value);
          break;
        }
        screen.moving_line(hashing_line(name, count_at(message.value, "done"),
                                        count_at(message.value, "total"), rate, screen.err_look()));
        break;
      }
      case Message::Kind::quiet: break;
      case Message::Kind::interrupted:
        // Closing the connection cancels the import.
        return screen.fail({kExitOther, "cancelled", "interrupted: nothing is shared",
                            "the same command begins again"});
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

}  // namespace peernet::cli
