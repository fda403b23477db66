#include "cli/offline.h"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "cli/exit_codes.h"

namespace peernet::cli {
namespace {

// Both ends close with it.
class Pipe {
 public:
  Pipe() { is_open_ = ::pipe2(ends_.data(), O_CLOEXEC) == 0; }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  bool is_open() const { return is_open_; }
  int reading() const { return ends_[0]; }
  int writing() const { return ends_[1]; }
  void close_end(std::size_t which) {
    if (ends_.at(which) >= 0) ::close(std::exchange(ends_.at(which), -1));
  }

 private:
  std::array<int, 2> ends_{-1, -1};
  bool is_open_ = false;
};

Failure not_run(int fault) {
  return Failure{kExitOther, "io", std::string("peernetd cannot be run: ") + std::strerror(fault),
                 "is it installed beside peernet, or in PATH?"};
}

std::string daemon_program() {
  std::array<char, 4096> self{};
  const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
  if (size > 0 && static_cast<std::size_t>(size) < self.size()) {
    const std::string path(self.data(), static_cast<std::size_t>(size));
    std::string beside = path.substr(0, path.rfind('/') + 1) + "peernetd";
    if (::access(beside.c_str(), X_OK) == 0) return beside;
  }
  return "peernetd";
}

// Gives what it says on standard output, once all of the text is with it.
std::string converse(Pipe& in, Pipe& out, std::string_view text) {
  std::string heard;
  while (true) {
    if (text.empty()) in.close_end(1);
    std::array<pollfd, 2> watched{pollfd{out.reading(), POLLIN, 0},
                                  pollfd{in.writing(), POLLOUT, 0}};
    if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return heard;
    if (watched[1].revents != 0) {
      const ssize_t put = ::write(in.writing(), text.data(), text.size());
      text.remove_prefix(put < 0 ? text.size() : static_cast<std::size_t>(put));
    }
    if (watched[0].revents == 0) continue;
    std::array<char, 65'536> part{};
    const ssize_t got = ::read(out.reading(), part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return heard;
    heard.append(part.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

Outcome<Json> edit_without_daemon(const ConfigEdit& edit) {
  Pipe in;
  Pipe out;
  if (!in.is_open() || !out.is_open()) return not_run(errno);
  std::string program = daemon_program();
  std::string option = "--edit-config";
  std::string key = edit.key;
  std::string value = edit.value;
  std::array<char*, 5> arguments{program.data(), option.data(), key.data(), value.data(), nullptr};
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.reading(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.writing(), STDOUT_FILENO);
  pid_t child = -1;
  const int fault =
      ::posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (fault != 0) return not_run(fault);
  in.close_end(0);
  out.close_end(1);
  // One that ends before it has read everything must not end us.
  auto* const before = std::signal(SIGPIPE, SIG_IGN);
  const std::string heard = converse(in, out, edit.text);
  std::signal(SIGPIPE, before);
  ::waitpid(child, nullptr, 0);
  Json answer = Json::parse(heard, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) {
    return Failure{kExitOther, "io", "peernetd did not answer", "is it of another version?"};
  }
  if (const Json& error = at(answer, "error"); error.is_object()) return failure_of(error);
  return answer;
}

bool is_held(const std::string& state) {
  const int lock = ::open((state + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0) return false;
  const bool is_taken = ::flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(lock);
  return is_taken;
}

}  // namespace peernet::cli
