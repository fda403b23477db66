#pragma once

// Disk carries out the disk effects: jobs on libuv's thread pool, what waits long for the disk
// (sync, finish, delete) on a thread of its own, and reads that the page cache can answer at once,
// for handing them to a thread and back costs more than they do. It knows the storages by their
// ids. Every job is answered exactly once, on the loop's thread and never from within start().

#include <uv.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/effects.h"
#include "daemon/uv/file_cache.h"
#include "daemon/uv/storage.h"
#include "daemon/uv/worker.h"

namespace peernet::daemon {

inline constexpr std::size_t kOpenFilesMax = 128;

class Disk {
 public:
  class Inputs {
   public:
    virtual void on_file(JobId job, FileResult result) = 0;
    // After one or more inputs.
    virtual void carry_out() = 0;

   protected:
    ~Inputs() = default;
  };

  Disk(uv_loop_t* loop, StoragePlace place, Inputs& inputs);
  // Requires: is_idle(), and close() was called.
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  void start(OpenStorage wanted);
  void start(const CloseStorage& wanted);
  void start(WriteBlocks wanted);
  void start(const ReadBlocks& wanted);
  void start(ReadLeaves wanted);
  void start(WriteLeaves wanted);
  void start(ListTree wanted);
  void start(HashRange wanted);
  void start(Sync wanted);
  void start(FinishStorage wanted);
  void start(const DeleteStorage& wanted);
  // Answers the reads that were done at once; false if there were none. To be called after start().
  bool report_done();

  bool is_idle() const { return jobs_count_ == 0; }
  // Requires: is_idle().
  void close() { slow_.close(); }

 private:
  struct Job;
  struct Entry;
  using JobPtr = std::unique_ptr<Job>;
  template <class Wanted>
  JobPtr make_job(Wanted wanted);

  static void on_work(uv_work_t* request) noexcept;
  // NOLINTNEXTLINE(bugprone-exception-escape)
  static void on_after_work(uv_work_t* request, int status) noexcept;
  void queue(JobPtr job);
  void queue_slow(JobPtr job);
  void end_at_once(JobPtr job, FileResult result);
  void report(const JobPtr& job);
  void tell_generation(Job& job);

  uv_loop_t* loop_;
  const StoragePlace place_;
  Inputs& inputs_;
  FileCache cache_{kOpenFilesMax};
  std::map<StorageId, std::shared_ptr<Entry>> storages_;
  std::size_t jobs_count_ = 0;
  std::vector<JobPtr> done_;  // to be reported
  Worker slow_;
};

}  // namespace peernet::daemon
