// The life of a share: opening, pausing, failing, removing. The exchange with peers is in
// swarm_exchange.cpp, how it becomes durable in swarm_durable.cpp, what it says about itself in
// swarm_status.cpp.

#include "transfer/swarm.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/identity.h"
#include "transfer/share_key.h"

namespace peernet::transfer {

namespace {

constexpr Duration kProgressSaveInterval = std::chrono::minutes(1);
constexpr Duration kRetryFirst = std::chrono::seconds(5);  // doubles from there
constexpr Duration kRetryMax = std::chrono::minutes(5);
constexpr std::uint64_t kSpareBytes = 16ULL << 20U;  // left free on the disk for everyone else

}  // namespace

Swarm::Swarm(ShareRecord record, const ManifestRules& rules, Rng rng)
    : record_(std::move(record)),
      key_(dht_key(record_.id)),
      picker_seed_(rng.draw_seed()),
      steering_seed_(rng.draw_seed()),
      metadata_(record_.id, rules) {}

// ---- Life

void Swarm::start_new(Turn& turn) {
  started_ = turn.now;
  save_record(turn, SaveKind::record);
  tell_state(turn);
}

void Swarm::start_listing(Turn& turn) {
  is_listing_ = true;
  start_new(turn);
}

void Swarm::start_saved(Turn& turn, const ProgressRecord* progress) {
  started_ = turn.now;
  limits_.change(turn.now, {record_.limit_up, record_.limit_down});
  if (progress != nullptr) {
    downloaded_ = progress->downloaded;
    uploaded_ = progress->uploaded;
    saved_uploaded_ = uploaded_;
  }
  if (record_.manifest.empty()) {
    tell_state(turn);
    return;
  }
  if (const auto restored = metadata_.restore(record_.manifest, record_.piece_layers); !restored) {
    fail(turn, restored.error(), Failing::for_good);
    return;
  }
  forget_encoded();
  select_files();
  const Layout& layout = metadata_.manifest().layout();
  const std::uint32_t pieces_count = layout.pieces_count();
  const bool is_complete = record_.stage == ShareStage::complete;
  durable_.pieces = is_complete ? wanted_ : Bitfield(pieces_count);
  if (progress != nullptr) {
    // A record that is damaged: start from nothing, or from what the rename stands for.
    durable_.pieces =
        Bitfield::unpack(progress->durable, pieces_count).value_or(std::move(durable_.pieces));
    // What a repair had begun is begun anew when it is asked for again.
    if (!is_complete) durable_.parts = unpack_parts(progress->parts, layout);
    std::erase_if(durable_.parts, [&](const auto& part) {
      return durable_.pieces.test(part.first) || !wanted_.test(part.first);
    });
  }
  durable_bytes_ = bytes_of(durable_);
  open_storage(turn);
  tell_state(turn);
}

void Swarm::start_imported(Turn& turn, Manifest manifest, Bytes piece_layers) {
  started_ = turn.now;
  const auto adopted = metadata_.adopt(std::move(manifest), std::move(piece_layers));
  PN_CHECK(adopted.has_value());
  select_files();
  Bitfield all(metadata_.manifest().layout().pieces_count());
  all.set_all();
  durable_.pieces = std::move(all);
  is_open_ = true;
  begin_exchange(turn);
  verified_.set_all();
  save_record(turn, SaveKind::record);
  save_synced(turn, durable_);
  tell_state(turn);
}

std::string Swarm::top() const {
  const bool is_placed =
      record_.stage == ShareStage::complete || record_.stage == ShareStage::extending;
  return is_placed ? record_.name : "." + to_text(record_.id) + ".part";
}

void Swarm::open_storage(Turn& turn) {
  if (is_opening_ || is_open_) return;
  if (wanted_bytes_ == 0 && !is_removing_) {
    // It ends here: nothing of it was written, and nothing is to be.
    removal_ = Error{Errc::not_found, "no file with any byte in it is named by what was asked for",
                     "peernet fetch -n shows the files of the link"};
    is_reopened_ = true;
    remove(turn, false);
    return;
  }
  const Manifest& manifest = metadata_.manifest();
  OpenStorage open;
  open.storage = record_.storage;
  open.parent = record_.parent;
  open.top = top();
  if (record_.stage == ShareStage::fetching && !is_removing_) open.must_be_free = record_.name;
  open.is_single_file = manifest.is_single_file();
  open.is_writable = record_.stage != ShareStage::complete || is_repairing_;
  open.files = file_specs();
  open.leaves_count = manifest.layout().leaves_count();
  open.job = add_job(turn, OpenJob{});
  is_opening_ = true;
  turn.out.push_back(std::move(open));
}

// What was read through the storage as it was is not believed of the new one.
void Swarm::reopen_storage(Turn& turn) {
  ++generation_;
  verified_.reset_all();
  turn.out.push_back(CloseStorage{record_.storage});
  is_open_ = false;
  open_storage(turn);
}

void Swarm::on_opened(Turn& turn, FileResult& result) {
  is_opening_ = false;
  if (is_removing_) {
    is_open_ = result.has_value();
    return;
  }
  if (!result) {
    Error error = result.error();
    if (error.code == Errc::not_found && record_.stage == ShareStage::fetching) {
      error.hint =
          "make that directory; to go on at once: peernet resume " + to_short_text(record_.id);
    }
    fail(turn, std::move(error));
    return;
  }
  is_open_ = true;
  const auto* opened = std::get_if<StorageOpened>(&*result);
  PN_CHECK(opened != nullptr);
  if (is_repairing_) {
    on_opened_for_repair(turn, *opened);
  } else if (record_.stage == ShareStage::complete) {
    error_.reset();
    begin_exchange(turn);
    if (record_.completed == WallTime{}) {
      // The last run ended between the rename and the record of it.
      record_.completed = turn.wall;
      save_record(turn, SaveKind::complete);
    }
    tell_state(turn);
  } else {
    on_opened_unfinished(turn, *opened);
  }
}

void Swarm::on_opened_unfinished(Turn& turn, const StorageOpened& opened) {
  // Less what lies beyond the end of a file: that is not there, whatever the store says.
  const Layout& layout = metadata_.manifest().layout();
  Progress have = synced();
  have.cut(layout, opened.file_sizes);
  if (record_.stage == ShareStage::finishing) {
    if (std::ranges::all_of(opened.file_sizes, [](std::uint64_t size) { return size == 0; })) {
      // The last thing before the end of the last run was the rename.
      record_.stage = ShareStage::complete;
      if (!metadata_.manifest().is_single_file()) {
        // And more may have been asked for since then, if only an empty file.
        record_.stage = ShareStage::extending;
        save_record(turn, SaveKind::record);
      }
      turn.out.push_back(CloseStorage{record_.storage});
      is_open_ = false;
      open_storage(turn);
      return;
    }
    if (!holds_wanted(have.pieces)) record_.stage = ShareStage::fetching;
  }
  const std::uint64_t needed = wanted_bytes_ - std::min(wanted_bytes_, opened.allocated_bytes);
  if (!holds_wanted(have.pieces) && opened.free_bytes < needed + kSpareBytes) {
    fail(turn, Error{Errc::no_space,
                     "not enough space in " + record_.parent + ": " + std::to_string(needed) +
                         " bytes are needed and " + std::to_string(kSpareBytes) + " to spare, " +
                         std::to_string(opened.free_bytes) + " are free",
                     "make room; to go on at once: peernet resume " + to_short_text(record_.id)});
    return;
  }
  if (have != synced()) {
    durable_.cut(layout, opened.file_sizes);
    durable_bytes_ = bytes_of(durable_);
    for (auto& [job, saved] : saves_) {
      if (saved.kind == SaveKind::progress) saved.synced.cut(layout, opened.file_sizes);
    }
    save_synced(turn, have);
  }
  error_.reset();
  if (picker_) {
    for (auto piece = served_.next_set(0); piece; piece = served_.next_set(*piece + 1)) {
      if (!have.pieces.test(*piece)) lose_piece(turn, *piece);
    }
    const Parts begun = picker_->parts();
    Progress left{served_, begun};
    left.cut(layout, opened.file_sizes);
    for (const auto& [piece, blocks] : begun) {
      const auto found = left.parts.find(piece);
      if (found == left.parts.end() || found->second != blocks) lose_piece(turn, piece);
    }
    want(turn, wanted_);
    serve_reads(turn);
    on_all_durable(turn);
  } else if (holds_wanted(have.pieces) && is_scan_due()) {
    // The last run ended before its scan had let it pass: nothing is served until one has.
    start_scan(turn);
    return;
  } else {
    begin_exchange(turn);
  }
  tell_state(turn);
}

void Swarm::begin_exchange(Turn& turn) {
  const Layout& layout = metadata_.manifest().layout();
  served_ = synced().pieces;
  done_bytes_ = bytes_of(served_);
  durable_bytes_ = bytes_of(durable_);
  verified_ = Bitfield(static_cast<std::uint32_t>(layout.leaves_count()));
  picker_.emplace(layout, served_, picker_seed_);
  // What is damaged at its place is fetched again only when that was asked for.
  picker_->set_wanted(record_.stage == ShareStage::complete ? served_ : wanted_);
  resume_parts(turn);
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    PeerShare& share = *peer.find_share(record_.id);
    if (!share.is_manifest_said) {
      peer.send(wire::ManifestHave{*share.channel});
      share.is_manifest_said = true;
    }
    say_have_state(peer, share);
    peer.flush(turn.out);
  }
  update_urgent();
  serve_reads(turn);
  pump_verification(turn);
  if (picker_ && picker_->is_complete()) on_all_durable(turn);
}

