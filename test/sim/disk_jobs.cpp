// What each job of Disk does when its turn comes.

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "core/check.h"
#include "core/hash.h"
#include "core/merkle.h"
#include "test/sim/content.h"
#include "test/sim/disk.h"

namespace peernet::sim {
namespace {

constexpr std::uint64_t kHashSize = Hash::kSize;

Error failed(Errc code, const std::string& what) {
  return {code, what, {}};
}

bool is_below(std::string_view path, std::string_view top) {
  return path.size() > top.size() && path.starts_with(top) && path[top.size()] == '/';
}

Bytes pack(std::span<const Hash> hashes) {
  Bytes bytes;
  bytes.reserve(hashes.size() * kHashSize);
  for (const Hash& hash : hashes) append(bytes, hash.view());
  return bytes;
}

}  // namespace

// A file, or a directory with something in it.
bool Disk::stands(const std::string& path) const {
  const auto after = files_.lower_bound(path + "/");
  return files_.contains(path) || (after != files_.end() && is_below(after->first, path));
}

FileResult Disk::run_open(const OpenStorage& job) {
  Storage* storage = find(job.storage);
  if (storage == nullptr) return failed(Errc::not_found, "closed meanwhile");
  StorageOpened opened;
  const std::string top = join(job.parent, job.top, "");
  const bool is_there = stands(top);
  if (!job.is_writable && !is_there) return failed(Errc::not_found, top + " does not exist");
  if (!job.must_be_free.empty() && stands(join(job.parent, job.must_be_free, ""))) {
    return failed(Errc::exists, job.must_be_free + " stands there already");
  }
  using enum FileSpec::Standing;
  for (std::uint32_t i = 0; i < job.files.size(); ++i) {
    FileSpec& file = storage->spec.files[i];
    if (file.standing == moved) {
      file.standing = files_.contains(join(job.parent, job.top, file.apart)) ? apart : placed;
    } else if (file.standing == apart && files_.contains(join(job.parent, job.top, file.path))) {
      return failed(Errc::exists, file.path + " stands there already");
    } else if (file.standing == left_out) {
      if (job.is_writable) opened.file_sizes.push_back(0);
      continue;
    }
    const auto found = files_.find(path(*storage, i));
    if (found != files_.end()) {
      opened.allocated_bytes += found->second.data.size();
      storage->reference[i] = found->second.version;
    }
    if (job.is_writable) {
      opened.file_sizes.push_back(found == files_.end() ? 0 : found->second.data.size());
      continue;
    }
    if (found == files_.end() || found->second.data.size() != job.files[i].size) {
      return failed(Errc::corrupt, path(*storage, i) + " is missing or has another size");
    }
  }
  opened.free_bytes = options.quota > used_ ? options.quota - used_ : 0;
  return FileOutcome{opened};
}

// False when there is no space.
bool Disk::store(const std::string& path, std::uint64_t offset, BytesView bytes) {
  File& file = files_[path];
  const std::uint64_t end = offset + bytes.size();
  if (end > file.data.size()) {
    const std::uint64_t more = end - file.data.size();
    if (used_ + more > options.quota) return false;
    used_ += more;
  }
  Undo undo;
  undo.offset = offset;
  undo.size = bytes.size();
  if (offset < file.data.size()) {
    const auto from = file.data.begin() + static_cast<std::ptrdiff_t>(offset);
    const auto size = std::min<std::uint64_t>(bytes.size(), file.data.size() - offset);
    undo.old.assign(from, from + static_cast<std::ptrdiff_t>(size));
  }
  if (end > file.data.size()) {
    const std::size_t before = file.data.size();
    file.data.resize(end);
    std::fill(file.data.begin() + static_cast<std::ptrdiff_t>(before), file.data.end(),
              std::uint8_t{0});
  }
  std::copy(bytes.begin(), bytes.end(), file.data.begin() + static_cast<std::ptrdiff_t>(offset));
  file.undo.push_back(std::move(undo));
  file.version = ++versions_;
  return true;
}

FileResult Disk::run_write(const WriteBlocks& job) {
  Storage* storage = find(job.storage);
  if (storage == nullptr) return failed(Errc::not_found, "the storage is not open");
  PN_CHECK(!storage->is_read_only);
  const std::string name = path(*storage, job.file_index);
  BlocksWritten written;
  for (std::uint32_t i = 0; i < job.blocks.size(); ++i) {
    const BlockToWrite& block = job.blocks[i];
    PN_CHECK(block.data_begin + std::uint64_t{block.size} <= block.record.size());
    PN_CHECK(i == 0 || block.offset >= job.blocks[i - 1].offset + job.blocks[i - 1].size);
    const BytesView data = BytesView(block.record).subspan(block.data_begin, block.size);
    if (sha256(data) != block.leaf) {
      written.mismatched.push_back(i);
      continue;
    }
    PN_CHECK(block.offset + block.size <= storage->spec.files[job.file_index].size);
    if (!store(name, block.offset, data)) return failed(Errc::no_space, "no space left on device");
    storage->reference[job.file_index] = files_.at(name).version;
  }
  return FileOutcome{std::move(written)};
}

FileResult Disk::run_read(const ReadBlocks& job) {
  Storage* storage = find(job.storage);
  if (storage == nullptr) return failed(Errc::not_found, "the storage is not open");
  PN_CHECK(job.offset % merkle::kBlockSize == 0);
  const std::string name = path(*storage, job.file_index);
  const auto found = files_.find(name);
  if (found == files_.end()) return failed(Errc::not_found, name + " does not exist");
  const File& file = found->second;
  if (job.is_verified && storage->reference[job.file_index] != file.version) {
    return FileOutcome{BlocksRead{.data = {}, .is_changed = true}};
  }
  if (job.offset + job.size > file.data.size()) return failed(Errc::io, name + " is too short");
  const BytesView data = BytesView(file.data).subspan(job.offset, job.size);
  if (!job.is_verified) {
    const auto leaves = files_.find(leaf_path(job.storage));
    const Bytes made = pack(hash_blocks(data));
    const std::uint64_t at = job.first_leaf * kHashSize;
    if (leaves == files_.end()) return failed(Errc::not_found, "no leaf hashes");
    if (at + made.size() > leaves->second.data.size() ||
        !std::equal(made.begin(), made.end(),
                    leaves->second.data.begin() + static_cast<std::ptrdiff_t>(at))) {
      return failed(Errc::corrupt, name + " does not match its hashes");
    }
    storage->reference[job.file_index] = file.version;
  }
  BlocksRead read{.data = to_bytes(data), .is_changed = false};
  if (options.is_lying && !read.data.empty()) read.data[rng_.below(read.data.size())] ^= 1U;
  return FileOutcome{std::move(read)};
}

FileResult Disk::run_read_leaves(const ReadLeaves& job) {
  if (find(job.storage) == nullptr) return failed(Errc::not_found, "the storage is not open");
  const auto found = files_.find(leaf_path(job.storage));
  if (found == files_.end()) return failed(Errc::not_found, "no leaf hashes");
  const BytesView data = found->second.data;
  LeavesRead read;
  for (std::uint64_t i = job.first; i < job.first + job.count; ++i) {
    if ((i + 1) * kHashSize > data.size())
      return failed(Errc::corrupt, "the leaf file is too short");
    read.leaves.push_back(*Hash::from(data.subspan(i * kHashSize, kHashSize)));
  }
  return FileOutcome{std::move(read)};
}

FileResult Disk::run_write_leaves(const WriteLeaves& job) {
  const Storage* storage = find(job.storage);
  if (storage == nullptr) return failed(Errc::not_found, "the storage is not open");
  PN_CHECK(job.first + job.leaves.size() <= storage->spec.leaves_count);
  if (!store(leaf_path(job.storage), job.first * kHashSize, pack(job.leaves))) {
    return failed(Errc::no_space, "no space left on device");
  }
  return FileOutcome{FileDone{}};
}

FileResult Disk::run_list(const ListTree& job) {
  TreeListed listed;
  const std::string top = join(job.parent, job.top, "");
  if (const auto found = files_.find(top); found != files_.end()) {
    listed.is_single_file = true;
    listed.entries.push_back({{}, found->second.data.size(), found->second.is_executable});
    return FileOutcome{std::move(listed)};
  }
  for (auto at = files_.lower_bound(top + "/"); at != files_.end() && is_below(at->first, top);
       ++at) {
    listed.entries.push_back(
        {at->first.substr(top.size() + 1), at->second.data.size(), at->second.is_executable});
    if (listed.entries.size() > job.entries_max) {
      return failed(Errc::too_large, "too many files");
    }
  }
  if (listed.entries.empty()) return failed(Errc::not_found, top + " does not exist");
  return FileOutcome{std::move(listed)};
}

FileResult Disk::run_hash(const HashRange& job) {
  Storage* storage = find(job.storage);
  if (storage == nullptr) return failed(Errc::not_found, "the storage is not open");
  const std::uint64_t piece_size = std::uint64_t{job.blocks_per_piece} * merkle::kBlockSize;
  std::vector<Hash> leaves;
  RangeHashed hashed;
  for (const FilePart& part : job.parts) {
    const std::string name = path(*storage, part.file_index);
    const auto found = files_.find(name);
    if (found == files_.end()) return failed(Errc::not_found, name + " does not exist");
    const File& file = found->second;
    const auto first = storage->first_read.emplace(part.file_index, file.version).first;
    if (first->second != file.version || part.offset + part.size > file.data.size()) {
      return failed(Errc::corrupt, name + " is not what it was");
    }
    PN_CHECK(piece_size > 0 && part.offset % piece_size == 0);
    const std::vector<Hash> of_part =
        hash_blocks(BytesView(file.data).subspan(part.offset, part.size));
    storage->reference[part.file_index] = file.version;
    for (std::size_t at = 0; at < of_part.size(); at += job.blocks_per_piece) {
      const auto piece = std::span(of_part).subspan(
          at, std::min<std::size_t>(job.blocks_per_piece, of_part.size() - at));
      hashed.piece_nodes.push_back(
          merkle::piece_node(piece, job.blocks_per_piece, part.is_only_piece));
    }
    leaves.insert(leaves.end(), of_part.begin(), of_part.end());
  }
  if (!leaves.empty() && !store(leaf_path(job.storage), job.first_leaf * kHashSize, pack(leaves))) {
    return failed(Errc::no_space, "no space left on device");
  }
  return FileOutcome{std::move(hashed)};
}

// What is durable now needs no way back. Of an older write only what lies beside a durable one
// does.
void Disk::make_durable(File& file, std::uint64_t reported_max) {
  for (std::size_t i = file.undo.size(); i-- > 0;) {
    const Undo& undo = file.undo[i];
    if (undo.is_lost || undo.reported == 0 || undo.reported > reported_max) continue;
    const std::uint64_t begin = undo.offset;
    const std::uint64_t end = undo.offset + undo.size;
    file.durable_size = std::max(file.durable_size, end);
    std::vector<Undo> older;
    for (std::size_t j = 0; j < i; ++j) {
      Undo& from = file.undo[j];
      const std::uint64_t from_end = from.offset + from.size;
      if (from_end <= begin || end <= from.offset) {
        older.push_back(std::move(from));
        continue;
      }
      if (from.offset < begin) older.push_back(part_of(from, from.offset, begin));
      if (end < from_end) older.push_back(part_of(from, end, from_end));
    }
    const auto newer = file.undo.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    const std::size_t older_count = older.size();
    older.insert(older.end(), std::move_iterator(newer), std::move_iterator(file.undo.end()));
    file.undo = std::move(older);
    i = older_count;
  }
}

Disk::Undo Disk::part_of(const Undo& whole, std::uint64_t begin, std::uint64_t end) {
  Undo part = whole;
  part.offset = begin;
  part.size = end - begin;
  const auto cut = [&](std::uint64_t at) {
    const std::uint64_t in_old = std::min<std::uint64_t>(at - whole.offset, whole.old.size());
    return whole.old.begin() + static_cast<std::ptrdiff_t>(in_old);
  };
  part.old.assign(cut(begin), cut(end));
  return part;
}

FileResult Disk::run_sync(const Sync& job, std::uint64_t reported_max) {
  const Storage* storage = find(job.storage);
  if (storage == nullptr) return failed(Errc::not_found, "the storage is not open");
  std::vector<std::string> names = {leaf_path(job.storage)};
  for (std::uint32_t i = 0; i < storage->spec.files.size(); ++i) {
    names.push_back(path(*storage, i));
  }
  const bool is_broken = chance(options.sync_errors);
  for (const std::string& name : names) {
    const auto found = files_.find(name);
    if (found == files_.end()) continue;
    if (is_broken) {
      for (Undo& undo : found->second.undo) undo.is_lost = true;
      continue;
    }
    make_durable(found->second, reported_max);
    found->second.is_entry_durable = true;
  }
  if (is_broken) return failed(Errc::io, "input/output error");
  return FileOutcome{FileDone{}};
}

FileResult Disk::run_finish(const FinishStorage& job) {
  Storage* storage = find(job.storage);
  if (storage == nullptr) return failed(Errc::not_found, "the storage is not open");
  OpenStorage& spec = storage->spec;
  const std::string target = join(spec.parent, job.name, "");
  if (job.name != spec.top && stands(target)) {
    return failed(Errc::exists, target + " stands there already");
  }
  for (std::uint32_t i = 0; i < job.is_left_out.size(); ++i) {
    if (job.is_left_out[i]) spec.files[i].standing = FileSpec::Standing::left_out;
  }
  std::vector<std::string> old_names;
  for (std::uint32_t i = 0; i < spec.files.size(); ++i) old_names.push_back(path(*storage, i));
  spec.top = job.name;
  spec.is_writable = false;
  storage->is_read_only = true;
  for (std::uint32_t i = 0; i < spec.files.size(); ++i) {
    if (spec.files[i].standing == FileSpec::Standing::left_out) continue;
    spec.files[i].standing = FileSpec::Standing::placed;
    File file;
    if (const auto found = files_.find(old_names[i]); found != files_.end()) {
      file = std::move(found->second);
      files_.erase(found);
    }
    const std::uint64_t size = spec.files[i].size;
    used_ = used_ - file.data.size() + size;
    const std::size_t before = file.data.size();
    file.data.resize(size);
    if (before < size) {
      std::fill(file.data.begin() + static_cast<std::ptrdiff_t>(before), file.data.end(),
                std::uint8_t{0});
    }
    file.is_executable = spec.files[i].is_executable;
    file.undo.clear();
    file.durable_size = size;
    file.is_entry_durable = true;
    file.version = ++versions_;
    storage->reference[i] = file.version;
    files_[path(*storage, i)] = std::move(file);
  }
  if (const auto leaves = files_.find(leaf_path(job.storage)); leaves != files_.end()) {
    make_durable(leaves->second, reports_);
    leaves->second.is_entry_durable = true;
  }
  return FileOutcome{FileDone{}};
}

FileResult Disk::run_delete(const DeleteStorage& job) {
  erase(leaf_path(job.storage));
  Storage* storage = find(job.storage);
  if (storage == nullptr) return FileOutcome{FileDone{}};
  for (std::uint32_t i = 0; i < storage->spec.files.size(); ++i) {
    const FileSpec::Standing standing = storage->spec.files[i].standing;
    if (standing == FileSpec::Standing::apart ||
        (job.is_data_deleted && standing != FileSpec::Standing::left_out)) {
      erase(path(*storage, i));
    }
  }
  storage->is_closing = true;
  return FileOutcome{FileDone{}};
}

}  // namespace peernet::sim
