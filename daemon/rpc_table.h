#pragma once

// The one table of the control surface: every method with its parameters, its result and its
// errors, and every kind of event. Requests are checked against it, rpc.discover and README.md are
// made from it, and tests hold the answers to it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"
#include "daemon/json.h"

namespace peernet::daemon {

enum class MethodName : std::uint8_t {
  daemon_status,
  daemon_config,
  daemon_shutdown,
  share_add,
  share_fetch,
  share_list,
  share_status,
  share_files,
  share_pause,
  share_resume,
  share_accept,
  share_remove,
  share_link,
  share_preview,
  share_read,
  share_verify,
  transfer_why,
  config_check,
  config_edit,
  config_reload,
  network_new,
  limit_show,
  limit_set,
  metrics_get,
  node_doctor,
  peer_list,
  peer_connect,
  peer_drop,
  peer_ban,
  peer_unban,
  peer_bans,
  dht_status,
  dht_stats,
  dht_lookup,
  dht_announce,
  dht_get,
  dht_put,
  dht_ping,
  identity_show,
  events_subscribe,
  events_unsubscribe,
  rpc_discover,
};

enum class EventKind : std::uint8_t {
  import_progress,
  imported,
  import_failed,
  manifest,
  progress,
  completed,
  durable,
  state,
  removed,
  peer_joined,
  peer_left,
  peer_banned,
  verify_progress,
  verified,
};
inline constexpr std::size_t kEventKindsCount = 14;

enum class FieldType : std::uint8_t {
  text,
  boolean,
  integer,
  number,
  time,
  object,
  list_of_text,
  list_of_objects,
  anything
};
enum class Presence : std::uint8_t {
  required,
  optional,  // may be left out (of params), or is left out when it does not apply (of results)
  nullable,  // always there in a result; null when unknown or not applicable
};

struct Shape;

// A parameter, or a member of an answer.
struct Field {
  std::string_view name;
  FieldType type{};
  Presence presence{};
  std::string_view doc;
  const Shape* shape = nullptr;                   // of an object, or of the objects of a list
  std::uint64_t min = 0;                          // integers
  std::uint64_t max = (std::uint64_t{1} << 53U);  // integers: what a double holds exactly
};

struct Shape {
  std::string_view name;
  std::span<const Field> fields;
};

struct Method {
  MethodName id{};
  std::string_view name;
  std::string_view doc;
  std::span<const Field> params;
  const Shape* result = nullptr;
  std::span<const Errc> errors;  // of the application; the codes of JSON-RPC itself are everywhere
};

struct EventRow {
  EventKind kind{};
  std::string_view name;
  std::string_view doc;
  const Shape* shape = nullptr;  // beside seq, time and kind
  bool is_kept = true;           // in the ring, for `since`
};

std::span<const Method> methods();
const Method* find_method(std::string_view name);
std::string_view nearest_method(std::string_view name);
std::span<const EventRow> event_rows();  // by EventKind
std::optional<EventKind> find_event_kind(std::string_view name);

// Are these the parameters the method takes? An error's `what` and `hint` are ready for the client.
Result<void> check_params(const Method& method, const Json& params);

// What rpc.discover answers: an OpenRPC document with a JSON schema for every parameter and result.
Json discover(std::string_view version);

// The exit code of the command line for an error (DESIGN.md 7), and its name. The code of a
// JSON-RPC error is -32000 minus the exit code.
int exit_code(Errc code);
std::string_view error_kind(Errc code);
// What to do about an error that says nothing of its own about that.
std::string_view usual_hint(Errc code);

}  // namespace peernet::daemon
