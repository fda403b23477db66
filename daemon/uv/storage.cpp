// Opening: which files a share has, where they stand, and by which names they are reached. What
// goes into them and out of them is in storage_blocks.cpp, leaf hashes in storage_leaves.cpp, the
// end of it all in storage_finish.cpp.

#include "daemon/uv/storage.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/check.h"

namespace peernet::daemon {

Storage::Storage(OpenStorage wanted, const StoragePlace& place, FileCache& cache)
    : wanted_(std::move(wanted)),
      place_(place),
      cache_(cache),
      stripes_(std::clamp<std::size_t>(wanted_.files.size(), 1, kStripesMax)),
      states_(wanted_.files.size()),
      is_writable_(wanted_.is_writable) {}

Storage::~Storage() {
  cache_.drop(wanted_.storage);
}

std::string Storage::leaves_path() const {
  constexpr std::size_t name_size = 16;
  const std::string digits = "0123456789abcdef";
  auto number = static_cast<std::uint64_t>(wanted_.storage);
  std::string name(name_size, '0');
  for (std::size_t i = name_size; i > 0; --i, number >>= 4U) name[i - 1] = digits[number & 15U];
  return place_.leaves_directory + "/" + name;
}

// ---- Opening
// ------------------------------------------------------------------------------------

FileResult Storage::open() {
  auto parent = open_directory(wanted_.parent);
  if (!parent) return parent.error();
  struct stat status {};
  struct statvfs system {};
  if (fstat(parent->get(), &status) != 0 || fstatvfs(parent->get(), &system) != 0) {
    return system_error(errno, "cannot look at the directory " + wanted_.parent);
  }
  parent_inode_ = status.st_ino;
  parent_device_ = status.st_dev;
  if (!wanted_.must_be_free.empty() &&
      fstatat(parent->get(), wanted_.must_be_free.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return system_error(EEXIST, wanted_.parent + "/" + wanted_.must_be_free);
  }
  StorageOpened outcome;
  outcome.free_bytes =
      static_cast<std::uint64_t>(system.f_bavail) * static_cast<std::uint64_t>(system.f_frsize);
  if (is_writable_) outcome.file_sizes.resize(states_.size());
  auto checked = check_files(parent->get(), outcome);
  if (!checked) return checked.error();
  return FileOutcome{std::move(outcome)};
}

// Looks at every file: its reference, and for a read-only storage that it is all there.
Result<void> Storage::check_files(int parent, StorageOpened& outcome) {
  constexpr std::uint64_t stat_block = 512;
  auto top = open_beneath(parent, wanted_.top, O_PATH);
  if (!top) {
    if (top.error().code == Errc::not_found && wanted_.is_writable) return {};
    return top.error();
  }
  struct stat status {};
  if (fstat(top->get(), &status) != 0) return system_error(errno, "cannot look at " + wanted_.top);
  if (wanted_.is_single_file ? !S_ISREG(status.st_mode) : !S_ISDIR(status.st_mode)) {
    return Error{Errc::denied,
                 wanted_.top + " is not a " + (wanted_.is_single_file ? "file" : "directory"), ""};
  }
  LastDirectory directory(parent);
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    const FileSpec& file = wanted_.files[i];
    if (file.standing == FileSpec::Standing::left_out) continue;
    auto settled = settle_standing(top->get(), i);
    if (!settled) return settled;
    if (!wanted_.is_single_file) {
      auto found = directory.look_at(path_of(i), status);
      if (!found && found.error().code == Errc::not_found && wanted_.is_writable) continue;
      if (!found && found.error().code == Errc::not_found) {
        return Error{Errc::corrupt, "the file " + path_of(i) + " is missing", ""};
      }
      if (!found) return found;
    }
    if (!S_ISREG(status.st_mode)) {
      return Error{Errc::denied, path_of(i) + " is not a regular file", ""};
    }
    if (!wanted_.is_writable && static_cast<std::uint64_t>(status.st_size) != file.size) {
      return Error{Errc::corrupt, "the file " + path_of(i) + " has another size than when shared",
                   ""};
    }
    states_[i].reference = Stamp::of(status);
    states_[i].has_reference = true;
    outcome.allocated_bytes += static_cast<std::uint64_t>(status.st_blocks) * stat_block;
    if (is_writable_) outcome.file_sizes[i] = states_[i].reference.size;
  }
  return {};
}

// An earlier process may have moved a whole file already; nothing else may be at its path.
Result<void> Storage::settle_standing(int top, std::uint32_t file_index) {
  using enum FileSpec::Standing;
  FileSpec& file = wanted_.files[file_index];
  if (file.standing != apart && file.standing != moved) return {};
  const bool is_apart = open_beneath(top, file.apart, O_PATH).has_value();
  const bool is_placed = open_beneath(top, file.path, O_PATH).has_value();
  if (is_placed && (is_apart || file.standing == apart)) {
    return Error{Errc::exists,
                 wanted_.parent + "/" + wanted_.top + "/" + file.path + " stands there already",
                 ""};
  }
  file.standing = is_apart || file.standing == apart ? apart : placed;
  return {};
}

Result<Fd> Storage::open_parent() const {
  auto parent = open_directory(wanted_.parent);
  if (!parent) return parent;
  struct stat status {};
  if (fstat(parent->get(), &status) != 0) {
    return system_error(errno, "cannot look at the directory " + wanted_.parent);
  }
  if (status.st_ino != parent_inode_ || status.st_dev != parent_device_) {
    return Error{Errc::denied, "another directory stands at " + wanted_.parent + " now",
                 "put the old one back, or resume the share to use the new one"};
  }
  return parent;
}

std::string Storage::path_of(std::uint32_t file_index) const {
  const FileSpec& file = wanted_.files[file_index];
  const std::string& path = file.standing == FileSpec::Standing::apart ? file.apart : file.path;
  return wanted_.is_single_file ? wanted_.top : wanted_.top + "/" + path;
}

std::string Storage::shown_path(std::uint32_t file_index) const {
  const std::shared_lock lock(names_);
  return wanted_.parent + "/" + path_of(file_index);
}

Error Storage::file_error(int error_number, std::uint32_t file_index, const char* verb) const {
  return system_error(error_number, std::string("cannot ") + verb + " " + shown_path(file_index));
}

Result<FileCache::SharedFd> Storage::open_file(std::uint32_t file_index, Access access) {
  if (auto fd = cache_.find(wanted_.storage, file_index)) {
    // What was opened before the storage was opened anew for repair may only be read.
    const bool is_enough =
        access == Access::existing || (fcntl(fd->get(), F_GETFL) & O_ACCMODE) == O_RDWR;
    if (is_enough) return fd;
    cache_.drop(wanted_.storage, file_index);
  }
  auto fd = open_by_name(file_index, access);
  if (!fd) return fd.error();
  struct stat status {};
  if (fstat(fd->get(), &status) != 0) return file_error(errno, file_index, "look at");
  if (!S_ISREG(status.st_mode)) {
    return Error{Errc::denied, shown_path(file_index) + " is not a regular file", ""};
  }
  // What we make has one name. A second one would be somebody else's way to what we write.
  if (is_writable_ && status.st_nlink != 1) {
    return Error{Errc::denied, shown_path(file_index) + " has a second name, or none", ""};
  }
  return cache_.put(wanted_.storage, file_index, std::move(*fd));
}

// A file that was there is not made again: what it held would be a hole, and count as fetched.
Result<FileCache::SharedFd> Storage::open_to_write(std::uint32_t file_index) {
  bool is_known = false;
  {
    const std::lock_guard lock(stripe(file_index));
    is_known = states_[file_index].has_reference;
  }
  auto fd = open_file(file_index, is_known ? Access::writing : Access::making);
  if (!fd && is_known && fd.error().code == Errc::not_found) {
    return Error{Errc::not_found, shown_path(file_index) + " was deleted", ""};
  }
  return fd;
}

Result<Fd> Storage::open_by_name(std::uint32_t file_index, Access access) {
  const std::shared_lock lock(names_);
  auto parent = open_parent();
  if (!parent) return parent;
  const std::string path = path_of(file_index);
  if (access == Access::making) return open_writable(parent->get(), path, file_index);
  return open_beneath(parent->get(), path, is_writable_ ? O_RDWR : O_RDONLY);
}

// Opens for writing, and makes the file and its directories if they are missing.
Result<Fd> Storage::open_writable(int parent, const std::string& path, std::uint32_t file_index) {
  const mode_t mode = S_IRUSR | S_IWUSR;
  auto fd = open_beneath(parent, path, O_RDWR);
  if (fd || fd.error().code != Errc::not_found) return fd;
  const auto [directory, name] = split_path(path);
  Fd made;
  int here = parent;
  if (!directory.empty()) {
    std::vector<std::string> changed;
    // At their place they are as the user has them; under the name of an unfinished share ours
    // alone.
    const bool is_placed = !wanted_.files[file_index].apart.empty();
    const mode_t all = S_IRWXU | S_IRWXG | S_IRWXO;
    auto last = make_directories(parent, directory, is_placed ? all & ~place_.user_umask : S_IRWXU,
                                 changed);
    {
      const std::lock_guard lock(dirty_mutex_);
      dirty_directories_.insert(changed.begin(), changed.end());
    }
    if (!last) return last.error();
    made = std::move(*last);
    here = made.get();
  }
  {
    const std::lock_guard lock(dirty_mutex_);
    dirty_directories_.insert(directory);
  }
  fd = open_beneath(here, name, O_RDWR | O_CREAT | O_EXCL, mode);
  if (fd) {
    const std::lock_guard lock(dirty_mutex_);
    made_files_.insert(path);
  }
  // Another thread was first.
  if (!fd && fd.error().code == Errc::exists) return open_beneath(parent, path, O_RDWR);
  return fd;
}

Result<Stamp> Storage::stamp_of(int fd, std::uint32_t file_index) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return file_error(errno, file_index, "look at");
  return Stamp::of(status);
}

}  // namespace peernet::daemon
