#pragma once

// The commands with which a node is looked after: its config, its network, its limits, its
// counters, its events and its health. Each gives the exit code of DESIGN.md 7.

#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"

namespace peernet::cli {

// `value` is JSON or plain text. Writes the file at once and whole, and has the daemon read it.
int config_set(Session& session, const std::string& key, const std::string& value);
int config_get(Session& session, const std::string& key);
int config_check(Session& session);

// Makes the key of a new private network in a new file.
int network_new(Session& session, const std::string& path);

struct LimitOptions {
  std::optional<std::string> id;
  std::optional<std::string> down;      // "8MB/s", "512KiB", or "none"
  std::optional<std::string> up;        // likewise
  std::optional<std::string> duration;  // "2h"
};
int limit(Session& session, const LimitOptions& options);

int metrics(Session& session);

struct LogOptions {
  bool is_followed = false;
  std::optional<std::string> since;  // the number of an event, or an age: "10m"
  std::vector<std::string> kinds;
};
int log(Session& session, const LogOptions& options);

// kExitOther when something is at fault.
int doctor(Session& session);

}  // namespace peernet::cli
