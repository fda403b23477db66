#include "test/sim/disk.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace peernet::sim {
Disk::Disk(Timeline& timeline, Rng rng, Report report)
    : timeline_(timeline), rng_(rng), report_(std::move(report)) {}

std::string Disk::join(const std::string& parent, const std::string& top, const std::string& path) {
  std::string whole = parent + "/" + top;
  if (!path.empty()) whole += "/" + path;
  return whole;
}

std::string Disk::leaf_path(StorageId storage) {
  return "//leaves/" + std::to_string(static_cast<std::uint64_t>(storage));
}

std::string Disk::path(const Storage& storage, std::uint32_t file_index) const {
  const OpenStorage& spec = storage.spec;
  PN_CHECK(file_index < spec.files.size());
  const FileSpec& file = spec.files[file_index];
  const std::string below = file.standing == FileSpec::Standing::apart ? file.apart : file.path;
  return join(spec.parent, spec.top, spec.is_single_file ? "" : below);
}

// ---- Jobs
// ----------------------------------------------------------------------------------------

void Disk::open(OpenStorage job) {
  const JobId id = job.job;
  const StorageId storage = job.storage;
  Storage& known = storages_[storage];
  known.spec = job;
  known.is_read_only = !job.is_writable;
  submit(id, storage, 0, false, [this, opened = std::move(job)] { return run_open(opened); });
  jobs_.at(id).is_open = true;
}

void Disk::close(CloseStorage job) {
  Storage* storage = find(job.storage);
  if (storage == nullptr) return;
  storage->is_closing = true;
  leave(job.storage);
}

void Disk::write(WriteBlocks job) {
  const JobId id = job.job;
  const StorageId storage = job.storage;
  std::uint64_t size = 0;
  for (const auto& block : job.blocks) size += block.size;
  std::vector<std::string> written;
  if (const Storage* found = find(storage)) written.push_back(path(*found, job.file_index));
  submit(
      id, storage, size, false, [this, moved = std::move(job)] { return run_write(moved); },
      std::move(written));
}

void Disk::read(const ReadBlocks& job) {
  submit(job.job, job.storage, job.size, false, [this, job] { return run_read(job); });
}

void Disk::read_leaves(const ReadLeaves& job) {
  submit(job.job, job.storage, job.count * std::uint64_t{32}, false,
         [this, job] { return run_read_leaves(job); });
}

void Disk::write_leaves(WriteLeaves job) {
  const JobId id = job.job;
  const StorageId storage = job.storage;
  const std::uint64_t size = job.leaves.size() * Hash::kSize;
  submit(id, storage, size, false,
         [this, moved = std::move(job)] { return run_write_leaves(moved); }, {leaf_path(storage)});
}

void Disk::list(ListTree job) {
  const JobId id = job.job;
  submit(id, std::nullopt, 0, false, [this, moved = std::move(job)] { return run_list(moved); });
}

void Disk::hash(HashRange job) {
  const JobId id = job.job;
  const StorageId storage = job.storage;
  std::uint64_t size = 0;
  for (const FilePart& part : job.parts) size += part.size;
  submit(id, storage, size, false, [this, moved = std::move(job)] { return run_hash(moved); },
         {leaf_path(storage)});
}

void Disk::sync(const Sync& job) {
  submit(job.job, job.storage, 0, true,
         [this, job, reported_max = reports_] { return run_sync(job, reported_max); });
}

void Disk::finish(FinishStorage job) {
  const JobId id = job.job;
  const StorageId storage = job.storage;
  submit(id, storage, 0, true, [this, moved = std::move(job)] { return run_finish(moved); });
}

void Disk::remove(const DeleteStorage& job) {
  submit(job.job, job.storage, 0, true, [this, job] { return run_delete(job); });
}

void Disk::submit(JobId id, std::optional<StorageId> storage, std::uint64_t size, bool is_sync,
                  std::function<FileResult()> run, std::vector<std::string> written) {
  Job job;
  job.has_storage = storage.has_value();
  if (storage) {
    job.storage = *storage;
    if (Storage* found = find(*storage)) ++found->jobs_running;
  }
  job.run = std::move(run);
  job.written = std::move(written);
  PN_CHECK(jobs_.emplace(id, std::move(job)).second);

  const auto base =
      static_cast<std::uint64_t>((is_sync ? options.sync_latency : options.latency).count());
  std::uint64_t cost = base + rng_.below(3 * base + 1);
  if (options.rate != 0) cost += size * 1'000'000 / options.rate;
  Time& lane = is_sync ? sync_lane_ : *std::min_element(std::begin(lanes_), std::end(lanes_));
  lane = std::max(lane, timeline_.now()) + Duration{static_cast<std::int64_t>(cost)};
  timeline_.at(lane, [this, id, incarnation = incarnation_] {
    if (incarnation == incarnation_) complete(id);
  });
}

