// Who is asked for what, who is served, who is dialled, and when: everything that happens because
// time passed or a resource became free.

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "transfer/choker.h"
#include "transfer/transfer.h"

namespace peernet::transfer {

namespace {

constexpr std::size_t kRememberedDialsMax = 16;  // for a share that begins to want data
constexpr Duration kTickInterval = std::chrono::seconds(1);
constexpr Duration kHandshakeTime = std::chrono::seconds(10);
constexpr Duration kDialTime = std::chrono::seconds(15);
constexpr Duration kPingInterval = std::chrono::seconds(30);
constexpr Duration kSilenceMax = std::chrono::minutes(2);
constexpr Duration kNoShareTime = std::chrono::seconds(20);  // without a share in common
constexpr Duration kSnubTime = std::chrono::seconds(60);
constexpr Duration kNewcomerTime = std::chrono::minutes(1);
constexpr Duration kRechokeGap = std::chrono::milliseconds(100);  // at once, but not all the time
constexpr Duration kFirstMinute = std::chrono::minutes(1);

// Sealed and not yet sent: 100 ms of what the peer takes, within these bounds.
constexpr std::size_t kUnsentGoalMin = std::size_t{64} << 10U;
constexpr std::size_t kUnsentGoalMax = std::size_t{512} << 10U;
constexpr std::size_t kRecordsOverhead = 2048;  // lengths, headers and tags around so many blocks
constexpr std::uint16_t kReadBlocksMax = 16;    // in one disk job

// Under a download limit a twentieth of a second's worth is asked for at a time.
constexpr std::uint64_t kLimitedAskShare = 20;
constexpr Duration kLimitedAskInterval = std::chrono::milliseconds(20);

constexpr std::uint32_t kSlotsMin = 4;
constexpr std::uint32_t kSlotsMax = 32;
// Bytes a second that make one more slot worth having. Many slots keep an uplink full, as among
// many there is always somebody who lacks what we have; but a block should not take long on its
// way.
constexpr double kSlotRate = 64 * 1024;

constexpr Duration kAnnounceStagger = std::chrono::milliseconds(200);
constexpr std::uint32_t kAnnounceNodesWanted = 8;
constexpr Duration kAnnounceAgainNone = std::chrono::seconds(15);  // nobody holds it
constexpr Duration kAnnounceAgainFew = std::chrono::minutes(2);
constexpr Duration kLookupFirst = std::chrono::seconds(1);  // doubles from there
constexpr Duration kLookupMax = std::chrono::minutes(5);

}  // namespace

// ---- Blocks in and out

std::uint64_t Transfer::block_bytes_held() const {
  std::uint64_t bytes = load_.writing;
  for (const auto& [conn, peer] : peers_) {
    bytes += std::uint64_t{peer.pipeline.in_flight()} * kBlockSize + peer.upload.bytes_ahead();
  }
  return bytes;
}

void Transfer::settle(Turn& t, Peer& peer) {
  if (peer.phase() != Peer::Phase::open) return;
  fill(t, peer);
  steer(t, peer);
  pump(t, peer);
  peer.flush(t.out);
}

void Transfer::steer(Turn& t, Peer& peer) {
  if (peer.is_choked) return;
  for (auto& [id, share] : peer.shares()) {
    if (Swarm* swarm = share.is_interested ? find_swarm(id) : nullptr) swarm->steer(t, peer, share);
  }
}

// Keeps the peer's request window full, its shares taking turns.
void Transfer::fill(Turn& t, Peer& peer) {
  if (peer.phase() != Peer::Phase::open || peer.is_choking || is_stopping_) return;
  std::uint32_t room = peer.pipeline.room();
  if (room == 0) return;
  // Whole runs: a remainder would be a message and a read of its own.
  if (room > kRunBlocksMax) room -= room % kRunBlocksMax;
  if (!peer.is_interesting()) return;
  if (!down_limit_.may_take(t.now)) {
    for (const auto& [id, share] : peer.shares()) {
      Swarm* swarm = share.is_interesting ? find_swarm(id) : nullptr;
      if (swarm != nullptr) swarm->on_limited(t.now, config_.rate_down);
    }
    wait_for_limit(down_limit_.ready_at(t.now));
    return;
  }
  const std::uint64_t held = block_bytes_held();
  if (held >= config_.memory_max) {
    is_memory_short_ = true;
    for (const auto& [id, share] : peer.shares()) {
      Swarm* swarm = share.is_interesting ? find_swarm(id) : nullptr;
      if (swarm != nullptr) swarm->on_memory_short(t.now);
    }
    return;
  }
  room = std::min<std::uint32_t>(
      room, static_cast<std::uint32_t>((config_.memory_max - held) / kBlockSize));

  std::vector<ShareId> turns;
  for (const auto& [id, share] : peer.shares()) {
    if (share.is_interesting) turns.push_back(id);
  }
  room = blocks_within(down_limit_, room);
  bool is_limited = down_limit_.is_limited();
  const auto first = std::ranges::upper_bound(turns, peer.fill_turn);
  std::rotate(turns.begin(), first, turns.end());
  for (const ShareId& id : turns) {
    if (room == 0) break;
    Swarm* swarm = find_swarm(id);
    PeerShare* share = peer.find_share(id);
    if (swarm == nullptr || share == nullptr) continue;
    TokenBucket& limit = swarm->down_limit();
    if (!limit.may_take(t.now)) {
      swarm->on_limited(t.now, limit.rate());
      wait_for_limit(limit.ready_at(t.now));
      continue;
    }
    is_limited = is_limited || limit.is_limited();
    // None has more than its part of what is out: a share that comes slowly, for its limit at the
    // other end, would else fill the window sooner or later.
    const auto shares_count = static_cast<std::uint32_t>(turns.size());
    const std::uint32_t part = std::max(1U, peer.pipeline.window() / shares_count);
    const std::uint32_t out = shares_count == 1 ? 0 : swarm->outstanding(peer.conn());
    if (out >= part) continue;
    const std::uint32_t wanted = shares_count == 1 ? room : std::min(room, part - out);
    const std::uint32_t asked = swarm->request(t, peer, *share, blocks_within(limit, wanted));
    swarm->flush_writes(t);  // leaf hashes that needed no asking
    if (asked == 0) continue;
    room -= std::min(room, asked);
    down_limit_.take(t.now, std::uint64_t{asked} * kBlockSize);
    limit.take(t.now, std::uint64_t{asked} * kBlockSize);
    peer.fill_turn = id;
    // Little is asked for at a time, so it is asked for often.
    if (is_limited) wait_for_limit(t.now + kLimitedAskInterval);
  }
  peer.flush(t.out);
}

std::uint32_t Transfer::blocks_within(const TokenBucket& limit, std::uint32_t room) {
  if (!limit.is_limited()) return room;
  const std::uint64_t blocks = *limit.rate() / kLimitedAskShare / kBlockSize;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(blocks, 1, room));
}

