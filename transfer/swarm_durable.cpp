// How what was received becomes durable: blocks and leaves go to the disk in jobs of many, a piece
// whose blocks are all written is had, what is written is synced and then said in the store, and
// when that is all that is wanted the share is finished. What was said of pieces that were not
// whole is gone on with.

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/identity.h"
#include "transfer/swarm.h"

namespace peernet::transfer {
namespace {

constexpr std::size_t kWriteBlocksMax = 64;  // in one disk job
// With so many jobs at the disk, fewer blocks than the goal, and leaves, wait until one of them has
// reported: a job for each handful costs more in hand-overs than in work.
constexpr std::uint32_t kWriteJobsBusy = 2;
constexpr std::size_t kWriteBlocksGoal = 32;
constexpr std::size_t kWriteLeavesMax = 4096;  // leaves in one disk job

// While so much waits for the disk, nothing more is asked for: it would cost memory that has to be
// found, and fall out of the caches before it is hashed, and those who have it keep it as well. But
// a disk that has not reported for so long pauses, and the network is kept busy meanwhile.
constexpr std::uint64_t kWritingMax = std::uint64_t{2} << 20U;
constexpr Duration kDiskPause = std::chrono::milliseconds(100);

// To the last run if it follows on it.
void add_block(std::vector<wire::BlockRun>& runs, std::uint32_t piece, std::uint16_t block) {
  if (!runs.empty() && runs.back().piece == piece &&
      runs.back().first_block + runs.back().count == block) {
    ++runs.back().count;
  } else {
    runs.push_back({piece, block, 1});
  }
}

}  // namespace

// ---- Written

Swarm::Arriving& Swarm::arriving() {
  if (!arriving_) arriving_ = std::make_unique<Arriving>();
  return *arriving_;
}

// What was given to the disk before is reported all the same.
void Swarm::Arriving::forget_leaves() {
  leaves.clear();
  leaf_requests.clear();
  leaves_unwritten.clear();
  waiting_for_leaves.clear();
}

const std::vector<Hash>* Swarm::leaves_of(std::uint32_t piece) const {
  if (!arriving_) return nullptr;
  const auto found = arriving_->leaves.find(piece);
  return found == arriving_->leaves.end() ? nullptr : &found->second;
}

void Swarm::forget_leaves(std::uint32_t piece) {
  if (arriving_ && !arriving_->leaves_unwritten.contains(piece)) arriving_->leaves.erase(piece);
}

void Swarm::begin_writing(Turn& turn, std::uint32_t size) {
  Arriving& arriving = this->arriving();
  if (arriving.writing == 0) arriving.disk_silent_since = turn.now;
  arriving.writing += size;
  turn.load.writing += size;
}

void Swarm::end_writing(Turn& turn, std::uint32_t size) {
  arriving_->writing -= size;
  turn.load.writing -= size;
}

std::optional<Time> Swarm::await_disk(Time now) {
  if (!arriving_) return std::nullopt;
  const Time until = arriving_->disk_silent_since + kDiskPause;
  arriving_->is_disk_awaited = arriving_->writing >= kWritingMax && now < until;
  return arriving_->is_disk_awaited ? std::optional(until) : std::nullopt;
}

void Swarm::flush_writes(Turn& turn) {
  if (!arriving_) return;
  auto& pending_leaves = arriving_->pending_leaves;
  auto& pending_blocks = arriving_->pending_blocks;
  if (arriving_->write_jobs >= kWriteJobsBusy && pending_blocks.size() < kWriteBlocksGoal) return;
  if (!pending_leaves.empty()) {
    const Layout& layout = metadata_.manifest().layout();
    std::ranges::sort(pending_leaves);
    std::size_t i = 0;
    while (i < pending_leaves.size()) {
      WriteLeavesJob job;
      WriteLeaves write{JobId{}, record_.storage, layout.piece(pending_leaves[i]).first_leaf, {}};
      for (; i < pending_leaves.size() && write.leaves.size() < kWriteLeavesMax; ++i) {
        const std::uint32_t piece = pending_leaves[i];
        if (layout.piece(piece).first_leaf != write.first + write.leaves.size()) break;
        const auto& leaves = arriving_->leaves.at(piece);
        write.leaves.insert(write.leaves.end(), leaves.begin(), leaves.end());
        job.pieces.push_back(piece);
      }
      write.job = add_job(turn, std::move(job));
      turn.out.push_back(std::move(write));
    }
    pending_leaves.clear();
  }
  if (pending_blocks.empty()) return;
  std::ranges::sort(pending_blocks, [](const PendingBlock& a, const PendingBlock& b) {
    return std::pair(a.file_index, a.write.offset) < std::pair(b.file_index, b.write.offset);
  });
  std::size_t i = 0;
  while (i < pending_blocks.size()) {
    WriteJob job;
    WriteBlocks write{JobId{}, record_.storage, pending_blocks[i].file_index, {}};
    for (; i < pending_blocks.size() && write.blocks.size() < kWriteBlocksMax; ++i) {
      PendingBlock& pending = pending_blocks[i];
      if (pending.file_index != write.file_index) break;
      job.blocks.push_back(pending.block);
      write.blocks.push_back(std::move(pending.write));
    }
    write.job = add_job(turn, std::move(job));
    ++arriving_->write_jobs;
    turn.out.push_back(std::move(write));
  }
  pending_blocks.clear();
}

void Swarm::on_blocks_written(Turn& turn, WriteJob& job, FileResult& result, Outcome& outcome) {
  if (!result) {
    for (const WrittenBlock& block : job.blocks) picker_->on_block_failed(block.piece, block.block);
    fail(turn, result.error());
    return;
  }
  const auto* written = std::get_if<BlocksWritten>(&*result);
  PN_CHECK(written != nullptr);
  const Layout& layout = metadata_.manifest().layout();
  std::vector<wire::BlockRun> early;      // blocks of pieces that are not whole
  std::vector<wire::BlockRun> passed_on;  // of them those that did not come from a seed
  std::vector<bool> is_wrong(job.blocks.size(), false);
  for (const std::uint32_t index : written->mismatched) is_wrong.at(index) = true;
  for (std::size_t i = 0; i < job.blocks.size(); ++i) {
    const WrittenBlock& block = job.blocks[i];
    if (is_wrong[i]) {
      wasted_ += block.size;
      picker_->on_block_failed(block.piece, block.block);
      outcome.liars.push_back({block.conn, block.peer, block.endpoint});
      continue;
    }
    downloaded_ += block.size;
    dirty_bytes_ += block.size;
    down_.add(turn.now, block.size);
    last_data_ = turn.now;
    if (const auto peer = turn.peers.find(block.conn); peer != turn.peers.end()) {
      peer->second.received.add(turn.now, block.size);
    }
    verified_.set(static_cast<std::uint32_t>(layout.piece(block.piece).first_leaf + block.block));
    if (picker_->on_block_written(block.piece, block.block)) {
      on_piece_written(turn, block.piece);
    } else {
      add_block(early, block.piece, block.block);
      if (!is_seed(turn, block.conn)) add_block(passed_on, block.piece, block.block);
    }
  }
  const auto is_active = [this](const wire::BlockRun& run) {
    return picker_->state(run.piece) == Picker::PieceState::active;
  };
  for (const wire::BlockRun& run : early) {
    if (is_active(run)) tell_blocks(turn, run);
  }
  for (const wire::BlockRun& run : passed_on) {
    if (is_active(run)) tell_seeds(turn, run);
  }
  maybe_sync(turn);
}

void Swarm::on_piece_written(Turn& turn, std::uint32_t piece) {
  if (arriving_ && arriving_->leaves_unwritten.contains(piece)) {
    arriving_->waiting_for_leaves.insert(piece);
  } else {
    on_piece_had(turn, piece);
  }
}

void Swarm::on_leaves_written(Turn& turn, const WriteLeavesJob& job, const FileResult& result) {
  if (!result) {
    fail(turn, result.error());
    return;
  }
  for (const std::uint32_t piece : job.pieces) {
    arriving_->leaves_unwritten.erase(piece);
    dirty_bytes_ += std::uint64_t{metadata_.manifest().layout().blocks_count(piece)} * Hash::kSize;
    if (arriving_->waiting_for_leaves.erase(piece) > 0) {
      on_piece_had(turn, piece);
    } else if (const auto state = picker_->state(piece);
               state == Picker::PieceState::missing || state == Picker::PieceState::unwanted) {
      arriving_->leaves.erase(piece);  // released while it waited
    }
  }
}

void Swarm::on_piece_had(Turn& turn, std::uint32_t piece) {
  forget_leaves(piece);
  served_.set(piece);
  done_bytes_ += metadata_.manifest().layout().piece_size(piece);
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    PeerShare& share = *peer.find_share(record_.id);
    if (share.is_state_sent) {
      // Who lacks nothing only counts it, and we ask it for more all the time: a packet for each
      // piece would cost both sides much.
      const wire::Have message{*share.channel, piece};
      if (share.has && share.has->all() && !peer.is_choking) {
        peer.send_later(message);
      } else {
        peer.send(message);
      }
    }
    if (share.is_interesting) update_interest(peer, share);
    peer.flush(turn.out);
  }
  maybe_sync(turn);
  if (is_sequential_) update_urgent();
  serve_reads(turn);
  if (holds_wanted(served_)) tell_state(turn);
}

