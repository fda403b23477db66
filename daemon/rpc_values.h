#pragma once

// The values of the engines as JSON, in the shapes of daemon/rpc_table.h: sizes as integer bytes,
// rates as bytes a second, times as RFC 3339, states as words. Names from outside stay what they
// are; whoever shows them escapes them.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/paths.h"
#include "core/result.h"
#include "core/time.h"
#include "daemon/json.h"
#include "daemon/node.h"
#include "daemon/rpc_client.h"
#include "transfer/status.h"
#include "transfer/transfer.h"

namespace peernet::daemon {

inline constexpr std::size_t kPeerSharesShownMax = 16;
inline constexpr std::size_t kLeftOutShownMax = 1000;

// Parameters of a call that were checked: empty, false or nothing when they were left out.
std::string text_of(const Json& params, std::string_view name);
bool flag_of(const Json& params, std::string_view name);
std::optional<std::uint64_t> integer_of(const Json& params, std::string_view name);

// The members of an answer, or of the rows of its list, that a call asks for by `fields`: a
// thousand shares are a lot of text. Without that parameter all of them.
class Fields {
 public:
  Fields() = default;
  explicit Fields(const Json& params);
  bool has(std::string_view name) const;

 private:
  std::optional<std::vector<std::string>> names_;
};

// Globs of names and paths. Errors: malformed, too_large.
Result<std::vector<std::string>> globs_of(const Json& params, std::string_view name);
// `only` and `skip`; nullopt when both were left out.
Result<std::optional<Selection>> selection_of(const Json& params);

// "192.0.2.1:6881", "[2001:db8::1]:6881", "host.example.org:6881". Errors: malformed.
struct HostAndPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;
};
Result<HostAndPort> parse_host(const std::string& text);

// Absolute, without "." or "..", which could mean another place by the time it is opened. Trailing
// and doubled slashes are dropped. Errors: malformed.
Result<std::string> clean_path(const std::string& path);

// In UTC with milliseconds: "2026-11-20T10:17:55.000Z". Years outside 0 to 9999 are cut to them.
std::string rfc3339(WallTime time);

// The word for a state; "stalled" is fetching with a cause that stops it.
std::string_view state_word(transfer::ShareState state);
std::string_view state_word(const transfer::ShareStatus& share);

// An error's own hint, or the usual one: nobody is left without.
std::string hint_of(const Error& error);
Json error_json(const Error& error);
// What daemon.status tells.
struct NodeFacts {
  std::string version;
  WallTime time;
  NodeStatus status;
  transfer::Limits limits;
};
Json node_json(const NodeFacts& facts, const Fields& fields);
// `lookup_ended`: when the share's last lookup was, as wall time.
Json share_json(const transfer::ShareStatus& share, std::optional<WallTime> lookup_ended,
                const Fields& fields = {});
Json peer_json(const transfer::PeerStatus& peer, const Fields& fields);
Json file_json(const transfer::ShareFiles& files, std::size_t file_index, const Fields& fields);
Json left_out_json(const std::vector<LeftOut>& left_out);
Json dht_json(const NodeStatus& status);
Json paths_json(const Paths& paths);
// What config.edit answers, or {"error": ...}, as a line: for a file that no daemon runs by.
std::string config_edit_line(std::string_view text, const std::string& key,
                             const std::string& value);

// The part of a list that a call asks for by `offset` and `limit`.
struct Page {
  std::size_t begin = 0;
  std::size_t end = 0;
};
Page page_of(const Json& params, std::size_t count);
Error too_many_pending();

// A rate as whole bytes a second; what is not a number is 0.
std::uint64_t whole_rate(double rate);

}  // namespace peernet::daemon