void Transfer::wait_for_limit(Time at) {
  limit_wait_ = std::min(limit_wait_, at);
}

// What a limit lets through goes to the first that is looked at: after each turn that is the one
// behind the first that got something.
void Transfer::settle_in_turn(Turn& t) {
  limit_wait_ = kNever;
  std::optional<ConnId> first_served;
  auto at = peers_.upper_bound(limit_turn_);
  for (std::size_t i = 0; i < peers_.size(); ++i, ++at) {
    if (at == peers_.end()) at = peers_.begin();
    Peer& peer = at->second;
    const auto served = [&peer] { return std::pair(peer.sent.total(), peer.pipeline.in_flight()); };
    const auto before = served();
    settle(t, peer);
    if (!first_served && served() != before) first_served = at->first;
  }
  if (first_served) limit_turn_ = *first_served;
}

// Seals what is ready as far as the connection and the limit take it, and reads ahead.
void Transfer::pump(Turn& t, Peer& peer) {
  const std::size_t goal = std::clamp(static_cast<std::size_t>(peer.sent.rate(t.now, 1) / 10),
                                      kUnsentGoalMin, kUnsentGoalMax);
  if (peer.unsent() < goal && peer.upload.has_ready()) {
    const std::uint64_t room = goal - peer.unsent() + kBlockSize;
    peer.expect(std::min<std::uint64_t>(room, peer.upload.ready_bytes()) + kRecordsOverhead);
  }
  std::set<wire::ShareChannel> held;  // shares at their own limit
  while (peer.unsent() < goal && up_limit_.may_take(t.now)) {
    const auto ready = peer.upload.ready(held);
    if (!ready) break;
    const UploadQueue::Block& block = *ready;
    PeerShare* share = peer.find_channel(block.channel);
    if (share != nullptr && share->channel) {
      Swarm* swarm = find_swarm(share->id);
      if (swarm != nullptr && !swarm->up_limit().may_take(t.now)) {
        wait_for_limit(swarm->up_limit().ready_at(t.now));
        held.insert(block.channel);
        continue;
      }
      peer.send_block(block, *share->channel);
      counted_.blocks_out += block.data.size();
      if (swarm != nullptr) swarm->up_limit().take(t.now, block.data.size());
      peer.sent.add(t.now, block.data.size());
      if (!peer.is_in_debt && peer.sent.total() >= peer.debt_at) want_rechoke(t.now);
      up_limit_.take(t.now, block.data.size());
      if (swarm != nullptr) {
        swarm->on_sent_block(t.now, peer, *share, block.piece, block.data.size());
      }
    }
    peer.upload.pop_ready(block.channel);
  }
  if (peer.upload.has_ready() && !up_limit_.may_take(t.now)) {
    wait_for_limit(up_limit_.ready_at(t.now));
  }
  while (const auto run = peer.upload.next(kReadBlocksMax)) {
    const PeerShare* share = peer.find_channel(run->channel);
    Swarm* swarm = share == nullptr ? nullptr : find_swarm(share->id);
    if (swarm != nullptr && swarm->can_serve(run->blocks)) {
      peer.upload.on_reading(swarm->read(t, peer.conn(), run->blocks), *run);
      continue;
    }
    // It could be served when it was asked for, and cannot any more.
    peer.upload.drop(*run);
    if (share != nullptr && share->channel) peer.send(wire::Reject{*share->channel, run->blocks});
  }
}

