// The engine's door: inputs are routed to the share, import or connection they concern; commands;
// queries. Connections are in transfer_peers.cpp, scheduling in transfer_schedule.cpp.

#include "transfer/transfer.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "transfer/share_key.h"

namespace peernet::transfer {

namespace {

constexpr std::size_t kRememberedMax = 4096;
constexpr std::uint32_t kSlotsInitial = 16;
// What is here was accepted when it came, and is not judged again.
constexpr ManifestRules kRulesOfKnown{{.allow_unportable = true}, kManifestLimitsMost};

}  // namespace

Transfer::Transfer(Config config, const Identity& identity, Rng rng, Log& log)
    : config_(std::move(config)),
      identity_(identity),
      rng_(std::move(rng)),
      log_(log),
      handshake_{&identity_, DhKeyPair::make(rng_), config_.network_key, config_.listen_port,
                 wire::kCapabilityHaveBlocks},
      gate_(config_.special_use_is_global, config_.connections_max,
            std::max<std::uint32_t>(1, config_.connections_max / 2), config_.half_open_max,
            config_.handshakes_per_second),
      bans_(config_.special_use_is_global),
      dialer_(config_.special_use_is_global, rng_.fork(), config_.dials_per_second),
      lan_(config_.has_lan ? std::optional<Lan>(std::in_place, config_.network_key,
                                                config_.listen_port, rng_.fork())
                           : std::nullopt),
      up_limit_(config_.rate_up, config_.rate_up.value_or(0) / 10),
      down_limit_(config_.rate_down, config_.rate_down.value_or(0) / 10),
      adaptive_slots_(kSlotsInitial) {}

Turn Transfer::turn(Time now, Effects& out) {
  return {now,         WallTime{wall_offset_ms_ + now.time_since_epoch().count() / 1000},
          peers_,      jobs_,
          job_owners_, load_,
          events_,     out};
}

void Transfer::start(Time now, WallTime wall, const Saved& saved, Effects& out) {
  on_wall_clock(now, wall);
  guard_ = HandshakeGuard(wall);
  Turn t = turn(now, out);
  for (const PeerRecord& peer : saved.peers) {
    if (remembered_.size() < kRememberedMax) remembered_.emplace(peer.id, peer);
  }
  start_bans(t, saved.bans);
  std::map<ShareId, const ProgressRecord*> progress;
  for (const ProgressRecord& record : saved.progress) progress.emplace(record.id, &record);
  for (const ShareRecord& record : saved.shares) {
    if (swarms_.contains(record.id)) continue;
    Swarm& swarm = add_swarm(record, kRulesOfKnown);
    const auto known = progress.find(record.id);
    swarm.start_saved(t, known == progress.end() ? nullptr : known->second);
    schedule_share(now, swarm);
  }
  next_tick_ = now;
}

void Transfer::on_wall_clock(Time now, WallTime wall) {
  wall_offset_ms_ = wall.unix_ms - now.time_since_epoch().count() / 1000;
}

// ---- Inputs

void Transfer::on_file(Time now, JobId job, FileResult result, Effects& out) {
  Turn t = turn(now, out);
  if (unowned_.erase(job) > 0) return;
  const auto owner = job_owners_.find(job);
  if (owner == job_owners_.end()) {
    for (auto& [id, importer] : importers_) {
      if (!importer.on_file(now, job, std::move(result), jobs_, out)) continue;
      on_import(t, importer);
      break;
    }
    sweep(t);
    return;
  }
  Swarm& swarm = *find_swarm(owner->second);
  job_owners_.erase(owner);
  Swarm::Outcome outcome = swarm.on_file(t, job, std::move(result));
  for (const Swarm::Liar& liar : outcome.liars) {
    constexpr const char* kWhy = "it sent a block that was wrong";
    ++counted_.hash_failures;
    swarm.on_ban({liar.peer, liar.endpoint, kWhy, now});
    ban(t, liar, kWhy);
  }
  if (outcome.read) {
    const auto found = peers_.find(outcome.read->conn);
    if (found != peers_.end()) {
      Peer& peer = found->second;
      if (outcome.read->data) {
        peer.upload.on_read(outcome.read->job, std::move(*outcome.read->data));
      } else if (const auto run = peer.upload.on_unreadable(outcome.read->job)) {
        const PeerShare* share = peer.find_channel(run->channel);
        if (share != nullptr && share->channel) {
          peer.send(wire::Reject{*share->channel, run->blocks});
        }
      }
      settle(t, peer);
    }
  }
  if (std::exchange(is_memory_short_, false)) {
    settle_in_turn(t);
  }
  swarm.flush_writes(t);
  schedule_share(now, swarm);
  sweep(t);
}

// The share may be gone by now.
void Transfer::on_hook(Time now, JobId job, const HookResult& result, Effects& out) {
  const auto owner = job_owners_.find(job);
  PN_CHECK(owner != job_owners_.end());
  Swarm* swarm = find_swarm(owner->second);
  job_owners_.erase(owner);
  if (swarm == nullptr || is_stopping_) return;
  Turn t = turn(now, out);
  swarm->on_hook(t, job, result);
  schedule_share(now, *swarm);
  sweep(t);
}

void Transfer::on_saved(Time now, JobId job, const Result<void>& result, Effects& out) {
  if (unowned_.erase(job) > 0) return;
  const auto owner = job_owners_.find(job);
  PN_CHECK(owner != job_owners_.end());
  const ShareId id = owner->second;
  job_owners_.erase(owner);
  Turn t = turn(now, out);
  Swarm& swarm = *find_swarm(id);
  swarm.on_saved(t, job, result);
  if (const auto waiting = imported_.find(id); waiting != imported_.end()) {
    if (result) {
      events_.emplace_back(std::move(waiting->second));
    } else {
      events_.emplace_back(ImportFailed{waiting->second.import, result.error()});
    }
    imported_.erase(waiting);
  }
  if (swarm.is_complete()) dialer_.remove_share(id);
  schedule_share(now, swarm);
  sweep(t);
}

void Transfer::on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints,
                           Effects& out) {
  Turn t = turn(now, out);
  if (on_probe_resolved(t, job, endpoints)) return;
  const auto found = resolving_.find(job);
  if (found == resolving_.end()) return;
  Swarm* swarm = find_swarm(found->second);
  resolving_.erase(found);
  if (swarm != nullptr && swarm->wants_data()) {
    for (const Endpoint& endpoint : endpoints) offer(t, *swarm, endpoint, Dialer::Source::link);
  }
  dial(t);
}

