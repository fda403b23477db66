#include "core/paths.h"

#include <algorithm>
#include <string_view>

namespace peernet {

// sun_path of Linux has 108 bytes with the terminating zero; macOS has 104, so that a path near the
// limit is refused there by the system.
constexpr std::size_t kSocketPathMax = 107;

namespace {

using Environment = std::function<std::optional<std::string>(const char*)>;

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string join(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (path.empty() || path.back() != '/') path += '/';
  return path.append(name);
}

// The XDG specification: a value that is empty or relative counts as not set. systemd gives several
// directories separated by colons; the first is ours.
std::optional<std::string> directory_of(const Environment& environment, const char* variable) {
  std::optional<std::string> value = environment(variable);
  if (!value) return std::nullopt;
  value->resize(std::min(value->find(':'), value->size()));
  if (value->empty() || value->front() != '/') return std::nullopt;
  return without_trailing_slashes(*std::move(value));
}

Result<Paths> checked(Paths paths) {
  if (paths.socket.size() > kSocketPathMax) {
    return Error{Errc::too_large,
                 "the path of the control socket is longer than a Unix socket address can hold: " +
                     paths.socket,
                 "choose a shorter --home, for example under /tmp or your home directory"};
  }
  return paths;
}

Paths below(const std::string& state) {
  Paths paths;
  paths.config = join(state, "config.json");
  paths.state = state;
  paths.identity = join(state, "identity");
  paths.database = join(state, "state.db");
  paths.leaves = join(state, "leaves");
  paths.socket = join(state, "peernet.sock");
  paths.downloads = join(state, "downloads");
  return paths;
}

}  // namespace

Result<Paths> find_paths(const std::optional<std::string>& home, const Environment& environment) {
  std::optional<std::string> root = home;
  if (!root) {
    root = environment("PEERNET_HOME");
    if (root && root->empty()) root.reset();
  }
  if (root) {
    if (root->empty() || root->front() != '/') {
      return Error{Errc::malformed, "the home directory is not an absolute path: " + *root,
                   "give --home or PEERNET_HOME as a path that starts with /"};
    }
    return checked(below(without_trailing_slashes(*std::move(root))));
  }

  // systemd names the directories of a unit in these; outside a unit they are not set.
  const std::optional<std::string> service_state = directory_of(environment, "STATE_DIRECTORY");
  const std::optional<std::string> user_home = directory_of(environment, "HOME");
  std::optional<std::string> state = service_state;
  if (!state) {
    const std::optional<std::string> base = directory_of(environment, "XDG_STATE_HOME");
    if (base) {
      state = join(*base, "peernet");
    } else if (user_home) {
      state = join(*user_home, ".local/state/peernet");
    }
  }
  if (!state) {
    return Error{Errc::malformed, "neither --home, PEERNET_HOME nor HOME says where to keep state",
                 "give --home DIR"};
  }

  Paths paths = below(*state);
  if (const auto directory = directory_of(environment, "CONFIGURATION_DIRECTORY")) {
    paths.config = join(*directory, "config.json");
  } else if (const auto base = directory_of(environment, "XDG_CONFIG_HOME")) {
    paths.config = join(*base, "peernet/config.json");
  } else if (user_home) {
    paths.config = join(*user_home, ".config/peernet/config.json");
  }
  // Without a runtime directory (su, a container) the socket stays with the state, which is 0700
  // too.
  if (const auto directory = directory_of(environment, "RUNTIME_DIRECTORY")) {
    paths.socket = join(*directory, "peernet.sock");
  } else if (const auto base = directory_of(environment, "XDG_RUNTIME_DIR")) {
    paths.socket = join(*base, "peernet/peernet.sock");
  }
  if (!service_state && user_home) paths.downloads = join(*user_home, "Downloads");
  return checked(std::move(paths));
}

Paths system_paths() {
  Paths paths = below("/var/lib/peernet");
  paths.config = "/etc/peernet/config.json";
  paths.socket = "/run/peernet/peernet.sock";
  return paths;
}

}  // namespace peernet
