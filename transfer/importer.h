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
#include "transfer/events.h"
#include "transfer/manifest.h"

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
  // Of files in one job: enough that handing it to a thread costs little beside it, and few enough
  // that a cancelled import, and whoever else waits for the disk, need not wait long.
  static constexpr std::size_t kPartsMax = 64;

  // `storage` is a number never used before.
  Importer(ImportId id, AddRequest request, StorageId storage, const ManifestLimits& limits = {});

  void start(Time now, JobIds& jobs, Effects& out);
  // true: the job was its own; only then is the result taken. Errors it ends with: what ListTree,
  // OpenStorage and HashRange say; refused (a name that is not safe or portable, nothing to share,
  // a piece length that is none); too_large (over a limit of the manifest); corrupt (a file changed
  // while it was read).
  bool on_file(Time now, JobId job, FileResult&& result, JobIds& jobs, Effects& out);
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
  // Requires: stage() is failed or cancelled.
  const Error& error() const;
  // Requires: stage() is done. Once.
  Outcome take_outcome();

 private:
  enum class JobKind : std::uint8_t { list, open, hash, sync, drop };
  struct Job {
    JobKind kind{};
    std::vector<FilePart> parts{};  // of hash
  };

  bool is_over() const { return stage_ >= Stage::done; }
  JobId begin(Job job, JobIds& jobs);
  Result<void> on_listed(TreeListed listed, JobIds& jobs, Effects& out);
  // Takes out what the request excludes, and says so in left_out: a directory once.
  void exclude(TreeListed& listed) const;
  void open(JobIds& jobs, Effects& out);
  void hash_more(JobIds& jobs, Effects& out);
  HashRange next_range();
  void on_hashed(const Job& job, const RangeHashed& hashed);
  void sync(JobIds& jobs, Effects& out);
  Error explained(const Error& error) const;
  void end(Stage stage, Error error, JobIds& jobs, Effects& out);
  void drop_when_idle(JobIds& jobs, Effects& out);

  ImportId id_;
  AddRequest request_;
  ManifestLimits limits_;
  StorageId storage_;
  Stage stage_ = Stage::listing;
  Error error_;
  std::map<JobId, Job> jobs_;
  bool is_storage_known_ = false;  // to the disk; it is deleted unless all goes well
  std::uint64_t bytes_done_ = 0;
  std::uint64_t bytes_total_ = 0;
  std::vector<LeftOut> left_out_;
  // From the list on, so that whatever a manifest may not be is known before the first byte is
  // read. Its roots are zero until every piece is hashed.
  std::optional<Manifest> manifest_;
  std::vector<Hash> roots_;  // of the files, as far as they are known
  Bytes piece_layers_;
  // Where the next hash job begins.
  std::uint32_t next_file_ = 0;
  std::uint64_t next_offset_ = 0;
};

}  // namespace peernet::transfer