void Disk::complete(JobId id) {
  const auto found = jobs_.find(id);
  PN_CHECK(found != jobs_.end());
  Job job = std::move(found->second);
  jobs_.erase(found);
  FileResult result = Error{Errc::io, "input/output error", {}};
  // A job that fails may have done its work all the same.
  const bool is_broken = chance(options.errors);
  if (!is_broken) {
    result = job.run();
  } else if (rng_.below(2) == 0) {
    (void)job.run();
  }
  if (job.is_open && !result) storages_.erase(job.storage);
  ++reports_;
  for (const std::string& path : job.written) {
    const auto file = files_.find(path);
    if (file == files_.end()) continue;
    // Writes of other jobs to this file that have run have also reported, or will: they run and
    // report in one happening.
    for (Undo& undo : file->second.undo) {
      if (undo.reported == 0) undo.reported = reports_;
    }
  }
  if (job.has_storage) {
    if (Storage* storage = find(job.storage)) {
      --storage->jobs_running;
      leave(job.storage);
    }
  }
  report_(id, std::move(result));
}

void Disk::leave(StorageId id) {
  const Storage* storage = find(id);
  if (storage != nullptr && storage->is_closing && storage->jobs_running <= 0) storages_.erase(id);
}

Disk::Storage* Disk::find(StorageId id) {
  const auto found = storages_.find(id);
  return found == storages_.end() ? nullptr : &found->second;
}

void Disk::kill() {
  ++incarnation_;
  auto jobs = std::move(jobs_);
  jobs_.clear();
  for (auto& [id, job] : jobs) {
    if (rng_.below(2) == 0) (void)job.run();
  }
  storages_.clear();
  for (Time& lane : lanes_) lane = timeline_.now();
  sync_lane_ = timeline_.now();
}

void Disk::cut_power() {
  kill();
  for (auto at = files_.begin(); at != files_.end();) {
    roll_back(at->second);
    if (!at->second.is_entry_durable && rng_.below(2) == 0) {
      used_ -= at->second.data.size();
      at = files_.erase(at);
      continue;
    }
    at->second.is_entry_durable = true;
    ++at;
  }
}

// Undoes a random subset of the unsynced writes, last first.
void Disk::roll_back(File& file) {
  const std::uint64_t before = file.data.size();
  std::uint64_t end = file.durable_size;
  for (auto undo = file.undo.rbegin(); undo != file.undo.rend(); ++undo) {
    if (!undo->is_lost && rng_.below(2) == 0) {
      end = std::max(end, undo->offset + undo->size);
      continue;
    }
    const auto to = file.data.begin() + static_cast<std::ptrdiff_t>(undo->offset);
    std::copy(undo->old.begin(), undo->old.end(), to);
    std::fill(to + static_cast<std::ptrdiff_t>(undo->old.size()),
              to + static_cast<std::ptrdiff_t>(undo->size), std::uint8_t{0});
  }
  file.undo.clear();
  file.data.resize(end);
  file.durable_size = end;
  file.version = ++versions_;
  used_ = used_ - before + end;
}

// ---- Behind the node's back, and queries
// ---------------------------------------------------------

void Disk::put(const std::string& path, Bytes bytes, bool is_executable) {
  erase(path);
  File& file = files_[path];
  used_ += bytes.size();
  file.durable_size = bytes.size();
  file.data = std::move(bytes);
  file.is_executable = is_executable;
  file.is_entry_durable = true;
  file.version = ++versions_;
}

void Disk::erase(const std::string& path) {
  const auto found = files_.find(path);
  if (found == files_.end()) return;
  used_ -= found->second.data.size();
  files_.erase(found);
}

void Disk::tamper(const std::string& path, std::uint64_t offset) {
  File& file = files_.at(path);
  PN_CHECK(offset < file.data.size());
  file.data[offset] ^= 1U;
  file.version = ++versions_;
}

std::optional<Disk::Paths> Disk::paths(StorageId storage) const {
  const auto found = storages_.find(storage);
  if (found == storages_.end()) return std::nullopt;
  Paths result;
  const OpenStorage& spec = found->second.spec;
  result.top = join(spec.parent, spec.top, "");
  for (std::uint32_t i = 0; i < spec.files.size(); ++i) {
    result.files.push_back(path(found->second, i));
  }
  return result;
}

std::optional<BytesView> Disk::bytes(const std::string& path) const {
  const auto found = files_.find(path);
  if (found == files_.end()) return std::nullopt;
  return BytesView(found->second.data);
}

bool Disk::is_executable(const std::string& path) const {
  const auto found = files_.find(path);
  return found != files_.end() && found->second.is_executable;
}

bool Disk::is_durable(const std::string& path, std::uint64_t offset, std::uint64_t size) const {
  const auto found = files_.find(path);
  if (found == files_.end() || !found->second.is_entry_durable) return false;
  const File& file = found->second;
  if (offset + size > file.durable_size) return false;
  return std::none_of(file.undo.begin(), file.undo.end(), [&](const Undo& undo) {
    return undo.offset < offset + size && offset < undo.offset + undo.size;
  });
}

std::vector<std::string> Disk::list_paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, file] : files_) paths.push_back(path);
  return paths;
}

}  // namespace peernet::sim