// ---- Commands

ImportId Transfer::add(Time now, AddRequest request, Effects& out) {
  const ImportId id{++last_import_};
  if (importers_.size() >= kImportsMax) {
    events_.emplace_back(ImportFailed{
        id, Error{Errc::refused, "too many imports at a time", "wait until one has ended"}});
    return id;
  }
  const StorageId storage{rng_.next()};
  Importer& importer =
      importers_.emplace(id, Importer(id, std::move(request), storage, config_.manifest))
          .first->second;
  importer.start(now, jobs_, out);
  Turn t = turn(now, out);
  on_import(t, importer);
  sweep(t);
  return id;
}

void Transfer::cancel_add(Time now, ImportId import, Effects& out) {
  const auto found = importers_.find(import);
  if (found == importers_.end()) return;
  found->second.cancel(jobs_, out);
  Turn t = turn(now, out);
  sweep(t);
}

void Transfer::on_import(Turn& t, Importer& importer) {
  if (importer.stage() == Importer::Stage::hashing ||
      importer.stage() == Importer::Stage::syncing) {
    events_.emplace_back(
        ImportProgress{importer.id(), importer.bytes_done(), importer.bytes_total()});
  }
  if (importer.stage() != Importer::Stage::done) return;
  Importer::Outcome outcome = importer.take_outcome();
  const ShareId id = outcome.manifest.id();
  Imported event{importer.id(), id, false, std::move(outcome.left_out)};
  const AddRequest& request = importer.request();
  if (find_swarm(id) != nullptr) {
    const JobId job = jobs_.next();
    unowned_.insert(job);
    t.out.push_back(DeleteStorage{job, outcome.storage, false});
    event.was_known = true;
    events_.emplace_back(std::move(event));
  } else {
    ShareRecord record;
    record.id = id;
    record.storage = outcome.storage;
    record.stage = ShareStage::complete;
    record.parent = request.parent;
    record.name = request.name;
    record.added = t.wall;
    record.completed = t.wall;
    Swarm& swarm = add_swarm(std::move(record), kRulesOfKnown);
    imported_.emplace(id, std::move(event));
    swarm.start_imported(t, std::move(outcome.manifest), std::move(outcome.piece_layers));
    schedule_share(t.now, swarm);
  }
  importers_.erase(importer.id());
}