// All of it, also of one that is not whole: which of its blocks is wrong is not looked for.
void Swarm::lose_piece(Turn& turn, std::uint32_t piece) {
  if (!drop_piece(piece)) return;
  save_synced(turn, synced());
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    update_interest(peer, *peer.find_share(record_.id));
    peer.flush(turn.out);
  }
  tell_state(turn);
}

// Nothing of it is here any more; the store is not told. Gives whether anything was.
bool Swarm::drop_piece(std::uint32_t piece) {
  if (served_.reset(piece)) {
    done_bytes_ -= metadata_.manifest().layout().piece_size(piece);
  } else if (!picker_->has_part(piece)) {
    return false;
  }
  if (record_.stage == ShareStage::complete && !is_repairing_) {
    picker_->give_up(piece);
  } else {
    picker_->set_missing(piece);
  }
  forget_leaves(piece);
  durable_.lose(piece);
  durable_bytes_ = bytes_of(durable_);
  // What is being synced or saved was so before.
  for (auto& [job, numbered] : jobs_) {
    if (auto* sync = std::get_if<SyncJob>(&numbered.job)) sync->written.lose(piece);
  }
  for (auto& [job, saved] : saves_) saved.synced.lose(piece);
  return true;
}

void Swarm::drop_pending(Turn& turn) {
  if (!arriving_) return;
  for (const PendingBlock& pending : arriving_->pending_blocks) {
    end_writing(turn, pending.block.size);
  }
  arriving_->pending_blocks.clear();
  arriving_->pending_leaves.clear();
}

