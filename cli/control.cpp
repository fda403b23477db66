#include "cli/control.h"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>

#include "cli/commands.h"
#include "cli/offline.h"
#include "cli/render.h"
#include "cli/text.h"

namespace peernet::cli {

constexpr std::size_t kConfigSizeMax = 1U << 20U;

namespace {

Failure system_failure(const std::string& path) {
  const int error = errno;
  const int code = error == EACCES || error == EPERM ? 10 : error == ENOSPC ? 9 : kExitOther;
  return Failure{code,
                 code == 10  ? "denied"
                 : code == 9 ? "no_space"
                             : "io",
                 path + ": " + std::strerror(error), "peernet config path shows where the file is"};
}

// A config that is not there is an empty one.
Outcome<std::string> read_config(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT) return std::string();
    return system_failure(path);
  }
  std::string text;
  std::array<char, 16'384> part{};
  while (true) {
    const ssize_t size = ::read(file, part.data(), part.size());
    if (size < 0) {
      const Failure failure = system_failure(path);
      ::close(file);
      return failure;
    }
    if (size == 0) break;
    text.append(part.data(), static_cast<std::size_t>(size));
    if (text.size() > kConfigSizeMax) break;
  }
  ::close(file);
  return text;
}

// The old file stays whole until the new one is: written beside it, synced, renamed over it.
std::optional<Failure> write_config(const std::string& given, const std::string& text) {
  // A symlink stays one: what it points to is replaced.
  std::array<char, 4096> resolved{};
  std::string path =
      ::realpath(given.c_str(), resolved.data()) == nullptr ? given : resolved.data();
  struct stat before {};
  const bool was_there = ::stat(path.c_str(), &before) == 0;
  std::string directory = path.substr(0, path.rfind('/'));
  if (!was_there) ::mkdir(directory.c_str(), S_IRWXU);
  std::string temporary = path + ".XXXXXX";
  const int file = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return system_failure(temporary);
  // The daemon may run as another user than who writes: the file keeps its owner, and a new one is
  // as open to read as its directory.
  mode_t mode = before.st_mode & 0777U;
  if (!was_there) {
    struct stat around {};
    const bool is_known = ::stat(directory.c_str(), &around) == 0;
    constexpr mode_t kReaders = S_IRUSR | S_IRGRP | S_IROTH;
    mode = S_IRUSR | S_IWUSR | (is_known ? around.st_mode & kReaders : mode_t{});
  }
  std::size_t written = 0;
  bool is_good = true;
  if (was_there && (before.st_uid != ::geteuid() || before.st_gid != ::getegid())) {
    // Only root may give a file away.
    is_good = ::geteuid() != 0 || ::fchown(file, before.st_uid, before.st_gid) == 0;
  }
  is_good = is_good && ::fchmod(file, mode) == 0;
  while (is_good && written < text.size()) {
    const ssize_t size = ::write(file, text.data() + written, text.size() - written);
    is_good = size > 0;
    if (is_good) written += static_cast<std::size_t>(size);
  }
  is_good = is_good && ::fsync(file) == 0;
  is_good = is_good && ::rename(temporary.c_str(), path.c_str()) == 0;
  std::optional<Failure> failure;
  if (!is_good) {
    failure = system_failure(path);
    ::unlink(temporary.c_str());
  }
  ::close(file);
  if (const int parent = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      parent >= 0) {
    ::fsync(parent);
    ::close(parent);
  }
  return failure;
}

// The file the daemon reads, which may have been named to it.
Outcome<std::string> config_file(Session& session) {
  const auto answer = session.call("daemon.config");
  if (const auto* failure = std::get_if<Failure>(&answer)) {
    Failure told = *failure;
    if (told.kind == "unavailable") told.hint += "; or edit " + session.paths().config;
    return told;
  }
  return text_at(at(std::get<Json>(answer), "paths"), "config");
}

std::string joined(const Json& list) {
  std::string text;
  for (const Json& item : list) {
    if (item.is_string()) text += (text.empty() ? "" : ", ") + shown(item.get<std::string>());
  }
  return text;
}

