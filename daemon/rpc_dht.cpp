#include "daemon/rpc_dht.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "core/bencode.h"
#include "core/escape.h"
#include "core/identity.h"
#include "daemon/rpc_values.h"

namespace peernet::daemon {

constexpr std::size_t kIdBits = 160;
constexpr std::uint16_t kDhtPortMin = 1024;
// The codes of BEP 44.
constexpr std::int64_t kCasMismatch = 301;
constexpr std::int64_t kSequenceTooLow = 302;

namespace {

// ---- Reading parameters

template <class T>
Result<T> parse_hex(const Json& params, std::string_view name, const char* hint) {
  T value;
  const auto bytes = from_hex(text_of(params, name));
  if (!bytes || bytes->size() != value.bytes.size()) {
    return Error{
        Errc::malformed,
        std::string(name) + " is not " + std::to_string(2 * value.bytes.size()) + " hex digits",
        hint};
  }
  std::copy(bytes->begin(), bytes->end(), value.bytes.begin());
  return value;
}

Result<DhtId> parse_key(const Json& params) {
  return parse_hex<DhtId>(params, "key", "such as the info-hash of a torrent");
}

// The value to put, as the one bencoded value that it is.
Result<Bytes> parse_value(const Json& params) {
  const Json* text = json_find(params, "text");
  const Json* value = json_find(params, "value");
  if ((text == nullptr) == (value == nullptr)) {
    return Error{Errc::malformed, "either text or value says what to store",
                 "leave one of them out"};
  }
  Bytes bytes;
  if (text != nullptr) {
    bencode::Encoder(bytes).string(text_of(params, "text"));
    return bytes;
  }
  const auto encoded = from_hex(text_of(params, "value"));
  if (!encoded) {
    return Error{Errc::malformed, "value is not hex digits",
                 "the bencoded value as hex, such as 353a68656c6c6f for 5:hello"};
  }
  return *encoded;
}

Result<std::optional<std::int64_t>> parse_number(const Json& params, std::string_view name) {
  const auto number = integer_of(params, name);
  if (!number) return std::optional<std::int64_t>();
  return std::optional(static_cast<std::int64_t>(*number));  // the table keeps it below 2^53
}

// ---- Values as JSON

double seconds_shown(Duration duration) {
  return std::round(seconds(duration) * 1e6) / 1e6;
}

// How many leading bits two ids share.
std::size_t shared_bits(const DhtId& a, const DhtId& b) {
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    const auto differing = static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]);
    if (differing != 0) return 8 * i + static_cast<std::size_t>(std::countl_zero(differing));
  }
  return kIdBits;
}

std::string_view outcome_word(dht::LookupStep::Outcome outcome) {
  switch (outcome) {
    case dht::LookupStep::Outcome::answered: return "answered";
    case dht::LookupStep::Outcome::stranger: return "stranger";
    case dht::LookupStep::Outcome::refused: return "refused";
    case dht::LookupStep::Outcome::failed: return "failed";
  }
  return "failed";
}

Json step_json(const dht::LookupStep& step, Duration asked) {
  Json json = Json::object();
  json["node"] = step.node.to_string();
  json["id"] = step.id ? Json(to_hex(step.id->view())) : Json(nullptr);
  json["distance"] = step.id ? Json(kIdBits - shared_bits(*step.id, step.key)) : Json(nullptr);
  json["asked"] = seconds_shown(asked);
  json["took"] = seconds_shown(step.took);
  json["outcome"] = outcome_word(step.outcome);
  json["is_announce"] = step.is_announce;
  json["nodes"] = step.nodes;
  json["peers"] = step.peers;
  return json;
}

Json item_json(const DhtId& target, const dht::Item& item) {
  Json json = Json::object();
  json["target"] = to_hex(target.view());
  json["value"] = to_hex(item.value);
  const auto document = bencode::decode(item.value, {});
  const auto text = document ? document->root().string() : std::nullopt;
  const bool is_text = text && is_valid_utf8(as_text(*text));
  json["text"] = is_text ? Json(std::string(as_text(*text))) : Json(nullptr);
  json["public_key"] = item.key ? Json(to_hex(item.key->view())) : Json(nullptr);
  json["seq"] = item.key ? Json(item.seq) : Json(nullptr);
  json["signature"] = item.key ? Json(to_hex(item.signature.view())) : Json(nullptr);
  return json;
}

void put_asked(Json& json, std::uint32_t asked, std::uint32_t answered, Duration took) {
  json["nodes_asked"] = asked;
  json["nodes_answered"] = answered;
  json["took"] = seconds_shown(took);
}

// ---- What went wrong

