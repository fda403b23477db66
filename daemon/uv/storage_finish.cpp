// What Storage does once or seldom, on the thread that may wait for the disk: sync, finish, remove.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "core/check.h"
#include "daemon/uv/storage.h"

namespace peernet::daemon {
namespace {

// With more dirty files than this, one call for the whole file system is cheaper.
constexpr std::size_t kFilesSyncedSinglyMax = 8;

constexpr mode_t kFileMode = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
constexpr mode_t kExecuteMode = S_IXUSR | S_IXGRP | S_IXOTH;

// After a failed sync the kernel may hold clean pages that are not on the disk: what is read next
// must come from there (SECURITY.md 4.5).
Error forget_pages(int fd, Error error) {
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  return error;
}

Result<void> sync_file_system(int directory) {
  const auto readable = open_itself(directory);
  if (!readable) return readable.error();
  if (syncfs(readable->get()) != 0) return system_error(errno, "cannot sync the file system");
  return {};
}

Result<void> sync_directory_below(int parent, const std::string& path) {
  if (path.empty()) return sync_directory(parent);
  auto directory = open_beneath(parent, path, O_PATH | O_DIRECTORY);
  if (!directory) return directory.error();
  return sync_directory(directory->get());
}

FileResult done_unless(const Result<void>& result) {
  if (!result) return result.error();
  return FileOutcome{FileDone{}};
}

}  // namespace

// ---- Sync
// ---------------------------------------------------------------------------------------

FileResult Storage::sync() {
  return done_unless(sync_marked(false));
}

Result<void> Storage::sync_marked(bool are_modes_synced) {
  // What is marked after this belongs to jobs that have not reported when this sync was asked for.
  std::set<std::uint32_t> files;
  std::set<std::string> directories;
  bool is_leaf_file_dirty = false;
  bool is_leaf_file_new = false;
  {
    const std::lock_guard lock(dirty_mutex_);
    files.swap(dirty_files_);
    directories.swap(dirty_directories_);
    is_leaf_file_dirty = std::exchange(is_leaf_file_dirty_, false);
    is_leaf_file_new = std::exchange(is_leaf_file_new_, false);
  }
  Result<void> result;
  if (!files.empty() || !directories.empty()) {
    auto parent = open_parent();
    result =
        parent ? sync_all(parent->get(), files, directories, are_modes_synced) : parent.error();
  }
  if (result && is_leaf_file_dirty) result = sync_leaves(is_leaf_file_new);
  if (!result) {
    // The next sync tries the same again; what the engine believes is its own matter.
    const std::lock_guard lock(dirty_mutex_);
    dirty_files_.insert(files.begin(), files.end());
    dirty_directories_.insert(directories.begin(), directories.end());
    is_leaf_file_dirty_ = is_leaf_file_dirty_ || is_leaf_file_dirty;
    is_leaf_file_new_ = is_leaf_file_new_ || is_leaf_file_new;
  }
  return result;
}

Result<void> Storage::sync_leaves(bool is_new) {
  auto fd = open_leaves(false);
  if (!fd) return fd.error();
  if (fdatasync((*fd)->get()) != 0) {
    return forget_pages((*fd)->get(), system_error(errno, "cannot sync " + leaves_path()));
  }
  if (!is_new) return {};
  auto directory = open_directory(place_.leaves_directory);
  if (!directory) return directory.error();
  return sync_directory(directory->get());
}

Result<void> Storage::sync_all(int parent, const std::set<std::uint32_t>& files,
                               const std::set<std::string>& directories, bool are_modes_synced) {
  if (files.size() + directories.size() > kFilesSyncedSinglyMax) {
    auto result = sync_file_system(parent);
    if (result) return result;
    for (const std::uint32_t file : files) {
      if (auto fd = cache_.find(wanted_.storage, file)) {
        forget_pages((*fd).get(), result.error());
      }
    }
    return result;
  }
  for (const std::uint32_t file : files) {
    auto fd = open_file(file, Access::existing);
    if (!fd) return fd.error();
    const int status = are_modes_synced ? fsync((*fd)->get()) : fdatasync((*fd)->get());
    if (status != 0) {
      return forget_pages((*fd)->get(), file_error(errno, file, "sync"));
    }
  }
  const std::shared_lock lock(names_);
  for (const std::string& directory : directories) {
    auto synced = sync_directory_below(parent, directory);
    if (!synced) return synced;
  }
  return {};
}

// ---- Finish
// -------------------------------------------------------------------------------------

FileResult Storage::finish(const FinishStorage& wanted) {
  PN_CHECK(is_writable_);
  const std::string& name = wanted.name;
  for (std::uint32_t i = 0; i < wanted.is_left_out.size(); ++i) {
    const std::unique_lock lock(names_);
    if (wanted.is_left_out[i]) wanted_.files[i].standing = FileSpec::Standing::left_out;
  }
  auto parent = open_parent();
  if (!parent) return parent.error();
  // Repaired where it stands: what was there before keeps its mode.
  const bool is_in_place = wanted_.top == name;
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    if (wanted_.files[i].standing == FileSpec::Standing::left_out) continue;
    auto finished = finish_file(i, is_in_place);
    if (!finished) return finished.error();
  }
  if (!wanted_.is_single_file && !is_in_place) {
    auto finished = finish_directories(parent->get());
    if (!finished) return finished.error();
  }
  auto synced = sync_marked(true);
  if (!synced) return synced.error();
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    if (wanted_.files[i].standing != FileSpec::Standing::apart) continue;
    auto placed = place_file(parent->get(), i);
    if (!placed) return placed.error();
  }
  synced = sync_marked(false);
  if (!synced) return synced.error();
  auto renamed = rename_top(parent->get(), name);
  if (!renamed) return renamed.error();
  return done_unless(sync_directory(parent->get()));
}

