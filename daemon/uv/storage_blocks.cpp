// Blocks into the files of a share and out of them. Each file has a reference: the stamp of the
// state that is known. A change that is not ours shows as another stamp, and is told once.

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "core/check.h"
#include "core/hash.h"
#include "core/merkle.h"
#include "daemon/uv/file_io.h"
#include "daemon/uv/storage.h"

namespace peernet::daemon {
namespace {

using merkle::kBlockSize;

constexpr int kChangesMax = 16;  // by others, while one read is tried

}  // namespace

// ---- Writing
// --------------------------------------------------------------------------------

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

void Storage::mark_dirty(std::uint32_t file_index) {
  const std::lock_guard lock(dirty_mutex_);
  dirty_files_.insert(file_index);
}

// ---- Reading
// --------------------------------------------------------------------------------

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

// ---- References
// -----------------------------------------------------------------------------

Result<bool> Storage::is_unchanged(int fd, std::uint32_t file_index, Generation told,
                                   Generation& seen) {
  FileState& state = states_[file_index];
  auto stamp = stamp_of(fd, file_index);
  if (!stamp) return stamp.error();
  count_change(state, *stamp);
  seen = state.generation;
  return state.has_reference && *stamp == state.reference && state.generation == told;
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

}  // namespace peernet::daemon