// "8MB/s", "512KiB", "1000": bytes a second; "none": 0.
std::optional<std::uint64_t> parse_rate(std::string text) {
  if (text == "none" || text == "unlimited") return 0;
  if (text.ends_with("/s")) text.resize(text.size() - 2);
  const auto bytes = parse_bytes(text);
  if (!bytes || *bytes == 0 || *bytes > std::uint64_t{1} << 40U) return std::nullopt;
  return *bytes;
}

std::string limit_text(const Json& limits, const char* way) {
  const auto rate = integer_at(limits, way);
  return rate ? rate_text(*rate) : "none";
}

Failure bad_rate(const std::string& text) {
  return Failure{kExitUsage, "malformed", "this is not a rate: " + text,
                 "such as 8MB/s, 512KiB/s, or none"};
}

// ---- log

// The seconds since 1970 of "2026-11-20T10:17:55.123Z".
std::optional<double> seconds_of(const std::string& time) {
  if (time.size() < 19) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) {
    int value = 0;
    std::from_chars(time.data() + at, time.data() + at + size, value);
    return value;
  };
  const std::chrono::year_month_day date{std::chrono::year{number(0, 4)},
                                         std::chrono::month{static_cast<unsigned>(number(5, 2))},
                                         std::chrono::day{static_cast<unsigned>(number(8, 2))}};
  if (!date.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch();
  return static_cast<double>(days.count()) * 86'400 + number(11, 2) * 3600 + number(14, 2) * 60 +
         number(17, 2);
}

std::string event_line(const Json& event) {
  const std::string time = text_at(event, "time");
  std::string text = (time.size() < 19 ? shown(time) : shown(time.substr(11, 8))) + "  " +
                     pad_right(shown(text_at(event, "kind")), 15);
  if (!event.is_object()) return text;
  for (const auto& item : event.items()) {
    const std::string& name = item.key();
    const Json& value = item.value();
    if (name == "seq" || name == "time" || name == "kind" || value.is_null()) continue;
    if (value.is_object()) {
      const std::string message = text_at(value, "message");
      text += "  " + (message.empty()
                          ? short_id(text_at(value, "id")) + " " + shown(text_at(value, "state"))
                          : shown(message));
    } else if (value.is_string()) {
      const std::string word = value.get<std::string>();
      if (word.empty()) continue;
      text += "  " + (name == "id" || name == "peer" ? short_id(word) : shown(word));
    } else {
      text += "  " + shown(name) + "=" + to_line(value);
    }
  }
  return text;
}

}  // namespace

int config_set(Session& session, const std::string& key, const std::string& value) {
  Screen& screen = session.screen();
  // The file of the daemon that runs, or of the one that will.
  const auto connection = session.client();
  const auto* const unreachable = std::get_if<Failure>(&connection);
  if (unreachable != nullptr && unreachable->kind != "unavailable") {
    return screen.fail(*unreachable);
  }
  auto path = unreachable == nullptr ? config_file(session) : session.paths().config;
  // A service manager holds the socket also of a daemon that cannot start, perhaps for its config.
  // One that runs and does not answer may have another file.
  const auto* const unasked = std::get_if<Failure>(&path);
  const bool is_running = unreachable == nullptr && unasked == nullptr;
  if (unasked != nullptr && unasked->kind == "unavailable" && !is_held(session.paths().state)) {
    path = session.paths().config;
  }
  if (const auto* failure = std::get_if<Failure>(&path)) return screen.fail(*failure);
  const auto text = read_config(std::get<std::string>(path));
  if (const auto* failure = std::get_if<Failure>(&text)) return screen.fail(*failure);
  const ConfigEdit edit{std::get<std::string>(text), key, value};
  const auto edited =
      is_running
          ? session.call(
                "config.edit",
                Json::object({{"text", edit.text}, {"key", edit.key}, {"value", edit.value}}))
          : edit_without_daemon(edit);
  if (const auto* failure = std::get_if<Failure>(&edited)) return screen.fail(*failure);
  if (const auto failure =
          write_config(std::get<std::string>(path), text_at(std::get<Json>(edited), "text"))) {
    return screen.fail(*failure);
  }
  Json late = Json::array();
  if (is_running) {
    auto reloaded = session.call("config.reload");
    if (const auto* failure = std::get_if<Failure>(&reloaded)) return screen.fail(*failure);
    late = take(std::get<Json>(reloaded), "need_restart");
  }
  const bool needs_restart = flag_at(std::get<Json>(edited), "needs_restart");
  screen.story(shown(key) + (!is_running     ? " is written; it counts when peernetd starts"
                             : needs_restart ? " is written; it counts after a restart of peernetd"
                                             : " is written and counts now"));
  if (screen.is_json()) {
    screen.answer_json(Json::object({{"key", key},
                                     {"path", std::get<std::string>(path)},
                                     {"needs_restart", is_running && needs_restart},
                                     {"need_restart", std::move(late)}}));
  }
  return kExitDone;
}

