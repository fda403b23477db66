#include "daemon/uv/disk.h"

#include <utility>
#include <variant>

#include "core/check.h"

namespace peernet::daemon {

// A storage and what still runs on it.
struct Disk::Entry {
  Entry(OpenStorage wanted, const StoragePlace& place, FileCache& cache)
      : storage(std::move(wanted), place, cache) {}

  Storage storage;
  std::size_t running_count = 0;
  JobPtr removal;  // starts when nothing runs any more
};

struct Disk::Job {
  using Wanted = std::variant<OpenStorage, WriteBlocks, ReadBlocks, ReadLeaves, WriteLeaves,
                              ListTree, HashRange, Sync, FinishStorage, DeleteStorage>;

  uv_work_t request{};
  Disk* disk = nullptr;
  Wanted wanted;
  std::shared_ptr<Entry> entry;  // null: no such storage, or none needed
  Generation told = 0;           // ReadBlocks: when it was asked for
  Generation seen = 0;           // ReadBlocks and WriteBlocks: when it was done
  FileResult result = Error{Errc::cancelled, "not run", ""};

  JobId id() const {
    return std::visit([](const auto& one) { return one.job; }, wanted);
  }
  StorageId storage_id() const {
    return std::visit(Overloaded{[](const ListTree&) { return StorageId{}; },
                                 [](const auto& one) { return one.storage; }},
                      wanted);
  }
  void run() {
    if (const auto* list = std::get_if<ListTree>(&wanted)) {
      result = list_tree(*list);
    } else if (entry == nullptr) {
      result = Error{Errc::not_found, "no such storage is open", ""};
    } else {
      result = run_on(entry->storage);
    }
  }
  FileResult run_on(Storage& storage) {
    return std::visit(
        Overloaded{
            [&](const OpenStorage&) { return storage.open(); },
            [&](const WriteBlocks& one) { return storage.write_blocks(one, seen); },
            [&](const ReadBlocks& one) { return storage.read_blocks(one, told, seen); },
            [&](const ReadLeaves& one) { return storage.read_leaves(one); },
            [&](const WriteLeaves& one) { return storage.write_leaves(one); },
            [&](const HashRange& one) { return storage.hash_range(one); },
            [&](const Sync&) { return storage.sync(); },
            [&](const FinishStorage& one) { return storage.finish(one); },
            [&](const DeleteStorage& one) { return storage.remove(one.is_data_deleted); },
            [&](const ListTree& one) { return list_tree(one); },
        },
        wanted);
  }
};

Disk::Disk(uv_loop_t* loop, StoragePlace place, Inputs& inputs)
    : loop_(loop),
      place_(std::move(place)),
      inputs_(inputs),
      slow_(loop, [this] { inputs_.carry_out(); }) {}

Disk::~Disk() {
  PN_CHECK(jobs_count_ == 0);
}

template <class Wanted>
Disk::JobPtr Disk::make_job(Wanted wanted) {
  auto job = std::make_unique<Job>();
  job->disk = this;
  job->request.data = job.get();
  job->wanted = std::move(wanted);
  auto found = storages_.find(job->storage_id());
  if (found != storages_.end()) job->entry = found->second;
  return job;
}

// ---- Commands
// -----------------------------------------------------------------------------------

void Disk::start(OpenStorage wanted) {
  const StorageId id = wanted.storage;
  // The job keeps the names only; the storage keeps the files.
  OpenStorage named;
  named.job = wanted.job;
  named.storage = id;
  storages_.insert_or_assign(id, std::make_shared<Entry>(std::move(wanted), place_, cache_));
  queue(make_job(std::move(named)));
}

void Disk::start(const CloseStorage& wanted) {
  storages_.erase(wanted.storage);
}

void Disk::start(WriteBlocks wanted) {
  queue(make_job(std::move(wanted)));
}

void Disk::start(const ReadBlocks& wanted) {
  auto job = make_job(wanted);
  if (job->entry != nullptr) {
    Storage& storage = job->entry->storage;
    job->told = storage.told(wanted.file_index);
    if (auto result = storage.read_cached(wanted, job->told, job->seen)) {
      end_at_once(std::move(job), *std::move(result));
      return;
    }
  }
  queue(std::move(job));
}

void Disk::end_at_once(JobPtr job, FileResult result) {
  job->result = std::move(result);
  ++jobs_count_;
  ++job->entry->running_count;
  done_.push_back(std::move(job));
}

bool Disk::report_done() {
  if (done_.empty()) return false;
  for (const JobPtr& job : std::exchange(done_, {})) report(job);
  return true;
}

void Disk::start(ReadLeaves wanted) {
  auto job = make_job(wanted);
  if (job->entry != nullptr) {
    if (auto result = job->entry->storage.read_leaves_cached(wanted)) {
      end_at_once(std::move(job), *std::move(result));
      return;
    }
  }
  queue(std::move(job));
}

void Disk::start(WriteLeaves wanted) {
  queue(make_job(std::move(wanted)));
}

void Disk::start(ListTree wanted) {
  queue(make_job(std::move(wanted)));
}

void Disk::start(HashRange wanted) {
  queue(make_job(wanted));
}

void Disk::start(Sync wanted) {
  queue_slow(make_job(wanted));
}

void Disk::start(FinishStorage wanted) {
  queue_slow(make_job(std::move(wanted)));
}

void Disk::start(const DeleteStorage& wanted) {
  auto job = make_job(wanted);
  storages_.erase(wanted.storage);
  if (job->entry == nullptr || job->entry->running_count == 0) {
    queue_slow(std::move(job));
    return;
  }
  const std::shared_ptr<Entry> entry = job->entry;
  ++jobs_count_;  // it counts while it waits
  entry->removal = std::move(job);
}

// ---- Running jobs
// -------------------------------------------------------------------------------

void Disk::queue(JobPtr job) {
  ++jobs_count_;
  if (job->entry != nullptr) ++job->entry->running_count;
  Job* running = job.release();  // comes back in on_after_work
  PN_CHECK(uv_queue_work(loop_, &running->request, on_work, on_after_work) == 0);
}

void Disk::queue_slow(JobPtr job) {
  ++jobs_count_;
  if (job->entry != nullptr) ++job->entry->running_count;
  // std::function must be copyable, and a unique_ptr is not.
  const std::shared_ptr<Job> shared(std::move(job));
  slow_.post({[shared] { shared->run(); },
              [this, shared] {
                auto ended = std::make_unique<Job>(std::move(*shared));
                report(ended);
              }});
}

void Disk::on_work(uv_work_t* request) noexcept {
  static_cast<Job*>(request->data)->run();
}

// An exception would end the process, as it should.
// NOLINTNEXTLINE(bugprone-exception-escape)
void Disk::on_after_work(uv_work_t* request, int) noexcept {
  const JobPtr job(static_cast<Job*>(request->data));
  Disk& disk = *job->disk;
  disk.report(job);
  disk.inputs_.carry_out();
}

void Disk::report(const JobPtr& job) {
  --jobs_count_;
  if (job->entry != nullptr) {
    tell_generation(*job);
    Entry& entry = *job->entry;
    if (--entry.running_count == 0 && entry.removal != nullptr) {
      --jobs_count_;
      queue_slow(std::move(entry.removal));
    }
  }
  if (std::holds_alternative<OpenStorage>(job->wanted) && !job->result) {
    // A storage that could not be opened is not known.
    auto found = storages_.find(job->storage_id());
    if (found != storages_.end() && found->second == job->entry) storages_.erase(found);
  }
  inputs_.on_file(job->id(), std::move(job->result));
}

void Disk::tell_generation(Job& job) {
  if (!job.result) return;
  if (const auto* read = std::get_if<ReadBlocks>(&job.wanted)) {
    const bool is_changed = std::get<BlocksRead>(*job.result).is_changed;
    job.entry->storage.on_told(read->file_index, job.seen, is_changed);
  } else if (const auto* write = std::get_if<WriteBlocks>(&job.wanted)) {
    job.entry->storage.on_told(write->file_index, job.seen, false);
  }
}

}  // namespace peernet::daemon