void Swarm::pause(Turn& turn) {
  if (record_.is_paused) return;
  record_.is_paused = true;
  close_peers(turn, wire::ShareCloseReason::stopped);
  turn.events.emplace_back(AnnounceOver{key_});
  save_record(turn, SaveKind::record);
  maybe_sync(turn);
  serve_reads(turn);
  tell_state(turn);
}

void Swarm::resume(Turn& turn) {
  const bool was_failed = error_.has_value();
  if (!record_.is_paused && !was_failed) return;
  record_.is_paused = false;
  error_.reset();
  is_quarantined_ = false;
  retry_wait_ = {};
  started_ = turn.now;
  if (was_failed && metadata_.is_complete() && !is_listing_) open_storage(turn);
  save_record(turn, SaveKind::record);
  tell_state(turn);
}

std::optional<Time> Swarm::retry_at() const {
  if (!error_ || record_.is_paused || is_removing_) return std::nullopt;
  return retry_at_;
}

// It stays failed, and says so, until its storage is open again.
void Swarm::retry(Turn& turn) {
  if (!retry_at()) return;
  retry_at_.reset();
  started_ = turn.now;
  save_record(turn, SaveKind::record);  // the fault may have been that it could not be saved
  if (metadata_.is_complete()) {
    open_storage(turn);
    return;
  }
  error_.reset();
  tell_state(turn);
}