// ---- Synced

void Swarm::maybe_sync(Turn& turn) {
  if (!is_open_ || is_syncing_ || dirty_bytes_ == 0 || !picker_) return;
  const bool is_due = turn.now - last_sync_ >= kSyncInterval || dirty_bytes_ >= kSyncBytesMax ||
                      holds_wanted(served_) || record_.is_paused;
  if (!is_due) return;
  is_syncing_ = true;
  last_sync_ = turn.now;
  dirty_bytes_ = 0;
  turn.out.push_back(Sync{add_job(turn, SyncJob{written()}), record_.storage});
}

void Swarm::on_synced(Turn& turn, SyncJob job, const FileResult& result) {
  is_syncing_ = false;
  if (!result) {
    // The kernel may report a failed write once and then forget it: nothing since the last good
    // sync is believed. What is durable is what resume starts from.
    fail(turn, result.error());
    return;
  }
  if (job.written != synced()) save_synced(turn, std::move(job.written));
  maybe_sync(turn);
}

// What a sync that begins now makes durable, with all before it. Blocks of a piece whose leaf
// hashes are not written could not be checked before they are served. What a repair has begun is
// not gone on with later.
Progress Swarm::written() const {
  Progress written{served_, {}};
  if (record_.stage == ShareStage::complete) return written;
  written.parts = picker_->parts();
  if (!arriving_) return written;
  for (const std::uint32_t piece : arriving_->leaves_unwritten) written.parts.erase(piece);
  return written;
}

// ---- Gone on with

// The leaf hashes of these pieces were synced with their blocks, and are read from the disk: so
// they are under way before all others, also where nobody connected has them whole, and those who
// have parts of a piece can go on among themselves.
void Swarm::resume_parts(Turn& turn) {
  const Layout& layout = metadata_.manifest().layout();
  for (const auto& [piece, blocks] : synced().parts) {
    if (!picker_->resume(piece, blocks)) continue;
    turn.out.push_back(ReadLeaves{add_job(turn, ResumePieceJob{piece, blocks}), record_.storage,
                                  layout.piece(piece).first_leaf, blocks.size()});
  }
}

void Swarm::on_part_leaves_read(Turn& turn, const ResumePieceJob& job, FileResult& result) {
  const bool is_waiting =
      picker_->state(job.piece) == Picker::PieceState::preparing && picker_->has_part(job.piece);
  if (!is_waiting) return;  // not wanted any more
  const bool is_fault =
      !result && result.error().code != Errc::not_found && result.error().code != Errc::corrupt;
  // The second time for the same piece it is that place of the disk, and no passing fault.
  if (is_fault && std::exchange(part_unreadable_, job.piece) != job.piece) {
    fail(turn, result.error());
    return;
  }
  auto* read = result ? std::get_if<LeavesRead>(&*result) : nullptr;
  if (read == nullptr ||
      !metadata_.layers().check_leaves(metadata_.manifest(), job.piece, read->leaves)) {
    // The store may say what it says: the next time it is found out again.
    drop_piece(job.piece);
    return;
  }
  picker_->activate(job.piece);
  arriving().leaves[job.piece] = std::move(read->leaves);
  tell_part(turn, job.piece, job.blocks);
}