Error nobody_answered(std::uint32_t asked) {
  const std::string what = asked == 0 ? std::string("no DHT node is known yet")
                                      : "none of the " + std::to_string(asked) +
                                            " DHT nodes that were asked has answered";
  return {Errc::unavailable, what,
          "peernet dht shows the table; `bootstrap` in the config names nodes to join through"};
}

Error nobody_stored(const dht::ItemDone& done) {
  if (done.nodes_answered == 0) return nobody_answered(done.nodes_asked);
  if (done.refused == 0) {
    return {Errc::unavailable, "no DHT node has confirmed that it keeps it", "try again"};
  }
  const std::string code = " (error " + std::to_string(done.error) + ")";
  if (done.error == kCasMismatch) {
    return {Errc::refused, "another sequence number is stored than `cas` says" + code,
            "peernet dht get shows the one that is stored"};
  }
  if (done.error == kSequenceTooLow) {
    return {Errc::refused, "a newer one is stored" + code, "give a higher sequence number"};
  }
  return {Errc::refused, "every DHT node that was asked to keep it refused" + code, {}};
}

Error too_late() {
  return {Errc::timed_out,
          "no end after " + std::to_string(static_cast<int>(seconds(kDhtCallTimeout))) + " s",
          "try again"};
}

bool is_of(ClientId client, const PendingCall& call) {
  return call.client == client;
}

}  // namespace

// ---- Commands

Result<void> DhtCalls::begin(const Place& place, const DhtId& key, LookupCall call) {
  auto begun = call.port == 0
                   ? place.node.dht_lookup(place.now, key, call.is_traced, place.out)
                   : place.node.dht_announce(place.now, key, call.port, call.is_traced, place.out);
  if (!begun) return begun;
  const auto [lookup, is_new] = lookups_.try_emplace(key);
  if (is_new) lookup->second.began = place.now;
  lookup->second.calls.push_back(std::move(call));
  return {};
}

Result<void> DhtCalls::lookup(const Place& place, PendingCall call, const Json& params) {
  const auto key = parse_key(params);
  if (!key) return key.error();
  return begin(place, *key, {std::move(call), 0, flag_of(params, "trace")});
}

Result<void> DhtCalls::announce(const Place& place, PendingCall call, const Json& params) {
  const auto key = parse_key(params);
  if (!key) return key.error();
  const auto port = static_cast<std::uint16_t>(integer_of(params, "port").value_or(0));
  return begin(place, *key, {std::move(call), port, flag_of(params, "trace")});
}

Result<void> DhtCalls::get(const Place& place, PendingCall call, const Json& params) {
  const bool has_target = json_find(params, "target") != nullptr;
  const std::string salt = text_of(params, "salt");
  if (has_target == (json_find(params, "public_key") != nullptr)) {
    return Error{Errc::malformed, "either target or public_key says what to get",
                 "give one of them"};
  }
  DhtId target;
  if (has_target) {
    const auto given = parse_hex<DhtId>(params, "target", "as dht.put gave it");
    if (!given) return given.error();
    target = *given;
  } else {
    const auto key = parse_hex<PeerId>(params, "public_key", "as dht.put gave it");
    if (!key) return key.error();
    target = dht::item_target(*key, as_bytes(salt));
  }
  auto begun = place.node.dht_get(place.now, target, as_bytes(salt), place.out);
  if (!begun) return begun;
  const auto [get, is_new] = gets_.try_emplace(target);
  if (is_new) get->second.began = place.now;
  get->second.calls.push_back(std::move(call));
  return {};
}

Result<void> DhtCalls::put(const Place& place, PendingCall call, const Json& params) {
  auto value = parse_value(params);
  if (!value) return value.error();
  const std::string salt = text_of(params, "salt");
  const auto seq = parse_number(params, "seq");
  if (!seq) return seq.error();
  const auto cas = parse_number(params, "cas");
  if (!cas) return cas.error();
  const bool is_mutable = json_find(params, "seed") != nullptr;
  if (!is_mutable && (!salt.empty() || *seq || *cas)) {
    return Error{Errc::malformed, "salt, seq and cas are of mutable items, which have a seed",
                 "give the seed of the key that signs it"};
  }
  if (salt.size() > dht::kSaltMax) {
    return Error{Errc::malformed, "the salt is longer than 64 bytes", "shorten it"};
  }
  dht::Item item = dht::immutable_item(*value);
  if (is_mutable) {
    auto seed = parse_hex<Hash>(params, "seed", "the private key of RFC 8032");
    if (!seed) return seed.error();
    const Key key(seed->bytes);
    wipe(seed->bytes);
    // Now in seconds grows by itself, as a sequence number must.
    item = dht::mutable_item(key, as_bytes(salt), seq->value_or(place.wall.unix_ms / 1000), *value);
  }
  auto target = place.node.dht_put(place.now, item, *cas, place.out);
  if (!target) {
    Error error = target.error();
    if (error.code == Errc::malformed) error.hint = "the value is one bencoded value";
    if (error.code == Errc::too_large) error.hint = "a value has at most 1000 bytes, bencoded";
    return error;
  }
  puts_.emplace(*target, Put{place.now, std::move(call), std::move(item)});
  return {};
}