int config_get(Session& session, const std::string& key) {
  Screen& screen = session.screen();
  const auto answer = session.call("daemon.config");
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json* value = &at(std::get<Json>(answer), "config");
  std::string_view rest = key;
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find('.'));
    const bool is_there = value->is_object() && value->contains(std::string(name));
    if (!is_there) {
      return screen.fail({kExitNotFound, "not_found", "there is no key \"" + key + "\"",
                          "peernet config show has all of them"});
    }
    value = &at(*value, name);
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
  }
  if (screen.is_json()) {
    screen.answer_json(*value);
  } else if (value->is_string()) {
    screen.answer_text(value->get<std::string>());
  } else {
    screen.answer(to_lines(*value) + "\n");
  }
  return kExitDone;
}

int config_check(Session& session) {
  Screen& screen = session.screen();
  const auto path = config_file(session);
  if (const auto* failure = std::get_if<Failure>(&path)) return screen.fail(*failure);
  const auto text = read_config(std::get<std::string>(path));
  if (const auto* failure = std::get_if<Failure>(&text)) return screen.fail(*failure);
  const auto answer =
      session.call("config.check", Json::object({{"text", std::get<std::string>(text)}}));
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  if (screen.is_json()) {
    screen.answer_json(result);
    return kExitDone;
  }
  const std::string changed = joined(at(result, "changed"));
  const std::string late = joined(at(result, "need_restart"));
  screen.answer("valid: " + shown(std::get<std::string>(path)) + "\n" +
                (changed.empty() ? "" : "not as the daemon runs: " + changed + "\n") +
                (late.empty() ? "" : "these need a restart: " + late + "\n"));
  return kExitDone;
}

int network_new(Session& session, const std::string& path) {
  Screen& screen = session.screen();
  const auto absolute = absolute_path(path);
  if (const auto* failure = std::get_if<Failure>(&absolute)) return screen.fail(*failure);
  const auto made =
      session.call("network.new", Json::object({{"path", std::get<std::string>(absolute)}}));
  if (const auto* failure = std::get_if<Failure>(&made)) return screen.fail(*failure);
  const Json& facts = std::get<Json>(made);
  const std::string file = text_at(facts, "path");
  screen.story("the key of network " + shown(text_at(facts, "network")) +
               ". Whoever has it is a member: copy it to each by a safe way, mode 600, and there");
  screen.story(called("  peernet config set network.key_file " + shown(shell_quoted(file)) +
                          ", and restart peernetd; status then names the network",
                      screen.node()));
  if (screen.is_json()) {
    screen.answer_json(facts);
  } else {
    screen.answer(shown(file) + "\n");
  }
  return kExitDone;
}