Result<void> Storage::finish_file(std::uint32_t file_index, bool is_in_place) {
  const FileSpec& file = wanted_.files[file_index];
  auto fd = open_file(file_index, file.size == 0 ? Access::making : Access::existing);
  if (!fd) return fd.error();
  const mode_t mode =
      (file.is_executable ? kFileMode | kExecuteMode : kFileMode) & ~place_.user_umask;
  const std::lock_guard lock(stripe(file_index));
  FileState& state = states_[file_index];
  struct stat status {};
  if (fstat((*fd)->get(), &status) != 0) return file_error(errno, file_index, "look at");
  if (status.st_nlink == 0) {
    // Deleted while it was open: what is put in its place would lack it.
    cache_.drop(wanted_.storage, file_index);
    return Error{Errc::not_found, shown_path(file_index) + " was deleted", ""};
  }
  count_change(state, Stamp::of(status));
  const bool is_size_wrong = static_cast<std::uint64_t>(status.st_size) != file.size;
  const bool is_mode_ours =
      !is_in_place || is_made(file_index) || file.standing == FileSpec::Standing::apart;
  const bool is_mode_wrong = is_mode_ours && (status.st_mode & (kFileMode | kExecuteMode)) != mode;
  if (!is_size_wrong && !is_mode_wrong) return {};
  if (is_size_wrong && ftruncate((*fd)->get(), static_cast<off_t>(file.size)) != 0) {
    return file_error(errno, file_index, "set the size of");
  }
  if (is_mode_wrong && fchmod((*fd)->get(), mode) != 0) {
    return file_error(errno, file_index, "set the mode of");
  }
  mark_dirty(file_index);
  return adopt_own_change(file_index, (*fd)->get());
}

bool Storage::is_made(std::uint32_t file_index) {
  const std::lock_guard lock(dirty_mutex_);
  return made_files_.contains(path_of(file_index));
}

// Requires: the stripe of the file is held, and count_change() was called before the change.
Result<void> Storage::adopt_own_change(std::uint32_t file_index, int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) {
    return system_error(errno, "cannot look at " + wanted_.files[file_index].path);
  }
  FileState& state = states_[file_index];
  state.reference = Stamp::of(status);
  state.has_reference = true;
  state.is_change_counted = false;
  return {};
}

Result<void> Storage::finish_directories(int parent) {
  const mode_t mode = (kFileMode | kExecuteMode) & ~place_.user_umask;
  std::set<std::string> all = directories();
  all.insert("");
  for (const std::string& path : all) {
    const std::string below = path.empty() ? wanted_.top : wanted_.top + "/" + path;
    auto directory = open_beneath(parent, below, O_RDONLY | O_DIRECTORY);
    if (!directory) return directory.error();
    if (fchmod(directory->get(), mode) != 0) {
      return system_error(errno, "cannot set the mode of " + below);
    }
    const std::lock_guard lock(dirty_mutex_);
    dirty_directories_.insert(below);
  }
  return {};
}

// From where it was made to its path. The rename changes the stamp of the file.
Result<void> Storage::place_file(int parent, std::uint32_t file_index) {
  auto fd = open_file(file_index, Access::existing);
  if (!fd) return fd.error();
  const std::lock_guard stripe_lock(stripe(file_index));
  auto stamp = stamp_of((*fd)->get(), file_index);
  if (!stamp) return stamp.error();
  count_change(states_[file_index], *stamp);
  FileSpec& file = wanted_.files[file_index];
  const std::string from = wanted_.top + "/" + file.apart;
  const std::string directory = split_path(from).first;
  auto held = open_beneath(parent, directory, O_PATH | O_DIRECTORY);
  if (!held) return held.error();
  {
    const std::lock_guard lock(names_);
    auto renamed =
        rename_exclusive(held->get(), split_path(from).second, split_path(file.path).second);
    if (!renamed) return renamed;
    file.standing = FileSpec::Standing::placed;
  }
  {
    const std::lock_guard lock(dirty_mutex_);
    dirty_directories_.insert(directory);
  }
  return adopt_own_change(file_index, (*fd)->get());
}

