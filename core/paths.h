#pragma once

// Where a node lives on disk (DESIGN.md 7): one directory when a home is given, else the XDG base
// directories, else systemd's when it runs the daemon. Both programs ask the same function, so that
// they always agree on the socket.

#include <functional>
#include <optional>
#include <string>

#include "core/result.h"

namespace peernet {

struct Paths {
  std::string config;     // config.json
  std::string state;      // directory: identity, state.db, leaves/, lock
  std::string identity;   // 0600
  std::string database;   // state.db
  std::string leaves;     // directory of leaf hash files
  std::string socket;     // peernet.sock; its directory is 0700
  std::string downloads;  // default target of fetch
};

// `environment` looks up a variable. `home`, when given, wins over PEERNET_HOME, and that over
// everything else. Errors: malformed (a relative path, or no HOME to start from), too_large (the
// socket path does not fit a Unix socket address: 107 bytes).
Result<Paths> find_paths(const std::optional<std::string>& home,
                         const std::function<std::optional<std::string>(const char*)>& environment);

// The node that the machine's service manager runs, as a user of its own.
Paths system_paths();

}  // namespace peernet