Result<void> DhtCalls::ping(const Place& place, PendingCall call, const Json& params) {
  const std::string text = text_of(params, "endpoint");
  const auto where = parse_host(text);
  if (!where) return where.error();
  if (where->port < kDhtPortMin) {
    return Error{Errc::malformed, "no DHT node is asked at a port below 1024", {}};
  }
  const auto number = place.node.dht_ping(place.now, where->host, where->port, place.out);
  if (!number) return number.error();
  pings_.emplace(*number, Ping{place.now, std::move(call), text});
  return {};
}

// ---- Inputs

void DhtCalls::on_event(Time now, const dht::Event& event) {
  std::visit(Overloaded{
                 [&](const dht::PeersFound& found) {
                   const auto lookup = lookups_.find(found.key);
                   if (lookup == lookups_.end()) return;
                   auto& peers = lookup->second.peers;
                   for (const Endpoint& peer : found.peers) {
                     if (peers.size() < dht::kSearchPeersMax) peers.push_back(peer);
                   }
                 },
                 [&](const dht::LookupStep& step) {
                   const auto lookup = lookups_.find(step.key);
                   if (lookup == lookups_.end()) return;
                   if (lookup->second.steps.size() < kDhtStepsMax) {
                     lookup->second.steps.push_back({step, now - step.took});
                   }
                 },
                 [&](const dht::LookupDone& done) { on_lookup_done(done); },
                 [&](const dht::ItemFound& found) {
                   const auto get = gets_.find(found.target);
                   if (get != gets_.end()) get->second.item = found.item;
                 },
                 [&](const dht::ItemDone& done) { on_item_done(done); },
                 [&](const dht::Pinged& pinged) { on_pinged(pinged); },
                 [](const auto&) {},
             },
             event);
}

void DhtCalls::on_lookup_done(const dht::LookupDone& done) {
  const auto place = lookups_.find(done.key);
  if (place == lookups_.end()) return;
  const Lookup lookup = std::move(place->second);
  lookups_.erase(place);
  Json steps = Json::array();
  for (const Step& step : lookup.steps) {
    // A share's lookup of the same key may have been under way already.
    steps.push_back(step_json(step.step, std::max(step.asked - lookup.began, Duration{})));
  }
  Json peers = Json::array();
  for (const Endpoint& peer : lookup.peers) peers.push_back(peer.to_string());
  for (const LookupCall& call : lookup.calls) {
    const bool is_announce = call.port != 0;
    if (done.nodes_answered == 0 && (is_announce || lookup.peers.empty())) {
      answer_(call.call, nobody_answered(done.nodes_asked));
      continue;
    }
    if (is_announce && done.stored == 0) {
      answer_(call.call,
              Error{Errc::unavailable, "no DHT node has confirmed the announce", "try again"});
      continue;
    }
    Json json = Json::object({{"key", to_hex(done.key.view())}});
    if (is_announce) {
      json["port"] = call.port;
      json["stored"] = done.stored;
    } else {
      json["peers"] = peers;
    }
    put_asked(json, done.nodes_asked, done.nodes_answered, done.took);
    json["steps"] = call.is_traced ? steps : Json::array();
    answer_(call.call, std::move(json));
  }
}

void DhtCalls::on_item_done(const dht::ItemDone& done) {
  if (done.is_put) {
    const auto place = puts_.find(done.target);
    if (place == puts_.end()) return;
    const Put put = std::move(place->second);
    puts_.erase(place);
    if (done.stored == 0) {
      answer_(put.call, nobody_stored(done));
      return;
    }
    Json json = Json::object();
    json["target"] = to_hex(done.target.view());
    json["public_key"] = put.item.key ? Json(to_hex(put.item.key->view())) : Json(nullptr);
    json["seq"] = put.item.key ? Json(put.item.seq) : Json(nullptr);
    json["stored"] = done.stored;
    json["refused"] = done.refused;
    put_asked(json, done.nodes_asked, done.nodes_answered, done.took);
    answer_(put.call, std::move(json));
    return;
  }
  const auto place = gets_.find(done.target);
  if (place == gets_.end()) return;
  const Get get = std::move(place->second);
  gets_.erase(place);
  for (const PendingCall& call : get.calls) {
    if (get.item) {
      Json json = item_json(done.target, *get.item);
      put_asked(json, done.nodes_asked, done.nodes_answered, done.took);
      answer_(call, std::move(json));
    } else if (done.nodes_answered == 0) {
      answer_(call, nobody_answered(done.nodes_asked));
    } else {
      answer_(call, Error{Errc::not_found, "nothing is stored under " + to_hex(done.target.view()),
                          "with a salt, it must be given; items last about two hours"});
    }
  }
}