// ---- Said in the store

void Swarm::save(Turn& turn, SaveKind kind, Record record, Progress synced) {
  const JobId job = turn.next_job(record_.id);
  saves_.emplace(job, SaveJob{kind, std::move(synced)});
  turn.out.push_back(Save{job, std::move(record)});
}

void Swarm::save_record(Turn& turn, SaveKind kind) {
  if (is_listing_) return;
  ShareRecord record = record_;
  if (durable_.pieces.size() > 0) {  // the manifest is known, and was taken
    record.manifest = metadata_.manifest().encoded();
    record.piece_layers = metadata_.layers().encoded();
  }
  save(turn, kind, std::move(record));
}

// Their bytes are held once, by metadata_.
void Swarm::forget_encoded() {
  // Not `= {}`, which keeps the memory.
  record_.manifest = Bytes();
  record_.piece_layers = Bytes();
}

void Swarm::save_progress(Turn& turn) {
  if (!metadata_.is_complete() || is_listing_) return;
  last_progress_save_ = turn.now;
  saved_uploaded_ = uploaded_;
  save_synced(turn, synced());
}

void Swarm::save_synced(Turn& turn, Progress synced) {
  ProgressRecord record{record_.id, synced.pieces.pack(), pack_parts(synced.parts), downloaded_,
                        uploaded_};
  save(turn, SaveKind::progress, std::move(record), std::move(synced));
}

// What the store has when it has saved all that it was given.
const Progress& Swarm::synced() const {
  const auto newest = std::find_if(saves_.rbegin(), saves_.rend(), [](const auto& entry) {
    return entry.second.kind == SaveKind::progress;
  });
  return newest == saves_.rend() ? durable_ : newest->second.synced;
}

void Swarm::on_saved(Turn& turn, JobId job, const Result<void>& result) {
  const auto found = saves_.find(job);
  PN_CHECK(found != saves_.end());
  SaveJob saved = std::move(found->second);
  saves_.erase(found);
  if (!result) {
    if (saved.kind == SaveKind::removed) {
      removal_ = result.error();
      is_removed_ = true;
      return;
    }
    // So that it is recorded, and told, when the share is resumed.
    if (saved.kind == SaveKind::complete) record_.completed = {};
    fail(turn, result.error());
    continue_removal(turn);
    return;
  }
  switch (saved.kind) {
    case SaveKind::record: break;
    case SaveKind::progress: {
      // Also when the share has failed meanwhile: it was synced, and it is what resume starts from.
      durable_ = std::move(saved.synced);
      const std::uint64_t before = std::exchange(durable_bytes_, bytes_of(durable_));
      if (durable_bytes_ <= before || error_) break;
      turn.events.emplace_back(Durable{record_.id, durable_bytes_});
      on_all_durable(turn);
      break;
    }
    case SaveKind::finishing:
      if (!is_open_ || is_removing_) break;
      finish_storage(turn);
      break;
    case SaveKind::complete:
      if (record_.stage != ShareStage::complete) break;  // more was asked for meanwhile
      completed_ = turn.now;
      turn.events.emplace_back(Completed{record_.id});
      if (hooks_.completed) run_hook(turn, Hook::completed);
      tell_state(turn);
      break;
    case SaveKind::removed: is_removed_ = true; break;
  }
  continue_removal(turn);
}

// ---- All of it

void Swarm::on_all_durable(Turn& turn) {
  if (!holds_wanted(durable_.pieces) || is_removing_) return;
  if (is_repairing_) {
    if (!verification_) finish_storage(turn);
    return;
  }
  if (record_.stage == ShareStage::complete || scan_) return;
  if (is_scan_due()) {
    start_scan(turn);
    return;
  }
  if (record_.stage == ShareStage::extending) {
    finish_storage(turn);
    return;
  }
  record_.stage = ShareStage::finishing;
  save_record(turn, SaveKind::finishing);
  tell_state(turn);
}

void Swarm::on_finished(Turn& turn, const FileResult& result) {
  if (!result) {
    Error error = result.error();
    if (error.code == Errc::exists) {
      error.hint = "move it away; to go on at once: peernet resume " + to_short_text(record_.id);
    }
    fail(turn, std::move(error));
    return;
  }
  if (is_repairing_) {
    is_repairing_ = false;
    turn.events.emplace_back(Completed{record_.id});
    tell_state(turn);
    return;
  }
  record_.stage = ShareStage::complete;
  record_.completed = turn.wall;
  // More of it may have been asked for meanwhile.
  const std::vector<bool> finished = wanted_files_;
  select_files();
  if (wanted_files_ != finished) {
    extend(turn);
    return;
  }
  save_record(turn, SaveKind::complete);
}

}  // namespace peernet::transfer
