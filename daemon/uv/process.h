#pragma once

// What a daemon does with itself as a process: hardening, the lock on its state, going to the
// background, telling the service manager that it is ready (SECURITY.md 4.9).

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/result.h"
#include "core/time.h"
#include "daemon/uv/beneath.h"

namespace peernet::daemon {

// No core files, no tracing by others, no SIGPIPE, files for us alone, as many descriptors as are
// allowed. Call first. Gives the user's umask, which finished downloads keep.
mode_t harden_process();
// The control socket, where the service manager listens on it already and hands it over; an empty
// Fd: nobody does. Call once, before anything else reads the environment. Errors: refused (more
// than one, or something else than a listening Unix socket).
Result<Fd> passed_socket();
// How many descriptors this process may have open.
std::uint64_t descriptors_max();
// The size of libuv's pool; before its first use.
void set_pool_size();

// Held as long as the Fd lives. Errors: refused (another daemon; `what` says its process id).
Result<Fd> lock_state(const std::string& path);

// A short file as text. Errors: not_found, too_large, denied, io.
Result<std::string> read_text_file(const std::string& path, std::size_t size_max);

// To the service manager that started us, if one did: "READY=1".
void notify_service_manager(const std::string& message);
// How often it wants to hear "WATCHDOG=1"; nullopt: never.
std::optional<Duration> watchdog_interval();

// The background half of `--detach`. The first process waits for the word of the second and leaves
// with its exit code.
class Background {
 public:
  // Forks; call before any thread exists. Comes back in the second process only.
  static Result<Background> start();
  Background() = default;  // stays in the foreground: all below does nothing

  bool is_detached() const { return static_cast<bool>(pipe_); }
  // Everything runs: the first process leaves with 0, and standard error goes nowhere from now on.
  void tell_ready();
  // The first process prints this and leaves with `exit_code`.
  void tell_failed(int exit_code, const std::string& text);

 private:
  void tell(int exit_code, const std::string& text);
  Fd pipe_;
};

}  // namespace peernet::daemon
