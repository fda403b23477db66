// The leaf hashes of a share, which are kept in a file of their own.

#include <fcntl.h>

#include <cerrno>

#include "core/check.h"
#include "daemon/uv/file_io.h"
#include "daemon/uv/storage.h"

namespace peernet::daemon {
namespace {

constexpr std::size_t kLeafSize = Hash::kSize;

FileResult leaves_in_file(BytesView bytes) {
  LeavesRead outcome;
  outcome.leaves.reserve(bytes.size() / kLeafSize);
  for (; !bytes.empty(); bytes = bytes.subspan(kLeafSize)) {
    outcome.leaves.push_back(Hash::from(bytes.first(kLeafSize)).value());
  }
  return FileOutcome{std::move(outcome)};
}

}  // namespace

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

}  // namespace peernet::daemon
