#include "daemon/uv/process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace peernet::daemon {
namespace {

constexpr unsigned kPoolThreadsMax = 8;
constexpr unsigned kPoolThreadsMore = 2;  // than cores: some always wait for the disk

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> part{};
  while (true) {
    const ssize_t got = read(fd, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

// The first process: the exit code is the first byte of what the second says, the text the rest.
[[noreturn]] void wait_for_word(int pipe, pid_t child) {
  const std::string word = read_all(pipe);
  if (!word.empty()) {
    write_all(STDERR_FILENO, std::string_view(word).substr(1));
    _exit(static_cast<unsigned char>(word[0]));
  }
  int status = 0;
  waitpid(child, &status, 0);
  write_all(STDERR_FILENO, "peernetd: ended before it was ready\n");
  _exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1);
}

}  // namespace

mode_t harden_process() {
  signal(SIGPIPE, SIG_IGN);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  // What whoever started us left open is not for the programs that we start.
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  return umask(S_IRWXG | S_IRWXO);
}

Result<Fd> passed_socket() {
  // sd_listen_fds(3): the descriptors begin at 3, and are meant for one process only.
  constexpr int kFirst = 3;
  const char* const for_process = std::getenv("LISTEN_PID");
  const char* const count = std::getenv("LISTEN_FDS");
  const bool is_ours = for_process != nullptr && count != nullptr &&
                       std::to_string(getpid()) == for_process && std::string_view(count) != "0";
  const bool is_one = is_ours && std::string_view(count) == "1";
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(variable);
  if (!is_ours) return Fd();
  if (!is_one) {
    return Error{Errc::refused, "the service manager hands over more than the control socket",
                 "give peernetd.socket one ListenStream= only"};
  }
  Fd fd(kFirst);
  fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  int family = 0;
  int type = 0;
  int is_listening = 0;
  const auto read_option = [&](int option, int& value) {
    socklen_t size = sizeof(value);
    return getsockopt(fd.get(), SOL_SOCKET, option, &value, &size) == 0;
  };
  const bool is_right = read_option(SO_DOMAIN, family) && family == AF_UNIX &&
                        read_option(SO_TYPE, type) && type == SOCK_STREAM &&
                        read_option(SO_ACCEPTCONN, is_listening) && is_listening != 0;
  if (is_right) return fd;
  return Error{Errc::refused, "what the service manager hands over is no listening Unix socket",
               "peernetd.socket needs ListenStream= with a path"};
}

std::uint64_t descriptors_max() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return 0;
  return files.rlim_cur;
}

void set_pool_size() {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const std::string size = std::to_string(std::min(cores + kPoolThreadsMore, kPoolThreadsMax));
  setenv("UV_THREADPOOL_SIZE", size.c_str(), 1);
}

Result<Fd> lock_state(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!fd) return system_error(errno, "cannot open the lock " + path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error(errno, "cannot lock " + path);
    std::string holder = read_all(fd.get());
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    return Error{Errc::refused,
                 "another peernetd is running here" +
                     (holder.empty() ? std::string() : " (process " + holder + ")"),
                 "use it, stop it, or give another --home"};
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(fd.get(), 0) != 0) return system_error(errno, "cannot write the lock " + path);
  write_all(fd.get(), pid);
  return fd;
}

Result<std::string> read_text_file(const std::string& path, std::size_t size_max) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return system_error(errno, "cannot open " + path);
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return system_error(errno, "cannot look at " + path);
  if (!S_ISREG(status.st_mode)) {
    return Error{Errc::denied, path + " is not a regular file", ""};
  }
  if (static_cast<std::uint64_t>(status.st_size) > size_max) {
    return Error{Errc::too_large, path + " is too large", ""};
  }
  return read_all(fd.get());
}

void notify_service_manager(const std::string& message) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&address), length);
}

std::optional<Duration> watchdog_interval() {
  const char* text = std::getenv("WATCHDOG_USEC");
  if (text == nullptr) return std::nullopt;
  std::int64_t microseconds = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, microseconds);
  if (error != std::errc() || stop != end || microseconds <= 0) return std::nullopt;
  return Duration(microseconds) / 2;
}

Result<Background> Background::start() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "cannot make a pipe");
  Fd reading(ends[0]);
  Background background;
  background.pipe_ = Fd(ends[1]);
  const pid_t child = fork();
  if (child < 0) return system_error(errno, "cannot start a process");
  if (child > 0) {
    // Only the child's end may stay open, or its death would not be seen.
    { const Fd closed(std::move(background.pipe_)); }
    wait_for_word(reading.get(), child);
  }
  setsid();
  const Fd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (nothing) {
    dup2(nothing.get(), STDIN_FILENO);
    dup2(nothing.get(), STDOUT_FILENO);
  }
  return background;
}

void Background::tell_ready() {
  if (!pipe_) return;
  const Fd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (nothing) dup2(nothing.get(), STDERR_FILENO);
  tell(0, "");
}

void Background::tell_failed(int exit_code, const std::string& text) {
  if (pipe_) tell(exit_code, text);
}

void Background::tell(int exit_code, const std::string& text) {
  write_all(pipe_.get(), std::string(1, static_cast<char>(exit_code)) + text);
  pipe_ = Fd();
}

}  // namespace peernet::daemon
