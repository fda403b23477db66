#pragma once

// What Rpc asks of the program around it, which knows files and the process: values only, so that
// tests and the fuzzer leave them out.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/effects.h"
#include "core/result.h"
#include "core/time.h"

namespace peernet::daemon {

struct ConfigChange {
  std::vector<std::string> taken_over;    // keys that count from now on
  std::vector<std::string> need_restart;  // keys of the file that do not count yet
};

// Why the control socket let a client go.
enum class ControlReject : std::uint8_t {
  clients_limit,  // as many are connected as may be
  user,           // another user's
  line,           // longer than a line may be
  unread,         // asks and does not read
  idle,
};
inline constexpr std::size_t kControlRejectsCount = 5;
using ControlRejects = std::array<std::uint64_t, kControlRejectsCount>;  // by ControlReject

struct ProcessFacts {
  std::uint64_t resident = 0;  // bytes
  std::uint64_t descriptors = 0;
  std::uint64_t descriptors_max = 0;
  Duration loop_lag_p99{};
  ControlRejects control_rejects{};
};

struct DoctorCheck {
  enum class Level : std::uint8_t { ok, warning, fault };
  std::string name;
  Level level = Level::ok;
  std::string text;
  std::string fix;  // empty when ok
};

struct RpcHooks {
  std::function<Result<ConfigChange>(Time, Effects&)> reload;
  // Makes a network key at this absolute path; gives the network's name.
  std::function<Result<std::string>(const std::string&)> make_network;
  std::function<ProcessFacts()> process;
  std::function<std::vector<DoctorCheck>()> doctor;
};

}  // namespace peernet::daemon