int limit(Session& session, const LimitOptions& options) {
  Screen& screen = session.screen();
  Json params = Json::object();
  if (options.id) params["id"] = *options.id;
  const bool is_set = options.down || options.up;
  for (const auto& [name, given] : {std::pair{"down", options.down}, {"up", options.up}}) {
    if (!given) continue;
    const auto rate = parse_rate(*given);
    if (!rate) return screen.fail(bad_rate(*given));
    params[name] = *rate;
  }
  if (options.duration) {
    const auto seconds = parse_seconds(*options.duration);
    if (!is_set || !seconds || *seconds == 0) {
      return screen.fail({kExitUsage, "malformed",
                          is_set ? "this is not a duration: " + *options.duration
                                 : std::string("--for says how long, but no limit is given"),
                          "such as: peernet limit --down 1MB/s --for 2h"});
    }
    params["seconds"] = *seconds;
  }
  const auto answer = session.call(is_set ? "limit.set" : "limit.show", params);
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& limits = std::get<Json>(answer);
  if (screen.is_json()) {
    screen.answer_json(limits);
    return kExitDone;
  }
  const std::string until = text_at(limits, "until");
  screen.answer("down " + limit_text(limits, "down") + "   up " + limit_text(limits, "up") +
                (until.size() < 19 ? ""
                                   : "   until " + shown(until.substr(0, 10)) + " " +
                                         shown(until.substr(11, 8)) + " UTC") +
                "\n");
  return kExitDone;
}

int metrics(Session& session) {
  Screen& screen = session.screen();
  const auto answer = session.call("metrics.get");
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  if (screen.is_json()) {
    screen.answer_json(at(std::get<Json>(answer), "metrics"));
  } else {
    screen.answer(text_at(std::get<Json>(answer), "text"));
  }
  return kExitDone;
}

int log(Session& session, const LogOptions& options) {
  Screen& screen = session.screen();
  Json params = Json::object({{"since", 0}});
  std::optional<double> age;
  if (options.since) {
    std::uint64_t number = 0;
    const char* const end = options.since->data() + options.since->size();
    const auto [rest, fault] = std::from_chars(options.since->data(), end, number);
    if (fault == std::errc{} && rest == end) {
      params["since"] = number;
    } else if (const auto seconds = parse_seconds(*options.since)) {
      age = static_cast<double>(*seconds);
    } else {
      return screen.fail({kExitUsage, "malformed", "since when is this? " + *options.since,
                          "an age such as 10m, or the number of an event"});
    }
  }
  if (!options.kinds.empty()) params["kinds"] = options.kinds;
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  const Interrupt interrupt;
  const auto subscribed = client.call("events.subscribe", params);
  if (const auto* failure = std::get_if<Failure>(&subscribed)) return screen.fail(*failure);
  // What was kept comes before this answer.
  const auto node = client.call("daemon.status");
  if (const auto* failure = std::get_if<Failure>(&node)) return screen.fail(*failure);
  const auto now = seconds_of(text_at(std::get<Json>(node), "time"));
  const bool is_missed = flag_at(std::get<Json>(subscribed), "is_lost");
  if (is_missed) {
    screen.story("older events are missed: the daemon keeps the last 1000, since its start");
  }
  client.wake_on(interrupt.descriptor());
  while (true) {
    const Message message =
        client.next(std::chrono::milliseconds(options.is_followed ? 3'600'000 : 0));
    if (message.kind == Message::Kind::interrupted) return kExitDone;
    if (message.kind == Message::Kind::lost) return screen.fail(connection_lost());
    if (message.kind == Message::Kind::quiet) {
      if (options.is_followed) continue;
      return kExitDone;
    }
    if (message.kind != Message::Kind::event) continue;
    const auto when = seconds_of(text_at(message.value, "time"));
    if (age && now && when && *when < *now - *age) continue;
    if (screen.is_json()) {
      screen.answer_json_line(message.value);
    } else {
      constexpr std::size_t kKindBegin = 10;  // below it a long line goes on
      const std::string line = event_line(message.value);
      screen.answer(folded(line, {screen.out_look().width, 0, kKindBegin}) + "\n");
    }
  }
}

int doctor(Session& session) {
  Screen& screen = session.screen();
  const auto answer = session.call("node.doctor");
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  const bool is_ill = count_at(result, "faults_count") > 0;
  if (screen.is_json()) {
    screen.answer_json(result);
    return is_ill ? kExitOther : kExitDone;
  }
  screen.answer(render_checks(at(result, "checks"), screen.out_look()));
  return is_ill ? kExitOther : kExitDone;
}

}  // namespace peernet::cli
