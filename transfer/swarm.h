#pragma once

// Swarm is one share: its manifest and state, which pieces are here, what is asked of whom, its
// disk jobs, and how far all of it is durable. It says nothing about connections and choking
// (Transfer), and does not choose blocks itself (Picker).
//
// A piece here goes: missing -> asked for, block by block -> each block verified and written, its
// leaf hashes too -> had (served, `have` told) -> synced -> said in the store: durable. Blocks of a
// piece that is not whole become durable likewise, once its leaf hashes are written.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/effects.h"
#include "core/log.h"
#include "core/rate.h"
#include "core/rng.h"
#include "core/time.h"
#include "transfer/bitfield.h"
#include "transfer/dialer.h"
#include "transfer/events.h"
#include "transfer/limits.h"
#include "transfer/metadata.h"
#include "transfer/peer.h"
#include "transfer/picker.h"
#include "transfer/progress.h"
#include "transfer/readers.h"
#include "transfer/spread.h"
#include "transfer/status.h"
#include "transfer/steering.h"
#include "transfer/why.h"
#include "transfer/wire.h"

namespace peernet::transfer {

inline constexpr Duration kRequestPatience = std::chrono::seconds(60);  // SECURITY.md 1.4
inline constexpr Duration kSyncInterval = std::chrono::seconds(1);
inline constexpr std::uint64_t kSyncBytesMax = 256ULL << 20U;
inline constexpr Duration kAnnounceInterval = std::chrono::minutes(25);
inline constexpr std::uint32_t kPeersEnough = 4;  // connected; with fewer more are looked for
// With so many dialled that give us something or are young (and more while a piece has no holder
// among them) nobody else is dialled: what peers are told of each piece grows with their number,
// and a swarm is held together by fewer. Those that dialled us do not count, nor who gave nothing
// in kDoubtTime, else liars could keep us to themselves.
inline constexpr std::uint32_t kDialledEnough = 20;
inline constexpr Duration kDoubtTime = std::chrono::minutes(1);

using Peers = std::map<ConnId, Peer>;

// Block data that the disk holds at the moment, over all shares: part of what Config::memory_max
// bounds.
struct Load {
  std::uint64_t writing = 0;  // bytes
};

// What one input has at hand while it is worked on: given down, never kept.
struct Turn {
  Time now;
  WallTime wall;
  Peers& peers;
  JobIds& jobs;
  std::map<JobId, ShareId>& job_owners;
  Load& load;
  std::deque<Event>& events;
  Effects& out;

  JobId next_job(const ShareId& owner) {
    const JobId job = jobs.next();
    job_owners.emplace(job, owner);
    return job;
  }
};

class Swarm {
 public:
  Swarm(ShareRecord record, const ManifestRules& rules, Rng rng);

  // ---- Life. One of the four first.
  // A link: nothing is known but the id.
  void start_new(Turn& turn);
  // As the store had it; `progress` may be missing.
  void start_saved(Turn& turn, const ProgressRecord* progress);
  // A link of which only the manifest is wanted: nothing is saved or written, and once it is known
  // the share does nothing any more. Ends by remove().
  void start_listing(Turn& turn);
  // Just imported: everything is there, verified in this run; the storage is open.
  void start_imported(Turn& turn, Manifest manifest, Bytes piece_layers);
  void pause(Turn& turn);
  void resume(Turn& turn);
  // Takes a quarantined share as it is. Errors: refused (it is none).
  Result<void> accept(Turn& turn);
  // Ends the share; is_removed() once nothing of it is left, with removal() as the outcome.
  void remove(Turn& turn, bool is_data_deleted);
  void on_tick(Turn& turn);
  // After a fault of this machine: when it is tried again, of itself, whether it has gone.
  std::optional<Time> retry_at() const;
  void retry(Turn& turn);
  // Says what the counters are worth saving; before the process ends.
  void save_progress(Turn& turn);