void Transfer::sweep(Turn& t) {
  std::erase_if(importers_, [this](const auto& entry) {
    const Importer& importer = entry.second;
    if (!importer.is_idle()) return false;
    if (importer.stage() == Importer::Stage::failed) {
      events_.emplace_back(ImportFailed{importer.id(), importer.error()});
      return true;
    }
    return importer.stage() == Importer::Stage::cancelled;
  });
  std::vector<ShareId> removed;
  for (const ShareId& id : removing_) {
    if (swarms_.at(id).is_removed()) removed.push_back(id);
  }
  for (const ShareId& id : removed) {
    Swarm& swarm = swarms_.at(id);
    counted_.verified_in += swarm.verified();
    counted_.wasted_in += swarm.wasted();
    counted_.reread += swarm.reread();
    events_.emplace_back(Removed{id, swarm.removal()});
    dialer_.remove_share(id);
    announces_.cancel(id);
    held_by_few_.erase(id);
    lookups_.cancel(id);
    retries_.cancel(id);
    lookup_tries_.erase(id);
    if (lan_) lan_->remove(id);
    by_key_.erase(swarm.key());
    std::erase(order_, id);
    removing_.erase(id);
    swarms_.erase(id);
  }
  if (is_busy() && next_tick_ == kNever) next_tick_ = t.now + std::chrono::seconds(1);
}

Swarm& Transfer::add_swarm(ShareRecord record, const ManifestRules& rules) {
  const ShareId id = record.id;
  Swarm& swarm = swarms_.emplace(id, Swarm(std::move(record), rules, rng_.fork())).first->second;
  swarm.allow_lookups(config_.has_lookups);
  swarm.want_hooks(config_.hooks);
  order_.push_back(id);
  by_key_.emplace(swarm.key(), id);
  return swarm;
}

Result<ShareId> Transfer::fetch(Time now, const FetchRequest& request, Effects& out) {
  Turn t = turn(now, out);
  const ShareId& id = request.link.id;
  if (Swarm* known = find_swarm(id)) {
    if (known->is_removing()) {
      return Error{Errc::refused, "this share is just being removed", "try again in a moment"};
    }
    if (known->is_listing()) {
      return Error{Errc::refused, "the files of this share are just being listed",
                   "try again in a moment"};
    }
    if (request.selection) {
      if (auto widened = known->widen(t, *request.selection); !widened) return widened.error();
    }
    known->resume(t);
    if (request.is_sequential) known->set_sequential(*request.is_sequential);
    if (known->wants_data()) add_hints(t, *known, request.link);
    schedule_share(now, *known);
    sweep(t);
    dial(t);
    return id;
  }
  auto begun = begin_fetch(t, request);
  if (!begun) return begun.error();
  Swarm& swarm = **begun;
  swarm.start_new(t);
  if (request.is_sequential) swarm.set_sequential(*request.is_sequential);
  add_hints(t, swarm, request.link);
  schedule_share(now, swarm);
  sweep(t);
  dial(t);
  return id;
}

