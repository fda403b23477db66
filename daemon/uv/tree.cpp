// Listing a file or a directory tree for `add`: nothing is followed, nothing is skipped in silence.

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <optional>

#include "daemon/uv/beneath.h"
#include "daemon/uv/storage.h"

namespace peernet::daemon {
namespace {

// ".s" + 56 characters of base32 + ".part": what fetch writes under (DESIGN.md 4).
bool is_unfinished_name(std::string_view name) {
  constexpr std::size_t id_digits = 56;
  constexpr std::string_view end = ".part";
  if (name.size() != 2 + id_digits + end.size()) return false;
  if (name.substr(0, 2) != ".s" || name.substr(2 + id_digits) != end) return false;
  const auto id = name.substr(2, id_digits);
  return std::all_of(id.begin(), id.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'); });
}

// Why something cannot be shared; nullopt for a file or a directory.
std::optional<std::string> reason_left_out(mode_t mode, std::string_view name) {
  if (is_unfinished_name(name)) return "unfinished download";
  if (S_ISREG(mode) || S_ISDIR(mode)) return std::nullopt;
  if (S_ISLNK(mode)) return "symlink";
  if (S_ISSOCK(mode)) return "socket";
  if (S_ISFIFO(mode)) return "fifo";
  return "device";
}

class DirectoryStream {
 public:
  explicit DirectoryStream(Fd fd) : stream_(fdopendir(fd.get())) {
    if (stream_ != nullptr) fd.release();
  }
  DirectoryStream(const DirectoryStream&) = delete;
  DirectoryStream& operator=(const DirectoryStream&) = delete;
  ~DirectoryStream() {
    if (stream_ != nullptr) closedir(stream_);
  }

  bool is_open() const { return stream_ != nullptr; }
  int fd() const { return dirfd(stream_); }
  // Null at the end (errno 0) and on an error.
  const char* next() {
    errno = 0;
    const dirent* entry = readdir(stream_);
    return entry == nullptr ? nullptr : entry->d_name;
  }

 private:
  DIR* stream_;
};

class Lister {
 public:
  Lister(const ListTree& wanted, int top) : wanted_(wanted), top_(top) {}

  Result<void> list() {
    directories_.emplace("", 0);
    pending_.emplace_back();
    while (!pending_.empty()) {
      const std::string path = std::move(pending_.back());
      pending_.pop_back();
      auto listed = list_directory(path);
      if (!listed) return listed;
    }
    leave_out_empty();
    return {};
  }

  TreeListed take() {
    const auto by_path = [](const auto& a, const auto& b) { return a.path < b.path; };
    std::sort(result_.entries.begin(), result_.entries.end(), by_path);
    std::sort(result_.left_out.begin(), result_.left_out.end(), by_path);
    return std::move(result_);
  }

 private:
  std::string shown(const std::string& path) const {
    return wanted_.parent + "/" + wanted_.top + (path.empty() ? "" : "/" + path);
  }

  Result<void> list_directory(const std::string& path) {
    auto fd = path.empty() ? open_itself(top_) : open_beneath(top_, path, O_RDONLY | O_DIRECTORY);
    if (!fd) return fd.error();
    DirectoryStream stream(std::move(*fd));
    if (!stream.is_open()) return system_error(errno, "cannot list " + shown(path));
    while (const char* name = stream.next()) {
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
      auto listed = list_entry(stream.fd(), path, name);
      if (!listed) return listed;
    }
    if (errno != 0) return system_error(errno, "cannot list " + shown(path));
    return {};
  }

  Result<void> list_entry(int directory, const std::string& below, const std::string& name) {
    if (++seen_count_ > wanted_.entries_max) {
      return Error{Errc::too_large,
                   shown("") + " has more than " + std::to_string(wanted_.entries_max) + " entries",
                   "share parts of it, or allow more with limits.manifest_entries"};
    }
    const std::string path = below.empty() ? name : below + "/" + name;
    struct stat status {};
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return system_error(errno, "cannot look at " + shown(path));
    }
    if (auto reason = reason_left_out(status.st_mode, name)) {
      result_.left_out.push_back({path, *reason});
      return {};
    }
    const bool is_directory = S_ISDIR(status.st_mode);
    if (faccessat(directory, name.c_str(), is_directory ? R_OK | X_OK : R_OK, AT_EACCESS) != 0) {
      return system_error(errno, "cannot read " + shown(path));
    }
    if (is_directory) {
      directories_.emplace(path, 0);
      pending_.push_back(path);
      return {};
    }
    ++directories_[below];
    result_.entries.push_back(
        {path, static_cast<std::uint64_t>(status.st_size), (status.st_mode & S_IXUSR) != 0});
    return {};
  }

  // A directory below the top in which nothing can be shared, however deep.
  void leave_out_empty() {
    for (const auto& [path, count] : directories_) {
      if (path.empty()) continue;
      if (count == 0) {
        result_.left_out.push_back({path, "empty directory"});
      } else {
        ++directories_[split_path(path).first];
      }
    }
  }

  const ListTree& wanted_;
  int top_;
  std::vector<std::string> pending_;
  // Path -> how much it holds that can be shared; what is inside a directory before it.
  std::map<std::string, std::uint32_t, std::greater<>> directories_;
  std::uint32_t seen_count_ = 0;
  TreeListed result_;
};

}  // namespace

FileResult list_tree(const ListTree& wanted) {
  const std::string shown = wanted.parent + "/" + wanted.top;
  auto parent = open_directory(wanted.parent);
  if (!parent) return parent.error();
  auto top = open_beneath(parent->get(), wanted.top, O_PATH);
  struct stat status {};
  if (!top) {
    if (fstatat(parent->get(), wanted.top.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(status.st_mode)) {
      return Error{Errc::refused, shown + " is a symbolic link", "name what it leads to"};
    }
    return top.error();
  }
  if (fstat(top->get(), &status) != 0) return system_error(errno, "cannot look at " + shown);
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
    return Error{Errc::refused, shown + " is neither a file nor a directory", ""};
  }
  const bool is_directory = S_ISDIR(status.st_mode);
  if (faccessat(parent->get(), wanted.top.c_str(), is_directory ? R_OK | X_OK : R_OK, AT_EACCESS) !=
      0) {
    return system_error(errno, "cannot read " + shown);
  }
  if (!is_directory) {
    TreeListed single{true, {}, {}};
    single.entries.push_back(
        {"", static_cast<std::uint64_t>(status.st_size), (status.st_mode & S_IXUSR) != 0});
    return FileOutcome{std::move(single)};
  }
  Lister lister(wanted, top->get());
  auto listed = lister.list();
  if (!listed) return listed.error();
  return FileOutcome{lister.take()};
}

}  // namespace peernet::daemon
