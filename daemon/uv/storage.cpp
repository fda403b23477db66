#include "daemon/uv/storage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <ctime>
#include <span>
#include <thread>

#include "core/check.h"
#include "core/hash.h"
#include "core/merkle.h"

namespace peernet::daemon {
namespace {

using merkle::kBlockSize;

// The kernel stamps changes with a clock that ticks every 1 to 10 ms. A file whose last change is
// older than this cannot be changed again without a new stamp.
constexpr std::int64_t kStampTickNs = 20'000'000;
constexpr int kChangesMax = 16;                  // by others, while one read is tried
constexpr std::size_t kHashChunk = 256U << 10U;  // bytes read at a time: all lanes of sha256_each
constexpr std::size_t kLeafSize = Hash::kSize;

std::uint64_t leaves_in(std::uint64_t size) {
  return (size + kBlockSize - 1) / kBlockSize;
}

// Of bytes that begin at a block.
std::vector<BytesView> blocks_of(BytesView bytes) {
  std::vector<BytesView> blocks;
  blocks.reserve(leaves_in(bytes.size()));
  for (; !bytes.empty(); bytes = bytes.subspan(blocks.back().size())) {
    blocks.push_back(bytes.first(std::min<std::size_t>(kBlockSize, bytes.size())));
  }
  return blocks;
}

// Reads exactly `size` bytes. False at the end of the file.
Result<bool> read_fully(int fd, std::uint8_t* to, std::size_t size, std::uint64_t offset) {
  while (size > 0) {
    const ssize_t got = pread(fd, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "cannot read");
    if (got == 0) return false;
    to += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

// Only what the page cache has: false when any of it would have to come from the disk.
bool read_at_once(int fd, Bytes& to, std::uint64_t offset) {
  const iovec whole{to.data(), to.size()};
  const ssize_t got = preadv2(fd, &whole, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  return got >= 0 && static_cast<std::size_t>(got) == to.size();
}

FileResult leaves_in_file(BytesView bytes) {
  LeavesRead outcome;
  outcome.leaves.reserve(bytes.size() / kLeafSize);
  for (; !bytes.empty(); bytes = bytes.subspan(kLeafSize)) {
    outcome.leaves.push_back(Hash::from(bytes.first(kLeafSize)).value());
  }
  return FileOutcome{std::move(outcome)};
}

// Writes all parts one after the other; `parts` is used up.
Result<void> write_fully(int fd, std::vector<iovec>& parts, std::uint64_t offset) {
  std::size_t first = 0;
  while (first < parts.size()) {
    const auto count = static_cast<int>(std::min<std::size_t>(parts.size() - first, IOV_MAX));
    const ssize_t put = pwritev(fd, &parts[first], count, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error(errno, "cannot write");
    if (put == 0) return system_error(EIO, "cannot write");
    offset += static_cast<std::uint64_t>(put);
    auto rest = static_cast<std::size_t>(put);
    while (first < parts.size() && rest >= parts[first].iov_len) rest -= parts[first++].iov_len;
    if (rest > 0) {
      parts[first].iov_base = static_cast<std::uint8_t*>(parts[first].iov_base) + rest;
      parts[first].iov_len -= rest;
    }
  }
  return {};
}

iovec part(const std::uint8_t* from, std::size_t size) {
  // pwritev only reads from it.
  return {const_cast<std::uint8_t*>(from), size};
}

Error with_path(Error error, const std::string& path) {
  error.what = path + ": " + error.what;
  return error;
}

// Waits until a change of the file after `stamp` must show as another stamp. False: it need not.
bool let_stamp_settle(const Stamp& stamp) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  const std::int64_t now_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  const std::int64_t age = now_ns - stamp.changed_ns;
  if (age < 0 || age >= kStampTickNs) return false;
  std::this_thread::sleep_for(std::chrono::nanoseconds(kStampTickNs - age));
  return true;
}

}  // namespace

// Makes leaf hashes of blocks that are read one after the other, as many at a time as sha256_each
// does best. The memory goes back to the system at once: what malloc gives a thread of the pool
// stays with that thread.
class Storage::LeafHasher {
 public:
  explicit LeafHasher(std::span<const FilePart> parts) {
    std::uint64_t leaves_count = 0;
    for (const FilePart& part : parts) leaves_count += leaves_in(part.size);
    leaves_.reserve(leaves_count);
    const std::size_t size = std::min<std::uint64_t>(kHashChunk, leaves_count * kBlockSize);
    PN_CHECK(size > 0);
    void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    PN_CHECK(pages != MAP_FAILED);
    memory_ = {static_cast<std::uint8_t*>(pages), size};
  }
  ~LeafHasher() { munmap(memory_.data(), memory_.size()); }
  LeafHasher(const LeafHasher&) = delete;
  LeafHasher& operator=(const LeafHasher&) = delete;

  // Where the next bytes of a file go, `wanted` of them at most: whole blocks, or all.
  std::span<std::uint8_t> room(std::uint64_t wanted) {
    if (used_ == memory_.size()) hash();
    return memory_.subspan(used_, std::min<std::uint64_t>(wanted, memory_.size() - used_));
  }
  // What was put there; it begins with a block. A block has its own place, however short it is.
  void add(BytesView bytes) {
    for (const BytesView block : blocks_of(bytes)) {
      blocks_.push_back(block);
      used_ += kBlockSize;
    }
  }
  std::vector<Hash> take_leaves() {
    hash();
    return std::move(leaves_);
  }

 private:
  void hash() {
    const std::vector<Hash> hashed = sha256_each(blocks_);
    leaves_.insert(leaves_.end(), hashed.begin(), hashed.end());
    blocks_.clear();
    used_ = 0;
  }

  std::span<std::uint8_t> memory_;
  std::size_t used_ = 0;
  std::vector<BytesView> blocks_;
  std::vector<Hash> leaves_;
};

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

Result<FileCache::SharedFd> Storage::open_leaves(bool is_created) {
  if (auto fd = cache_.find(wanted_.storage, kLeafFile)) return fd;
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  Fd fd(::open(leaves_path().c_str(), flags));
  if (!fd && errno == ENOENT && is_created) {
    fd = Fd(::open(leaves_path().c_str(), flags | O_CREAT, S_IRUSR | S_IWUSR));
    const std::lock_guard lock(dirty_mutex_);
    is_leaf_file_new_ = true;
  }
  if (!fd) return system_error(errno, "cannot open the leaf hashes " + leaves_path());
  return cache_.put(wanted_.storage, kLeafFile, std::move(fd));
}

Result<Stamp> Storage::stamp_of(int fd, std::uint32_t file_index) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return file_error(errno, file_index, "look at");
  return Stamp::of(status);
}

void Storage::mark_dirty(std::uint32_t file_index) {
  const std::lock_guard lock(dirty_mutex_);
  dirty_files_.insert(file_index);
}

Generation Storage::told(std::uint32_t file_index) const {
  PN_CHECK(file_index < states_.size());
  return states_[file_index].told;
}

void Storage::on_told(std::uint32_t file_index, Generation seen, bool is_change_told) {
  FileState& state = states_[file_index];
  if (is_change_told) {
    state.told = std::max(state.told, seen);
  } else if (seen < state.told) {
    ++state.generation;
  }
}

// ---- Writing
// ------------------------------------------------------------------------------------

FileResult Storage::write_blocks(const WriteBlocks& wanted, Generation& seen) {
  PN_CHECK(is_writable_ && wanted.file_index < states_.size());
  std::vector<BytesView> inputs;
  inputs.reserve(wanted.blocks.size());
  for (const BlockToWrite& block : wanted.blocks) {
    PN_CHECK(std::uint64_t{block.data_begin} + block.size <= block.record.size());
    PN_CHECK(block.offset + block.size <= wanted_.files[wanted.file_index].size);
    inputs.push_back(BytesView(block.record).subspan(block.data_begin, block.size));
  }
  const std::vector<Hash> leaves = sha256_each(inputs);
  BlocksWritten outcome;
  std::vector<bool> is_good(wanted.blocks.size());
  for (std::uint32_t i = 0; i < wanted.blocks.size(); ++i) {
    is_good[i] = leaves[i] == wanted.blocks[i].leaf;
    if (!is_good[i]) outcome.mismatched.push_back(i);
  }
  if (outcome.mismatched.size() == wanted.blocks.size()) {
    seen = told(wanted.file_index);
    return FileOutcome{std::move(outcome)};
  }

  auto fd = open_to_write(wanted.file_index);
  if (!fd) return fd.error();
  const std::lock_guard lock(stripe(wanted.file_index));
  FileState& state = states_[wanted.file_index];
  struct stat status {};
  if (fstat((*fd)->get(), &status) != 0) return file_error(errno, wanted.file_index, "look at");
  if (status.st_nlink != 1) {
    // Deleted or linked elsewhere while it was open: what we write would go to nowhere or abroad.
    cache_.drop(wanted_.storage, wanted.file_index);
    return Error{status.st_nlink == 0 ? Errc::not_found : Errc::denied,
                 shown_path(wanted.file_index) +
                     (status.st_nlink == 0 ? " was deleted" : " was given a second name"),
                 ""};
  }
  count_change(state, Stamp::of(status));
  auto put = put_blocks(wanted, is_good, (*fd)->get());
  // Also after a failed write: a part of it may have arrived.
  mark_dirty(wanted.file_index);
  auto stamp = stamp_of((*fd)->get(), wanted.file_index);
  if (!stamp) return stamp.error();
  state.reference = *stamp;  // this change was ours
  state.has_reference = true;
  state.is_change_counted = false;
  seen = state.generation;
  if (!put) return with_path(put.error(), shown_path(wanted.file_index));
  return FileOutcome{std::move(outcome)};
}

// Good blocks that touch go as one call.
Result<void> Storage::put_blocks(const WriteBlocks& wanted, const std::vector<bool>& is_good,
                                 int fd) {
  std::vector<iovec> parts;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < wanted.blocks.size(); ++i) {
    if (!is_good[i]) continue;
    const BlockToWrite& block = wanted.blocks[i];
    if (!parts.empty() && block.offset != end) {
      auto put = write_fully(fd, parts, begin);
      if (!put) return put;
      parts.clear();
    }
    if (parts.empty()) begin = block.offset;
    parts.push_back(part(block.record.data() + block.data_begin, block.size));
    end = block.offset + block.size;
  }
  return write_fully(fd, parts, begin);
}

// ---- Reading
// ------------------------------------------------------------------------------------

FileResult Storage::read_blocks(const ReadBlocks& wanted, Generation told, Generation& seen) {
  PN_CHECK(wanted.file_index < states_.size() && wanted.offset % kBlockSize == 0);
  PN_CHECK(wanted.offset + wanted.size <= wanted_.files[wanted.file_index].size);
  if (!wanted.is_verified) return read_unverified(wanted, seen);

  BlocksRead outcome;
  auto fd = open_file(wanted.file_index, Access::existing);
  if (!fd) return fd.error();
  outcome.data.resize(wanted.size);
  auto read = read_fully((*fd)->get(), outcome.data.data(), wanted.size, wanted.offset);
  if (!read) return with_path(read.error(), shown_path(wanted.file_index));
  const std::lock_guard lock(stripe(wanted.file_index));
  auto unchanged = is_unchanged((*fd)->get(), wanted.file_index, told, seen);
  if (!unchanged) return unchanged.error();
  if (!*read || !*unchanged) return FileOutcome{BlocksRead{{}, true}};
  return FileOutcome{std::move(outcome)};
}

std::optional<FileResult> Storage::read_cached(const ReadBlocks& wanted, Generation told,
                                               Generation& seen) {
  if (!wanted.is_verified) return std::nullopt;
  const auto fd = cache_.find(wanted_.storage, wanted.file_index);
  if (fd == nullptr) return std::nullopt;
  BlocksRead outcome;
  outcome.data.resize(wanted.size);
  if (!read_at_once(fd->get(), outcome.data, wanted.offset)) return std::nullopt;
  // A job that writes to the file may hold the lock for as long as the disk takes.
  const std::unique_lock lock(stripe(wanted.file_index), std::try_to_lock);
  if (!lock.owns_lock()) return std::nullopt;
  const auto unchanged = is_unchanged(fd->get(), wanted.file_index, told, seen);
  if (!unchanged || !*unchanged) return std::nullopt;
  return FileResult(FileOutcome{std::move(outcome)});
}

Result<bool> Storage::is_unchanged(int fd, std::uint32_t file_index, Generation told,
                                   Generation& seen) {
  FileState& state = states_[file_index];
  auto stamp = stamp_of(fd, file_index);
  if (!stamp) return stamp.error();
  count_change(state, *stamp);
  seen = state.generation;
  return state.has_reference && *stamp == state.reference && state.generation == told;
}

FileResult Storage::read_unverified(const ReadBlocks& wanted, Generation& seen) {
  auto leaves = read_leaves({wanted.job, wanted.storage, wanted.first_leaf,
                             static_cast<std::uint32_t>(leaves_in(wanted.size))});
  if (!leaves) return leaves.error();
  const auto& expected = std::get<LeavesRead>(*leaves).leaves;
  auto fd = adopt_reference(wanted.file_index, seen);
  if (!fd) return fd.error();

  BlocksRead outcome;
  outcome.data.resize(wanted.size);
  auto read = read_fully((*fd)->get(), outcome.data.data(), wanted.size, wanted.offset);
  if (!read) return with_path(read.error(), shown_path(wanted.file_index));
  const Error corrupt{Errc::corrupt, shown_path(wanted.file_index) + " is not what was shared", ""};
  if (!*read) return corrupt;
  if (sha256_each(blocks_of(outcome.data)) != expected) return corrupt;
  return FileOutcome{std::move(outcome)};
}

// The file as it is now, opened afresh if it is not the one we knew, becomes the reference. It does
// so before it is read: a change while it is read is then seen by the next verified read.
Result<FileCache::SharedFd> Storage::adopt_reference(std::uint32_t file_index, Generation& seen) {
  for (int changes = 0; changes < kChangesMax; ++changes) {
    auto fd = open_file(file_index, Access::existing);
    if (!fd) return fd;
    auto before = stamp_of((*fd)->get(), file_index);
    if (!before) return before.error();
    if (is_reference(file_index, *before, seen)) {
      // A file we write changes all the time, and nobody else is let into its directory.
      if (is_writable_) return fd;
    } else {
      cache_.drop(wanted_.storage, file_index);  // the path may lead to another file now
      fd = open_file(file_index, Access::existing);
      if (!fd) return fd;
      before = stamp_of((*fd)->get(), file_index);
      if (!before) return before.error();
    }
    if (!is_writable_) let_stamp_settle(*before);
    const std::lock_guard lock(stripe(file_index));
    auto stamp = stamp_of((*fd)->get(), file_index);
    if (!stamp) return stamp.error();
    if (*stamp != *before) continue;
    set_reference(states_[file_index], *stamp);
    seen = states_[file_index].generation;
    return fd;
  }
  return Error{Errc::io, shown_path(file_index) + " is changed all the time", ""};
}

bool Storage::is_reference(std::uint32_t file_index, const Stamp& stamp, Generation& seen) {
  const std::lock_guard lock(stripe(file_index));
  const FileState& state = states_[file_index];
  seen = state.generation;
  return state.has_reference && stamp == state.reference;
}

// Each change by others is one generation: it is counted when it is first seen.
void Storage::count_change(FileState& state, const Stamp& found) {
  if (!state.has_reference || found == state.reference || state.is_change_counted) return;
  ++state.generation;
  state.is_change_counted = true;
}

void Storage::set_reference(FileState& state, const Stamp& found) {
  count_change(state, found);
  state.reference = found;
  state.has_reference = true;
  state.is_change_counted = false;
}

// ---- Leaf hashes
// --------------------------------------------------------------------------------

FileResult Storage::read_leaves(const ReadLeaves& wanted) {
  PN_CHECK(wanted.first + wanted.count <= wanted_.leaves_count);
  auto fd = open_leaves(false);
  if (!fd) return fd.error();
  Bytes bytes(wanted.count * kLeafSize);
  auto read = read_fully((*fd)->get(), bytes.data(), bytes.size(), wanted.first * kLeafSize);
  if (!read) return with_path(read.error(), leaves_path());
  if (!*read) return Error{Errc::corrupt, leaves_path() + " has too few leaf hashes", ""};
  return leaves_in_file(bytes);
}

std::optional<FileResult> Storage::read_leaves_cached(const ReadLeaves& wanted) {
  PN_CHECK(wanted.first + wanted.count <= wanted_.leaves_count);
  const auto fd = cache_.find(wanted_.storage, kLeafFile);
  if (fd == nullptr) return std::nullopt;
  Bytes bytes(wanted.count * kLeafSize);
  if (!read_at_once(fd->get(), bytes, wanted.first * kLeafSize)) return std::nullopt;
  return leaves_in_file(bytes);
}

FileResult Storage::write_leaves(const WriteLeaves& wanted) {
  PN_CHECK(wanted.first + wanted.leaves.size() <= wanted_.leaves_count);
  auto fd = open_leaves(true);
  if (!fd) return fd.error();
  Bytes bytes;
  bytes.reserve(wanted.leaves.size() * kLeafSize);
  for (const Hash& leaf : wanted.leaves) append(bytes, leaf.view());
  std::vector<iovec> parts{part(bytes.data(), bytes.size())};
  if (bytes.empty()) parts.clear();
  auto put = write_fully((*fd)->get(), parts, wanted.first * kLeafSize);
  {
    const std::lock_guard lock(dirty_mutex_);
    is_leaf_file_dirty_ = true;
  }
  if (!put) return with_path(put.error(), leaves_path());
  return FileOutcome{FileDone{}};
}

// ---- Hashing for `add`
// --------------------------------------------------------------------------

FileResult Storage::hash_range(const HashRange& wanted) {
  PN_CHECK(wanted.blocks_per_piece > 0);
  auto parent = open_parent();
  if (!parent) return parent.error();
  LastDirectory directory(parent->get());
  LeafHasher hasher(wanted.parts);
  for (const FilePart& part : wanted.parts) {
    PN_CHECK(part.file_index < states_.size());
    PN_CHECK(part.offset % (std::uint64_t{wanted.blocks_per_piece} * kBlockSize) == 0);
    PN_CHECK(part.offset + part.size <= wanted_.files[part.file_index].size);
    auto read = read_to_hash(part, directory, hasher);
    if (!read) return read.error();
  }
  std::vector<Hash> leaves = hasher.take_leaves();
  RangeHashed outcome;
  std::span<const Hash> left(leaves);
  for (const FilePart& part : wanted.parts) {
    for (std::uint64_t blocks = leaves_in(part.size); blocks > 0;) {
      const auto count = std::min<std::uint64_t>(wanted.blocks_per_piece, blocks);
      outcome.piece_nodes.push_back(
          merkle::piece_node(left.first(count), wanted.blocks_per_piece, part.is_only_piece));
      left = left.subspan(count);
      blocks -= count;
    }
  }
  auto kept = write_leaves({wanted.job, wanted.storage, wanted.first_leaf, std::move(leaves)});
  if (!kept) return kept.error();
  return FileOutcome{std::move(outcome)};
}

// The file is not kept open: it is read once.
Result<void> Storage::read_to_hash(const FilePart& part, LastDirectory& directory,
                                   LeafHasher& hasher) {
  auto fd = open_in(directory, part.file_index);
  if (!fd) return fd.error();
  auto started = start_hashing(fd->get(), part.file_index);
  if (!started) return started;
  if (part.size > kHashChunk) {
    posix_fadvise(fd->get(), static_cast<off_t>(part.offset), static_cast<off_t>(part.size),
                  POSIX_FADV_SEQUENTIAL);
  }
  for (std::uint64_t done = 0; done < part.size;) {
    const std::span<std::uint8_t> room = hasher.room(part.size - done);
    auto read = read_fully(fd->get(), room.data(), room.size(), part.offset + done);
    if (!read) return with_path(read.error(), shown_path(part.file_index));
    if (!*read) return not_as_before(part.file_index);
    hasher.add(room);
    done += room.size();
  }
  auto stamp = stamp_of(fd->get(), part.file_index);
  if (!stamp) return stamp.error();
  const std::lock_guard lock(stripe(part.file_index));
  if (*stamp != states_[part.file_index].reference) return not_as_before(part.file_index);
  return {};
}

Result<Fd> Storage::open_in(LastDirectory& directory, std::uint32_t file_index) const {
  const std::shared_lock lock(names_);
  const std::string path = path_of(file_index);
  auto place = directory.of(path);
  if (!place) return place.error();
  return open_beneath(place->directory, place->name, O_RDONLY);
}

// The first range of a file sets the state that all its ranges must see.
Result<void> Storage::start_hashing(int fd, std::uint32_t file_index) {
  auto before = stamp_of(fd, file_index);
  if (!before) return before.error();
  const bool has_waited = let_stamp_settle(*before);
  const std::lock_guard lock(stripe(file_index));
  FileState& state = states_[file_index];
  if (state.is_hashing) return {};
  auto stamp = has_waited ? stamp_of(fd, file_index) : before;
  if (!stamp) return stamp.error();
  if (stamp->size != wanted_.files[file_index].size || *stamp != *before) {
    return not_as_before(file_index);
  }
  set_reference(state, *stamp);
  state.is_hashing = true;
  return {};
}

Error Storage::not_as_before(std::uint32_t file_index) const {
  return {Errc::corrupt, shown_path(file_index) + " is not what it was", ""};
}

}  // namespace peernet::daemon
