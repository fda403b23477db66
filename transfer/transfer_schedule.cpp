// What happens because time passed: shares are announced and looked up, peers dialled, late ones
// and useless ones dealt with.

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

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

constexpr Duration kAnnounceStagger = std::chrono::milliseconds(200);
constexpr std::uint32_t kAnnounceNodesWanted = 8;
constexpr Duration kAnnounceAgainNone = std::chrono::seconds(15);  // nobody holds it
constexpr Duration kAnnounceAgainFew = std::chrono::minutes(2);
constexpr Duration kLookupFirst = std::chrono::seconds(1);  // doubles from there
constexpr Duration kLookupMax = std::chrono::minutes(5);

struct Ending {
  wire::CloseReason reason{};
  const char* why = "";
  std::optional<Reject> reject;
};

// Why the connection should end now, if it should.
// `is_complete`: has this node all of the share?
template <class IsComplete>
std::optional<Ending> ending_of(Time now, Peer& peer, const IsComplete& is_complete) {
  const Duration age = now - peer.since();
  if (peer.phase() != Peer::Phase::open) {
    const bool is_dialling = peer.phase() == Peer::Phase::dialling;
    if (age <= (is_dialling ? kDialTime : kHandshakeTime)) return std::nullopt;
    // A dial that comes to nothing is counted as that.
    const auto reject = peer.is_inbound() ? std::optional(Reject::late) : std::nullopt;
    return Ending{wire::CloseReason::timed_out, "handshake timed out", reject};
  }
  if (now - peer.last_heard > kSilenceMax) {
    return Ending{wire::CloseReason::timed_out, "silent for two minutes", Reject::silent};
  }
  if (peer.unsent() > kUnsentMax) {
    return Ending{wire::CloseReason::busy, "it does not read", Reject::unread};
  }
  if (peer.shares().empty()) {
    if (!peer.empty_since) peer.empty_since = now;
    if (now - *peer.empty_since <= kNoShareTime) return std::nullopt;
    return Ending{wire::CloseReason::done, "no share in common", {}};
  }
  if (age <= kNoShareTime) return std::nullopt;
  const bool is_useless = std::ranges::all_of(peer.shares(), [&](const auto& entry) {
    return is_complete(entry.first) && entry.second.has && entry.second.has->all();
  });
  if (!is_useless) return std::nullopt;
  return Ending{wire::CloseReason::done, "both have everything", {}};
}

}  // namespace

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
  for (auto& [id, swarm] : swarms_) {
    dialer_.set_enough(id, swarm.has_dialled_enough(t.now, peers_));
  }
  tick_probes(t);
  tell_peers(t);
  next_tick_ = is_busy() ? t.now + kTickInterval : kNever;
}

void Transfer::tick_peers(Turn& t) {
  const auto is_complete = [this](const ShareId& id) {
    const Swarm* swarm = find_swarm(id);
    return swarm != nullptr && swarm->is_complete();
  };
  std::vector<std::pair<ConnId, Ending>> endings;
  for (auto& [conn, peer] : peers_) {
    if (const auto ending = ending_of(t.now, peer, is_complete)) {
      endings.emplace_back(conn, *ending);
      continue;
    }
    if (peer.phase() != Peer::Phase::open) continue;
    std::uint32_t out = 0;
    for (const auto& [id, share] : peer.shares()) {
      if (const Swarm* swarm = find_swarm(id)) out += swarm->outstanding(conn);
    }
    peer.pipeline.on_counted(out);
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
    peer.flush_all(t.out);
  }
  for (const auto& [conn, ending] : endings) {
    if (ending.reject) count(*ending.reject);
    close_peer(t, conn, ending.reason, ending.why);
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
