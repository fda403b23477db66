#include "transfer/choker.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "core/check.h"

namespace peernet::transfer {
namespace {

using Ranked = std::vector<const ChokeCandidate*>;
using Networks = std::map<Network, Ranked>;

Ranked interested(std::span<const ChokeCandidate> candidates) {
  Ranked result;
  for (const ChokeCandidate& candidate : candidates) {
    if (candidate.is_interested) result.push_back(&candidate);
  }
  // The order given must not matter to what chance decides.
  std::sort(result.begin(), result.end(),
            [](const auto* a, const auto* b) { return a->conn < b->conn; });
  return result;
}

Networks by_network(const Ranked& candidates) {
  Networks networks;
  for (const ChokeCandidate* candidate : candidates) {
    networks[candidate->network].push_back(candidate);
  }
  return networks;
}

unsigned weight_of(const ChokeCandidate& candidate) {
  return candidate.is_newcomer ? kNewcomerWeight : 1;
}

template <class Items, class Weight>
std::size_t choose_weighted(const Items& items, Weight weight, Rng& rng) {
  std::uint64_t sum = 0;
  for (const auto& item : items) sum += weight(item);
  std::uint64_t at = rng.below(sum);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::uint64_t one = weight(items[i]);
    if (at < one) return i;
    at -= one;
  }
  return items.size() - 1;
}

// One by chance, newcomers three times as likely. A network stands with one of its members, whose
// weight counts once: many identities in one network have the chance of one.
const ChokeCandidate* draw(const Ranked& candidates, Rng& rng) {
  if (candidates.empty()) return nullptr;
  const auto weight = [](const ChokeCandidate* candidate) { return weight_of(*candidate); };
  Ranked representatives;
  for (const auto& [network, members] : by_network(candidates)) {
    representatives.push_back(members[choose_weighted(members, weight, rng)]);
  }
  return representatives[choose_weighted(representatives, weight, rng)];
}

void remove(Ranked& candidates, const ChokeCandidate* chosen) {
  candidates.erase(std::find(candidates.begin(), candidates.end(), chosen));
}

// ---- Standing

// Lent and not given back. Strangers of one network share an allowance, so that many identities are
// lent what one is.
using Lent = std::map<Network, std::uint64_t>;

bool is_stranger(const ChokeCandidate& candidate) {
  return candidate.received_total + candidate.credit + candidate.passed_on == 0;
}

std::uint64_t owed_of(const ChokeCandidate& candidate) {
  return candidate.sent_total + std::min(candidate.owed_before, candidate.allowance);
}

std::uint64_t left_of(std::uint64_t limit, std::uint64_t used) {
  return limit > used ? limit - used : 0;
}

std::uint64_t room_of(const ChokeCandidate& c, const Lent& lent, const ChokeRound& round) {
  // Whoever was choked for its debts comes back with a quarter of its allowance and not with a
  // byte.
  std::uint64_t allowance = c.is_unchoked ? c.allowance : c.allowance - c.allowance / 4;
  const std::uint64_t owed = is_stranger(c) ? lent.at(c.network) : owed_of(c);
  const std::uint64_t given = c.received_total + c.credit;
  if (!round.is_seeding) return left_of(allowance + kReturn * given, owed);
  // Passing on takes time; but nobody keeps to itself more than it has passed on.
  allowance += c.sent_lately;
  return std::min(left_of(allowance + c.passed_on, c.kept),
                  left_of(allowance + kSeedReturn * (given + c.passed_on), owed));
}

std::map<ConnId, std::uint64_t> room_of_all(std::span<const ChokeCandidate> candidates,
                                            const ChokeRound& round) {
  Lent lent;
  for (const ChokeCandidate& candidate : candidates) {
    if (is_stranger(candidate)) lent[candidate.network] += owed_of(candidate);
  }
  std::map<ConnId, std::uint64_t> room;
  for (const ChokeCandidate& candidate : candidates) {
    room[candidate.conn] = room_of(candidate, lent, round);
  }
  return room;
}

// ---- Leeching

bool is_better_giver(const ChokeCandidate* a, const ChokeCandidate* b) {
  return std::tuple(a->received, a->credit, b->conn) > std::tuple(b->received, b->credit, a->conn);
}

void choose_optimistic(Ranked& rest, const ChokeRound& round, Rng& rng, ChokeDecision& decision) {
  const ChokeCandidate* chosen = nullptr;
  const auto current = std::find_if(rest.begin(), rest.end(),
                                    [](const ChokeCandidate* c) { return c->is_optimistic; });
  if (current != rest.end() && !round.is_optimistic_due) {
    chosen = *current;
  } else {
    Ranked others = rest;
    if (current != rest.end() && others.size() > 1) remove(others, *current);
    chosen = draw(others, rng);
  }
  if (chosen == nullptr) return;
  decision.optimistic = chosen->conn;
  decision.unchoked.push_back(chosen->conn);
  remove(rest, chosen);
}

void choose_leeching(Ranked rest, const ChokeRound& round, Rng& rng, ChokeDecision& decision) {
  // A single slot is the optimistic one: without it nobody new could ever begin to give.
  std::size_t regular_slots = round.slots - 1;
  std::sort(rest.begin(), rest.end(), is_better_giver);
  Ranked givers;
  for (const ChokeCandidate* candidate : rest) {
    if (givers.size() == regular_slots) break;
    if (candidate->received > 0 && !candidate->is_snubbed) givers.push_back(candidate);
  }
  for (const ChokeCandidate* giver : givers) {
    decision.unchoked.push_back(giver->conn);
    remove(rest, giver);
  }
  regular_slots -= givers.size();
  std::sort(rest.begin(), rest.end(),
            [](const auto* a, const auto* b) { return a->conn < b->conn; });
  choose_optimistic(rest, round, rng, decision);

  // What nobody has earned is lent: at the start of a swarm nobody can have given anything.
  std::erase_if(rest, [](const ChokeCandidate* c) { return c->is_snubbed; });
  // Those that are being served already stay, so that slots do not change hands without a reason.
  std::stable_partition(rest.begin(), rest.end(),
                        [](const ChokeCandidate* c) { return c->is_unchoked; });
  while (regular_slots > 0 && !rest.empty()) {
    const ChokeCandidate* chosen = rest.front()->is_unchoked ? rest.front() : draw(rest, rng);
    decision.unchoked.push_back(chosen->conn);
    remove(rest, chosen);
    --regular_slots;
  }
}

// ---- Seeding

struct Queue {
  Ranked waiting;  // longest first
  std::uint32_t served = 0;
  Time since{};  // how long the network as a whole goes without
  std::uint64_t chance = 0;
};

Queue make_queue(Ranked members, Time now, Rng& rng) {
  Queue queue;
  queue.chance = rng.next();
  rng.shuffle(std::span(members));
  queue.since = kNever;
  std::optional<Time> last;
  for (const ChokeCandidate* member : members) {
    queue.since = std::min(queue.since, member->is_unchoked ? now : member->waiting_since);
    const std::optional<Time> served = member->is_unchoked ? now : member->last_served;
    if (served && (!last || *served > *last)) last = served;
    queue.waiting.push_back(member);
  }
  // Whoever of the network was served last, the whole of it was.
  if (last) queue.since = std::max(queue.since, *last);
  const auto key = [](const ChokeCandidate* c) {
    // One whose turn is over stands behind all that wait.
    return std::tuple(c->is_unchoked, c->is_unchoked ? c->unchoked_since : c->waiting_since);
  };
  std::stable_sort(queue.waiting.begin(), queue.waiting.end(),
                   [&key](const auto* a, const auto* b) {
                     return std::tuple(key(a), b->credit) < std::tuple(key(b), a->credit);
                   });
  return queue;
}

void choose_seeding(const Ranked& candidates, const ChokeRound& round, Time now, Rng& rng,
                    ChokeDecision& decision) {
  std::vector<Queue> queues;
  for (const auto& [network, members] : by_network(candidates)) {
    queues.push_back(make_queue(members, now, rng));
  }
  const auto serve = [&](Queue& queue, Ranked::iterator at) {
    decision.unchoked.push_back((*at)->conn);
    queue.waiting.erase(at);
    ++queue.served;
  };
  // Turns that are not over.
  for (Queue& queue : queues) {
    for (auto at = queue.waiting.begin();
         at != queue.waiting.end() && decision.unchoked.size() < round.slots;) {
      const bool is_in_turn = (*at)->is_unchoked && now - (*at)->unchoked_since < kSeedTurn;
      if (is_in_turn) {
        const auto index = at - queue.waiting.begin();
        serve(queue, at);
        at = queue.waiting.begin() + index;
      } else {
        ++at;
      }
    }
  }
  // Then slot by slot: the network with the fewest slots, of those the one that goes without for
  // longest, in it the peer that waits longest. Ties fall by chance: by number they would always
  // fall to the same.
  while (decision.unchoked.size() < round.slots) {
    Queue* best = nullptr;
    const auto key = [](const Queue& queue) {
      return std::tuple(queue.served, queue.waiting.front()->is_unchoked, queue.since,
                        queue.chance);
    };
    for (Queue& queue : queues) {
      if (queue.waiting.empty()) continue;
      if (best == nullptr || key(queue) < key(*best)) best = &queue;
    }
    if (best == nullptr) break;
    serve(*best, best->waiting.begin());
  }
}

}  // namespace

