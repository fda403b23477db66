// What a share gives to its peers: blocks read for them, what a stranger is lent, and which pieces
// a seed would have each of them ask for.

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "transfer/swarm.h"

namespace peernet::transfer {
namespace {

// Blocks suggested beyond what is asked for: together the peers are suggested no more than so much
// of the share, as nobody else begins with it.
constexpr std::uint64_t kSteerAheadPart = 8;
constexpr std::uint32_t kSteerAheadMin = 4;
constexpr std::uint32_t kSteerAheadMax = 16;
// Half of what is queued comes on top, so that the peer never runs out; this at most.
constexpr std::uint32_t kSteerQueuedMax = 128;
// What was sent before is declined until so much could have been sent since the last block that was
// new to the swarm, within these bounds.
constexpr double kNewGap = 25 * kBlockSize;
constexpr Duration kNewGapTimeMin = std::chrono::milliseconds(20);
constexpr Duration kNewGapTimeMax = std::chrono::seconds(1);
// What strangers may have, of a leecher all of them together, of a seed each.
constexpr std::uint64_t kAllowancePart = 8;  // of the share
constexpr std::uint64_t kAllowanceMin = std::uint64_t{64} << 10U;
constexpr std::uint64_t kAllowanceMax = std::uint64_t{8} << 20U;

}  // namespace

// ---- Reads

bool Swarm::can_serve(const wire::BlockRun& run) const {
  if (!is_active() || !is_open_ || !picker_ || run.piece >= served_.size()) return false;
  const Layout& layout = metadata_.manifest().layout();
  if (std::uint32_t{run.first_block} + run.count > layout.blocks_count(run.piece)) return false;
  return served_.test(run.piece) || picker_->has_blocks(run);
}

JobId Swarm::read(Turn& turn, ConnId conn, const wire::BlockRun& run) {
  const Layout& layout = metadata_.manifest().layout();
  const Piece piece = layout.piece(run.piece);
  ReadJob read;
  read.conn = conn;
  read.run = run;
  read.file_index = piece.file_index;
  read.offset = piece.offset + std::uint64_t{run.first_block} * kBlockSize;
  read.first_leaf = piece.first_leaf + run.first_block;
  const std::uint64_t end = std::min<std::uint64_t>(
      piece.size, (std::uint64_t{run.first_block} + run.count) * kBlockSize);
  read.size = static_cast<std::uint32_t>(end - std::uint64_t{run.first_block} * kBlockSize);
  read.is_verified = true;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    read.is_verified =
        read.is_verified && verified_.test(static_cast<std::uint32_t>(read.first_leaf + i));
  }
  const JobId job = turn.next_job(record_.id);
  read.ticket = job;
  issue_read(turn, job, read);
  return job;
}

void Swarm::issue_read(Turn& turn, JobId job, const ReadJob& read) {
  turn.out.push_back(ReadBlocks{job, record_.storage, read.file_index, read.offset, read.size,
                                read.first_leaf, read.is_verified});
  jobs_.emplace(job, NumberedJob{generation_, read});
}

void Swarm::on_read(Turn& turn, ReadJob& job, FileResult& result, Outcome& outcome) {
  if (!result) {
    if (!job.read) outcome.read = ReadDone{job.conn, job.ticket, std::nullopt};
    on_read_failed(turn, job, result.error());
    return;
  }
  auto* read = std::get_if<BlocksRead>(&*result);
  PN_CHECK(read != nullptr);
  if (read->is_changed) {
    // The file is not the one that was verified: every block of it is hashed again before it goes.
    const Layout::File& file = metadata_.manifest().layout().file(job.file_index);
    for (std::uint64_t i = 0; i < file.leaves_count; ++i) {
      verified_.reset(static_cast<std::uint32_t>(file.first_leaf + i));
    }
    job.is_verified = false;
    issue_read(turn, turn.next_job(record_.id), job);
    return;
  }
  PN_CHECK(read->data.size() == job.size);
  if (!job.is_verified) {
    reread_ += job.size;
    const std::uint64_t leaves_count = (std::uint64_t{job.size} + kBlockSize - 1) / kBlockSize;
    for (std::uint64_t i = 0; i < leaves_count; ++i) {
      verified_.set(static_cast<std::uint32_t>(job.first_leaf + i));
    }
  }
  if (!job.read) {
    outcome.read = ReadDone{job.conn, job.ticket, std::move(read->data)};
    return;
  }
  Bytes& bytes = read->data;
  bytes.erase(bytes.begin(), bytes.begin() + job.skipped);
  const std::uint64_t file_size = metadata_.manifest().layout().file(job.file_index).size;
  answer_read(turn, *job.read, FileBytes{std::move(bytes), file_size});
}

