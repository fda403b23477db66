#pragma once

// Importer makes a share out of a path, in place and step by step: list it, check every name, open
// it, hash it with several jobs at a time, build the manifest, sync the leaf hashes. It asks for
// disk jobs and is told their results; it always ends in done, failed or cancelled with no job left
// running, and unless it is done its storage is deleted (never the files it read).

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/effects.h"
#include "core/result.h"
#include "core/time.h"
#include "transfer/manifest.h"
#include "transfer/transfer.h"

namespace peernet::transfer {

class Importer {
 public:
  enum class Stage : std::uint8_t { listing, opening, hashing, syncing, done, failed, cancelled };

  struct Outcome {
    Manifest manifest;
    Bytes piece_layers;  // as in ShareRecord
    std::vector<LeftOut> left_out;
    StorageId storage{};  // open and read-only, its leaves written and synced
    bool is_single_file = false;
  };

  static constexpr std::size_t kJobsMax = 8;                // hashing at a time
  static constexpr std::uint64_t kRangeSize = 8ULL << 20U;  // bytes a job, in whole pieces
  static constexpr std::uint32_t kPieceLengthMin = 16 << 10;
  static constexpr std::uint32_t kPieceLengthMax = 16 << 20;

  // `storage` is a number never used before.
  Importer(ImportId id, AddRequest request, StorageId storage);

  void start(Time now, JobIds& jobs, Effects& out);
  // true: the job was its own. Errors it ends with: what ListTree, OpenStorage and HashRange say;
  // refused (a name that is not safe or portable, nothing to share, a piece length that is none);
  // too_large (over a limit of the manifest); corrupt (a file changed while it was read).
  bool on_file(Time now, JobId job, FileResult result, JobIds& jobs, Effects& out);
  // Starts no further work; cancelled at once, idle when the running jobs have reported and the
  // storage is deleted. Does nothing once the import has ended.
  void cancel(JobIds& jobs, Effects& out);

  // Queries.
  ImportId id() const { return id_; }
  const AddRequest& request() const { return request_; }
  Stage stage() const { return stage_; }
  bool is_idle() const { return jobs_.empty(); }  // no job is running
  std::uint64_t bytes_done() const { return bytes_done_; }
  std::uint64_t bytes_total() const { return bytes_total_; }  // 0 until the path was listed
  // Requires: stage() is failed. The names in it are raw: escape() before a terminal or a log.
  const Error& error() const { return error_; }
  // Requires: stage() is done. Once.
  Outcome take_outcome();

 private:
  enum class JobKind : std::uint8_t { list, open, hash, sync, drop };
  struct Job {
    JobKind kind{};
    std::uint64_t first_node = 0;  // of hash: number of its first piece over all files
    std::uint64_t size = 0;        // of hash: bytes
    std::uint32_t file_index = 0;  // of hash
  };

  void on_listed(TreeListed listed, JobIds& jobs, Effects& out);
  void on_opened(JobIds& jobs, Effects& out);
  void on_hashed(const Job& job, RangeHashed hashed, JobIds& jobs, Effects& out);
  void hash_more(JobIds& jobs, Effects& out);
  void build(JobIds& jobs, Effects& out);
  void fail(Error error, JobIds& jobs, Effects& out);
  void drop_storage(JobIds& jobs, Effects& out);

  ImportId id_;
  AddRequest request_;
  StorageId storage_;
  Stage stage_ = Stage::listing;
  Error error_;
  std::map<JobId, Job> jobs_;
  bool is_storage_open_ = false;  // or being opened: it is to be deleted unless all goes well

  std::uint32_t piece_length_ = 0;
  std::uint64_t bytes_done_ = 0;
  std::uint64_t bytes_total_ = 0;
  bool is_single_file_ = false;
  std::vector<FileSpec> files_;  // in manifest order
  std::vector<LeftOut> left_out_;
  std::vector<Hash> nodes_;  // a piece each, over all files

  // Where the next hash job begins.
  std::uint32_t next_file_ = 0;
  std::uint64_t next_offset_ = 0;
  std::uint64_t next_leaf_ = 0;
  std::uint64_t next_node_ = 0;

  std::optional<Manifest> manifest_;
};

}  // namespace peernet::transfer