void Swarm::fail(Turn& turn, Error error, Failing how) {
  if (is_removing_) return;
  // What has gone well for long enough starts again with the shortest wait; what still reports of
  // the same fault prolongs none.
  if (!retry_at()) {
    if (turn.now - started_ > kRetryMax) retry_wait_ = {};
    retry_wait_ = std::clamp<Duration>(2 * retry_wait_, kRetryFirst, kRetryMax);
  }
  retry_at_ = how == Failing::for_now ? std::optional(turn.now + retry_wait_) : std::nullopt;
  is_quarantined_ = how == Failing::quarantined;
  scan_.reset();
  close_peers(turn, wire::ShareCloseReason::stopped);
  if (!error_) turn.events.emplace_back(AnnounceOver{key_});
  end_verification(turn, error);
  error_ = std::move(error);
  is_repairing_ = false;
  if (is_open_) turn.out.push_back(CloseStorage{record_.storage});
  is_open_ = false;
  is_opening_ = false;
  is_syncing_ = false;
  ++generation_;
  picker_.reset();
  if (arriving_) arriving_->forget_leaves();
  drop_pending(turn);
  dirty_bytes_ = 0;
  serve_reads(turn);
  told_state_.reset();  // another fault is told too
  tell_state(turn);
}

void Swarm::remove(Turn& turn, bool is_data_deleted) {
  if (is_removing_) return;
  close_peers(turn, wire::ShareCloseReason::stopped);
  turn.events.emplace_back(AnnounceOver{key_});
  end_verification(turn, Error{Errc::cancelled, "the share was removed", {}});
  is_removing_ = true;
  scan_.reset();
  is_data_deleted_ = is_data_deleted;
  drop_pending(turn);
  serve_reads(turn);
  continue_removal(turn);
}

void Swarm::continue_removal(Turn& turn) {
  if (!is_removing_ || is_removed_ || !jobs_.empty() || !saves_.empty()) return;
  if (is_listing_) {
    is_removed_ = true;
    return;
  }
  if (!is_open_ && !is_reopened_ && metadata_.is_complete()) {
    // A share that failed, or was never opened: what it left on disk is found by opening it.
    is_reopened_ = true;
    open_storage(turn);
    return;
  }
  if (is_open_) {
    is_open_ = false;
    is_reopened_ = true;
    // An unfinished download is ours alone and worth nothing without its state.
    const bool is_unfinished = top() != record_.name;
    DeleteStorage drop{add_job(turn, DeleteJob{}), record_.storage,
                       is_data_deleted_ || is_unfinished};
    turn.out.push_back(drop);
    return;
  }
  save(turn, SaveKind::removed, ShareRemoved{record_.id});
}

