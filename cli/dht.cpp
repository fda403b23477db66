#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"
#include "core/bytes.h"

// `peernet dht ...`: raw keys, for tools and for work with other implementations.

namespace peernet::cli {

// The daemon gives up after a minute.
constexpr std::chrono::seconds kDhtTimeout{75};
constexpr std::size_t kTargetDigits = 40;
constexpr std::size_t kPublicKeyDigits = 64;
constexpr std::size_t kSeedSize = 32;
constexpr std::size_t kKeyFileSizeMax = 2 * kSeedSize + 2;  // the digits and the end of the line

namespace {

// Answered when the network has said what it had to say.
Outcome<Json> ask(Session& session, std::string_view method, const Json& params) {
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return *failure;
  Client& client = *std::get<Client*>(connection);
  const auto sent = client.send(method, params);
  if (const auto* failure = std::get_if<Failure>(&sent)) return *failure;
  while (true) {
    const Message message = client.next(kDhtTimeout);
    switch (message.kind) {
      case Message::Kind::answer:
        if (message.failure) return *message.failure;
        return message.value;
      case Message::Kind::lost: return connection_lost();
      case Message::Kind::quiet:
        return Failure{kExitTimedOut, "timed_out", "the daemon does not answer",
                       "peernet status tells how it is"};
      case Message::Kind::event:
      case Message::Kind::interrupted: break;
    }
  }
}

Failure usage(std::string message, std::string hint) {
  return {kExitUsage, "usage", std::move(message), std::move(hint)};
}

std::optional<std::uint64_t> parse_number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string milliseconds(const Json& result) {
  std::array<char, 32> text{};
  const double value = std::clamp(number_at(result, "took").value_or(0), 0.0, 1e6) * 1000;
  const int size = std::snprintf(text.data(), text.size(), "%.*f ms", value < 10 ? 1 : 0, value);
  return {text.data(), static_cast<std::size_t>(std::clamp(size, 0, 31))};
}

std::string effort(const Json& result) {
  return std::to_string(count_at(result, "nodes_answered")) + " of " +
         plural(count_at(result, "nodes_asked"), "node") + " answered, " + milliseconds(result);
}

void tell_steps(Session& session, const DhtOptions& options, const Json& result) {
  if (!options.is_traced || session.screen().is_json()) return;
  std::string lines = render_steps(at(result, "steps"), session.screen().err_look());
  if (lines.ends_with('\n')) lines.pop_back();
  session.screen().story(lines);
}

// The seed: as 64 hex digits, or as the 32 bytes themselves.
Outcome<std::string> read_seed(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Failure{kExitNotFound, "not_found", "cannot read " + path,
                   "make a key with: openssl rand -hex 32 > FILE"};
  }
  std::string text;
  text.resize(kKeyFileSizeMax + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() == kSeedSize) return to_hex(as_bytes(text));
  if (text.size() > kKeyFileSizeMax) text.clear();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.size() != 2 * kSeedSize || !from_hex(text)) {
    return Failure{kExitUsage, "malformed", path + " is no key file",
                   "it holds 64 hex digits or 32 bytes: openssl rand -hex 32 > FILE"};
  }
  return text;
}

// Whole numbers given as options; a failure names the one that is none.
std::optional<Failure> put_number(Json& params, const char* name,
                                  const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  const auto number = parse_number(*text);
  if (!number)
    return usage(std::string("--") + name + " is not a whole number: " + *text, "such as 1");
  params[name] = *number;
  return std::nullopt;
}

}  // namespace

int dht(Session& session) {
  Screen& screen = session.screen();
  const auto stats = session.call("dht.stats");
  if (const auto* failure = std::get_if<Failure>(&stats)) return screen.fail(*failure);
  if (screen.is_json()) {
    screen.answer_json(std::get<Json>(stats));
  } else {
    screen.answer(render_dht(std::get<Json>(stats), screen.out_look()));
  }
  return kExitDone;
}