// ---- Choking

std::uint32_t Transfer::slots() const {
  return config_.upload_slots.value_or(adaptive_slots_);
}

// As many slots as the uplink feeds; more while nobody who has one is held up by the network, fewer
// while most are.
void Transfer::adapt_slots(Time now) {
  const auto fed =
      static_cast<std::uint32_t>(std::min(rate_up(now) / kSlotRate, double{kSlotsMax}));
  const std::uint32_t least = std::max(fed, kSlotsMin);
  adaptive_slots_ = std::max(adaptive_slots_, least);
  std::uint32_t unchoked = 0;
  std::uint32_t held_up = 0;
  for (const auto& [conn, peer] : peers_) {
    if (peer.phase() != Peer::Phase::open || peer.is_choked || !peer.is_interested()) continue;
    ++unchoked;
    if (peer.upload.has_ready() || peer.unsent() >= kUnsentGoalMin) ++held_up;
  }
  if (unchoked < adaptive_slots_) return;
  if (held_up == 0) {
    adaptive_slots_ = std::min(adaptive_slots_ + 1, kSlotsMax);
  } else if (held_up * 2 > unchoked) {
    adaptive_slots_ = std::max(adaptive_slots_ - 1, least);
  }
}

void Transfer::want_rechoke(Time now) {
  next_rechoke_ = std::min(next_rechoke_, std::max(now, last_rechoke_ + kRechokeGap));
}

