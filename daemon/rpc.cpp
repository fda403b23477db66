#include "daemon/rpc.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include "core/check.h"
#include "daemon/config.h"
#include "daemon/rpc_values.h"

namespace peernet::daemon {

// The codes of JSON-RPC 2.0 itself.
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr int kInvalidParams = -32602;
constexpr int kInternalError = -32603;

namespace {

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::string_view kind_of(int code) {
  switch (code) {
    case kParseError: return "parse_error";
    case kInvalidRequest: return "invalid_request";
    case kMethodNotFound: return "method_not_found";
    case kInvalidParams: return "invalid_params";
    default: return "internal";
  }
}

std::string result_line(const std::string& id, const Json& result) {
  return R"({"jsonrpc":"2.0","id":)" + id + R"(,"result":)" + dump_json(result) + "}";
}

std::string error_line(const std::string& id, int code, std::string_view kind,
                       const std::string& message, const std::string& hint) {
  const Json error = Json::object({{"code", code},
                                   {"message", message},
                                   {"data", Json::object({{"kind", kind}, {"hint", hint}})}});
  return R"({"jsonrpc":"2.0","id":)" + id + R"(,"error":)" + dump_json(error) + "}";
}

// What a request says, once it is one.
struct Request {
  std::optional<std::string> id;  // as JSON; nullopt: a notification
  std::string method;
  Json params = Json::object();
};

struct Fault {
  std::string id = "null";
  int code = kInvalidRequest;
  std::string message;
  std::string hint;
};

std::optional<Fault> read_request(Json& json, Request& request) {
  if (!json.is_object()) {
    return Fault{.message = "a request is an object, not " + std::string(json_type_name(json)),
                 .hint = R"({"jsonrpc":"2.0","id":1,"method":"rpc.discover"})"};
  }
  if (const Json* id = json_find(json, "id")) {
    if (!id->is_string() && !id->is_number() && !id->is_null()) {
      return Fault{.message = "the id of a request is text, a number or null", .hint = {}};
    }
    request.id = dump_json(*id);
    if (request.id->size() > kRpcIdSizeMax) {
      return Fault{.message = "the id of a request is longer than " +
                              std::to_string(kRpcIdSizeMax) + " bytes",
                   .hint = {}};
    }
  }
  const std::string id = request.id.value_or("null");
  const Json* version = json_find(json, "jsonrpc");
  if (version == nullptr || json_text(*version) != "2.0") {
    return Fault{.id = id, .message = R"(a request says "jsonrpc": "2.0")", .hint = {}};
  }
  const Json* method = json_find(json, "method");
  if (method == nullptr || !method->is_string()) {
    return Fault{.id = id, .message = "a request names its method as text", .hint = {}};
  }
  request.method = method->get<std::string>();
  const auto params = json.find("params");
  if (params == json.end()) return std::nullopt;
  if (!params->is_object()) {
    return Fault{.id = id,
                 .code = params->is_array() ? kInvalidParams : kInvalidRequest,
                 .message = "parameters are given by name, in an object",
                 .hint = "rpc.discover describes every method"};
  }
  request.params = std::move(*params);
  return std::nullopt;
}

}  // namespace

Rpc::Rpc(RpcContext context)
    : context_(std::move(context)),
      dht_calls_([this](const PendingCall& call, const Result<Json>& result) {
        answer_pending(call, result);
      }) {}

Rpc::~Rpc() = default;

void Rpc::on_config(std::string config_json, std::string downloads) {
  context_.config_json = std::move(config_json);
  context_.paths.downloads = std::move(downloads);
}

void Rpc::on_wall_clock(Time now, WallTime wall) {
  wall_set_ = now;
  wall_ = wall;
}

void Rpc::on_line(Time now, ClientId client, std::string_view line, Node& node, Effects& out) {
  if (is_blank(line)) return;
  if (clients_[client].is_closing) return;
  try {
    handle(now, client, line, node, out);
  } catch (const std::exception& fault) {
    answer_error({client, "null"}, kInternalError, std::string("internal fault: ") + fault.what(),
                 "this is a bug of peernetd");
  }
}

void Rpc::handle(Time now, ClientId client, std::string_view line, Node& node, Effects& out) {
  auto json = parse_json(line, {.depth_max = kRpcDepthMax});
  if (!json) {
    // Whoever sends something else here speaks another protocol (a browser's POST has headers
    // first): nothing that follows may be taken for a request.
    answer_error({client, "null"}, kParseError, json.error().what,
                 "this socket speaks JSON-RPC 2.0, one JSON text a line", /*is_closing=*/true);
  } else if (json->is_array()) {
    handle_batch(now, client, *json, node, out);
  } else {
    handle_one(now, client, 0, *json, node, out);
  }
}

void Rpc::handle_batch(Time now, ClientId client, Json& requests, Node& node, Effects& out) {
  if (requests.empty() || requests.size() > kRpcBatchMax) {
    answer_error({client, "null"}, kInvalidRequest,
                 "a batch has from 1 to " + std::to_string(kRpcBatchMax) + " requests",
                 "send the rest in another line");
    return;
  }
  const std::uint64_t number = ++batches_count_;
  batches_[number] = {client, requests.size(), {}};
  for (Json& request : requests) handle_one(now, client, number, request, node, out);
}

void Rpc::handle_one(Time now, ClientId client, std::uint64_t batch, Json& json, Node& node,
                     Effects& out) {
  Request request;
  if (const auto fault = read_request(json, request)) {
    answer_error({client, fault->id, batch}, fault->code, fault->message, fault->hint);
    return;
  }
  const PendingCall origin{client, request.id, batch};
  const Method* const method = find_method(request.method);
  if (method == nullptr) {
    answer_error(origin, kMethodNotFound,
                 "there is no method \"" + request.method.substr(0, 64) + "\"",
                 "did you mean \"" + std::string(nearest_method(request.method)) + "\"?");
    return;
  }
  if (const auto checked = check_params(*method, request.params); !checked) {
    answer_error(origin, kInvalidParams, checked.error().what, checked.error().hint);
    return;
  }
  Call call{now, client, request.id, batch, request.params, node, out};
  Answer result = dispatch(call, method->id);
  if (!result) return;
  answer(origin, *result);
}

void Rpc::on_client_gone(Time now, ClientId client, Node& node, Effects& out) {
  for (auto place = imports_.begin(); place != imports_.end();) {
    if (place->second.client != client) {
      ++place;
      continue;
    }
    const auto [import, pending] = *place;
    place = imports_.erase(place);
    node.cancel_add(now, import, out);
    const Error gone{Errc::cancelled, "whoever asked for it went away", {}};
    publish(now, EventKind::import_failed,
            Json::object({{"path", pending.path}, {"error", error_json(gone)}}), true);
  }
  for (auto place = removals_.begin(); place != removals_.end();) {
    place = place->second.client == client ? removals_.erase(place) : std::next(place);
  }
  std::erase_if(probes_, [&](const auto& entry) { return entry.second.client == client; });
  for (const PendingPreview& preview : previews_) {
    // It was never one of the shares of this node.
    if (preview.client == client && !preview.is_known) {
      (void)node.remove(now, preview.share, false, out);
    }
  }
  std::erase_if(previews_, [&](const auto& preview) { return preview.client == client; });
  for (auto place = verifications_.begin(); place != verifications_.end();) {
    if (place->second.client != client) {
      ++place;
      continue;
    }
    const ShareId id = place->first;
    place = verifications_.erase(place);
    node.cancel_verify(now, id, out);
  }
  std::erase_if(reads_, [&](const auto& entry) { return entry.second.client == client; });
  node.end_reader(now, reader_of(client), out);
  dht_calls_.on_client_gone(client);
  std::erase_if(batches_, [&](const auto& entry) { return entry.second.client == client; });
  clients_.erase(client);
  if (!is_followed(EventKind::progress)) progress_at_ = kNever;
}

void Rpc::on_time(Time now, Node& node, Effects& out) {
  if (now >= progress_at_) tell_progress(now, node);
  end_timed_limits(now, node, out);
  dht_calls_.on_time(now);
}

std::vector<Rpc::Reply> Rpc::take_replies() {
  return std::exchange(replies_, {});
}

Time Rpc::deadline() const {
  Time due = std::min(progress_at_, dht_calls_.deadline());
  for (const TimedLimit& timed : timed_limits_) due = std::min(due, timed.until);
  return due;
}

bool Rpc::is_idle_allowed(ClientId client) const {
  const auto place = clients_.find(client);
  return place != clients_.end() &&
         (place->second.subscription.has_value() || place->second.pending_count > 0);
}

void Rpc::answer(const PendingCall& call, const Result<Json>& result) {
  ++(result ? answered_count_ : refused_count_);
  if (!call.id) {
    deliver(call, {}, false);
    return;
  }
  if (result) {
    deliver(call, result_line(*call.id, *result), false);
    return;
  }
  const Error& error = result.error();
  deliver(call,
          error_line(*call.id, -32000 - exit_code(error.code), error_kind(error.code), error.what,
                     hint_of(error)),
          false);
}

void Rpc::answer_error(const PendingCall& call, int code, const std::string& message,
                       const std::string& hint, bool is_closing) {
  ++refused_count_;
  if (is_closing) clients_[call.client].is_closing = true;
  deliver(call, call.id ? error_line(*call.id, code, kind_of(code), message, hint) : std::string(),
          is_closing);
}

// An empty line is the answer to a notification: none. What came in a batch waits for the rest.
void Rpc::deliver(const PendingCall& call, std::string line, bool is_closing) {
  if (call.batch == 0) {
    if (!line.empty()) reply(call.client, std::move(line), is_closing);
    return;
  }
  const auto found = batches_.find(call.batch);
  if (found == batches_.end()) return;
  Batch& batch = found->second;
  if (!line.empty()) batch.answers += (batch.answers.empty() ? "" : ",") + line;
  if (--batch.open_count > 0) return;
  if (!batch.answers.empty()) reply(batch.client, "[" + batch.answers + "]", false);
  batches_.erase(found);
}

void Rpc::answer_pending(const Pending& pending, const Result<Json>& result) {
  const auto place = clients_.find(pending.client);
  if (place == clients_.end()) return;
  --place->second.pending_count;
  answer(pending, result);
}

void Rpc::on_dht_event(Time now, const dht::Event& event) {
  dht_calls_.on_event(now, event);
}

void Rpc::reply(ClientId client, std::string line, bool is_closing) {
  replies_.push_back(Reply{.client = client, .line = std::move(line), .is_closing = is_closing});
}

WallTime Rpc::wall_at(Time time) const {
  return WallTime{wall_.unix_ms + (time - wall_set_).count() / 1000};
}

}  // namespace peernet::daemon
