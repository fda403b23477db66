#pragma once

// Storage is the files of one share on this machine and its leaf hash file: what each disk effect
// of core/effects.h does, as calls that block. Several threads may call it at once. It opens every
// file below its own top, never through a link, and keeps for each file the stamp of the state that
// is known, so that a change by another program is always noticed.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "core/effects.h"
#include "daemon/uv/beneath.h"
#include "daemon/uv/file_cache.h"

namespace peernet::daemon {

// Where storages keep their leaf hashes, and what the user's umask allows a finished file.
struct StoragePlace {
  std::string leaves_directory;
  mode_t user_umask = S_IWGRP | S_IWOTH;
};

// How often a file was seen to be changed by another program. The engine is told by
// BlocksRead::is_changed; until it was, nothing it holds for verified may be believed.
using Generation = std::uint32_t;

class Storage {
 public:
  // `place` and `cache` outlive it.
  Storage(OpenStorage wanted, const StoragePlace& place, FileCache& cache);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // Once, before all others. Each result is that of the effect of the same name. `seen`, where it
  // is asked for, becomes the file's generation when the job looked at it.
  FileResult open();
  FileResult write_blocks(const WriteBlocks& wanted, Generation& seen);
  FileResult read_blocks(const ReadBlocks& wanted, Generation told, Generation& seen);
  // The same without waiting for anything, from any thread: what the page cache holds of a file
  // that is open and unchanged. Nothing if it is not to be had so; then read_blocks() knows why.
  std::optional<FileResult> read_cached(const ReadBlocks& wanted, Generation told,
                                        Generation& seen);
  FileResult read_leaves(const ReadLeaves& wanted);
  std::optional<FileResult> read_leaves_cached(const ReadLeaves& wanted);  // likewise
  FileResult write_leaves(const WriteLeaves& wanted);
  FileResult hash_range(const HashRange& wanted);
  FileResult sync();
  FileResult finish(const FinishStorage& wanted);
  FileResult remove(bool is_data_deleted);

  // The generation that the engine knows of. on_told() is called when a result that looked at the
  // file in generation `seen` is handed to the engine: a late result from before a change that the
  // engine was told of counts as a change of its own. Both belong to the loop's thread and never
  // wait for a job.
  Generation told(std::uint32_t file_index) const;
  void on_told(std::uint32_t file_index, Generation seen, bool is_change_told);

  StorageId id() const { return wanted_.storage; }

 private:
  struct FileState {
    Stamp reference;
    std::atomic<Generation> generation{0};
    Generation told = 0;  // on the loop's thread only
    bool has_reference = false;
    bool is_change_counted = false;  // the file was seen to differ from the reference
    bool is_hashing = false;         // a HashRange has set the reference
  };
  // One mutex for several files: enough for a pool of a few threads.
  static constexpr std::size_t kStripesMax = 16;
  static constexpr std::uint32_t kLeafFile = UINT32_MAX;

  std::string leaves_path() const;
  Result<Fd> open_parent() const;
  std::string path_of(std::uint32_t file_index) const;     // below the parent; needs names_
  std::string shown_path(std::uint32_t file_index) const;  // for people
  Error file_error(int error_number, std::uint32_t file_index, const char* verb) const;
  enum class Access : std::uint8_t {
    existing,  // at least for reading
    writing,   // for writing
    making,    // for writing; what is missing is made
  };
  Result<FileCache::SharedFd> open_file(std::uint32_t file_index, Access access);
  Result<FileCache::SharedFd> open_to_write(std::uint32_t file_index);
  Result<Fd> open_by_name(std::uint32_t file_index, Access access);
  Result<Fd> open_writable(int parent, const std::string& path, std::uint32_t file_index);
  Result<FileCache::SharedFd> open_leaves(bool is_created);
  Result<Stamp> stamp_of(int fd, std::uint32_t file_index);
  std::mutex& stripe(std::uint32_t file_index) { return stripes_[file_index % stripes_.size()]; }
  void mark_dirty(std::uint32_t file_index);

  Result<void> check_files(int parent, StorageOpened& outcome);
  Result<void> settle_standing(int top, std::uint32_t file_index);
  Result<void> put_blocks(const WriteBlocks& wanted, const std::vector<bool>& is_good, int fd);
  // Requires: the file's stripe is held.
  Result<bool> is_unchanged(int fd, std::uint32_t file_index, Generation told, Generation& seen);
  bool is_reference(std::uint32_t file_index, const Stamp& stamp, Generation& seen);
  static void count_change(FileState& state, const Stamp& found);
  static void set_reference(FileState& state, const Stamp& found);
  FileResult read_unverified(const ReadBlocks& wanted, Generation& seen);
  Result<FileCache::SharedFd> adopt_reference(std::uint32_t file_index, Generation& seen);
  class LeafHasher;
  Result<void> read_to_hash(const FilePart& part, LastDirectory& directory, LeafHasher& hasher);
  Result<Fd> open_in(LastDirectory& directory, std::uint32_t file_index) const;
  Result<void> start_hashing(int fd, std::uint32_t file_index);
  Error not_as_before(std::uint32_t file_index) const;
  Result<void> sync_marked(bool are_modes_synced);
  Result<void> sync_leaves(bool is_new);
  Result<void> finish_file(std::uint32_t file_index, bool is_in_place);
  bool is_made(std::uint32_t file_index);
  Result<void> adopt_own_change(std::uint32_t file_index, int fd);
  Result<void> finish_directories(int parent);
  Result<void> place_file(int parent, std::uint32_t file_index);
  Result<void> rename_top(int parent, const std::string& name);
  Result<void> sync_all(int parent, const std::set<std::uint32_t>& files,
                        const std::set<std::string>& directories, bool are_modes_synced);
  Result<void> remove_files(int parent, bool is_data_deleted);
  static Result<void> remove_file(int parent, const std::string& path);
  static Result<void> remove_directory(int parent, const std::string& path);
  std::set<std::string> directories() const;  // below the top, without it

  OpenStorage wanted_;
  const StoragePlace& place_;
  FileCache& cache_;

  // Lock order: a stripe, then names_, then dirty_mutex_.
  std::vector<std::mutex> stripes_;
  std::vector<FileState> states_;    // each under its stripe, but for what says otherwise
  mutable std::shared_mutex names_;  // wanted_.top changes once, and where files stand
  std::atomic<bool> is_writable_;    // true until finished
  std::uint64_t parent_inode_ = 0;   // the directory that was opened, and no other
  std::uint64_t parent_device_ = 0;

  std::mutex dirty_mutex_;
  std::set<std::uint32_t> dirty_files_;      // written since the last sync
  std::set<std::string> made_files_;         // by us, below the parent
  std::set<std::string> dirty_directories_;  // below the parent; "" is the parent
  bool is_leaf_file_dirty_ = false;
  bool is_leaf_file_new_ = false;
};

// Lists a tree for `add`; the result of ListTree.
FileResult list_tree(const ListTree& wanted);

}  // namespace peernet::daemon
