#include "daemon/uv/doctor.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "daemon/uv/beneath.h"
#include "daemon/uv/process.h"

namespace peernet::daemon {
namespace {

using Level = DoctorCheck::Level;

constexpr std::uint64_t kSpaceFault = 64ULL << 20U;
constexpr std::uint64_t kSpaceWarning = 1ULL << 30U;
constexpr int kBufferGood = 1 << 20;  // bytes of a UDP socket's receive buffer
constexpr int kBufferAsked = 4 << 20;
constexpr std::int64_t kYear2024 = 1'704'067'200;  // seconds

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20U) + " MiB";
}

DoctorCheck listening(const std::vector<Endpoint>& listeners) {
  if (listeners.empty()) {
    return {"listen", Level::fault, "no socket listens", "peernet config get listen"};
  }
  std::string text;
  for (const Endpoint& endpoint : listeners) {
    text += (text.empty() ? "" : ", ") + endpoint.to_string();
  }
  return {"listen", Level::ok, "TCP and UDP on " + text, {}};
}

DoctorCheck clock() {
  // The system's own, once, for a person who asks.
  struct timespec now {};
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec < kYear2024) {
    return {"clock", Level::fault, "the clock is before 2024",
            "set it; systemd-timesyncd or chrony keep it"};
  }
  return {"clock", Level::ok, "plausible; nobody to compare it with", {}};
}

DoctorCheck space(const std::string& name, const std::string& path) {
  struct statvfs file_system {};
  if (statvfs(path.c_str(), &file_system) != 0) {
    return {name, Level::fault, path + ": " + std::strerror(errno), "make that directory"};
  }
  const std::uint64_t free = std::uint64_t{file_system.f_bavail} * file_system.f_frsize;
  const int probe = open(path.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (probe < 0 && errno != EOPNOTSUPP && errno != EISDIR) {
    return {name, Level::fault, path + " cannot be written: " + std::strerror(errno),
            "the user who runs peernetd needs to write there"};
  }
  if (probe >= 0) {
    const bool is_written = write(probe, "x", 1) == 1;
    const int error = errno;
    close(probe);
    if (!is_written) {
      return {name, Level::fault, path + " cannot be written: " + std::strerror(error),
              "make room there, or peernet config set paths.downloads DIR"};
    }
  }
  const Level level = free < kSpaceFault     ? Level::fault
                      : free < kSpaceWarning ? Level::warning
                                             : Level::ok;
  return {name, level, path + ": " + mebibytes(free) + " free, can be written",
          level == Level::ok ? "" : "make room there, or peernet config set paths.downloads DIR"};
}

DoctorCheck permissions(const std::string& name, const std::string& path, mode_t allowed) {
  struct stat facts {};
  if (lstat(path.c_str(), &facts) != 0) {
    return {name, Level::fault, path + ": " + std::strerror(errno), "restart peernetd"};
  }
  const mode_t mode = facts.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode));
  if (facts.st_uid != geteuid()) {
    return {name, Level::fault, path + " belongs to somebody else",
            "chown it to the user who runs peernetd"};
  }
  if ((mode & ~allowed) != 0) {
    return {name, Level::fault, path + " has mode " + text.data() + ": others may use it",
            "chmod go-rwx " + path};
  }
  return {name, Level::ok, path + ", mode " + text.data(), {}};
}

DoctorCheck buffers() {
  const Fd probe(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  int size = kBufferAsked;
  socklen_t length = sizeof size;
  const bool is_known = static_cast<bool>(probe) &&
                        setsockopt(probe.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0 &&
                        getsockopt(probe.get(), SOL_SOCKET, SO_RCVBUF, &size, &length) == 0;
  if (!is_known) return {"udp buffers", Level::warning, "unknown", {}};
  size /= 2;  // Linux counts double
  if (size < kBufferGood) {
    return {"udp buffers", Level::warning,
            std::to_string(size >> 10) + " KiB: bursts of datagrams may be lost",
            "sysctl -w net.core.rmem_max=" + std::to_string(kBufferAsked)};
  }
  return {"udp buffers", Level::ok, std::to_string(size >> 10) + " KiB", {}};
}

DoctorCheck descriptors(std::uint64_t wanted) {
  const ProcessFacts facts = process_facts();
  const std::string text = std::to_string(facts.descriptors) + " of " +
                           std::to_string(facts.descriptors_max) + " file descriptors are open";
  if (facts.descriptors_max < wanted) {
    return {"descriptors", Level::warning,
            text + ", " + std::to_string(wanted) + " are wanted: fewer peers",
            "ulimit -n " + std::to_string(wanted) + ", or LimitNOFILE= of the unit"};
  }
  return {"descriptors", Level::ok, text, {}};
}

}  // namespace

std::vector<DoctorCheck> examine(const Paths& paths, const std::vector<Endpoint>& listeners,
                                 std::uint64_t descriptors_wanted) {
  constexpr mode_t kOursAlone = S_IRWXU;
  return {listening(listeners),
          clock(),
          space("downloads", paths.downloads),
          space("state", paths.state),
          permissions("identity", paths.identity, kOursAlone),
          permissions("socket", paths.socket, kOursAlone),
          descriptors(descriptors_wanted),
          buffers()};
}

ProcessFacts process_facts() {
  ProcessFacts facts;
  facts.descriptors_max = descriptors_max();
  if (DIR* directory = opendir("/proc/self/fd")) {
    while (readdir(directory) != nullptr) ++facts.descriptors;
    closedir(directory);
    if (facts.descriptors >= 3) facts.descriptors -= 3;  // ".", "..", and this directory itself
  }
  std::ifstream pages("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  if (pages >> total >> resident) {
    facts.resident = resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  return facts;
}

}  // namespace peernet::daemon
