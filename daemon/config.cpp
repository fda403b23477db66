#include "daemon/config.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <span>
#include <utility>

#include "core/escape.h"
#include "core/nearest.h"
#include "daemon/json.h"
#include "daemon/units.h"
#include "transfer/manifest.h"

namespace peernet::daemon {

constexpr std::size_t kHostSizeMax = 253;  // RFC 1035

namespace {

enum class Verdict : std::uint8_t { good, wrong, not_built };

// ---- Readers of values: each takes what it understands into the config ----

Verdict read_text_up_to(const Json& value, std::size_t size_max, std::string& into) {
  const auto text = json_text(value);
  if (!text || text->size() > size_max || !is_valid_utf8(*text)) return Verdict::wrong;
  for (std::string_view rest = *text; !rest.empty();) {
    if (is_dangerous(next_code_point(rest))) return Verdict::wrong;
  }
  into = *text;
  return Verdict::good;
}

Verdict read_boolean(const Json& value, bool& into) {
  const auto boolean = json_boolean(value);
  if (!boolean) return Verdict::wrong;
  into = *boolean;
  return Verdict::good;
}

// Features that come later may be named, and may be off.
Verdict read_not_built_boolean(const Json& value) {
  const auto boolean = json_boolean(value);
  if (!boolean) return Verdict::wrong;
  return *boolean ? Verdict::not_built : Verdict::good;
}

Verdict read_rate(const Json& value, std::optional<std::uint64_t>& into) {
  if (value.is_null()) {
    into.reset();
    return Verdict::good;
  }
  const auto text = json_text(value);
  const auto rate = text ? parse_rate(*text) : std::nullopt;
  if (!rate || *rate == 0 || *rate > kRateMax) return Verdict::wrong;
  into = *rate;
  return Verdict::good;
}

std::optional<std::uint32_t> integer_in(const Json& value, std::uint32_t min, std::uint32_t max) {
  const auto number = json_integer(value);
  if (!number || *number < min || *number > max) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

Verdict read_word(const Json& value, std::span<const std::string_view> words, std::string& into) {
  const auto text = json_text(value);
  if (!text || std::find(words.begin(), words.end(), *text) == words.end()) return Verdict::wrong;
  into = *text;
  return Verdict::good;
}

std::optional<dht::BootstrapName> parse_bootstrap(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, fault] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (fault != std::errc{} || end != port_text.data() + port_text.size() || port == 0) {
    return std::nullopt;
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    if (!Endpoint::parse(text)) return std::nullopt;
    host = host.substr(1, host.size() - 2);
    return dht::BootstrapName{std::string(host), port};
  }
  const bool is_name = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
  if (host.empty() || host.size() > kHostSizeMax || !is_name || host.front() == '-') {
    return std::nullopt;
  }
  return dht::BootstrapName{std::string(host), port};
}

Verdict read_listen(const Json& value, DaemonConfig& config) {
  if (!value.is_array() || value.empty() || value.size() > kListenMax) return Verdict::wrong;
  std::vector<Endpoint> listen;
  listen.reserve(value.size());
  for (const Json& item : value) {
    const auto text = json_text(item);
    const auto endpoint = text ? Endpoint::parse(*text) : std::nullopt;
    if (!endpoint) return Verdict::wrong;
    const bool is_twice = std::find(listen.begin(), listen.end(), *endpoint) != listen.end();
    if (is_twice && endpoint->port != 0) return Verdict::wrong;
    listen.push_back(*endpoint);
  }
  config.listen_is_default = listen == DaemonConfig{}.listen;
  config.listen = std::move(listen);
  return Verdict::good;
}

Verdict read_bootstrap(const Json& value, DaemonConfig& config) {
  if (!value.is_array() || value.size() > kBootstrapMax) return Verdict::wrong;
  std::vector<dht::BootstrapName> names;
  names.reserve(value.size());
  for (const Json& item : value) {
    const auto text = json_text(item);
    auto name = text ? parse_bootstrap(*text) : std::nullopt;
    if (!name) return Verdict::wrong;
    names.push_back(*std::move(name));
  }
  config.bootstrap = std::move(names);
  return Verdict::good;
}

Verdict read_absolute_path(const Json& value, std::optional<std::string>& into) {
  if (value.is_null()) {
    into.reset();
    return Verdict::good;
  }
  const auto text = json_text(value);
  if (!text || text->empty() || text->front() != '/' || text->find('\0') != std::string::npos) {
    return Verdict::wrong;
  }
  into = *text;
  return Verdict::good;
}

Verdict read_integer(const Json& value, std::uint32_t min, std::uint32_t max, std::uint32_t& into) {
  const auto number = integer_in(value, min, max);
  if (!number) return Verdict::wrong;
  into = *number;
  return Verdict::good;
}

Verdict read_size(const Json& value, std::uint64_t min, std::uint64_t max, std::uint64_t& into) {
  const auto text = json_text(value);
  const auto size = text ? parse_size(*text) : std::nullopt;
  if (!size || *size < min || *size > max) return Verdict::wrong;
  into = *size;
  return Verdict::good;
}

Verdict read_upload_slots(const Json& value, DaemonConfig& config) {
  if (value.is_null()) {
    config.upload_slots.reset();
    return Verdict::good;
  }
  config.upload_slots = integer_in(value, 1, kUploadSlotsMax);
  return config.upload_slots ? Verdict::good : Verdict::wrong;
}

Verdict read_program(const Json& value, std::vector<std::string>& into) {
  into.clear();
  if (value.is_null()) return Verdict::good;
  if (!value.is_array() || value.empty() || value.size() > kHookArgumentsMax) return Verdict::wrong;
  for (const Json& item : value) {
    const auto text = json_text(item);
    if (!text || text->size() > kHookArgumentSizeMax || text->find('\0') != std::string::npos) {
      return Verdict::wrong;
    }
    into.push_back(*text);
  }
  return into.front().starts_with('/') ? Verdict::good : Verdict::wrong;
}

Verdict read_hook_timeout(const Json& value, DaemonConfig& config) {
  const auto text = json_text(value);
  const auto duration = text ? parse_duration(*text) : std::nullopt;
  if (!duration || *duration < std::chrono::seconds(1) || *duration > kHookTimeoutMax) {
    return Verdict::wrong;
  }
  config.hooks.timeout = *duration;
  return Verdict::good;
}

// ---- The table ----

struct ConfigKey {
  std::string_view name;
  std::string_view expects;
  std::string_view meaning;
  Verdict (*read)(const Json& value, DaemonConfig& config);
  std::string_view not_built = {};  // what is missing, where read() may say not_built
};

constexpr std::array kLogLevels{std::string_view("trace"), std::string_view("debug"),
                                std::string_view("info"), std::string_view("warn"),
                                std::string_view("error")};
constexpr std::array kLogFormats{std::string_view("text"), std::string_view("json")};

constexpr std::string_view kProgramExpects =
    R"(a list such as ["/usr/bin/clamscan", "-r", "{path}"], its first an absolute path, or null)";
constexpr std::string_view kLevelExpects = R"(one of "trace", "debug", "info", "warn", "error")";
constexpr std::string_view kLevelOrNullExpects =
    R"(one of "trace", "debug", "info", "warn", "error", or null)";

Verdict read_level(const Json& value, std::optional<std::string>& into) {
  into.reset();
  return value.is_null() ? Verdict::good : read_word(value, kLogLevels, into.emplace());
}

const std::array kKeys{
    ConfigKey{
        "identity.name", "text of at most 64 bytes without control characters",
        "what this node is called on your own screens; never sent",
        [](const Json& v, DaemonConfig& c) { return read_text_up_to(v, kNameSizeMax, c.name); }},
    ConfigKey{"listen",
              "a list of 1 to 8 different addresses with ports, such as [\"0.0.0.0:7341\", "
              "\"[::]:7341\"]",
              "where TCP and UDP are bound; port 0 takes any free port, which status shows",
              read_listen},
    ConfigKey{"bootstrap", "a list of at most 64 texts HOST:PORT",
              "DHT nodes to join through, PeerNet's or any Mainline node", read_bootstrap},
    ConfigKey{
        "network.key_file", "an absolute path, or null",
        "the key of a private network (peernet network new FILE makes one); null: the public one",
        [](const Json& v, DaemonConfig& c) { return read_absolute_path(v, c.network_key_file); }},
    ConfigKey{"discovery.dht", "true or false", "find peers through the DHT",
              [](const Json& v, DaemonConfig& c) { return read_boolean(v, c.dht); }},
    ConfigKey{"discovery.lan", "true or false", "find peers on the local network",
              [](const Json& v, DaemonConfig& c) { return read_boolean(v, c.lan); }},
    ConfigKey{"discovery.pex", "true or false", "hear of peers from peers",
              [](const Json& v, DaemonConfig& c) { return read_boolean(v, c.pex); }},
    ConfigKey{"nat.port_mapping", "true or false", "ask the router to map the port",
              [](const Json& v, DaemonConfig& /*c*/) { return read_not_built_boolean(v); },
              "port mapping"},
    ConfigKey{"paths.downloads", "an absolute path, or null",
              "where fetch puts things when not told; null: as peernetd --print-paths says",
              [](const Json& v, DaemonConfig& c) { return read_absolute_path(v, c.downloads); }},
    ConfigKey{"limits.up", R"(a rate such as "8MB/s" or "512KiB/s", or null for no limit)",
              "upload, over all shares and peers",
              [](const Json& v, DaemonConfig& c) { return read_rate(v, c.limit_up); }},
    ConfigKey{"limits.down", R"(a rate such as "8MB/s" or "512KiB/s", or null for no limit)",
              "download, over all shares and peers",
              [](const Json& v, DaemonConfig& c) { return read_rate(v, c.limit_down); }},
    ConfigKey{"limits.peer_up", R"(a rate such as "8MB/s" or "512KiB/s", or null for no limit)",
              "upload to each peer, over all shares",
              [](const Json& v, DaemonConfig& c) { return read_rate(v, c.peer_limits.each.up); }},
    ConfigKey{"limits.peer_down", R"(a rate such as "8MB/s" or "512KiB/s", or null for no limit)",
              "download from each peer, over all shares",
              [](const Json& v, DaemonConfig& c) { return read_rate(v, c.peer_limits.each.down); }},
    ConfigKey{"limits.lan", "true or false",
              "rate limits, those of shares too, count for peers at private and loopback addresses",
              [](const Json& v, DaemonConfig& c) {
                return read_boolean(v, c.peer_limits.is_lan_limited);
              }},
    ConfigKey{"limits.connections", "a whole number from 1 to 65535", "peers connected at a time",
              [](const Json& v, DaemonConfig& c) {
                return read_integer(v, 1, kConnectionsMax, c.connections);
              }},
    ConfigKey{"limits.half_open", "a whole number from 8 to 16384",
              "inbound connections at a time that have not proved yet who they are",
              [](const Json& v, DaemonConfig& c) {
                return read_integer(v, kHalfOpenMin, kHalfOpenMax, c.half_open);
              }},
    ConfigKey{"limits.handshakes", "a whole number from 1 to 10000",
              "inbound handshakes computed in a second; beyond half of it each network has five",
              [](const Json& v, DaemonConfig& c) {
                return read_integer(v, 1, kHandshakesMax, c.handshakes);
              }},
    ConfigKey{
        "limits.dials", "a whole number from 1 to 200", "connections begun in a second",
        [](const Json& v, DaemonConfig& c) { return read_integer(v, 1, kDialsMax, c.dials); }},
    ConfigKey{"limits.upload_slots",
              "a whole number from 1 to 1000, or null to adapt to the uplink",
              "peers served at a time", read_upload_slots},
    ConfigKey{"limits.memory", R"(a size from "16MiB" to "1TiB")", "block data held at a time",
              [](const Json& v, DaemonConfig& c) {
                return read_size(v, kMemoryMin, kMemoryMax, c.memory);
              }},
    ConfigKey{
        "limits.manifest_size", R"(a size from "64KiB" to "128MiB")",
        "of the list of files of a share that is added or fetched; it is held four times over",
        [](const Json& v, DaemonConfig& c) {
          return read_size(v, kManifestSizeMin, transfer::kManifestLimitsMost.encoded_size_max,
                           c.manifest_size);
        }},
    ConfigKey{"limits.manifest_entries", "a whole number from 1 to 1000000",
              "files and directories of such a share",
              [](const Json& v, DaemonConfig& c) {
                return read_integer(v, 1, transfer::kManifestLimitsMost.entries_max,
                                    c.manifest_entries);
              }},
    ConfigKey{"limits.dht_keys", "a whole number from 16 to 65536",
              "keys under which others announce themselves here, in each address family",
              [](const Json& v, DaemonConfig& c) {
                return read_integer(v, kDhtStoreMin, kDhtKeysMax, c.dht_store.keys);
              }},
    ConfigKey{
        "limits.dht_peers", "a whole number from 16 to 1048576",
        "addresses under all those keys, in each address family; 10 bytes each in IPv4, 22 in "
        "IPv6, "
        "and when each runs out",
        [](const Json& v, DaemonConfig& c) {
          return read_integer(v, kDhtStoreMin, kDhtPeersMax, c.dht_store.peers);
        }},
    ConfigKey{"limits.dht_items", "a whole number from 16 to 16384",
              "items that others put here (BEP 44), in each address family; 1 KB each",
              [](const Json& v, DaemonConfig& c) {
                return read_integer(v, kDhtStoreMin, kDhtItemsMax, c.dht_store.items);
              }},
    ConfigKey{"limits.control_clients", "a whole number from 4 to 4096",
              "connections of the control socket at a time",
              [](const Json& v, DaemonConfig& c) {
                return read_integer(v, kControlClientsMin, kControlClientsMax, c.control_clients);
              }},
    ConfigKey{"limits.control_requests", "a whole number from 10 to 100000",
              "requests a second that one of them gets done; the rest waits",
              [](const Json& v, DaemonConfig& c) {
                return read_integer(v, kControlRequestsMin, kControlRequestsMax,
                                    c.control_requests);
              }},
    ConfigKey{"hooks.completed", kProgramExpects,
              "a program that is run when a fetched share stands at its place",
              [](const Json& v, DaemonConfig& c) { return read_program(v, c.hooks.completed); }},
    ConfigKey{
        "hooks.scan", kProgramExpects,
        "a program that looks at a fetched share before it goes to its place; unless it ends with "
        "0, the share is kept back",
        [](const Json& v, DaemonConfig& c) { return read_program(v, c.hooks.scan); }},
    ConfigKey{"hooks.timeout", R"(a duration from "1s" to "24h")",
              "after this a hook is killed; a scan has then not let the share pass",
              read_hook_timeout},
    ConfigKey{
        "log.level", kLevelExpects, "the least important lines that are still written",
        [](const Json& v, DaemonConfig& c) { return read_word(v, kLogLevels, c.log_levels.all); }},
    ConfigKey{"log.shares", kLevelOrNullExpects,
              "the same for lines about shares; null: as log.level",
              [](const Json& v, DaemonConfig& c) { return read_level(v, c.log_levels.shares); }},
    ConfigKey{"log.peers", kLevelOrNullExpects,
              "the same for lines about peers; null: as log.level",
              [](const Json& v, DaemonConfig& c) { return read_level(v, c.log_levels.peers); }},
    ConfigKey{
        "log.format", R"(one of "text", "json")", "lines for people or for programs",
        [](const Json& v, DaemonConfig& c) { return read_word(v, kLogFormats, c.log_format); }},
    ConfigKey{
        "log.file", "an absolute path, or null",
        "where the log goes; null: standard error, or peernetd.log in the state directory with "
        "--detach",
        [](const Json& v, DaemonConfig& c) { return read_absolute_path(v, c.log_file); }},
    ConfigKey{"log.max_size", R"(a size from "64KiB" to "1TiB")",
              "of the log file and the four before it together",
              [](const Json& v, DaemonConfig& c) {
                return read_size(v, kLogSizeMin, kLogSizeMax, c.log_size);
              }},
    ConfigKey{
        "testing.special_use_is_global", "true or false",
        "loopback and private addresses count as global ones; for tests only",
        [](const Json& v, DaemonConfig& c) { return read_boolean(v, c.special_use_is_global); }},
};

bool is_section(std::string_view name) {
  return std::any_of(kKeys.begin(), kKeys.end(), [&](const ConfigKey& key) {
    return key.name.size() > name.size() && key.name.starts_with(name) &&
           key.name[name.size()] == '.';
  });
}

// ---- From text to config ----

std::string place_of(const std::string& key, const JsonLines& lines) {
  const auto line = lines.find(key);
  return key + (line == lines.end() ? "" : " (line " + std::to_string(line->second) + ")");
}

Error unknown_key(const std::string& key, const JsonLines& lines) {
  std::vector<std::string_view> names;
  names.reserve(kKeys.size());
  for (const ConfigKey& known : kKeys) names.push_back(known.name);
  return Error{Errc::malformed, place_of(key, lines) + ": there is no such key",
               "did you mean \"" + std::string(nearest(key, names)) + "\"?"};
}

Result<void> take(const std::string& name, const Json& value, const JsonLines& lines,
                  DaemonConfig& config) {
  const auto* const key = std::find_if(kKeys.begin(), kKeys.end(),
                                       [&](const ConfigKey& known) { return known.name == name; });
  if (key == kKeys.end()) return unknown_key(name, lines);
  switch (key->read(value, config)) {
    case Verdict::good: return {};
    case Verdict::not_built:
      return Error{Errc::refused,
                   place_of(name, lines) + ": " + std::string(key->not_built) +
                       " is not built yet in this version",
                   value.is_boolean() ? "leave the key out, or set it to false"
                                      : "leave the key out, or set it to null"};
    case Verdict::wrong: break;
  }
  const std::string given = value.is_structured() || value.is_null() || value.is_string()
                                ? std::string(json_type_name(value))
                                : dump_json(value);
  return Error{Errc::malformed, place_of(name, lines) + ": expected " + std::string(key->expects),
               value.is_string() ? "it says " + dump_json(value).substr(0, 80) : "it is " + given};
}

bool is_blank(std::string_view text) {
  while (!text.empty()) {
    if (text.starts_with("//")) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.front() == ' ' || text.front() == '\t' || text.front() == '\r' ||
               text.front() == '\n') {
      text.remove_prefix(1);
    } else {
      return false;
    }
  }
  return true;
}

Result<DaemonConfig> config_of(std::string_view text) {
  DaemonConfig config;
  if (is_blank(text)) return config;
  JsonLines lines;
  const auto json =
      parse_json(text, {.depth_max = kConfigDepthMax, .are_comments_allowed = true}, &lines);
  if (!json) return json.error();
  if (!json->is_object()) {
    return Error{Errc::malformed,
                 "the config is " + std::string(json_type_name(*json)) + " and not an object",
                 "it starts with { and ends with }; an empty file is a config too"};
  }
  for (const auto& [section, value] : json->items()) {
    if (const std::size_t dot = section.find('.'); dot != std::string::npos) {
      return Error{Errc::malformed, place_of(section, lines) + ": there is no such key",
                   "sections are objects: \"" + section.substr(0, dot) + "\": { \"" +
                       section.substr(dot + 1) + "\": ... }"};
    }
    if (!is_section(section)) {
      if (auto taken = take(section, value, lines, config); !taken) return taken.error();
      continue;
    }
    if (!value.is_object()) {
      return Error{Errc::malformed, place_of(section, lines) + ": expected an object",
                   "it is " + std::string(json_type_name(value))};
    }
    for (const auto& [name, inner] : value.items()) {
      if (auto taken = take(std::string(section).append(".").append(name), inner, lines, config);
          !taken) {
        return taken.error();
      }
    }
  }
  return config;
}

std::string bootstrap_text(const dht::BootstrapName& name) {
  const bool is_v6 = name.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + name.host + "]" : name.host) + ":" + std::to_string(name.port);
}