Result<bool> Transfer::list(Time now, const FetchRequest& request, Effects& out) {
  Turn t = turn(now, out);
  if (const Swarm* known = find_swarm(request.link.id)) {
    if (!known->is_listing() && !known->is_removing()) return true;
    return Error{Errc::refused, "this share is just being listed or removed",
                 "try again in a moment"};
  }
  auto begun = begin_fetch(t, request);
  if (!begun) return begun.error();
  (*begun)->start_listing(t);
  add_hints(t, **begun, request.link);
  schedule_share(now, **begun);
  sweep(t);
  dial(t);
  return false;
}

// A share of which nothing is known but the link.
Result<Swarm*> Transfer::begin_fetch(Turn& t, const FetchRequest& request) {
  if (swarms_.size() >= kSharesMax) {
    return Error{Errc::too_large, "this node has as many shares as it can hold", "remove some"};
  }
  ShareRecord record;
  record.id = request.link.id;
  record.storage = StorageId{rng_.next()};
  record.parent = request.directory;
  // Only a hint until the manifest is known: a name that is no name is not shown.
  if (ValidatedPath::parse_name(request.link.name_hint, PathRules{.allow_unportable = true})) {
    record.name = request.link.name_hint;
  }
  if (request.selection && request.selection != Selection{}) {
    record.selections.push_back(*request.selection);
  }
  record.added = t.wall;
  for (const PeerHint& hint : request.link.peers) {
    const std::string host =
        hint.host.find(':') == std::string::npos ? hint.host : "[" + hint.host + "]";
    if (const auto literal = Endpoint::parse(host + ":" + std::to_string(hint.port))) {
      record.hints.push_back(*literal);
    }
  }
  return &add_swarm(std::move(record),
                    {{.allow_unportable = request.allow_unportable}, config_.manifest});
}

void Transfer::add_hints(Turn& t, Swarm& swarm, const Link& link) {
  for (const PeerHint& hint : link.peers) {
    const std::string host =
        hint.host.find(':') == std::string::npos ? hint.host : "[" + hint.host + "]";
    if (const auto literal = Endpoint::parse(host + ":" + std::to_string(hint.port))) {
      offer(t, swarm, *literal, Dialer::Source::link);
      continue;
    }
    const JobId job = jobs_.next();
    resolving_.emplace(job, swarm.id());
    t.out.push_back(Resolve{job, hint.host, hint.port});
  }
}

Result<void> Transfer::pause(Time now, const ShareId& id, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  swarm->pause(t);
  schedule_share(now, *swarm);
  return {};
}

Result<void> Transfer::resume(Time now, const ShareId& id, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  swarm->resume(t);
  schedule_share(now, *swarm);
  sweep(t);
  return {};
}

Result<void> Transfer::accept(Time now, const ShareId& id, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  auto accepted = swarm->accept(t);
  schedule_share(now, *swarm);
  sweep(t);
  return accepted;
}

Result<void> Transfer::remove(Time now, const ShareId& id, bool is_data_deleted, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  swarm->remove(t, is_data_deleted);
  schedule_share(now, *swarm);
  sweep(t);
  return {};
}

