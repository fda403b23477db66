#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"

// `add --stdin`: what comes on standard input becomes a file in the downloads directory, under the
// name given, and only then is it shared. Nothing that stands there is replaced.

namespace peernet::cli {

constexpr double kStoryAfter = 0.5;  // seconds

namespace {

Failure fault_of(const std::string& path) {
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT) {
    return {9, "no_space", "no space for " + path, "make room, and pipe it in again"};
  }
  if (error == EACCES || error == EPERM || error == EROFS) {
    return {10, "denied", path + ": " + std::strerror(error), "may you write there?"};
  }
  return {kExitOther, "io", path + ": " + std::strerror(error), "is the disk well?"};
}

bool write_all(int file, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(file, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

// Everything up to the end of standard input.
std::optional<Failure> copy_input(Screen& screen, int file, const std::string& path,
                                  const std::string& name) {
  std::array<char, 1U << 16U> part{};
  std::uint64_t total = 0;
  const double began = seconds_now();
  double told = began;
  while (true) {
    const ssize_t size = ::read(STDIN_FILENO, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fault_of("standard input");
    if (size == 0) break;
    if (!write_all(file, part.data(), static_cast<std::size_t>(size))) return fault_of(path);
    total += static_cast<std::uint64_t>(size);
    const double now = seconds_now();
    if (now - told < kStoryAfter || screen.is_json()) continue;
    told = now;
    const auto rate = static_cast<std::uint64_t>(static_cast<double>(total) / (now - began));
    screen.moving_line("reading   " + shown(name) + "   " + size_text(total) + "   " +
                       rate_text(rate));
  }
  screen.end_moving_line(false);
  if (::fsync(file) != 0) return fault_of(path);
  return std::nullopt;
}

}  // namespace

Outcome<std::string> keep_stdin(Session& session, const std::string& name) {
  const bool is_name =
      !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
  if (!is_name) {
    return Failure{kExitUsage, "malformed", "this is not the name of a file: " + name,
                   "such as: tar c x | peernet add --stdin --name x.tar"};
  }
  const auto config = session.call("daemon.config");
  if (const auto* failure = std::get_if<Failure>(&config)) return *failure;
  const std::string directory = text_at(at(std::get<Json>(config), "paths"), "downloads");
  const std::string path = directory + "/" + name;
  ::mkdir(directory.c_str(), S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH);
  if (::access(path.c_str(), F_OK) == 0) {
    return Failure{13, "exists", "there is something at " + path, "give another --name"};
  }
  std::string temporary = directory + "/." + name + ".XXXXXX";
  const int file = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return fault_of(directory);
  auto failure = copy_input(session.screen(), file, temporary, name);
  ::fchmod(file, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  ::close(file);
  // A link, unlike a rename, replaces nothing.
  if (!failure && ::link(temporary.c_str(), path.c_str()) != 0) {
    failure = errno == EEXIST
                  ? Failure{13, "exists", "there is something at " + path, "give another --name"}
                  : fault_of(path);
  }
  ::unlink(temporary.c_str());
  if (failure) return *std::move(failure);
  return path;
}

}  // namespace peernet::cli