Json rate_json(const std::optional<std::uint64_t>& rate) {
  return rate ? Json(format_size(*rate) + "/s") : Json(nullptr);
}

}  // namespace

Result<DaemonConfig> parse_config(std::string_view text) {
  if (text.size() > kConfigSizeMax) {
    return Error{Errc::too_large, "the config file is larger than 1 MiB",
                 "is this the right file?"};
  }
  try {
    return config_of(text);
  } catch (const std::exception& fault) {
    return Error{Errc::malformed, std::string("the config could not be read: ") + fault.what(), {}};
  }
}

std::string config_to_json(const DaemonConfig& config) {
  Json json = Json::object();
  json["identity"]["name"] = config.name;
  json["listen"] = Json::array();
  for (const Endpoint& endpoint : config.listen) json["listen"].push_back(endpoint.to_string());
  json["bootstrap"] = Json::array();
  for (const auto& name : config.bootstrap) json["bootstrap"].push_back(bootstrap_text(name));
  json["network"]["key_file"] =
      config.network_key_file ? Json(*config.network_key_file) : Json(nullptr);
  json["discovery"] = Json::object({{"dht", config.dht}, {"lan", config.lan}, {"pex", config.pex}});
  json["nat"]["port_mapping"] = false;
  json["paths"]["downloads"] = config.downloads ? Json(*config.downloads) : Json(nullptr);
  Json& limits = json["limits"];
  limits["up"] = rate_json(config.limit_up);
  limits["down"] = rate_json(config.limit_down);
  limits["peer_up"] = rate_json(config.peer_limits.each.up);
  limits["peer_down"] = rate_json(config.peer_limits.each.down);
  limits["lan"] = config.peer_limits.is_lan_limited;
  limits["connections"] = config.connections;
  limits["half_open"] = config.half_open;
  limits["handshakes"] = config.handshakes;
  limits["dials"] = config.dials;
  limits["upload_slots"] = config.upload_slots ? Json(*config.upload_slots) : Json(nullptr);
  limits["memory"] = format_size(config.memory);
  limits["manifest_size"] = format_size(config.manifest_size);
  limits["manifest_entries"] = config.manifest_entries;
  limits["dht_keys"] = config.dht_store.keys;
  limits["dht_peers"] = config.dht_store.peers;
  limits["dht_items"] = config.dht_store.items;
  limits["control_clients"] = config.control_clients;
  limits["control_requests"] = config.control_requests;
  const auto text_or_null = [](const std::optional<std::string>& text) {
    return text ? Json(*text) : Json(nullptr);
  };
  const auto program = [](const std::vector<std::string>& arguments) {
    return arguments.empty() ? Json(nullptr) : Json(arguments);
  };
  json["hooks"] = Json::object({{"completed", program(config.hooks.completed)},
                                {"scan", program(config.hooks.scan)},
                                {"timeout", format_duration(config.hooks.timeout)}});
  json["log"] = Json::object({{"level", config.log_levels.all},
                              {"shares", text_or_null(config.log_levels.shares)},
                              {"peers", text_or_null(config.log_levels.peers)},
                              {"format", config.log_format},
                              {"file", text_or_null(config.log_file)},
                              {"max_size", format_size(config.log_size)}});
  json["testing"]["special_use_is_global"] = config.special_use_is_global;
  return dump_json_pretty(json);
}

std::vector<ConfigKeyRow> config_keys() {
  std::vector<ConfigKeyRow> rows;
  rows.reserve(kKeys.size());
  for (const ConfigKey& key : kKeys)
    rows.push_back({key.name, key.expects, key.meaning, key.not_built.empty()});
  return rows;
}

}  // namespace peernet::daemon
