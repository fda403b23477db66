// What a share says about itself: numbers, and one phrase on why it is not further.

#include <algorithm>
#include <string>
#include <utility>

#include "transfer/swarm.h"

namespace peernet::transfer {
namespace {

// While pieces are lacking that none of those dialled has, one more is wanted after so long (and a
// burst of dials goes out when it is): what is at one place in a young swarm comes to all in time,
// and meanwhile all would dial all.
constexpr Duration kOneMoreEvery = std::chrono::seconds(2);

}  // namespace

bool Swarm::has_dialled_enough(Time now, const Peers& peers) const {
  const auto is_of_use = [&](ConnId conn) {
    const Peer& peer = peers.at(conn);
    if (peer.is_inbound() || peer.is_snubbed || peer.pipeline.is_doubted()) return false;
    return peer.received.total() > 0 || now - peer.since() < kDoubtTime;
  };
  std::ptrdiff_t enough{kDialledEnough};
  if (is_exchanging() && picker_->without_holder_count() > 0) {
    enough += (now - started_) / kOneMoreEvery;
  }
  return std::cmp_greater_equal(members_.size(), enough) &&
         std::ranges::count_if(members_, is_of_use) >= enough;
}

ShareState Swarm::state() const {
  if (error_) return is_quarantined_ ? ShareState::quarantined : ShareState::failed;
  if (record_.is_paused) return ShareState::paused;
  if (!metadata_.is_complete()) return ShareState::finding;
  if (scan_) return ShareState::scanning;
  if (!picker_) return ShareState::opening;
  if (record_.stage == ShareStage::complete) {
    if (is_repairing_) return ShareState::repairing;
    if (!holds_wanted(served_)) return ShareState::damaged;
    return served_.all() ? ShareState::seeding : ShareState::partial;
  }
  return holds_wanted(served_) ? ShareState::finishing : ShareState::fetching;
}

std::uint64_t Swarm::bytes_of(const Bitfield& pieces) const {
  const Layout& layout = metadata_.manifest().layout();
  if (pieces.all()) return layout.total_size();
  std::uint64_t bytes = 0;
  for (auto piece = pieces.next_set(0); piece; piece = pieces.next_set(*piece + 1)) {
    bytes += layout.piece_size(*piece);
  }
  return bytes;
}

std::uint64_t Swarm::bytes_of(const Progress& progress) const {
  return bytes_of(progress.pieces) +
         transfer::bytes_of(progress.parts, metadata_.manifest().layout());
}

double Swarm::peer_done(const PeerShare& share) const {
  if (!share.has || share.has->size() == 0) return 0;
  return static_cast<double>(share.has->count_set()) / static_cast<double>(share.has->size());
}

Reason Swarm::reason(Time now, const Peers& peers, const Dialer& dialer) const {
  Reason reason;
  if (error_) {
    reason.cause = is_quarantined_                  ? Cause::quarantined
                   : error_->code == Errc::no_space ? Cause::disk_full
                                                    : Cause::fault;
    reason.what = error_->what;
    return reason;
  }
  if (record_.is_paused) {
    reason.cause = Cause::paused;
    return reason;
  }
  if (scan_) {
    reason.cause = Cause::scanning;
    return reason;
  }
  if (picker_ && holds_wanted(served_)) return reason;
  if (record_.stage == ShareStage::complete && !is_repairing_) {
    if (!picker_) return reason;
    reason.cause = Cause::damaged;
    for (auto piece = wanted_.next_set(0); piece; piece = wanted_.next_set(*piece + 1)) {
      if (!served_.test(*piece)) ++reason.count;
    }
    return reason;
  }
  return members_.empty() ? reason_alone(dialer) : reason_connected(now, peers);
}

// Nobody is connected.
Reason Swarm::reason_alone(const Dialer& dialer) const {
  Reason reason;
  const std::vector<Dialer::Attempt> attempts = dialer.attempts(record_.id);
  if (attempts.empty()) {
    reason.cause = !has_lookups_               ? Cause::lookups_off
                   : !lookup_                  ? Cause::looking
                   : lookup_->nodes_asked == 0 ? Cause::dht_empty
                                               : Cause::no_provider;
    if (lookup_) reason.count = lookup_->nodes_asked;
    return reason;
  }
  reason.count = attempts.size();
  const Dialer::Attempt* last = nullptr;
  bool is_dialling = false;
  for (const Dialer::Attempt& attempt : attempts) {
    is_dialling = is_dialling || attempt.is_dialling || attempt.is_connected;
    if (attempt.last && (last == nullptr || attempt.last_at > last->last_at)) last = &attempt;
  }
  if (last == nullptr) {
    reason.cause = is_dialling ? Cause::dialling : Cause::not_dialled;
    return reason;
  }
  reason.at = last->endpoint;
  reason.outcome = *last->last;
  switch (reason.outcome) {
    case Dialer::Outcome::banned: reason.cause = Cause::banned; break;
    case Dialer::Outcome::share_unknown: reason.cause = Cause::share_unknown; break;
    default: reason.cause = Cause::dials_fail; break;
  }
  return reason;
}

// Somebody is connected, and something is missing.
Reason Swarm::reason_connected(Time now, const Peers& peers) const {
  Reason reason;
  const auto is = [&](Cause cause, std::uint64_t count = 0) {
    reason.cause = cause;
    reason.count = count;
    return reason;
  };
  if (!metadata_.is_complete()) {
    return is(Cause::no_manifest, metadata_.claimed_too_large().value_or(0));
  }
  if (!picker_) return reason;  // the storage is being opened
  std::uint32_t spoken = 0;
  std::uint32_t useful = 0;   // have what we miss
  std::uint32_t choking = 0;  // of these
  std::uint64_t requests = 0;
  std::optional<Time> waiting_since;
  for (const ConnId conn : members_) {
    const auto peer = peers.find(conn);
    const PeerShare* share = peer == peers.end() ? nullptr : peer->second.find_share(record_.id);
    if (share == nullptr || !share->has) continue;
    ++spoken;
    if (!share->is_interesting) continue;
    ++useful;
    if (peer->second.is_choking) {
      ++choking;
      continue;
    }
    requests += picker_->outstanding(conn);
    waiting_since = std::max(waiting_since.value_or(Time{}), peer->second.last_block);
  }
  if (spoken == 0) return is(Cause::no_have_state);
  // Only what nobody has stands in the way; the rest is a matter of time.
  const std::uint32_t lost = picker_->without_holder_count();
  const std::uint32_t missing = picker_->lacking().count_set();
  if (lost > 0 && lost == missing) return is(Cause::no_holder, lost);
  if (limited_at_ && now - *limited_at_ <= kWhyHeldBack) {
    reason.rate = limit_rate_;
    return is(limit_cause_);
  }
  if (memory_short_at_ && now - *memory_short_at_ <= kWhyHeldBack) return is(Cause::memory_short);
  if (down_.rate(now) > 0) return reason;
  if (useful > 0 && choking == useful) return is(Cause::choked, useful);
  const Time quiet_since = std::max(last_data_.value_or(started_), waiting_since.value_or(Time{}));
  if (now - quiet_since < kWhyQuiet) return reason;
  return requests > 0 ? is(Cause::silent, requests) : is(Cause::unknown);
}

void Swarm::on_ban(WhyBan ban) {
  std::erase_if(bans_, [&](const WhyBan& known) { return known.id == ban.id; });
  bans_.push_back(std::move(ban));
  if (bans_.size() > kWhyBansMax) bans_.erase(bans_.begin());
}

void Swarm::set_limits(Turn& turn, const Limits& limits, bool is_kept) {
  limits_.change(turn.now, limits);
  if (!is_kept) return;
  record_.limit_up = limits.up;
  record_.limit_down = limits.down;
  save_record(turn, SaveKind::record);
}

void Swarm::on_limited(Time now, Cause cause, std::optional<std::uint64_t> rate) {
  limited_at_ = now;
  limit_cause_ = cause;
  limit_rate_ = rate;
}

void Swarm::watch_cause(Time now, const Peers& peers, const Dialer& dialer) {
  const Cause cause = reason(now, peers, dialer).cause;
  if (cause == watched_cause_) return;
  watched_cause_ = cause;
  cause_since_ = now;
}

WhyPeer Swarm::why_peer(Time now, const Peer& peer, const PeerShare& share) const {
  WhyPeer facts;
  facts.id = peer.session().peer;
  facts.endpoint = peer.endpoint();
  facts.has_manifest = share.has_manifest;
  facts.has_said_state = share.has.has_value();
  facts.is_interesting = share.is_interesting;
  facts.is_choking = peer.is_choking;
  facts.is_snubbed = peer.is_snubbed;
  facts.done = peer_done(share);
  facts.rate_down = peer.received.rate(now);
  facts.requests_out = picker_ ? static_cast<std::uint32_t>(picker_->outstanding(peer.conn())) : 0;
  facts.since_choke = now - std::max(peer.choking_since, peer.since());
  facts.quiet = now - std::max(peer.last_block, peer.since());
  return facts;
}

WhyFacts Swarm::why(Time now, const Peers& peers, const Dialer& dialer) const {
  WhyFacts facts;
  facts.status = status(now, peers, dialer);
  facts.reason = reason(now, peers, dialer);
  if (facts.reason.cause == watched_cause_ && watched_cause_ != Cause::none) {
    facts.since = cause_since_;
  }
  facts.has_lookups = has_lookups_;
  std::vector<Dialer::Attempt> attempts = dialer.attempts(record_.id);
  std::ranges::stable_sort(attempts,
                           [](const auto& a, const auto& b) { return a.last_at > b.last_at; });
  facts.dials_count = attempts.size();
  const auto failures = dialer.failures(record_.id);
  for (const Dialer::Attempt& attempt : attempts) {
    if (!attempt.is_connected && !attempt.is_dialling && wants_data()) {
      facts.next_retry = std::min(facts.next_retry.value_or(kNever), attempt.due);
    }
    if (facts.dials.size() == kWhyDialsMax) continue;
    WhyDial dial{attempt, {}};
    for (const auto& failure : failures) {
      if (failure.endpoint == attempt.endpoint) dial.what = failure.what;
    }
    facts.dials.push_back(std::move(dial));
  }
  facts.peers_count = members_.size();
  for (const ConnId conn : members_) {
    const auto peer = peers.find(conn);
    const PeerShare* share = peer == peers.end() ? nullptr : peer->second.find_share(record_.id);
    if (share == nullptr || facts.peers.size() == kWhyPeersMax) continue;
    facts.peers.push_back(why_peer(now, peer->second, *share));
  }
  if (picker_ && !members_.empty()) {
    const Layout& layout = metadata_.manifest().layout();
    facts.lost_pieces = picker_->without_holder(layout.pieces_count());
    facts.lost_count = facts.lost_pieces.size();
    std::optional<std::uint32_t> file;
    for (const std::uint32_t piece : facts.lost_pieces) {
      const std::uint32_t of = layout.piece(piece).file_index;
      if (file != of) ++facts.lost_files_count;
      file = of;
    }
    if (facts.lost_pieces.size() > kWhyPiecesMax) facts.lost_pieces.resize(kWhyPiecesMax);
  }
  facts.bans = bans_;
  facts.last_data = last_data_;
  facts.writes_at_disk = arriving_ ? arriving_->write_jobs : 0;
  facts.is_syncing = is_syncing_;
  facts.is_limited = limited_at_ && now - *limited_at_ <= kWhyHeldBack;
  facts.is_memory_short = memory_short_at_ && now - *memory_short_at_ <= kWhyHeldBack;
  if (facts.is_limited) facts.limit_down = limit_rate_;
  return facts;
}

std::optional<Duration> Swarm::eta(Time now) const {
  constexpr double longest_shown = 1e9;  // seconds
  if (state() != ShareState::fetching && state() != ShareState::repairing) return std::nullopt;
  const double rate = down_.rate(now, 10);
  const std::uint64_t done = done_bytes_ + picker_->partial_bytes();
  const std::uint64_t size = wanted_bytes_;
  if (rate <= 0 || done >= size) return std::nullopt;
  const double rest = static_cast<double>(size - done) / rate;
  if (rest > longest_shown) return std::nullopt;
  return Duration(static_cast<std::int64_t>(rest * 1e6));
}

ShareStatus Swarm::status(Time now, const Peers& peers, const Dialer& dialer) const {
  ShareStatus status;
  status.id = record_.id;
  status.state = state();
  const Reason why = reason(now, peers, dialer);
  status.cause = why.cause;
  status.reason = phrase(why);
  status.error = error_;
  status.name = record_.name;
  status.path = record_.parent + (record_.parent.ends_with('/') ? "" : "/") + record_.name;
  if (metadata_.has_manifest()) {
    const Manifest& manifest = metadata_.manifest();
    status.is_single_file = manifest.is_single_file();
    status.size = manifest.layout().total_size();
    status.pieces_count = manifest.layout().pieces_count();
    status.files_count = manifest.files().size();
  }
  status.selections = record_.selections;
  if (metadata_.is_complete()) {
    status.wanted = wanted_bytes_;
    status.files_wanted = static_cast<std::uint64_t>(std::ranges::count(wanted_files_, true));
    status.durable = durable_bytes_;
    if (picker_) {
      status.done = done_bytes_ + picker_->partial_bytes();
      status.pieces_done = served_.count_set();
    } else {
      status.done = status.durable;
      status.pieces_done = durable_.pieces.count_set();
    }
  }
  status.rate_down = down_.rate(now);
  status.rate_up = up_.rate(now);
  status.downloaded = downloaded_;
  status.uploaded = uploaded_;
  status.wasted = wasted_;
  status.reread = reread_;
  status.eta = eta(now);
  status.peers_connected = peers_count();
  status.peers_known =
      std::max(static_cast<std::uint32_t>(dialer.known(record_.id)), peers_count());
  status.lookup = lookup_;
  if (verification_) {
    status.verification = {verification_->done, verification_->total, verification_->damaged_bytes};
  }
  status.added = record_.added;
  status.completed = record_.completed;
  return status;
}

ShareFiles Swarm::files() const {
  const Manifest& manifest = metadata_.manifest();
  const Layout& layout = manifest.layout();
  ShareFiles files;
  files.name = manifest.name();
  files.is_single_file = manifest.is_single_file();
  files.piece_length = manifest.piece_length();
  files.files = manifest.file_specs();
  files.is_wanted = wanted_files_;
  const Bitfield& done = picker_ ? served_ : durable_.pieces;
  for (std::uint32_t i = 0; i < layout.files_count(); ++i) {
    const Layout::File& file = layout.file(i);
    std::uint64_t bytes = 0;
    for (std::uint32_t p = 0; p < file.pieces_count && done.size() > 0; ++p) {
      if (done.test(file.first_piece + p)) bytes += layout.piece_size(file.first_piece + p);
    }
    files.done.push_back(bytes);
  }
  return files;
}

}  // namespace peernet::transfer