  // ---- Peers
  // Both sides have proved that they know the share.
  void on_open(Turn& turn, Peer& peer, PeerShare& share);
  // The connection or this share on it is over.
  void on_gone(Turn& turn, Peer& peer, PeerShare& share);
  // It choked us: what we asked will not come, what it suggested it may give to others.
  void on_choked(Peer& peer, PeerShare& share);
  // We choke it.
  void on_choking(const Peer& peer);
  // It has had time to pass on what it alone has from us; others get it from us now.
  void give_up_kept(const Peer& peer);
  // The peer is late: what others can give may be asked of them. Gives the number of blocks.
  std::uint32_t give_up_late(Turn& turn, Peer& peer);

  // Errors are reasons to close the connection: malformed (against the protocol), corrupt (it lied:
  // ban it).
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share,
                          const wire::ManifestHave& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share,
                          const wire::ManifestRequest& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share,
                          const wire::ManifestData& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share,
                          const wire::HashRequest& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share, const wire::Hashes& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share,
                          const wire::HashReject& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share,
                          const wire::BitfieldPart& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share, const wire::HaveAll& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share, const wire::HaveNone& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share, const wire::Have& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share, const wire::Reject& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share, const wire::Suggest& message);
  Result<void> on_message(Turn& turn, Peer& peer, PeerShare& share,
                          const wire::HaveBlocks& message);
  // A block: verified and written by the disk, in one job with its neighbours (flush_writes).
  Result<void> on_block(Turn& turn, Peer& peer, PeerShare& share, const wire::PieceBlock& block,
                        Bytes record);
  // Hands the disk what has come, unless the disk is busy and more may come: then it goes when a
  // job reports, and on_file is followed by another flush_writes.
  void flush_writes(Turn& turn);

  // Asks the peer for up to blocks_max blocks, and for the leaf hashes of what comes next. How many
  // blocks were asked.
  std::uint32_t request(Turn& turn, Peer& peer, PeerShare& share, std::uint32_t blocks_max);
  // Blocks that were asked of this peer and have not come.
  bool is_declined_by(ConnId conn) const { return picker_ && picker_->is_declined_by(conn); }
  std::uint32_t outstanding(ConnId conn) const { return picker_ ? picker_->outstanding(conn) : 0; }
  // Has the have-state of this share something to say: manifest known, storage open?
  bool is_exchanging() const { return picker_.has_value(); }
  // Would the peer's request be in order and answerable now?
  bool can_serve(const wire::BlockRun& run) const;
  // Reads a run that can_serve(). The result comes back through on_file as ReadDone.
  JobId read(Turn& turn, ConnId conn, const wire::BlockRun& run);

  // ---- Verification and repair: swarm_verify.cpp
  // Ends with Verified. Errors: refused, unavailable (no manifest).
  Result<void> verify(Turn& turn, bool is_repair);
  void cancel_verify(Turn& turn);

  // ---- Readers: swarm_read.cpp
  // Answered by FileRead, also when it fails. False: there are too many readers.
  bool read_file(Turn& turn, ReadId id, Readers::Read read);
  void forget_reader(ReaderId reader);

  // ---- Disk and store
  struct ReadDone {
    ConnId conn{};
    JobId job{};
    std::optional<Bytes> data;  // nullopt: reject it
  };
  struct Liar {
    ConnId conn{};
    PeerId peer;
    Endpoint endpoint;
  };
  struct Outcome {
    std::optional<ReadDone> read;
    std::vector<Liar> liars;  // sent blocks that did not match
  };
  // Requires: the job is this share's.
  Outcome on_file(Turn& turn, JobId job, FileResult result);
  void on_saved(Turn& turn, JobId job, const Result<void>& result);
  void on_hook(Turn& turn, JobId job, const HookResult& result);

