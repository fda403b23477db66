// Hashing for `add`: leaf hashes and piece nodes of ranges of files, each of which must stay what
// it was when its first range was read.

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <span>

#include "core/check.h"
#include "core/hash.h"
#include "core/merkle.h"
#include "daemon/uv/file_io.h"
#include "daemon/uv/storage.h"

namespace peernet::daemon {
namespace {

using merkle::kBlockSize;

constexpr std::size_t kHashChunk = 256U << 10U;  // bytes read at a time: all lanes of sha256_each

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
  if (!fd) return with_path(fd.error(), shown_path(part.file_index));
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
