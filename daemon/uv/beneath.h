#pragma once

// Opening files so that no name, link or race leads outside: openat2 with RESOLVE_BENEATH and no
// symbolic links, or a walk component by component where the kernel lacks it (SECURITY.md 4.5).
// Fd owns a descriptor. Every failure of the system becomes an Error here.

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace peernet::daemon {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// `what` names the thing and what was tried ("cannot open a/b"); the system's words are added.
Error system_error(int error_number, std::string_view what);

// What tells one state of a file from another: no change of the content leaves all of it alone.
struct Stamp {
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t inode = 0;
  std::uint64_t device = 0;
  bool operator==(const Stamp&) const = default;

  static Stamp of(const struct stat& status);
};

// Waits until a change of the file after `stamp` must show as another stamp. False: it need not.
bool let_stamp_settle(const Stamp& stamp);

// A directory named by the user: its own path may go through symbolic links.
Result<Fd> open_directory(const std::string& path);

// Opens `path` ('/' between components, never empty) below `directory`. O_CLOEXEC, O_NOFOLLOW and
// O_NONBLOCK are added. Errors: not_found, denied (also: a link or another thing in the way), io.
Result<Fd> open_beneath(int directory, const std::string& path, int flags, mode_t mode = 0);
// The same for kernels without openat2.
Result<Fd> walk_beneath(int directory, const std::string& path, int flags, mode_t mode = 0);

// Looks at paths that come directory by directory: it holds the directory of the last one, so that
// the next in it costs one component.
class LastDirectory {
 public:
  // Paths are below `top`, which is not owned.
  explicit LastDirectory(int top) : top_(top) {}

  struct Place {
    int directory = -1;
    std::string name;
  };
  // Valid until it is asked again. Errors as of open_beneath.
  Result<Place> of(const std::string& path);
  // Of the thing itself if it is a link. Errors: not_found, denied, io.
  Result<void> look_at(const std::string& path, struct stat& status);

 private:
  int top_;
  std::string path_;  // of held_; empty: it is the top
  Fd held_;
};

// The directory itself, to be read or synced: `directory` may be an O_PATH descriptor.
Result<Fd> open_itself(int directory);

// Makes the missing directories of `path` and opens the last. The directories in which
// something was made are appended to `changed`, as paths below `directory` ("" is itself).
Result<Fd> make_directories(int directory, const std::string& path, mode_t mode,
                            std::vector<std::string>& changed);

// "a/b/c" -> "a/b" and "c"; "" and "c" when there is no '/'.
std::pair<std::string, std::string> split_path(const std::string& path);

// Renames within one directory unless something stands at `to`. Errors: exists, as system_error.
Result<void> rename_exclusive(int directory, const std::string& from, const std::string& to);

// Makes the entries of a directory durable; `directory` may be an O_PATH descriptor.
Result<void> sync_directory(int directory);

}  // namespace peernet::daemon