ChokeCandidate Transfer::candidate_of(Time now, const Peer& peer) const {
  ChokeCandidate candidate;
  candidate.conn = peer.conn();
  candidate.network = peer.network();
  candidate.is_interested = peer.is_interested();
  candidate.is_unchoked = !peer.is_choked;
  candidate.is_optimistic = peer.is_optimistic;
  candidate.is_snubbed = peer.is_snubbed;
  candidate.is_newcomer = now - peer.since() < kNewcomerTime;
  candidate.received = peer.received.bytes_in(now, RateMeter::kSlots);
  candidate.received_total = peer.received.total();
  candidate.sent_total = peer.sent.total();
  candidate.credit = peer.credit;
  candidate.unchoked_since = peer.unchoked_since;
  candidate.waiting_since = peer.waiting_since;
  candidate.last_served = peer.last_served;
  candidate.owed_before = peer.owed_before;
  for (const auto& [id, share] : peer.shares()) {
    const Swarm* swarm = find_swarm(id);
    if (swarm == nullptr) continue;
    candidate.passed_on += swarm->spread().passed_on(peer.conn());
    candidate.kept += swarm->spread().kept(peer.conn());
    if (share.is_interested) candidate.allowance += swarm->allowance(peers_);
  }
  return candidate;
}

void Transfer::look_at_contention(Time now) {
  if (!contention_.is_due(now)) return;
  Contention::Sent sent;
  for (auto& [conn, peer] : peers_) {
    const std::uint64_t bytes =
        peer.sent.total() - std::exchange(peer.sent_at_look, peer.sent.total());
    (peer.is_in_debt ? sent.owing : sent.good) += bytes;
  }
  contention_.on_look(now, sent);
}

void Transfer::rechoke(Turn& t) {
  ChokeRound round;
  round.is_seeding = true;
  bool is_short = false;
  for (const auto& [id, swarm] : swarms_) {
    if (swarm.wants_data()) {
      round.is_seeding = false;
      is_short = is_short || t.now - swarm.started() < kFirstMinute;
      is_short = is_short || swarm.eta(t.now).value_or(Duration::max()) < kFirstMinute;
    }
  }
  const bool is_regular = t.now - last_rechoke_ >= kChokeIntervalShort;
  if (is_regular) adapt_slots(t.now);
  round.slots = slots();
  look_at_contention(t.now);
  round.are_debtors_served = contention_.are_debtors_served();
  round.is_optimistic_due = t.now - optimistic_at_ >= kOptimisticInterval;

  std::vector<ChokeCandidate> candidates;
  for (const auto& [conn, peer] : peers_) {
    if (peer.phase() != Peer::Phase::open) continue;
    candidates.push_back(candidate_of(t.now, peer));
    // What a stranger does with its allowance shows soon.
    is_short = is_short || (candidates.back().is_interested && candidates.back().is_newcomer);
  }
  const ChokeDecision decision = config_.chooser(candidates, round, t.now, rng_);
  has_free_slot_ = decision.unchoked.size() < round.slots;
  if (round.is_optimistic_due) optimistic_at_ = t.now;
  for (auto& [conn, peer] : peers_) {
    if (peer.phase() != Peer::Phase::open) continue;
    peer.is_optimistic = decision.optimistic == conn;
    const bool is_unchoked = std::ranges::binary_search(decision.unchoked, conn);
    const std::uint64_t room = decision.room.contains(conn) ? decision.room.at(conn) : 0;
    peer.is_in_debt = room == 0;
    peer.debt_at = peer.sent.total() + room;
    if (is_unchoked == peer.is_choked) set_choked(t, peer, !is_unchoked);
    if (peer.is_in_debt && peer.is_choked && t.now - peer.waiting_since >= kPassOnTime) {
      for (auto& [id, share] : peer.shares()) {
        if (Swarm* swarm = find_swarm(id)) swarm->give_up_kept(peer);
      }
    }
  }
  last_rechoke_ = t.now;
  const bool is_anyone_interested =
      std::ranges::any_of(peers_, [](const auto& entry) { return entry.second.is_interested(); });
  next_rechoke_ =
      is_anyone_interested ? t.now + (is_short ? kChokeIntervalShort : kChokeInterval) : kNever;
}

