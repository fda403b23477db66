#include "daemon/uv/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <system_error>
#include <thread>

namespace peernet::daemon {
namespace {

// A rename elsewhere in the tree can make openat2 say EAGAIN; more often than this is no accident.
constexpr int kRacesMax = 64;

constexpr int kFlagsAlways = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

// A path is opened for its place only; openat2 refuses flags that have no meaning with O_PATH.
int complete_flags(int flags) {
  return (flags & O_PATH) != 0 ? flags | O_CLOEXEC | O_NOFOLLOW : flags | kFlagsAlways;
}

Errc errc_of(int error_number) {
  switch (error_number) {
    case ENOENT: return Errc::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY:
    case ELOOP:
    case EXDEV:
    case ENOTDIR:
    case EISDIR: return Errc::denied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return Errc::no_space;
    case EEXIST:
    case ENOTEMPTY: return Errc::exists;
    case ENAMETOOLONG: return Errc::too_large;
    default: return Errc::io;
  }
}

// O_PATH|O_NOFOLLOW opens a link itself, which is never what is meant here.
bool is_link(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISLNK(status.st_mode);
}

Result<Fd> checked(Fd fd, int flags, const std::string& path) {
  if ((flags & O_PATH) != 0 && is_link(fd.get())) return system_error(ELOOP, "cannot open " + path);
  return fd;
}

// The kernel stamps changes with a clock that ticks every 1 to 10 ms. A file whose last change is
// older than this cannot be changed again without a new stamp.
constexpr std::int64_t kStampTickNs = 20'000'000;

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Error system_error(int error_number, std::string_view what) {
  Error error{errc_of(error_number), std::string(what), ""};
  if (error_number == ELOOP || error_number == EXDEV) {
    error.what += ": a symbolic link stands in the way";
  } else {
    error.what += ": " + std::generic_category().message(error_number);
  }
  return error;
}

Stamp Stamp::of(const struct stat& status) {
  constexpr std::int64_t second_ns = 1'000'000'000;
  return {static_cast<std::uint64_t>(status.st_size),
          status.st_mtim.tv_sec * second_ns + status.st_mtim.tv_nsec,
          status.st_ctim.tv_sec * second_ns + status.st_ctim.tv_nsec, status.st_ino, status.st_dev};
}

bool let_stamp_settle(const Stamp& stamp) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  const std::int64_t now_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  const std::int64_t age = now_ns - stamp.changed_ns;
  if (age < 0 || age >= kStampTickNs) return false;
  std::this_thread::sleep_for(std::chrono::nanoseconds(kStampTickNs - age));
  return true;
}

Result<Fd> open_directory(const std::string& path) {
  Fd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_error(errno, "cannot open the directory " + path);
  return fd;
}

Result<Fd> open_beneath(int directory, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<unsigned>(complete_flags(flags));
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int races = 0; races < kRacesMax; ++races) {
    Fd fd(static_cast<int>(syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how))));
    if (fd) return checked(std::move(fd), flags, path);
    if (errno == EAGAIN || errno == EINTR) continue;
    // Some sandboxes answer EPERM to a call they do not know; the walk then says what is true.
    if (errno == ENOSYS || errno == EPERM) return walk_beneath(directory, path, flags, mode);
    return system_error(errno, "cannot open " + path);
  }
  return Error{Errc::io, "cannot open " + path + ": names change too fast", ""};
}

Result<Fd> walk_beneath(int directory, const std::string& path, int flags, mode_t mode) {
  Fd held;
  int here = directory;
  std::string_view rest = path;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string name(rest.substr(0, slash));
    if (name.empty() || name == "." || name == "..") {
      return Error{Errc::denied, "cannot open " + path + ": not a path below its directory", ""};
    }
    const bool is_last = slash == std::string_view::npos;
    Fd next(is_last ? openat(here, name.c_str(), complete_flags(flags), mode)
                    : openat(here, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return system_error(errno, "cannot open " + path);
    if (is_last) return checked(std::move(next), flags, path);
    held = std::move(next);
    here = held.get();
    rest.remove_prefix(slash + 1);
  }
}

Result<LastDirectory::Place> LastDirectory::of(const std::string& path) {
  auto [directory, name] = split_path(path);
  if (directory.empty()) return Place{top_, std::move(name)};
  if (directory != path_) {
    auto opened = open_beneath(top_, directory, O_PATH | O_DIRECTORY);
    if (!opened) return opened.error();
    held_ = std::move(*opened);
    path_ = std::move(directory);
  }
  return Place{held_.get(), std::move(name)};
}

Result<void> LastDirectory::look_at(const std::string& path, struct stat& status) {
  const auto place = of(path);
  if (!place) return place.error();
  if (fstatat(place->directory, place->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error(errno, "cannot look at " + path);
  }
  return {};
}

Result<Fd> open_itself(int directory) {
  Fd fd(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_error(errno, "cannot open a directory");
  return fd;
}

Result<Fd> make_directories(int directory, const std::string& path, mode_t mode,
                            std::vector<std::string>& changed) {
  Fd held;
  int here = directory;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    std::size_t end = path.find('/', begin);
    if (end == std::string::npos) end = path.size();
    const std::string name = path.substr(begin, end - begin);
    if (mkdirat(here, name.c_str(), mode) == 0) {
      changed.push_back(begin == 0 ? "" : path.substr(0, begin - 1));
    } else if (errno != EEXIST) {
      return system_error(errno, "cannot make the directory " + path.substr(0, end));
    }
    auto next = open_beneath(here, name, O_PATH | O_DIRECTORY);
    if (!next) return next.error();
    held = std::move(*next);
    here = held.get();
    begin = end + 1;
  }
  return held;
}

std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Result<void> rename_exclusive(int directory, const std::string& from, const std::string& to) {
  const std::string what = "cannot rename " + from + " to " + to;
  if (renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno != EINVAL && errno != ENOSYS) return system_error(errno, what);
  // The file system cannot do it in one step. A link never replaces; a directory cannot be linked,
  // and rename() replaces an empty directory at most.
  if (linkat(directory, from.c_str(), directory, to.c_str(), 0) == 0) {
    if (unlinkat(directory, from.c_str(), 0) != 0) return system_error(errno, what);
    return {};
  }
  if (errno == EEXIST) return system_error(errno, what);
  struct stat status {};
  if (fstatat(directory, to.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return system_error(EEXIST, what);
  }
  if (renameat(directory, from.c_str(), directory, to.c_str()) != 0) {
    return system_error(errno, what);
  }
  return {};
}

Result<void> sync_directory(int directory) {
  const auto readable = open_itself(directory);
  if (!readable) return readable.error();
  if (fsync(readable->get()) != 0) return system_error(errno, "cannot sync a directory");
  return {};
}

}  // namespace peernet::daemon