ChokeDecision choose(std::span<const ChokeCandidate> candidates, const ChokeRound& round, Time now,
                     Rng& rng) {
  ChokeDecision decision;
  decision.room = room_of_all(candidates, round);
  const Ranked all = interested(candidates);
  if (round.slots == 0 || all.empty()) return decision;
  ChokeRound left = round;
  const auto serve = [&](const Ranked& some) {
    if (some.empty() || left.slots == 0) return;
    ChokeDecision part;
    if (round.is_seeding) {
      choose_seeding(some, left, now, rng, part);
    } else {
      choose_leeching(some, left, rng, part);
    }
    left.slots -= static_cast<std::uint32_t>(part.unchoked.size());
    if (!decision.optimistic) decision.optimistic = part.optimistic;
    decision.unchoked.insert(decision.unchoked.end(), part.unchoked.begin(), part.unchoked.end());
  };
  Ranked good;
  Ranked owing;
  for (const ChokeCandidate* candidate : all) {
    const bool owes = decision.room.at(candidate->conn) == 0;
    (owes ? owing : good).push_back(candidate);
  }
  serve(good);
  if (round.are_debtors_served || good.empty()) serve(owing);
  std::sort(decision.unchoked.begin(), decision.unchoked.end());
  PN_CHECK(decision.unchoked.size() <= round.slots);
  return decision;
}

}  // namespace peernet::transfer