void Swarm::close_peers(Turn& turn, wire::ShareCloseReason reason) {
  const std::set<ConnId> members = members_;
  for (const ConnId conn : members) {
    Peer& peer = turn.peers.at(conn);
    peer.send(wire::ShareClose{key_, reason});
    on_gone(turn, peer, *peer.find_share(record_.id));
    peer.remove_share(record_.id);
    peer.flush(turn.out);
  }
}

bool Swarm::is_active() const {
  return !record_.is_paused && !error_ && !is_removing_;
}

void Swarm::tell_state(Turn& turn) {
  const ShareState now = state();
  if (told_state_ == now) return;
  told_state_ = now;
  turn.events.emplace_back(StateChanged{record_.id, now, error_ ? error_->what : std::string{}});
}

void Swarm::on_tick(Turn& turn) {
  if (is_removing_) {
    continue_removal(turn);
    return;
  }
  maybe_sync(turn);
  if (uploaded_ != saved_uploaded_ && turn.now - last_progress_save_ >= kProgressSaveInterval) {
    save_progress(turn);
  }
  if (!is_active()) return;
  if (metadata_.is_stalled(turn.now)) change_source(turn);
  pump_metadata(turn);
  serve_reads(turn);
  if (!picker_) return;
  for (const Picker::Expired& expired : picker_->expire(turn.now - kRequestPatience)) {
    const auto peer = turn.peers.find(expired.peer);
    if (peer != turn.peers.end()) peer->second.pipeline.on_rejected(expired.run.count);
  }
  if (!arriving_) return;
  if (arriving_->is_over()) {
    arriving_.reset();
    return;
  }
  std::vector<std::uint32_t> late;
  for (const auto& [piece, request] : arriving_->leaf_requests) {
    const Duration waited = turn.now - request.at;
    const wire::BlockRun all{
        piece, 0, static_cast<std::uint16_t>(metadata_.manifest().layout().blocks_count(piece))};
    const bool is_elsewhere =
        waited > kMetadataPatience && !at_others(turn, request.conn, all).none();
    if (is_elsewhere || waited > kRequestPatience) late.push_back(piece);
  }
  for (const std::uint32_t piece : late) {
    const auto peer = turn.peers.find(arriving_->leaf_requests.at(piece).conn);
    if (peer != turn.peers.end()) {
      PeerShare* share = peer->second.find_share(record_.id);
      if (share != nullptr && share->leaf_requests > 0) --share->leaf_requests;
    }
    arriving_->leaf_requests.erase(piece);
    picker_->abandon(piece);
  }
}

// ---- Disk jobs

JobId Swarm::add_job(Turn& turn, Job job) {
  const JobId id = turn.next_job(record_.id);
  jobs_.emplace(id, NumberedJob{generation_, std::move(job)});
  return id;
}

Swarm::Outcome Swarm::on_file(Turn& turn, JobId job, FileResult result) {
  Outcome outcome;
  const auto found = jobs_.find(job);
  PN_CHECK(found != jobs_.end());
  NumberedJob numbered = std::move(found->second);
  jobs_.erase(found);

  if (auto* write = std::get_if<WriteJob>(&numbered.job)) {
    for (const WrittenBlock& block : write->blocks) end_writing(turn, block.size);
    arriving_->disk_silent_since = turn.now;
    --arriving_->write_jobs;
  }
  if (numbered.generation != generation_) {
    if (auto* read = std::get_if<ReadJob>(&numbered.job)) {
      if (read->read) {
        readers_.on_failed(*read->read);
        serve_reads(turn);
      } else {
        outcome.read = ReadDone{read->conn, read->ticket, std::nullopt};
      }
    }
    continue_removal(turn);
    return outcome;
  }
  std::visit(Overloaded{
                 [&](OpenJob&) { on_opened(turn, result); },
                 [&](WriteJob& done) { on_blocks_written(turn, done, result, outcome); },
                 [&](WriteLeavesJob& done) { on_leaves_written(turn, done, result); },
                 [&](ReadLeavesJob& done) { on_leaves_read(turn, done, result); },
                 [&](ResumePieceJob& done) { on_part_leaves_read(turn, done, result); },
                 [&](ReadJob& done) { on_read(turn, done, result, outcome); },
                 [&](SyncJob& done) { on_synced(turn, std::move(done), result); },
                 [&](FinishJob&) { on_finished(turn, result); },
                 [&](VerifyJob& done) { on_range_verified(turn, done, result); },
                 [&](DeleteJob&) {
                   if (!result) removal_ = result.error();
                   save(turn, SaveKind::removed, ShareRemoved{record_.id});
                 },
             },
             numbered.job);
  continue_removal(turn);
  return outcome;
}

}  // namespace peernet::transfer