void DhtCalls::on_pinged(const dht::Pinged& pinged) {
  const auto place = pings_.find(pinged.number);
  if (place == pings_.end()) return;
  const Ping ping = std::move(place->second);
  pings_.erase(place);
  if (pinged.id) {
    answer_(ping.call, Json::object({{"endpoint", pinged.endpoint.to_string()},
                                     {"id", to_hex(pinged.id->view())},
                                     {"took", seconds_shown(pinged.took)}}));
  } else if (pinged.endpoint.port == 0) {
    answer_(ping.call, Error{Errc::not_found, "there is no host by the name in " + ping.text,
                             "is it spelt right, and does the machine have a name server?"});
  } else if (pinged.took == Duration{}) {
    answer_(ping.call, Error{Errc::unavailable, "nothing can be sent to " + ping.text,
                             "is this node listening on that address family?"});
  } else {
    answer_(ping.call, Error{Errc::timed_out, ping.text + " does not answer",
                             "is a DHT node there, and does its firewall let UDP in?"});
  }
}

void DhtCalls::on_client_gone(ClientId client) {
  for (auto& [key, lookup] : lookups_) {
    std::erase_if(lookup.calls, [&](const LookupCall& one) { return is_of(client, one.call); });
  }
  for (auto& [target, get] : gets_) {
    std::erase_if(get.calls, [&](const PendingCall& one) { return is_of(client, one); });
  }
  std::erase_if(puts_, [&](const auto& entry) { return is_of(client, entry.second.call); });
  std::erase_if(pings_, [&](const auto& entry) { return is_of(client, entry.second.call); });
}

void DhtCalls::on_time(Time now) {
  const auto is_due = [&](Time began) { return now >= began + kDhtCallTimeout; };
  std::erase_if(lookups_, [&](const auto& entry) {
    if (!is_due(entry.second.began)) return false;
    for (const LookupCall& call : entry.second.calls) answer_(call.call, too_late());
    return true;
  });
  std::erase_if(gets_, [&](const auto& entry) {
    if (!is_due(entry.second.began)) return false;
    for (const PendingCall& call : entry.second.calls) answer_(call, too_late());
    return true;
  });
  const auto answer_late = [&](const auto& entry) {
    if (!is_due(entry.second.began)) return false;
    answer_(entry.second.call, too_late());
    return true;
  };
  std::erase_if(puts_, answer_late);
  std::erase_if(pings_, answer_late);
}

Time DhtCalls::deadline() const {
  Time first = kNever;
  const auto look = [&](const auto& calls) {
    for (const auto& [key, call] : calls) first = std::min(first, call.began);
  };
  look(lookups_);
  look(gets_);
  look(puts_);
  look(pings_);
  return first == kNever ? kNever : first + kDhtCallTimeout;
}

// ---- The table

Json dht_stats_json(const NodeStatus& status, const std::vector<dht::Contact>& nodes) {
  std::map<std::size_t, std::size_t> buckets;
  Json list = Json::array();
  for (const dht::Contact& node : nodes) {
    const std::size_t bits = shared_bits(node.id, status.dht.id);
    ++buckets[bits];
    list.push_back(Json::object({{"id", to_hex(node.id.view())},
                                 {"endpoint", node.endpoint.to_string()},
                                 {"shared_bits", bits}}));
  }
  Json rows = Json::array();
  for (const auto& [bits, count] : buckets) {
    rows.push_back(Json::object({{"shared_bits", bits}, {"nodes_count", count}}));
  }
  const auto& address = status.dht.address;
  Json json = Json::object();
  json["dht"] = dht_json(status);
  json["address"] = address ? Json(address->address_to_string()) : Json(nullptr);
  const double size = std::clamp(status.dht.network_size, 0.0, 1e12);
  json["estimate"] = size > 0 ? Json(std::llround(size)) : Json(nullptr);
  json["items_stored"] = status.dht.stored_items;
  json["buckets"] = std::move(rows);
  json["nodes"] = std::move(list);
  return json;
}

}  // namespace peernet::daemon