void Transfer::set_choked(Turn& t, Peer& peer, bool is_choked) {
  peer.is_choked = is_choked;
  if (is_choked) {
    peer.last_served = t.now;
    peer.waiting_since = t.now;
    peer.send(wire::Choke{});
    for (auto& [id, share] : peer.shares()) {
      if (Swarm* swarm = find_swarm(id)) swarm->on_choking(peer, share);
    }
    // A choke answers every request that is still out.
    for (const UploadRun& run : peer.upload.clear()) {
      const PeerShare* share = peer.find_channel(run.channel);
      if (share == nullptr || !share->channel) continue;
      peer.send(wire::Reject{*share->channel, run.blocks});
    }
  } else {
    peer.unchoked_since = t.now;
    steer(t, peer);
    peer.send(wire::Unchoke{});
  }
  peer.flush(t.out);
}

// ---- Finding peers

void Transfer::schedule_share(Time now, const Swarm& swarm) {
  const ShareId& id = swarm.id();
  if (const auto at = swarm.retry_at()) {
    retries_.set(id, *at);
  } else {
    retries_.cancel(id);
  }
  if (swarm.is_removing()) removing_.insert(id);
  say_on_lan(now, swarm);
  if (!swarm.is_active()) {
    announces_.cancel(id);
    held_by_few_.erase(id);
    lookups_.cancel(id);
    lookup_tries_.erase(id);
    end_segments(id);
    dialer_.remove_share(id);
    return;
  }
  if (!announces_.contains(id) && !swarm.is_listing()) {
    // Many shares at once, as after a start, go out one after the other.
    Time at = now;
    if (last_announce_at_ >= now) at = last_announce_at_ + kAnnounceStagger;
    last_announce_at_ = at;
    announces_.set(id, at);
  }
  if (!swarm.wants_data()) {
    lookups_.cancel(id);
    lookup_tries_.erase(id);
    end_segments(id);
  } else if (!lookups_.contains(id)) {
    lookup_tries_[id] = 0;
    lookups_.set(id, now + kLookupFirst);
    seek_among_known(now, swarm);
  }
}

// It has begun to want data: who the link named, and the peers of earlier sessions.
void Transfer::seek_among_known(Time now, const Swarm& swarm) {
  for (const Endpoint& hint : swarm.record().hints) {
    dialer_.add(now, hint, swarm.id(), Dialer::Source::link);
  }
  std::vector<const PeerRecord*> newest_first;
  for (const auto& [peer, record] : remembered_) {
    if (record.endpoint.port != 0) newest_first.push_back(&record);
  }
  const auto count = std::min(newest_first.size(), kRememberedDialsMax);
  std::ranges::partial_sort(newest_first, newest_first.begin() + static_cast<std::ptrdiff_t>(count),
                            [](const PeerRecord* a, const PeerRecord* b) {
                              return std::pair(a->seen.unix_ms, a->id) >
                                     std::pair(b->seen.unix_ms, b->id);
                            });
  for (std::size_t i = 0; i < count; ++i) {
    dialer_.add(now, newest_first[i]->endpoint, swarm.id(), Dialer::Source::remembered);
  }
}

void Transfer::on_announced(Time now, const DhtId& key, std::uint32_t nodes_count) {
  const Swarm* swarm = find_swarm(key);
  if (swarm == nullptr || !swarm->is_active()) return;
  if (nodes_count >= kAnnounceNodesWanted) {
    held_by_few_.erase(swarm->id());
    return;
  }
  held_by_few_.insert(swarm->id());
  announces_.set(swarm->id(), now + (nodes_count == 0 ? kAnnounceAgainNone : kAnnounceAgainFew));
}

