// Hashing again all that a share claims, and putting right what was found damaged. A piece found
// damaged is neither served nor claimed from then on; of a share at its place it is fetched again
// only when repair was asked for.

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/identity.h"
#include "transfer/swarm.h"

namespace peernet::transfer {

namespace {

constexpr std::uint32_t kVerifyJobsMax = 4;             // at the disk at a time
constexpr std::uint64_t kVerifyReadSize = 2ULL << 20U;  // bytes of one
constexpr std::size_t kDamagedRangesMax = 1000;         // told; the counts are whole

}  // namespace

Result<void> Swarm::verify(Turn& turn, bool is_repair) {
  if (is_removing_) {
    return Error{Errc::refused, "this share is just being removed", "try again in a moment"};
  }
  if (!metadata_.is_complete() || is_listing_) {
    return Error{Errc::unavailable, "it is not known yet what this share contains",
                 "there is nothing of it to verify"};
  }
  if (record_.stage == ShareStage::extending) {
    return Error{Errc::refused, "more of this share is just being fetched",
                 "verify it when that is done"};
  }
  if (verification_ || is_repairing_) {
    return Error{
        Errc::refused,
        verification_ ? "this share is being verified already" : "this share is being repaired",
        "peernet status " + to_short_text(record_.id)};
  }
  verification_ = std::make_unique<Verification>();
  verification_->is_repair_wanted = is_repair;
  verification_->claimed = picker_ ? served_ : durable_.pieces;
  verification_->total = bytes_of(verification_->claimed);
  if (error_) {
    // Whatever stopped it: what is there is looked at.
    error_.reset();
    // Files may be missing: a writable storage takes that.
    is_repairing_ = is_repair && record_.stage == ShareStage::complete;
    open_storage(turn);
    tell_state(turn);
  }
  pump_verification(turn);
  return {};
}

void Swarm::cancel_verify(Turn& turn) {
  end_verification(turn, Error{Errc::cancelled, "whoever asked for it went away", {}});
  if (is_repairing_ && picker_) on_all_durable(turn);
}

void Swarm::end_verification(Turn& turn, Error error) {
  if (!verification_) return;
  verification_.reset();
  turn.events.emplace_back(Verified{record_.id, std::move(error)});
}

// The next range to be read: claimed pieces that follow each other in one file.
std::optional<Swarm::VerifyJob> Swarm::next_verify_job() {
  Verification& run = *verification_;
  const Layout& layout = metadata_.manifest().layout();
  VerifyJob job;
  if (!run.singles.empty()) {
    job.piece = run.singles.back();
    run.singles.pop_back();
    const Piece piece = layout.piece(job.piece);
    job.file_index = piece.file_index;
    job.offset = piece.offset;
    job.size = piece.size;
    return job;
  }
  const auto first = run.claimed.next_set(run.next_piece);
  if (!first) return std::nullopt;
  const Piece piece = layout.piece(*first);
  job.piece = *first;
  job.file_index = piece.file_index;
  job.offset = piece.offset;
  job.size = piece.size;
  run.next_piece = *first + 1;
  const Layout::File& file = layout.file(piece.file_index);
  const std::uint32_t end = file.first_piece + file.pieces_count;
  while (run.next_piece < end && run.claimed.test(run.next_piece)) {
    const std::uint64_t size = std::uint64_t{job.size} + layout.piece_size(run.next_piece);
    if (size > kVerifyReadSize) break;
    job.size = static_cast<std::uint32_t>(size);
    ++job.more_pieces;
    ++run.next_piece;
  }
  return job;
}

void Swarm::pump_verification(Turn& turn) {
  if (!verification_ || !picker_ || !is_open_) return;
  while (verification_->jobs_count < kVerifyJobsMax) {
    const auto job = next_verify_job();
    if (!job) break;
    ++verification_->jobs_count;
    const std::uint64_t first_leaf = metadata_.manifest().layout().piece(job->piece).first_leaf;
    turn.out.push_back(ReadBlocks{add_job(turn, *job), record_.storage, job->file_index,
                                  job->offset, job->size, first_leaf, false});
  }
  if (verification_->jobs_count == 0) on_all_verified(turn);
}

void Swarm::on_range_verified(Turn& turn, const VerifyJob& job, const FileResult& result) {
  if (!verification_) return;  // cancelled
  Verification& run = *verification_;
  --run.jobs_count;
  const Layout& layout = metadata_.manifest().layout();
  if (result) {
    run.done += job.size;
    const std::uint64_t first_leaf = layout.piece(job.piece).first_leaf;
    const std::uint64_t leaves_count = (std::uint64_t{job.size} + kBlockSize - 1) / kBlockSize;
    for (std::uint64_t i = 0; i < leaves_count; ++i) {
      verified_.set(static_cast<std::uint32_t>(first_leaf + i));
    }
  } else if (job.more_pieces > 0) {
    // Which of them it is, each of them tells.
    for (std::uint32_t i = 0; i <= job.more_pieces; ++i) run.singles.push_back(job.piece + i);
  } else {
    run.done += job.size;
    run.damaged.push_back(job.piece);
    run.damaged_bytes += job.size;
    // What was lost meanwhile is being fetched again.
    if (served_.test(job.piece)) lose_piece(turn, job.piece);
  }
  turn.events.emplace_back(VerifyProgress{record_.id, run.done, run.total, run.damaged_bytes});
  pump_verification(turn);
}

void Swarm::on_all_verified(Turn& turn) {
  Verification run = std::move(*verification_);
  verification_.reset();
  const Layout& layout = metadata_.manifest().layout();
  VerifyOutcome outcome;
  outcome.bytes = run.total;
  outcome.damaged_bytes = run.damaged_bytes;
  outcome.damaged_count = static_cast<std::uint32_t>(run.damaged.size());
  std::ranges::sort(run.damaged);
  for (const std::uint32_t index : run.damaged) {
    const Piece piece = layout.piece(index);
    const std::string& path = metadata_.manifest().files()[piece.file_index].path;
    if (!outcome.damaged.empty()) {
      DamagedRange& last = outcome.damaged.back();
      if (last.path == path && last.offset + last.size == piece.offset) {
        last.size += piece.size;
        continue;
      }
    }
    if (outcome.damaged.size() < kDamagedRangesMax) {
      outcome.damaged.push_back({path, piece.offset, piece.size});
    }
  }
  const bool is_lacking = record_.stage == ShareStage::complete && !holds_wanted(served_);
  const bool is_to_repair = run.is_repair_wanted && is_lacking;
  outcome.is_repairing = is_to_repair;
  outcome.is_fetched_again = record_.stage != ShareStage::complete && !run.damaged.empty();
  turn.events.emplace_back(Verified{record_.id, std::move(outcome)});
  if (is_repairing_) {
    on_all_durable(turn);
  } else if (is_to_repair) {
    begin_repair(turn);
  }
}

// The storage is opened anew, to be written to where it stands.
void Swarm::begin_repair(Turn& turn) {
  is_repairing_ = true;
  reopen_storage(turn);
  tell_state(turn);
}

void Swarm::on_opened_for_repair(Turn& turn, const StorageOpened& opened) {
  if (!picker_) begin_exchange(turn);
  const Layout& layout = metadata_.manifest().layout();
  for (auto piece = served_.next_set(0); piece; piece = served_.next_set(*piece + 1)) {
    const Piece at = layout.piece(*piece);
    const std::uint64_t size =
        at.file_index < opened.file_sizes.size() ? opened.file_sizes[at.file_index] : 0;
    if (at.offset + at.size > size) lose_piece(turn, *piece);
  }
  want(turn, wanted_);
  tell_state(turn);
  if (holds_wanted(served_)) on_all_durable(turn);
}

}  // namespace peernet::transfer
