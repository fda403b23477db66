#include "test/sim/store.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace peernet::sim {

Store::Store(Timeline& timeline, Rng rng, Report report)
    : timeline_(timeline), rng_(rng), report_(std::move(report)) {}

void Store::save(Save job) {
  pending_.push_back(std::move(job));
  plan();
}

// One commit for all that waits, as the daemon does it.
void Store::plan() {
  if (is_planned_ || pending_.empty()) return;
  is_planned_ = true;
  const auto base = static_cast<std::uint64_t>(options.latency.count());
  timeline_.after(Duration{static_cast<std::int64_t>(base + rng_.below(base + 1))},
                  [this, incarnation = incarnation_] {
                    if (incarnation != incarnation_) return;
                    is_planned_ = false;
                    commit();
                  });
}

void Store::commit() {
  const bool is_broken = options.errors > 0 && rng_.unit() < options.errors;
  auto batch = std::move(pending_);
  pending_.clear();
  if (!is_broken) {
    for (const Save& job : batch) apply(job.record);
  }
  for (const Save& job : batch) {
    report_(job.job, is_broken ? Result<void>(Error{Errc::io, "the store cannot be written", {}})
                               : Result<void>());
  }
  plan();
}

void Store::crash() {
  ++incarnation_;
  is_planned_ = false;
  const std::uint64_t lucky = rng_.below(pending_.size() + 1);
  for (std::uint64_t i = 0; i < lucky; ++i) apply(pending_[i].record);
  pending_.clear();
}

void Store::apply(const Record& record) {
  std::visit(Overloaded{
                 [&](const ShareRecord& share) {
                   const auto found =
                       std::find_if(shares_.begin(), shares_.end(),
                                    [&](const ShareRecord& known) { return known.id == share.id; });
                   if (found == shares_.end()) {
                     shares_.push_back(share);
                   } else {
                     *found = share;
                   }
                 },
                 [&](const ProgressRecord& progress) { progress_[progress.id] = progress; },
                 [&](const ShareRemoved& removed) {
                   std::erase_if(shares_,
                                 [&](const ShareRecord& share) { return share.id == removed.id; });
                   progress_.erase(removed.id);
                 },
                 [&](const DhtRecord& dht) { dht_ = dht; },
                 [&](const PeerRecord& peer) { peers_[peer.id] = peer; },
                 [&](const BanRecord& ban) {
                   if (ban.is_lifted) {
                     bans_.erase(ban.id);
                   } else {
                     bans_[ban.id] = ban;
                   }
                 },
             },
             record);
}

Saved Store::saved() const {
  Saved saved;
  saved.shares = shares_;
  for (const auto& [id, progress] : progress_) saved.progress.push_back(progress);
  saved.dht = dht_;
  for (const auto& [id, peer] : peers_) saved.peers.push_back(peer);
  std::stable_sort(saved.peers.begin(), saved.peers.end(),
                   [](const PeerRecord& a, const PeerRecord& b) { return a.seen > b.seen; });
  for (const auto& [id, ban] : bans_) saved.bans.push_back(ban);
  return saved;
}

const ShareRecord* Store::share(const ShareId& id) const {
  for (const ShareRecord& share : shares_) {
    if (share.id == id) return &share;
  }
  return nullptr;
}

}  // namespace peernet::sim