Result<void> Storage::rename_top(int parent, const std::string& name) {
  // A rename changes the stamp of the file that is renamed: its own lock is held as long. An open
  // file keeps its descriptor, which may write; what is opened from now on may not.
  const std::lock_guard stripe_lock(stripe(0));
  FileCache::SharedFd single;
  if (wanted_.is_single_file) {
    auto fd = open_file(0, Access::existing);
    if (!fd) return fd.error();
    single = *fd;
    struct stat status {};
    if (fstat(single->get(), &status) != 0) return system_error(errno, "cannot look at " + name);
    count_change(states_[0], Stamp::of(status));
  }
  {
    const std::lock_guard lock(names_);
    if (wanted_.top != name) {
      auto renamed = rename_exclusive(parent, wanted_.top, name);
      if (!renamed) return renamed;
    }
    wanted_.top = name;
    is_writable_ = false;
  }
  for (std::uint32_t i = 0; i < states_.size(); ++i) cache_.drop(wanted_.storage, i);
  if (!single) return {};
  return adopt_own_change(0, single->get());
}

// ---- Remove
// -------------------------------------------------------------------------------------

FileResult Storage::remove(bool is_data_deleted) {
  cache_.drop(wanted_.storage);
  Result<void> result;
  const bool has_apart = std::ranges::any_of(wanted_.files, [](const FileSpec& file) {
    return file.standing == FileSpec::Standing::apart;
  });
  if (is_data_deleted || has_apart) {
    auto parent = open_parent();
    if (parent) {
      result = remove_files(parent->get(), is_data_deleted);
      if (result) result = sync_directory(parent->get());
    } else if (parent.error().code != Errc::not_found) {
      result = parent.error();
    }
  }
  if (unlink(leaves_path().c_str()) != 0 && errno != ENOENT && result) {
    result = system_error(errno, "cannot delete " + leaves_path());
  }
  return done_unless(result);
}

// Goes on after an error, so that as little as possible stays; the first error is the result.
Result<void> Storage::remove_files(int parent, bool is_data_deleted) {
  Result<void> result;
  const auto note = [&result](Result<void> one) {
    if (result && !one) result = std::move(one);
  };
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    using enum FileSpec::Standing;
    const FileSpec::Standing standing = wanted_.files[i].standing;
    const bool is_ours = standing != left_out && (is_data_deleted || standing == apart);
    if (is_ours) note(remove_file(parent, path_of(i)));
  }
  if (wanted_.is_single_file || !is_data_deleted) return result;
  const std::set<std::string> all = directories();
  // The deeper path sorts behind its parent.
  const std::vector<std::string> deepest_first(all.rbegin(), all.rend());
  for (const std::string& path : deepest_first) {
    note(remove_directory(parent, wanted_.top + "/" + path));
  }
  note(remove_directory(parent, wanted_.top));
  return result;
}

// Only a regular file is ours to delete; a missing one is as good as deleted.
Result<void> Storage::remove_file(int parent, const std::string& path) {
  const auto [directory, name] = split_path(path);
  Fd held;
  if (!directory.empty()) {
    auto opened = open_beneath(parent, directory, O_PATH | O_DIRECTORY);
    if (!opened && opened.error().code == Errc::not_found) return {};
    if (!opened) return opened.error();
    held = std::move(*opened);
  }
  const int here = held ? held.get() : parent;
  struct stat status {};
  if (fstatat(here, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return system_error(errno, "cannot look at " + path);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{Errc::denied, path + " is not the file that was shared; it stays", ""};
  }
  if (unlinkat(here, name.c_str(), 0) != 0 && errno != ENOENT) {
    return system_error(errno, "cannot delete " + path);
  }
  return {};
}

// A directory that holds something else stays, and that is no error.
Result<void> Storage::remove_directory(int parent, const std::string& path) {
  const auto [directory, name] = split_path(path);
  Fd held;
  if (!directory.empty()) {
    auto opened = open_beneath(parent, directory, O_PATH | O_DIRECTORY);
    if (!opened && opened.error().code == Errc::not_found) return {};
    if (!opened) return opened.error();
    held = std::move(*opened);
  }
  if (unlinkat(held ? held.get() : parent, name.c_str(), AT_REMOVEDIR) == 0) return {};
  if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) return {};
  return system_error(errno, "cannot delete the directory " + path);
}

std::set<std::string> Storage::directories() const {
  std::set<std::string> result;
  for (const FileSpec& file : wanted_.files) {
    if (file.standing == FileSpec::Standing::left_out) continue;
    std::string path = split_path(file.path).first;
    while (!path.empty() && result.insert(path).second) path = split_path(path).first;
  }
  return result;
}

}  // namespace peernet::daemon