void Transfer::announce_all(Time now) {
  for (const ShareId& id : order_) announces_.cancel(id);
  for (const ShareId& id : order_) schedule_share(now, swarms_.at(id));
}

void Transfer::announce_few(Time now) {
  for (const ShareId& id : held_by_few_) announces_.cancel(id);
  const std::set<ShareId> few = std::exchange(held_by_few_, {});
  for (const ShareId& id : few) schedule_share(now, swarms_.at(id));
}

void Transfer::on_due_shares(Turn& t) {
  while (const auto id = retries_.pop_expired(t.now)) {
    Swarm* swarm = find_swarm(*id);
    if (swarm == nullptr) continue;
    swarm->retry(t);
    schedule_share(t.now, *swarm);
  }
  while (const auto id = announces_.pop_expired(t.now)) {
    const Swarm* swarm = find_swarm(*id);
    if (swarm == nullptr || !swarm->is_active()) continue;
    events_.emplace_back(AnnounceWanted{swarm->key()});
    const auto jitter = std::chrono::seconds(rng_.below(120));
    announces_.set(*id, t.now + kAnnounceInterval - std::chrono::minutes(1) + jitter);
  }
  while (const auto id = lookups_.pop_expired(t.now)) {
    Swarm* swarm = find_swarm(*id);
    if (swarm == nullptr || !swarm->wants_data()) continue;
    unsigned& tries = lookup_tries_[*id];
    // Known addresses of peers that are connected already, for other shares or for none yet.
    for (const auto& [endpoint, conn] : by_listen_) {
      const auto shares = dialer_.shares(endpoint);
      if (tries > 0 || std::ranges::find(shares, *id) == shares.end()) continue;
      Peer& peer = peers_.at(conn);
      open_share(t, peer, *swarm);
      peer.flush(t.out);
    }
    if (swarm->peers_count() < kPeersEnough) events_.emplace_back(PeersWanted{swarm->key()});
    say_and_seek_segments(t.now, *swarm);
    const Duration wait =
        std::min<Duration>(kLookupFirst * (1U << std::min(tries, 10U)), kLookupMax);
    ++tries;
    lookups_.set(*id, t.now + wait);
  }
}

void Transfer::dial(Turn& t) {
  if (is_stopping_) return;
  while (const auto endpoint = dialer_.next(t.now)) {
    if (bans_.is_banned(t.now, *endpoint)) {
      dialer_.on_failed(t.now, *endpoint, "banned", Dialer::Outcome::banned);
      continue;
    }
    if (by_listen_.contains(*endpoint)) {
      // It reached us first: the shares it was named for are opened on that connection.
      Peer& peer = peers_.at(by_listen_.at(*endpoint));
      for (const ShareId& id : dialer_.shares(*endpoint)) {
        Swarm* swarm = find_swarm(id);
        if (swarm != nullptr && swarm->wants_data()) open_share(t, peer, *swarm);
      }
      peer.flush(t.out);
      dialer_.on_failed(t.now, *endpoint, "already connected", Dialer::Outcome::duplicate);
      continue;
    }
    const ConnId conn = next_conn();
    ++counted_.dials;
    gate_.on_dialled(conn);
    add_peer(t.now, conn, *endpoint, false);
    t.out.push_back(Connect{conn, *endpoint});
    next_tick_ = std::min(next_tick_, t.now + kTickInterval);
  }
}

// ---- Time

bool Transfer::is_busy() const {
  if (!peers_.empty() || !importers_.empty() || !removing_.empty() || !probes_.empty()) return true;
  return std::ranges::any_of(swarms_, [](const auto& entry) { return entry.second.wants_data(); });
}

void Transfer::tick(Turn& t) {
  for (auto& [id, swarm] : swarms_) {
    swarm.on_tick(t);
    if (swarm.wants_data()) swarm.watch_cause(t.now, peers_, dialer_);
    schedule_share(t.now, swarm);
  }
  tick_peers(t);
  tick_probes(t);
  tell_peers(t);
  next_tick_ = is_busy() ? t.now + kTickInterval : kNever;
}