Result<ReadId> Transfer::read(Time now, ReadRequest request, Effects& out) {
  PN_CHECK(request.size > 0 && request.size <= kReadSizeMax);
  Swarm* swarm = find_swarm(request.id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  const ReadId id{++last_read_};
  const bool is_taken = swarm->read_file(
      t, id, {request.reader, std::move(request.path), request.offset, request.size});
  if (!is_taken) {
    return Error{Errc::refused, "as many read this share as may at a time", "wait for one of them"};
  }
  if (swarm->wants_data()) {
    for (auto& [conn, peer] : peers_) fill(t, peer);
  }
  return id;
}

Result<void> Transfer::verify(Time now, const ShareId& id, bool is_repair, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  auto begun = swarm->verify(t, is_repair);
  schedule_share(now, *swarm);
  sweep(t);
  return begun;
}

void Transfer::cancel_verify(Time now, const ShareId& id, Effects& out) {
  Turn t = turn(now, out);
  if (Swarm* swarm = find_swarm(id)) swarm->cancel_verify(t);
}

void Transfer::end_reader(Time /*now*/, ReaderId reader, Effects& /*out*/) {
  for (auto& [id, swarm] : swarms_) swarm.forget_reader(reader);
}

void Transfer::set_limits(Time now, const Limits& limits) {
  config_.rate_up = limits.up;
  config_.rate_down = limits.down;
  up_limit_.change(now, limits.up, limits.up.value_or(0) / 10);
  down_limit_.change(now, limits.down, limits.down.value_or(0) / 10);
  limit_wait_ = now;  // whoever waited looks again
}

Result<void> Transfer::set_share_limits(Time now, const ShareId& id, const Limits& limits,
                                        bool is_kept, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  swarm->set_limits(t, limits, is_kept);
  limit_wait_ = now;
  return {};
}

std::optional<Limits> Transfer::share_limits(const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return std::nullopt;
  return swarm->limits();
}

std::string_view word(Reject why) {
  switch (why) {
    case Reject::stopping: return "stopping";
    case Reject::banned: return "banned";
    case Reject::address_limit: return "address_limit";
    case Reject::evicted: return "evicted";
    case Reject::handshake_rate: return "handshake_rate";
    case Reject::handshake: return "handshake";
    case Reject::late: return "late";
    case Reject::peers_limit: return "peers_limit";
    case Reject::duplicate: return "duplicate";
    case Reject::protocol: return "protocol";
    case Reject::unread: return "unread";
    case Reject::silent: return "silent";
    case Reject::unknown_share: return "unknown_share";
    case Reject::request: break;
  }
  return "request";
}

TransferStats Transfer::stats() const {
  TransferStats stats = counted_;
  for (const auto& [conn, peer] : peers_) stats.wire_out += peer.written();
  for (const auto& [id, swarm] : swarms_) {
    stats.verified_in += swarm.verified();
    stats.wasted_in += swarm.wasted();
    stats.reread += swarm.reread();
    stats.pieces_durable += swarm.pieces_durable();
  }
  stats.dialling = gate_.dialling();
  stats.unproven_in = gate_.unproven();
  stats.established_in = gate_.established_in();
  stats.established_out = gate_.established_out();
  stats.bans = bans_.peers();
  stats.bans_of_hosts = bans_.hosts();
  stats.addresses_known = dialer_.known();
  stats.imports = importers_.size();
  stats.block_bytes_held = block_bytes_held();
  return stats;
}

void Transfer::add_peers(Time now, const DhtId& key, const std::vector<Endpoint>& peers,
                         Effects& out) {
  Swarm* swarm = find_swarm(key);
  if (const auto segment = by_segment_.find(key); segment != by_segment_.end()) {
    swarm = find_swarm(segment->second);
  }
  if (swarm == nullptr || !swarm->wants_data()) return;
  Turn t = turn(now, out);
  for (const Endpoint& endpoint : peers) offer(t, *swarm, endpoint, Dialer::Source::dht);
  dial(t);
}

// A place where a peer of this share may be: on a connection there is, or to be dialled.
void Transfer::offer(Turn& t, Swarm& swarm, const Endpoint& endpoint, Dialer::Source source) {
  if (const auto known = by_listen_.find(endpoint); known != by_listen_.end()) {
    Peer& peer = peers_.at(known->second);
    open_share(t, peer, swarm);
    peer.flush(t.out);
    return;
  }
  if (source != Dialer::Source::link && bans_.is_banned(t.now, endpoint)) return;
  dialer_.add(t.now, endpoint, swarm.id(), source);
}

void Transfer::on_lookup_done(Time /*now*/, const DhtId& key, const LookupFacts& facts) {
  if (Swarm* swarm = find_swarm(key)) swarm->on_lookup(facts);
}

void Transfer::stop(Time now, Effects& out) {
  is_stopping_ = true;
  Turn t = turn(now, out);
  for (auto& [id, swarm] : swarms_) {
    swarm.on_tick(t);
    swarm.save_progress(t);
  }
  std::vector<ConnId> conns;
  for (const auto& [conn, peer] : peers_) conns.push_back(conn);
  for (const ConnId conn : conns) close_peer(t, conn, wire::CloseReason::shutdown, "we stop");
}

std::optional<Event> Transfer::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

// ---- Queries

Swarm* Transfer::find_swarm(const ShareId& id) {
  const auto found = swarms_.find(id);
  return found == swarms_.end() ? nullptr : &found->second;
}

const Swarm* Transfer::find_swarm(const ShareId& id) const {
  const auto found = swarms_.find(id);
  return found == swarms_.end() ? nullptr : &found->second;
}

Swarm* Transfer::find_swarm(const DhtId& key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : find_swarm(found->second);
}

std::vector<ShareStatus> Transfer::shares(Time now) const {
  std::vector<ShareStatus> result;
  result.reserve(order_.size());
  for (const ShareId& id : order_) result.push_back(swarms_.at(id).status(now, peers_, dialer_));
  return result;
}

std::optional<ShareStatus> Transfer::share(Time now, const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return std::nullopt;
  return swarm->status(now, peers_, dialer_);
}

std::optional<WhyFacts> Transfer::why(Time now, const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return std::nullopt;
  WhyFacts facts = swarm->why(now, peers_, dialer_);
  if (const auto at = retries_.at(id)) facts.next_retry = at;
  facts.next_lookup = lookups_.at(id);
  if (facts.next_lookup && facts.status.state != ShareState::seeding &&
      facts.status.state != ShareState::partial) {
    facts.next_retry =
        facts.next_retry ? std::min(*facts.next_retry, *facts.next_lookup) : facts.next_lookup;
  }
  return facts;
}

std::vector<PeerStatus> Transfer::peers(Time now) const {
  std::vector<PeerStatus> result;
  for (const auto& [conn, peer] : peers_) {
    if (peer.phase() != Peer::Phase::open) continue;
    PeerStatus status;
    status.id = peer.session().peer;
    status.endpoint = peer.endpoint();
    status.is_inbound = peer.is_inbound();
    if (const auto source = dialer_.source(peer.endpoint()); source && !peer.is_inbound()) {
      status.found_by = word(*source);
    }
    status.is_choked = peer.is_choked;
    status.is_interested = peer.is_interested();
    status.is_choking = peer.is_choking;
    status.is_interesting = peer.is_interesting();
    status.rate_down = peer.received.rate(now);
    status.rate_up = peer.sent.rate(now);
    status.downloaded = peer.received.total();
    status.uploaded = peer.sent.total();
    status.requests_out = peer.pipeline.in_flight();
    status.round_trip = peer.round_trip;
    status.connected = now - peer.since();
    for (const auto& [id, share] : peer.shares()) {
      const Swarm* swarm = find_swarm(id);
      if (share.is_open() && swarm != nullptr) {
        status.shares.push_back({id, swarm->peer_done(share)});
      }
    }
    result.push_back(std::move(status));
  }
  return result;
}

std::uint32_t Transfer::peers_count() const {
  return static_cast<std::uint32_t>(by_peer_.size());
}

std::vector<ShareId> Transfer::share_ids() const {
  return order_;
}

std::optional<std::string> Transfer::link(const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return std::nullopt;
  Link link;
  link.id = id;
  link.name_hint = swarm->record().name;
  if (swarm->metadata().has_manifest()) {
    link.size_hint = swarm->metadata().manifest().layout().total_size();
  }
  return format_link(link);
}

std::optional<ShareFiles> Transfer::files(const ShareId& id) const {
  const Swarm* swarm = find_swarm(id);
  if (swarm == nullptr || !swarm->metadata().has_manifest()) return std::nullopt;
  return swarm->files();
}

double Transfer::rate_down(Time now) const {
  double rate = 0;
  for (const auto& [id, swarm] : swarms_) rate += swarm.rate_down(now);
  return rate;
}

double Transfer::rate_up(Time now) const {
  double rate = 0;
  for (const auto& [id, swarm] : swarms_) rate += swarm.rate_up(now);
  return rate;
}

}  // namespace peernet::transfer
