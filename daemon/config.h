#pragma once

// The config file as a value: JSON with // comments, every key with a default, so that an empty
// text is a whole config. What cannot be meant is an error that names the place: unknown keys (with
// the nearest valid one), wrong types and ranges, keys of features that are not built yet. The
// daemon never writes this file.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/endpoint.h"
#include "core/result.h"
#include "core/time.h"
#include "dht/config.h"
#include "transfer/limits.h"

namespace peernet::daemon {

inline constexpr std::size_t kConfigSizeMax = 1U << 20U;  // bytes of text
inline constexpr std::size_t kConfigDepthMax = 8;         // objects and lists inside each other
inline constexpr std::size_t kListenMax = 8;
inline constexpr std::size_t kBootstrapMax = 64;
inline constexpr std::size_t kNameSizeMax = 64;  // bytes of identity.name

inline constexpr std::uint16_t kPortDefault = 7341;
inline constexpr std::uint32_t kConnectionsMax = 65'535;
inline constexpr std::uint32_t kUploadSlotsMax = 1'000;
inline constexpr std::uint32_t kHalfOpenMin = 8;
inline constexpr std::uint32_t kHalfOpenMax = 16'384;
inline constexpr std::uint32_t kDialsMax = 200;          // a second
inline constexpr std::uint32_t kHandshakesMax = 10'000;  // a second
inline constexpr std::uint32_t kDhtStoreMin = 16;
inline constexpr std::uint32_t kDhtKeysMax = 65'536;
inline constexpr std::uint32_t kDhtPeersMax = 1U << 20U;
inline constexpr std::uint32_t kDhtItemsMax = 16'384;
inline constexpr std::uint64_t kManifestSizeMin = 64ULL << 10U;
inline constexpr std::uint32_t kControlClientsMin = 4;  // so that there is a way in to look
inline constexpr std::uint32_t kControlClientsMax = 4'096;
inline constexpr std::uint32_t kControlRequestsMin = 10;  // a second, of one client
inline constexpr std::uint32_t kControlRequestsMax = 100'000;
inline constexpr std::uint64_t kMemoryMin = 16ULL << 20U;  // one piece of the largest size
inline constexpr std::uint64_t kMemoryMax = 1ULL << 40U;
inline constexpr std::uint64_t kRateMax = 1ULL << 40U;  // bytes a second

inline constexpr std::size_t kHookArgumentsMax = 64;
inline constexpr std::size_t kHookArgumentSizeMax = 4096;     // bytes
inline constexpr std::string_view kHookPathPlace = "{path}";  // an argument that is the path
inline constexpr Duration kHookTimeoutMax = std::chrono::hours(24);
inline constexpr std::uint64_t kLogSizeMin = 64ULL << 10U;
inline constexpr std::uint64_t kLogSizeMax = 1ULL << 40U;

// Programs of the user: an absolute path and arguments; empty: none.
struct HookPrograms {
  std::vector<std::string> completed;
  std::vector<std::string> scan;
  Duration timeout = std::chrono::minutes(10);
};

// Words of trace, debug, info, warn, error.
struct LogLevels {
  std::string all = "info";
  std::optional<std::string> shares;  // lines about shares; nullopt: as all
  std::optional<std::string> peers;   // likewise
};

struct DaemonConfig {
  std::string name;  // shown to the user only
  std::vector<Endpoint> listen{Endpoint::v4(0, kPortDefault), Endpoint::v6({}, kPortDefault)};
  bool listen_is_default = true;  // then a missing address family of the machine is no fault
  std::vector<dht::BootstrapName> bootstrap;
  bool dht = true;
  bool lan = true;
  bool pex = true;
  std::optional<std::string> network_key_file;
  std::optional<std::string> downloads;     // absolute; nullopt: Paths::downloads
  std::optional<std::uint64_t> limit_up;    // bytes a second; nullopt: no limit
  std::optional<std::uint64_t> limit_down;  // bytes a second
  transfer::PeerLimits peer_limits;
  std::uint32_t connections = 512;
  std::uint32_t half_open = 1024;
  std::uint32_t dials = 20;                    // a second
  std::uint32_t handshakes = 200;              // a second
  std::uint64_t manifest_size = 16ULL << 20U;  // bytes
  std::uint32_t manifest_entries = 200'000;
  dht::StoreLimits dht_store;
  std::uint32_t control_clients = 128;
  std::uint32_t control_requests = 100;       // a second, of one client
  std::optional<std::uint32_t> upload_slots;  // nullopt: adapts to the uplink
  std::uint64_t memory = 256ULL << 20U;       // bytes
  HookPrograms hooks;
  LogLevels log_levels;
  std::string log_format = "text";        // text, json
  std::optional<std::string> log_file;    // absolute; nullopt: standard error
  std::uint64_t log_size = 50ULL << 20U;  // bytes, of all log files together
  bool special_use_is_global = false;
};

// Errors: malformed, too_large, refused (a feature that is not built yet). `what` starts with the
// key, and the line where there is one.
Result<DaemonConfig> parse_config(std::string_view text);

// Every effective value as the text of a config file: parse_config of it gives the same config.
std::string config_to_json(const DaemonConfig& config);

// One row for each key, in the order of the file: what README.md shows is made from it.
struct ConfigKeyRow {
  std::string_view key;
  std::string_view expects;
  std::string_view meaning;
  bool is_built = true;  // false: only its default is accepted
};
std::vector<ConfigKeyRow> config_keys();

}  // namespace peernet::daemon
