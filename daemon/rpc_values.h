#pragma once

// The values of the engines as JSON, in the shapes of daemon/rpc_table.h: sizes as integer bytes,
// rates as bytes a second, times as RFC 3339, states as words. Names from outside stay what they
// are; whoever shows them escapes them.

#include <optional>
#include <string>

#include "core/paths.h"
#include "core/result.h"
#include "core/time.h"
#include "daemon/json.h"
#include "daemon/node.h"
#include "transfer/status.h"
#include "transfer/transfer.h"

namespace peernet::daemon {

inline constexpr std::size_t kPeerSharesShownMax = 16;
inline constexpr std::size_t kLeftOutShownMax = 1000;

// Parameters of a call that were checked: empty, false or nothing when they were left out.
std::string text_of(const Json& params, std::string_view name);
bool flag_of(const Json& params, std::string_view name);
std::optional<std::uint64_t> integer_of(const Json& params, std::string_view name);

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
// `lookup_ended`: when the share's last lookup was, as wall time.
Json share_json(const transfer::ShareStatus& share, std::optional<WallTime> lookup_ended);
Json peer_json(const transfer::PeerStatus& peer);
Json file_json(const transfer::ShareFiles& files, std::size_t file_index);
Json left_out_json(const std::vector<LeftOut>& left_out);
Json dht_json(const NodeStatus& status);
Json paths_json(const Paths& paths);

// A rate as whole bytes a second; what is not a number is 0.
std::uint64_t whole_rate(double rate);

}  // namespace peernet::daemon