int dht_lookup(Session& session, const DhtOptions& options) {
  Screen& screen = session.screen();
  const auto answer = ask(session, "dht.lookup",
                          Json::object({{"key", options.key}, {"trace", options.is_traced}}));
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  const Json& peers = at(result, "peers");
  const bool is_found = peers.is_array() && !peers.empty();
  tell_steps(session, options, result);
  if (screen.is_json()) {
    screen.answer_json(result);
    return is_found ? kExitDone : kExitNotFound;
  }
  if (!is_found) {
    return screen.fail({kExitNotFound, "not_found",
                        "no peers under this key (" + effort(result) + ")",
                        "has anybody announced it in the last half hour?"});
  }
  std::string lines;
  for (const Json& peer : peers) {
    if (peer.is_string()) lines += shown(peer.get<std::string>()) + "\n";
  }
  screen.story(plural(peers.size(), "peer") + " (" + effort(result) + ")");
  screen.answer(lines);
  return kExitDone;
}

int dht_announce(Session& session, const DhtOptions& options) {
  Screen& screen = session.screen();
  const auto port = parse_number(options.port);
  if (!port || *port == 0 || *port > 65'535) {
    return screen.fail(usage("that is no port: " + options.port, "a number from 1 to 65535"));
  }
  const auto answer =
      ask(session, "dht.announce",
          Json::object({{"key", options.key}, {"port", *port}, {"trace", options.is_traced}}));
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  tell_steps(session, options, result);
  if (screen.is_json()) {
    screen.answer_json(result);
  } else {
    screen.story("announced to " + plural(count_at(result, "stored"), "node") + " (" +
                 effort(result) + ")");
  }
  return kExitDone;
}

int dht_ping(Session& session, const DhtOptions& options) {
  Screen& screen = session.screen();
  const auto answer = ask(session, "dht.ping", Json::object({{"endpoint", options.endpoint}}));
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  if (screen.is_json()) {
    screen.answer_json(result);
    return kExitDone;
  }
  screen.story(shown(text_at(result, "endpoint")) + " answers in " + milliseconds(result));
  screen.answer_text(text_at(result, "id"));
  return kExitDone;
}

int dht_put(Session& session, const DhtOptions& options) {
  Screen& screen = session.screen();
  Json params = Json::object({{options.is_hex ? "value" : "text", options.value}});
  if (options.key_file) {
    const auto seed = read_seed(*options.key_file);
    if (const auto* failure = std::get_if<Failure>(&seed)) return screen.fail(*failure);
    params["seed"] = std::get<std::string>(seed);
  } else if (options.salt || options.seq || options.cas) {
    return screen.fail(usage("--salt, --seq and --cas are of mutable items",
                             "give the key that signs it with --key-file"));
  }
  if (options.salt) params["salt"] = *options.salt;
  if (const auto fault = put_number(params, "seq", options.seq)) return screen.fail(*fault);
  if (const auto fault = put_number(params, "cas", options.cas)) return screen.fail(*fault);
  const auto answer = ask(session, "dht.put", params);
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  if (screen.is_json()) {
    screen.answer_json(result);
    return kExitDone;
  }
  std::string story = "stored at " + plural(count_at(result, "stored"), "node");
  if (const auto seq = integer_at(result, "seq")) {
    story += ", sequence number " + std::to_string(*seq) + ", public key " +
             shown(text_at(result, "public_key"));
  }
  screen.story(story + " (" + effort(result) + ")");
  screen.answer_text(text_at(result, "target"));
  return kExitDone;
}

int dht_get(Session& session, const DhtOptions& options) {
  Screen& screen = session.screen();
  const bool is_hex = from_hex(options.key).has_value();
  const bool is_key = is_hex && options.key.size() == kPublicKeyDigits;
  if (!is_key && (!is_hex || options.key.size() != kTargetDigits)) {
    return screen.fail(usage("that is neither a target nor a public key",
                             "40 hex digits, or 64 of the key that signs a mutable item"));
  }
  Json params = Json::object({{is_key ? "public_key" : "target", options.key}});
  if (options.salt) params["salt"] = *options.salt;
  const auto answer = ask(session, "dht.get", params);
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& result = std::get<Json>(answer);
  if (screen.is_json()) {
    screen.answer_json(result);
    return kExitDone;
  }
  std::string story = effort(result);
  if (const auto seq = integer_at(result, "seq")) {
    story = "sequence number " + std::to_string(*seq) + ", signed by " +
            shown(text_at(result, "public_key")) + " (" + story + ")";
  }
  screen.story(story);
  const bool is_text = at(result, "text").is_string();
  if (!is_text) screen.story("the value is no text: bencoded, as hex digits");
  screen.answer_text(text_at(result, is_text ? "text" : "value"));
  return kExitDone;
}

}  // namespace peernet::cli