  // ---- Queries
  const ShareId& id() const { return record_.id; }
  const DhtId& key() const { return key_; }
  const ShareRecord& record() const { return record_; }
  const Metadata& metadata() const { return metadata_; }
  // Open to peers: not paused, failed or being removed.
  bool is_active() const;
  bool is_paused() const { return record_.is_paused; }
  // Nothing is lacking that is wanted, or nothing is to be done about it.
  bool is_complete() const {
    return metadata_.is_complete() && picker_ && picker_->is_complete() &&
           (record_.stage == ShareStage::complete || holds_wanted(served_));
  }
  bool wants_data() const {
    return is_active() && !is_complete() && !(is_listing_ && metadata_.is_complete());
  }
  bool is_listing() const { return is_listing_; }
  void set_sequential(bool is_sequential);
  // Also what this names is wanted from now on. Errors: refused, too_large.
  Result<void> widen(Turn& turn, const Selection& selection);
  bool is_removing() const { return is_removing_; }
  bool is_removed() const { return is_removed_; }
  const Result<void>& removal() const { return removal_; }
  const Spread& spread() const { return spread_; }
  // Bytes of this share that a stranger may be sent.
  std::uint64_t allowance(const Peers& peers) const;
  const Bitfield& held() const { return served_; }  // empty before the exchange
  // Pieces that are missing and that no connected peer has. Requires: is_exchanging().
  std::vector<std::uint32_t> pieces_without_holder() const {
    return picker_->without_holder(served_.size());
  }
  // Nobody else is dialled for it.
  bool has_dialled_enough(Time now, const Peers& peers) const;
  std::uint32_t peers_count() const { return static_cast<std::uint32_t>(members_.size()); }
  Time started() const { return started_; }
  Time completed() const { return completed_; }
  ShareState state() const;
  ShareStatus status(Time now, const Peers& peers, const Dialer& dialer) const;
  WhyFacts why(Time now, const Peers& peers, const Dialer& dialer) const;
  ShareFiles files() const;  // Requires: metadata().has_manifest()
  double rate_down(Time now) const { return down_.rate(now); }
  double rate_up(Time now) const { return up_.rate(now); }
  std::optional<Duration> eta(Time now) const;
  double peer_done(const PeerShare& share) const;

  // Seeding: the blocks of what the peer asked for that are left to others to give it, as what
  // nobody was sent yet goes first. Null: none. They are declined from now on.
  std::optional<Bitfield> decline(Time now, const Peer& peer, const wire::BlockRun& run);
  void on_sent_block(Time now, const Peer& peer, std::uint32_t piece, std::uint32_t block,
                     std::uint64_t bytes);
  // Seeding to several peers: says which pieces this one should ask for, some way ahead of what it
  // asks, and in the end with which it helps others.
  void steer(Turn& turn, Peer& peer, PeerShare& share);
  void on_lookup(const LookupFacts& facts) { lookup_ = facts; }

  // ---- Limits of this share alone; the caller asks and pays
  // `is_kept`: also after a restart.
  void set_limits(Turn& turn, const Limits& limits, bool is_kept);
  Limits limits() const { return limits_.rates(); }
  RateLimits& rate_limits() { return limits_; }
  std::uint64_t verified() const { return down_.total(); }  // bytes, in this run
  std::uint64_t wasted() const { return wasted_; }
  std::uint64_t reread() const { return reread_; }
  std::uint32_t pieces_durable() const { return durable_.pieces.count_set(); }

  // ---- Facts for why()
  void want_hooks(const HooksWanted& wanted) { hooks_ = wanted; }
  void allow_lookups(bool are_allowed) { has_lookups_ = are_allowed; }
  void on_ban(WhyBan ban);
  // A request was not made, because a limit (of so many bytes a second) or memory held it back.
  // `cause`: limited, or peer_limited.
  void on_limited(Time now, Cause cause, std::optional<std::uint64_t> rate);
  // So much waits for the disk that nothing more is asked for: until is_disk_ready(), or then.
  std::optional<Time> await_disk(Time now);
  // It was awaited, and is no more; given once.
  bool is_disk_ready(Time now) {
    return arriving_ && arriving_->is_disk_awaited && !await_disk(now);
  }
  void on_memory_short(Time now) { memory_short_at_ = now; }
  // Once a second: since when the cause is what it is.
  void watch_cause(Time now, const Peers& peers, const Dialer& dialer);

