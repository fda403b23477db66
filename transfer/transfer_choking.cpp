// Who is served: how many slots there are, and what the choker says of each peer.

#include <algorithm>
#include <utility>
#include <vector>

#include "transfer/choker.h"
#include "transfer/transfer.h"

namespace peernet::transfer {
namespace {

constexpr Duration kNewcomerTime = std::chrono::minutes(1);
// What a seed sent in so many seconds, and in the one now running, is no debt yet. Twice as long
// lends riders more and wins nothing.
constexpr unsigned kPassOnSeconds = 1;
constexpr Duration kRechokeGap = std::chrono::milliseconds(100);  // at once, but not all the time
constexpr Duration kFirstMinute = std::chrono::minutes(1);

constexpr std::uint32_t kSlotsMin = 4;
constexpr std::uint32_t kSlotsMax = 32;
// Bytes a second that make one more slot worth having. Many slots keep an uplink full, as among
// many there is always somebody who lacks what we have; but a block should not take long on its
// way.
constexpr double kSlotRate = 64 * 1024;
// Bytes for a peer that the disk gave and the network did not take: it is held up by the network.
constexpr std::uint64_t kHeldUp = 64 * 1024;

}  // namespace

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
    if (peer.unsent() + peer.upload.ready_bytes() >= kHeldUp) ++held_up;
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

ChokeCandidate Transfer::candidate_of(Time now, const Peer& peer, Allowances& allowances) const {
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
  candidate.sent_lately = peer.sent.bytes_in(now, kPassOnSeconds);
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
    if (!share.is_interested) continue;
    const auto [known, is_new] = allowances.try_emplace(id);
    if (is_new) known->second = swarm->allowance(peers_);
    candidate.allowance += known->second;
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
  Allowances allowances;
  for (const auto& [conn, peer] : peers_) {
    if (peer.phase() != Peer::Phase::open) continue;
    candidates.push_back(candidate_of(t.now, peer, allowances));
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
      if (Swarm* swarm = find_swarm(id)) swarm->on_choking(peer);
    }
    // A choke answers every request that is still out.
    for (const UploadRun& run : peer.upload.clear()) reject(peer, run);
  } else {
    peer.unchoked_since = t.now;
    steer(t, peer);
    peer.send(wire::Unchoke{});
  }
  peer.flush(t.out);
}

}  // namespace peernet::transfer
