#pragma once

// Store is the simulated database of one host: what was committed, by key, and the commits that are
// under way. Commits keep their order and take time; a crash loses those that are pending, of which
// the first few may have been written without anybody having been told.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "core/effects.h"
#include "core/records.h"
#include "core/rng.h"
#include "test/sim/timeline.h"

namespace peernet::sim {

struct StoreOptions {
  Duration latency{3'000};  // of a commit; up to twice it
  double errors = 0;        // of a commit
};

class Store {
 public:
  using Report = std::function<void(JobId, const Result<void>&)>;

  Store(Timeline& timeline, Rng rng, Report report);

  void save(Save job);
  // The process ended.
  void crash();

  StoreOptions options;

  // What the next start is given.
  Saved saved() const;
  const std::map<ShareId, ProgressRecord>& progress() const { return progress_; }
  const ShareRecord* share(const ShareId& id) const;
  std::size_t jobs_count() const { return pending_.size(); }

 private:
  void plan();
  void commit();
  void apply(const Record& record);

  Timeline& timeline_;
  Rng rng_;
  Report report_;
  std::deque<Save> pending_;
  bool is_planned_ = false;
  std::uint64_t incarnation_ = 0;

  std::vector<ShareRecord> shares_;
  std::map<ShareId, ProgressRecord> progress_;
  DhtRecord dht_;
  std::map<PeerId, PeerRecord> peers_;
  std::map<PeerId, BanRecord> bans_;
};

}  // namespace peernet::sim
