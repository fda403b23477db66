// The engine's door: inputs are routed to the share, import or connection they concern, and shares
// come and go. Commands are in transfer_commands.cpp, connections in transfer_peers.cpp, blocks in
// and out in transfer_flow.cpp, choking in transfer_choking.cpp, what time brings in
// transfer_schedule.cpp.

#include "transfer/transfer.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "transfer/share_key.h"

namespace peernet::transfer {

namespace {

constexpr std::size_t kRememberedMax = 4096;
constexpr std::uint32_t kSlotsInitial = 16;

}  // namespace

Transfer::Transfer(Config config, const Identity& identity, Rng rng, Log& log)
    : config_(std::move(config)),
      identity_(identity),
      rng_(rng),
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
      limits_(config_.limits),
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
      // Only the one whose job it is takes the result. NOLINTNEXTLINE(bugprone-use-after-move)
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
    const char* const why = "it sent a block that was wrong";
    ++counted_.hash_failures;
    swarm.on_ban({liar.peer, liar.endpoint, why, now});
    ban(t, liar, why);
  }
  if (outcome.read) {
    const auto found = peers_.find(outcome.read->conn);
    if (found != peers_.end()) {
      Peer& peer = found->second;
      if (outcome.read->data) {
        peer.upload.on_read(outcome.read->job, std::move(*outcome.read->data));
      } else if (const auto run = peer.upload.on_unreadable(outcome.read->job)) {
        reject(peer, *run);
      }
      settle(t, peer);
    }
  }
  const bool is_disk_ready = swarm.is_disk_ready(now);
  if (std::exchange(is_memory_short_, false) || is_disk_ready) settle_in_turn(t);
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

// ---- Shares

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

}  // namespace peernet::transfer