 private:
  struct WrittenBlock {
    std::uint32_t piece = 0;
    std::uint16_t block = 0;
    std::uint32_t size = 0;
    ConnId conn{};
    PeerId peer;
    Endpoint endpoint;
  };
  struct OpenJob {};
  struct WriteJob {
    std::vector<WrittenBlock> blocks;
  };
  struct WriteLeavesJob {
    std::vector<std::uint32_t> pieces;
  };
  struct ReadLeavesJob {
    ConnId conn{};
    wire::HashSpan span;
  };
  struct ResumePieceJob {
    std::uint32_t piece = 0;
    Bitfield blocks;  // that are written
  };
  struct ReadJob {
    ConnId conn{};
    JobId ticket{};  // the job number the upload queue knows it by
    wire::BlockRun run;
    std::uint64_t first_leaf = 0;
    std::uint32_t file_index = 0;
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
    bool is_verified = false;
    std::optional<ReadId> read;  // for a reader, not for a peer
    std::uint32_t skipped = 0;   // bytes before those that are read for it
  };
  struct SyncJob {
    Progress written;
  };
  struct FinishJob {};
  // Pieces of one file that follow each other.
  struct VerifyJob {
    std::uint32_t piece = 0;
    std::uint32_t more_pieces = 0;
    std::uint32_t file_index = 0;
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
  };
  struct DeleteJob {};
  using Job = std::variant<OpenJob, WriteJob, WriteLeavesJob, ReadLeavesJob, ResumePieceJob,
                           ReadJob, SyncJob, FinishJob, VerifyJob, DeleteJob>;
  enum class SaveKind : std::uint8_t { record, progress, finishing, complete, removed };
  struct SaveJob {
    SaveKind kind{};
    Progress synced;  // of progress
  };
  struct PendingBlock {
    WrittenBlock block;
    std::uint32_t file_index = 0;
    BlockToWrite write;
  };
  struct Verification {
    bool is_repair_wanted = false;
    Bitfield claimed;  // when it began
    std::uint32_t next_piece = 0;
    std::vector<std::uint32_t> singles;  // pieces of ranges that failed, each to be read alone
    std::uint32_t jobs_count = 0;
    std::uint64_t done = 0;  // bytes
    std::uint64_t total = 0;
    std::uint64_t damaged_bytes = 0;
    std::vector<std::uint32_t> damaged;
  };
  struct LeafRequest {
    ConnId conn{};
    Time at{};
  };
  // Asked for, or between a peer and the disk.
  struct Arriving {
    std::map<std::uint32_t, std::vector<Hash>> leaves;  // of active pieces, and until written
    std::map<std::uint32_t, LeafRequest> leaf_requests;
    std::set<std::uint32_t> leaves_unwritten;    // received, not yet reported as written
    std::set<std::uint32_t> waiting_for_leaves;  // pieces all of whose blocks are written
    std::vector<std::uint32_t> pending_leaves;
    std::vector<PendingBlock> pending_blocks;
    std::uint32_t write_jobs = 0;  // of blocks, at the disk
    std::uint64_t writing = 0;     // bytes of those and of pending_blocks: our part of the load
    Time disk_silent_since{};      // when it last reported of them, or began with the first
    bool is_disk_awaited = false;

    bool is_over() const {
      return leaves.empty() && leaf_requests.empty() && leaves_unwritten.empty() && writing == 0;
    }
    void forget_leaves();
  };

  // Life.
  void select_files();
  bool holds_wanted(const Bitfield& pieces) const { return !pieces.has_wanted(wanted_); }
  bool is_whole(std::uint32_t file_index, const Bitfield& pieces) const;
  void want(Turn& turn, const Bitfield& pieces);
  void extend(Turn& turn);
  std::vector<FileSpec> file_specs() const;
  void finish_storage(Turn& turn);
  void open_storage(Turn& turn);
  void reopen_storage(Turn& turn);
  void on_opened(Turn& turn, FileResult& result);
  void on_opened_unfinished(Turn& turn, const StorageOpened& opened);
  void begin_exchange(Turn& turn);
  void on_metadata(Turn& turn);
  enum class Failing : std::uint8_t {
    for_now,      // whether the fault has gone is tried from time to time
    for_good,     // it will not go
    quarantined,  // there is none, but a person must say what becomes of the share
  };
  void fail(Turn& turn, Error error, Failing how = Failing::for_now);
  void tell_state(Turn& turn);
  JobId add_job(Turn& turn, Job job);
  void close_peers(Turn& turn, wire::ShareCloseReason reason);
  void continue_removal(Turn& turn);
  std::string top() const;

  // Hooks: swarm_hooks.cpp
  bool is_scan_due() const { return hooks_.scan && !is_scanned_; }
  void start_scan(Turn& turn);
  JobId run_hook(Turn& turn, Hook hook);
  void quarantine(Turn& turn, const std::string& why);

