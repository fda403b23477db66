#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"

// peernet cat: one question after the other, each for the bytes that follow, so that whoever does
// not take what is written stops the daemon's window too.

namespace peernet::cli {
namespace {

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = UINT64_MAX;  // not included
};

// "A-B" with both included, or "A-".
std::optional<Range> parse_range(std::string_view text) {
  Range range;
  const char* const end = text.data() + text.size();
  const auto [dash, fault] = std::from_chars(text.data(), end, range.begin);
  if (fault != std::errc{} || dash == end || *dash != '-') return std::nullopt;
  if (dash + 1 == end) return range;
  std::uint64_t last = 0;
  const auto [rest, second_fault] = std::from_chars(dash + 1, end, last);
  if (second_fault != std::errc{} || rest != end || last < range.begin || last == UINT64_MAX) {
    return std::nullopt;
  }
  range.end = last + 1;
  return range;
}

// Of ID|LINK[/PATH]. A '/' in a link's hints is percent-encoded.
std::pair<std::string, std::string> split_what(const std::string& what) {
  const std::size_t slash = what.find('/');
  if (slash == std::string::npos) return {what, {}};
  return {what.substr(0, slash), what.substr(slash + 1)};
}

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

class Cat {
 public:
  Cat(Session& session, Client& client, std::string id, std::string path, Range range)
      : session_(session),
        client_(client),
        id_(std::move(id)),
        path_(std::move(path)),
        range_(range) {}

  // Seconds; 0: none.
  int run(double timeout, double stall) {
    const double started = seconds_now();
    std::uint64_t at = range_.begin;
    while (at < range_.end) {
      if (auto failure = ask(at)) return session_.screen().fail(*failure);
      const double asked = seconds_now();
      const double until = std::min(timeout > 0 ? started + timeout : INFINITY,
                                    stall > 0 ? asked + stall : INFINITY);
      const Message message = wait(until);
      if (message.kind == Message::Kind::quiet)
        return too_late(stall > 0 && asked + stall == until);
      if (message.kind == Message::Kind::lost) return session_.screen().fail(connection_lost());
      if (message.failure) return session_.screen().fail(*message.failure);
      if (message.payload.empty()) break;
      if (!write_all(message.payload)) {
        return session_.screen().fail({kExitOther, "io",
                                       std::string("cannot write: ") + std::strerror(errno),
                                       "what reads standard output has to take it"});
      }
      at += message.payload.size();
    }
    return kExitDone;
  }

 private:
  std::optional<Failure> ask(std::uint64_t at) {
    constexpr std::uint64_t kSizeMax = 2U << 20U;  // the daemon's limit
    Json params =
        Json::object({{"id", id_}, {"offset", at}, {"size", std::min(kSizeMax, range_.end - at)}});
    if (!path_.empty()) params["path"] = path_;
    const auto sent = client_.send("share.read", params);
    if (const auto* failure = std::get_if<Failure>(&sent)) return *failure;
    return std::nullopt;
  }

  // `quiet` when nothing came before that moment.
  Message wait(double until) {
    constexpr double kLongest = 3600;
    while (true) {
      const double left = std::clamp(until - seconds_now(), 0.0, kLongest);
      const auto limit = std::chrono::milliseconds(static_cast<std::int64_t>(left * 1000) + 1);
      Message message = client_.next(limit);
      if (message.kind != Message::Kind::quiet || seconds_now() >= until) return message;
    }
  }

  int too_late(bool is_stall) {
    return session_.screen().fail(
        {kExitTimedOut, "timed_out",
         is_stall ? "nothing came for so long" : "it is not here in time",
         "peernet why " + short_id(id_) + " tells the cause; it is fetched in the background"});
  }

  Session& session_;
  Client& client_;
  std::string id_;
  std::string path_;
  Range range_;
};

}  // namespace

int cat(Session& session, const CatOptions& options) {
  Screen& screen = session.screen();
  Range range;
  if (options.range) {
    const auto parsed = parse_range(*options.range);
    if (!parsed) {
      return screen.fail({kExitUsage, "malformed",
                          "this is not a range of bytes: " + *options.range,
                          "such as 0-99 for the first hundred, or 1000- for all from there"});
    }
    range = *parsed;
  }
  std::array<double, 2> limits{};
  const std::array given{&options.timeout, &options.stall};
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (!*given[i]) continue;
    const auto seconds = parse_seconds(**given[i]);
    if (!seconds) {
      return screen.fail({kExitUsage, "malformed", "this is not a duration: " + **given[i],
                          "such as 30s, 10m or 2h"});
    }
    limits[i] = static_cast<double>(*seconds);
  }
  auto [id, path] = split_what(options.what);
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  if (id.starts_with("peernet:")) {
    const auto fetched = client.call("share.fetch", Json::object({{"link", id}}));
    if (const auto* failure = std::get_if<Failure>(&fetched)) return screen.fail(*failure);
    id = text_at(std::get<Json>(fetched), "id");
  }
  return Cat(session, client, std::move(id), std::move(path), range).run(limits[0], limits[1]);
}

}  // namespace peernet::cli
