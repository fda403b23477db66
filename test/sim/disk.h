#pragma once

// Disk is the simulated disk of one host and the pool of jobs before it: files in memory, latency,
// errors, no space, and a power cut that forgets whatever was not synced. It keeps the contract of
// core/effects.h to the letter and to the disadvantage of the engine: jobs of one storage may end
// in any order, a sync covers only what had reported before it was asked for, and after a cut any
// subset of the unsynced writes may have survived. Leaf files and the files of shares are the same
// to it.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/effects.h"
#include "core/rng.h"
#include "test/sim/timeline.h"

namespace peernet::sim {

struct DiskOptions {
  Duration latency{500};              // of a job; up to four times it, by chance
  std::uint64_t rate = 200'000'000;   // bytes a second, of each lane
  Duration sync_latency{15'000};      // up to four times it
  std::uint64_t quota = 1ULL << 40U;  // bytes of file data
  double errors = 0;                  // of a job: Errc::io
  double sync_errors = 0;             // of a sync; what it covered is then lost for good
  bool is_lying = false;              // gives altered bytes to every ReadBlocks
};

class Disk {
 public:
  using Report = std::function<void(JobId, FileResult)>;

  Disk(Timeline& timeline, Rng rng, Report report);

  // The effects. Each job is reported once, later, unless the host crashes before.
  void open(OpenStorage job);
  void close(CloseStorage job);
  void write(WriteBlocks job);
  void read(const ReadBlocks& job);
  void read_leaves(const ReadLeaves& job);
  void write_leaves(WriteLeaves job);
  void list(ListTree job);
  void hash(HashRange job);
  void sync(const Sync& job);
  void finish(FinishStorage job);
  void remove(const DeleteStorage& job);

  // The process ended: open storages and unreported jobs are forgotten. Jobs that ran may have had
  // their effect. The page cache survives.
  void kill();
  // And now the power went too: what was not synced may be gone.
  void cut_power();

  DiskOptions options;

  // ---- What the world does behind the node's back.
  void put(const std::string& path, Bytes bytes, bool is_executable = false);
  void erase(const std::string& path);
  // Flips a bit; the file's times change with it.
  void tamper(const std::string& path, std::uint64_t offset);

  // ---- Queries for the oracle.
  struct Paths {
    std::string top;                 // parent/top
    std::vector<std::string> files;  // whole paths, in the order of OpenStorage::files
  };
  // The storage as the running process knows it.
  std::optional<Paths> paths(StorageId storage) const;
  static std::string join(const std::string& parent, const std::string& top,
                          const std::string& path);
  static std::string leaf_path(StorageId storage);
  bool exists(const std::string& path) const { return files_.contains(path); }
  std::optional<BytesView> bytes(const std::string& path) const;
  bool is_executable(const std::string& path) const;
  // Would [offset, offset+size) survive a power cut as it is now?
  bool is_durable(const std::string& path, std::uint64_t offset, std::uint64_t size) const;
  std::vector<std::string> list_paths() const;
  std::size_t jobs_count() const { return jobs_.size(); }
  std::uint64_t bytes_used() const { return used_; }
  // Is this storage one that the process may name in a job?
  bool is_known(StorageId storage) const { return storages_.contains(storage); }

 private:
  // What a range held before a write that is not durable yet.
  struct Undo {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    Bytes old;                   // shorter than `size` where the file ended before
    std::uint64_t reported = 0;  // order of its report; 0: not yet
    bool is_lost = false;        // a sync failed over it: no later sync saves it
  };
  struct File {
    Bytes data;
    bool is_executable = false;
    std::vector<Undo> undo;
    std::uint64_t durable_size = 0;
    bool is_entry_durable = false;
    std::uint64_t version = 0;  // stands for size, mtime, ctime and inode
  };
  struct Storage {
    OpenStorage spec;
    bool is_read_only = false;
    int jobs_running = 0;
    bool is_closing = false;
    std::map<std::uint32_t, std::uint64_t> reference;   // file_index -> version
    std::map<std::uint32_t, std::uint64_t> first_read;  // HashRange
  };
  struct Job {
    StorageId storage{};
    bool has_storage = false;
    bool is_open = false;  // an OpenStorage
    std::function<FileResult()> run;
    std::vector<std::string> written;  // files whose undo entries this job's report completes
  };

  void submit(JobId id, std::optional<StorageId> storage, std::uint64_t size, bool is_sync,
              std::function<FileResult()> run, std::vector<std::string> written = {});
  void complete(JobId id);
  void leave(StorageId storage);
  Storage* find(StorageId storage);
  std::string path(const Storage& storage, std::uint32_t file_index) const;

  FileResult run_open(const OpenStorage& job);
  FileResult run_write(const WriteBlocks& job);
  FileResult run_read(const ReadBlocks& job);
  FileResult run_read_leaves(const ReadLeaves& job);
  FileResult run_write_leaves(const WriteLeaves& job);
  FileResult run_list(const ListTree& job);
  FileResult run_hash(const HashRange& job);
  FileResult run_sync(const Sync& job, std::uint64_t reported_max);
  FileResult run_finish(const FinishStorage& job);
  FileResult run_delete(const DeleteStorage& job);

  bool stands(const std::string& path) const;
  bool store(const std::string& path, std::uint64_t offset, BytesView bytes);
  static void make_durable(File& file, std::uint64_t reported_max);
  static Undo part_of(const Undo& whole, std::uint64_t begin, std::uint64_t end);
  void roll_back(File& file);
  bool chance(double probability) { return probability > 0 && rng_.unit() < probability; }

  Timeline& timeline_;
  Rng rng_;
  Report report_;
  std::map<std::string, File, std::less<>> files_;
  std::map<StorageId, Storage> storages_;
  std::map<JobId, Job> jobs_;
  std::uint64_t incarnation_ = 0;
  std::uint64_t versions_ = 0;
  std::uint64_t reports_ = 0;
  std::uint64_t used_ = 0;
  Time lanes_[4] = {};
  Time sync_lane_{};
};

}  // namespace peernet::sim