  // Exchange.
  void pump_metadata(Turn& turn);
  std::optional<ConnId> best_source(const Turn& turn) const;
  void change_source(Turn& turn);
  Bitfield at_others(const Turn& turn, ConnId than, const wire::BlockRun& run) const;
  void say_have_state(Peer& peer, PeerShare& share);
  void on_have_state(Turn& turn, Peer& peer, PeerShare& share, Bitfield has);
  void update_interest(Peer& peer, PeerShare& share);
  void request_leaves(Turn& turn, Peer& peer, PeerShare& share, std::uint32_t blocks_wanted);
  bool request_leaves_of(Turn& turn, Peer& peer, PeerShare& share, std::uint32_t piece);
  std::vector<wire::BlockRun> pick_suggested(Turn& turn, Peer& peer, PeerShare& share,
                                             std::uint32_t blocks_max);
  void on_leaves(Turn& turn, std::uint32_t piece, std::vector<Hash> leaves);
  bool is_told_early(std::uint32_t piece) const;
  void tell_blocks(Turn& turn, const wire::BlockRun& run);
  void tell_blocks(Turn& turn, Peer& peer, const PeerShare& share, const wire::BlockRun& run);
  void tell_seeds(Turn& turn, const wire::BlockRun& run);
  bool is_seed(const Turn& turn, ConnId conn) const;
  void tell_part(Turn& turn, std::uint32_t piece, const Bitfield& blocks);
  void tell_parts(Turn& turn, Peer& peer, const PeerShare& share);
  void on_leaves_read(Turn& turn, const ReadLeavesJob& job, FileResult& result);
  void forget_leaf_requests(ConnId conn);

  // Serving: swarm_serve.cpp
  void on_read(Turn& turn, ReadJob& job, FileResult& result, Outcome& outcome);
  void issue_read(Turn& turn, JobId job, const ReadJob& read);
  void on_read_failed(Turn& turn, const ReadJob& job, const Error& error);

  // Readers.
  void serve_reads(Turn& turn);
  std::optional<Error> read_error(const Readers::Read& read) const;
  Result<std::uint32_t> find_file(const std::string& path) const;
  void start_read(Turn& turn, ReadId id, Readers::Read& read);
  void answer_read(Turn& turn, ReadId id, Result<FileBytes> result);
  void update_urgent();

  // Verification and repair.
  void end_verification(Turn& turn, Error error);
  std::optional<VerifyJob> next_verify_job();
  void pump_verification(Turn& turn);
  void on_range_verified(Turn& turn, const VerifyJob& job, const FileResult& result);
  void on_all_verified(Turn& turn);
  void begin_repair(Turn& turn);
  void on_opened_for_repair(Turn& turn, const StorageOpened& opened);
  static Error protocol_error(const char* what);

  // From received to durable: swarm_durable.cpp
  Arriving& arriving();
  const std::vector<Hash>* leaves_of(std::uint32_t piece) const;  // null: not at hand
  void forget_leaves(std::uint32_t piece);  // unless they are on their way to the disk
  void begin_writing(Turn& turn, std::uint32_t size);
  void end_writing(Turn& turn, std::uint32_t size);
  void drop_pending(Turn& turn);
  void on_blocks_written(Turn& turn, WriteJob& job, FileResult& result, Outcome& outcome);
  void on_leaves_written(Turn& turn, const WriteLeavesJob& job, const FileResult& result);
  void on_piece_written(Turn& turn, std::uint32_t piece);
  void on_piece_had(Turn& turn, std::uint32_t piece);
  void lose_piece(Turn& turn, std::uint32_t piece);
  bool drop_piece(std::uint32_t piece);
  void maybe_sync(Turn& turn);
  void on_synced(Turn& turn, SyncJob job, const FileResult& result);
  void save(Turn& turn, SaveKind kind, Record record, Progress synced = {});
  void save_record(Turn& turn, SaveKind kind);
  void forget_encoded();
  Progress written() const;
  const Progress& synced() const;
  void save_synced(Turn& turn, Progress synced);
  void resume_parts(Turn& turn);
  void on_part_leaves_read(Turn& turn, const ResumePieceJob& job, FileResult& result);
  void on_all_durable(Turn& turn);
  void on_finished(Turn& turn, const FileResult& result);