void Transfer::tick_peers(Turn& t) {
  struct Ending {
    ConnId conn;
    wire::CloseReason reason;
    const char* why;
    std::optional<Reject> reject{};
  };
  std::vector<Ending> endings;
  for (auto& [conn, peer] : peers_) {
    const Duration age = t.now - peer.since();
    if (peer.phase() != Peer::Phase::open) {
      const bool is_late =
          age > (peer.phase() == Peer::Phase::dialling ? kDialTime : kHandshakeTime);
      // A dial that comes to nothing is counted as that.
      const auto reject = peer.is_inbound() ? std::optional(Reject::late) : std::nullopt;
      if (is_late) {
        endings.push_back({conn, wire::CloseReason::timed_out, "handshake timed out", reject});
      }
      continue;
    }
    if (t.now - peer.last_heard > kSilenceMax) {
      endings.push_back(
          {conn, wire::CloseReason::timed_out, "silent for two minutes", Reject::silent});
      continue;
    }
    if (peer.shares().empty()) {
      if (!peer.empty_since) peer.empty_since = t.now;
      if (t.now - *peer.empty_since > kNoShareTime) {
        endings.push_back({conn, wire::CloseReason::done, "no share in common"});
        continue;
      }
    }
    const bool is_useless = !peer.shares().empty() && age > kNoShareTime &&
                            std::ranges::all_of(peer.shares(), [this](const auto& entry) {
                              const Swarm* swarm = find_swarm(entry.first);
                              return swarm != nullptr && swarm->is_complete() && entry.second.has &&
                                     entry.second.has->all();
                            });
    if (is_useless) {
      endings.push_back({conn, wire::CloseReason::done, "both have everything"});
      continue;
    }
    // A block that another was quicker with leaves no answer: the pickers know what is out.
    std::uint32_t out = 0;
    for (const auto& [id, share] : peer.shares()) {
      if (const Swarm* swarm = find_swarm(id)) out += swarm->outstanding(conn);
    }
    if (out < peer.pipeline.in_flight()) {
      peer.pipeline.on_rejected(peer.pipeline.in_flight() - out);
    }
    if (peer.pipeline.is_late(t.now)) {
      std::uint32_t blocks_count = 0;
      for (const auto& [id, share] : peer.shares()) {
        if (Swarm* swarm = find_swarm(id)) blocks_count += swarm->give_up_late(t, peer);
      }
      peer.pipeline.on_given_up(t.now, blocks_count);
    }
    if (peer.pipeline.in_flight() > 0 && t.now - peer.last_block > kSnubTime) {
      peer.is_snubbed = true;
    }
    if (t.now - peer.last_ping >= kPingInterval) {
      peer.last_ping = t.now;
      peer.ping_nonce = rng_.next();
      peer.send(wire::Ping{peer.ping_nonce});
    }
    settle(t, peer);
  }
  for (const Ending& ending : endings) {
    if (ending.reject) count(*ending.reject);
    close_peer(t, ending.conn, ending.reason, ending.why);
  }
}

void Transfer::on_time(Time now, Effects& out) {
  Turn t = turn(now, out);
  if (is_stopping_) return;
  on_due_shares(t);
  if (lan_ && now >= lan_->deadline()) lan_->on_time(now, t.wall, out);
  dial(t);
  if (now >= next_rechoke_) rechoke(t);
  if (limit_wait_ <= now) settle_in_turn(t);
  if (now >= next_tick_) tick(t);
  sweep(t);
}

Time Transfer::deadline() const {
  if (is_stopping_) return kNever;
  return std::min({next_tick_, next_rechoke_, limit_wait_, announces_.next(), lookups_.next(),
                   retries_.next(), dialer_.deadline(), lan_ ? lan_->deadline() : kNever});
}

}  // namespace peernet::transfer