void Swarm::on_read_failed(Turn& turn, const ReadJob& job, const Error& error) {
  const Layout& layout = metadata_.manifest().layout();
  const std::uint32_t piece = layout.piece_at(job.file_index, job.offset);
  const bool is_one_piece =
      job.offset + job.size <= layout.piece(piece).offset + layout.piece_size(piece);
  if (job.read) readers_.on_failed(*job.read);
  if (error.code != Errc::corrupt) {
    fail(turn, error);
  } else if (!is_one_piece) {
    // Which of them is wrong, the next read tells, which is of one piece.
  } else if (record_.stage == ShareStage::complete) {
    fail(turn, Error{Errc::corrupt, "a file was changed after it was shared: " + error.what,
                     "put it back as it was; or peernet verify --repair puts it right"});
  } else {
    // Not if it was lost meanwhile, and is being fetched again.
    const std::uint64_t begin = (job.offset - layout.piece(piece).offset) / kBlockSize;
    const std::uint64_t blocks_count = (std::uint64_t{job.size} + kBlockSize - 1) / kBlockSize;
    const wire::BlockRun run{piece, static_cast<std::uint16_t>(begin),
                             static_cast<std::uint16_t>(blocks_count)};
    if (picker_ && picker_->has_blocks(run)) lose_piece(turn, piece);
  }
  serve_reads(turn);
}

void Swarm::on_sent_block(Time now, const Peer& peer, std::uint32_t piece, std::uint32_t block,
                          std::uint64_t bytes) {
  const bool is_alone = picker_ && picker_->copies(piece) == 0;
  const std::uint32_t piece_size = metadata_.manifest().layout().piece_size(piece);
  spread_.on_sent({piece, block, piece_size}, peer.conn(), peer.network(), is_alone);
  if (steering_) {
    const std::uint32_t blocks_count = metadata_.manifest().layout().blocks_count(piece);
    const bool passes_on = spread_.passed_on(peer.conn()) > 0;
    steering_->on_sent(now, {piece, block, blocks_count, passes_on}, peer.conn(), peer.network());
  }
  uploaded_ += bytes;
  up_.add(now, bytes);
}

// ---- Strangers, and steering

// Together the strangers that a leecher is connected to may have a part of the share from it, so
// that nobody gets far who asks everybody and gives nothing. At a seed whoever passes on shows it
// block by block.
std::uint64_t Swarm::allowance(const Peers& peers) const {
  if (!picker_) return 0;
  if (!wants_data()) return kAllowanceMin;
  std::uint64_t leechers = 0;
  for (const ConnId conn : members_) {
    const PeerShare* share = peers.at(conn).find_share(record_.id);
    if (share != nullptr && share->has && !share->has->all()) ++leechers;
  }
  const Layout& layout = metadata_.manifest().layout();
  const std::uint64_t part = layout.total_size() / kAllowancePart;
  return std::clamp(part / std::max<std::uint64_t>(leechers, 1), kAllowanceMin, kAllowanceMax);
}

void Swarm::steer(Turn& turn, Peer& peer, PeerShare& share) {
  if (!picker_ || !served_.all() || !share.is_open() || !share.is_interested || !share.has) return;
  if (members_.size() < 2) return;
  if (!steering_) {
    Rng rng(steering_seed_);
    steering_ = std::make_unique<Steering>(served_.size(), rng);
    for (std::uint32_t piece = 0; piece < served_.size(); ++piece) {
      if (picker_->copies(piece) > 0) steering_->skip(piece);
    }
  }
  std::uint32_t ahead = steering_->blocks_ahead(peer.conn());
  const std::uint64_t part =
      metadata_.manifest().layout().total_size() / kBlockSize / kSteerAheadPart;
  const auto least = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(part / members_.size(), kSteerAheadMin, kSteerAheadMax));
  const std::uint32_t queued = peer.upload.blocks_count();
  const std::uint32_t wanted = queued + std::max(least, std::min(queued / 2, kSteerQueuedMax));
  while (ahead < wanted && steering_->suggestions_count(peer.conn()) < kSuggestionsMax) {
    auto piece = steering_->next(turn.now, peer.conn(), *share.has);
    if (!piece && spread_.passed_on(peer.conn()) > 0) {
      piece = steering_->help(peer.conn(), *share.has);
    }
    if (!piece) return;
    peer.send(wire::Suggest{*share.channel, *piece});
    const std::uint32_t blocks_count = metadata_.manifest().layout().blocks_count(*piece);
    steering_->on_suggested(*piece, peer.conn(), blocks_count);
    ahead += blocks_count;
  }
}

void Swarm::on_choking(const Peer& peer) {
  if (steering_) steering_->on_choked(peer.conn());
}

std::optional<Bitfield> Swarm::decline(Time now, const Peer& peer, const wire::BlockRun& run) {
  // Of whom else should it ask?
  if (!steering_ || !picker_ || members_.size() < 2) return std::nullopt;
  const double gap = std::clamp(kNewGap / std::max(up_.rate(now), 1.0), seconds(kNewGapTimeMin),
                                seconds(kNewGapTimeMax));
  if (!steering_->is_last_round(now, Duration(static_cast<std::int64_t>(gap * 1e6)))) {
    return std::nullopt;
  }
  if (!steering_->is_handed(run.piece) && picker_->copies(run.piece) == 0) return std::nullopt;
  Bitfield declined(run.count);
  for (std::uint16_t i = 0; i < run.count; ++i) {
    if (!steering_->was_sent(run.piece, std::uint32_t{run.first_block} + i)) continue;
    declined.set(i);
    steering_->on_declined(run.piece, peer.conn());
  }
  return declined;
}

void Swarm::give_up_kept(const Peer& peer) {
  if (!steering_ || !metadata_.is_complete()) return;
  steering_->take_all_back(peer.conn());
}

}  // namespace peernet::transfer