  Reason reason(Time now, const Peers& peers, const Dialer& dialer) const;
  Reason reason_alone(const Dialer& dialer) const;
  Reason reason_connected(Time now, const Peers& peers) const;
  WhyPeer why_peer(Time now, const Peer& peer, const PeerShare& share) const;
  std::uint64_t bytes_of(const Bitfield& pieces) const;
  std::uint64_t bytes_of(const Progress& progress) const;

  ShareRecord record_;  // without the bytes that metadata_ has
  DhtId key_;
  // Of what picks and of what steers.
  Rng::Seed picker_seed_;
  Rng::Seed steering_seed_;
  Metadata metadata_;
  // What few shares have at a time stands apart from the others.
  std::unique_ptr<Steering> steering_;          // while we seed, from the second peer on
  std::unique_ptr<Verification> verification_;  // while it runs
  std::unique_ptr<Arriving> arriving_;          // from the first leaves asked for to the last write
  std::optional<Picker> picker_;  // once the storage is open and the piece layers are known
  Readers readers_;
  // The share is at its place, and its storage writable. Not saved: after a restart it is damaged.
  bool is_repairing_ = false;
  HooksWanted hooks_;
  std::optional<JobId> scan_;  // runs
  bool is_scanned_ = false;    // it passed, or was accepted. Not saved: a new run scans again
  std::optional<Error> error_;
  bool is_quarantined_ = false;  // error_ says what the scan said
  std::optional<Time> retry_at_;
  Duration retry_wait_{};
  bool is_opening_ = false;
  bool is_open_ = false;
  bool is_removing_ = false;
  bool is_listing_ = false;
  bool is_sequential_ = false;
  bool is_data_deleted_ = false;
  bool is_reopened_ = false;  // for removal
  bool is_removed_ = false;
  Result<void> removal_;
  Time started_{};
  Time completed_{};
  Spread spread_;             // of what we sent
  std::set<ConnId> members_;  // peers with whom the share is open

  // A share that failed is opened anew on resume; what jobs of an earlier opening report is only
  // counted, not believed.
  struct NumberedJob {
    std::uint32_t generation = 0;
    Job job;
  };
  std::uint32_t generation_ = 0;
  std::map<JobId, NumberedJob> jobs_;
  std::map<JobId, SaveJob> saves_;
  std::optional<ShareState> told_state_;  // by the last StateChanged

  Bitfield served_;    // pieces that may be served and that `have` told: what picker_ has, less
                       // those waiting for leaves
  Bitfield verified_;  // blocks (leaves) whose hash was checked in this run
  Progress durable_;   // what the store has; without pieces before the manifest is known
  // Once the manifest is known. While an extension or the renaming into place is under way, what
  // was wanted when it began.
  std::vector<bool> wanted_files_;
  Bitfield wanted_;  // the pieces of those
  std::uint64_t wanted_bytes_ = 0;
  std::uint64_t durable_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;  // of served_
  std::uint64_t dirty_bytes_ = 0;
  std::optional<std::uint32_t> part_unreadable_;  // the piece whose leaves last met a fault
  bool is_syncing_ = false;
  Time last_sync_{};
  Time last_progress_save_{};
  std::uint64_t saved_uploaded_ = 0;

  RateMeter down_;
  RateMeter up_;
  std::uint64_t downloaded_ = 0;  // with earlier sessions
  std::uint64_t uploaded_ = 0;
  std::uint64_t wasted_ = 0;
  std::uint64_t reread_ = 0;
  std::optional<LookupFacts> lookup_;

  bool has_lookups_ = true;
  RateLimits limits_;
  std::vector<WhyBan> bans_;  // at most kWhyBansMax, the newest last
  std::optional<Time> limited_at_;
  Cause limit_cause_{};
  std::optional<std::uint64_t> limit_rate_;
  std::optional<Time> memory_short_at_;
  std::optional<Time> last_data_;
  Cause watched_cause_ = Cause::none;
  Time cause_since_{};
};

}  // namespace peernet::transfer
