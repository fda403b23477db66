#include "transfer/choker.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "core/check.h"

namespace peernet::transfer {
namespace {

constexpr unsigned kPrefixBitsV4 = 24;
constexpr unsigned kPrefixBitsV6 = 48;

// Whose share of the uplink a peer draws on: its network, or only itself where addresses are exempt
// from the prefix rules.
using PrefixKey = std::pair<Endpoint, ConnId>;

PrefixKey prefix_of(const ChokeCandidate& candidate, bool special_use_is_global) {
  if (!special_use_is_global && candidate.endpoint.locality() != Locality::global) {
    return {Endpoint{}, candidate.conn};
  }
  const unsigned bits = candidate.endpoint.is_v6 ? kPrefixBitsV6 : kPrefixBitsV4;
  return {candidate.endpoint.prefix(bits), ConnId{}};
}

using Ranked = std::vector<const ChokeCandidate*>;
using Prefixes = std::map<PrefixKey, Ranked>;

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

Prefixes by_prefix(const Ranked& candidates, bool special_use_is_global) {
  Prefixes prefixes;
  for (const ChokeCandidate* candidate : candidates) {
    prefixes[prefix_of(*candidate, special_use_is_global)].push_back(candidate);
  }
  return prefixes;
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

// One by chance, newcomers three times as likely. A prefix stands with one of its members, whose
// weight counts once: many identities in one network have the chance of one.
const ChokeCandidate* draw(const Ranked& candidates, bool special_use_is_global, Rng& rng) {
  if (candidates.empty()) return nullptr;
  const auto weight = [](const ChokeCandidate* candidate) { return weight_of(*candidate); };
  Ranked representatives;
  for (const auto& [prefix, members] : by_prefix(candidates, special_use_is_global)) {
    representatives.push_back(members[choose_weighted(members, weight, rng)]);
  }
  return representatives[choose_weighted(representatives, weight, rng)];
}

void remove(Ranked& candidates, const ChokeCandidate* chosen) {
  candidates.erase(std::find(candidates.begin(), candidates.end(), chosen));
}

bool is_in_debt(const ChokeCandidate& candidate) {
  return candidate.sent_total > candidate.received_total + candidate.credit + kDebtMax;
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
    chosen = draw(others, round.special_use_is_global, rng);
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
  Ranked trusted;
  for (const ChokeCandidate* candidate : rest) {
    if (!candidate->is_snubbed && !is_in_debt(*candidate)) trusted.push_back(candidate);
  }
  // Those that are being served already stay, so that slots do not change hands without a reason.
  std::stable_partition(trusted.begin(), trusted.end(),
                        [](const ChokeCandidate* c) { return c->is_unchoked; });
  while (regular_slots > 0 && !trusted.empty()) {
    const ChokeCandidate* chosen = trusted.front()->is_unchoked
                                       ? trusted.front()
                                       : draw(trusted, round.special_use_is_global, rng);
    decision.unchoked.push_back(chosen->conn);
    remove(trusted, chosen);
    --regular_slots;
  }
}

// ---- Seeding

struct Queue {
  Ranked waiting;  // longest first
  std::uint32_t served = 0;
  Time since{};  // how long the prefix as a whole goes without
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
  // Whoever of the prefix was served last, the whole of it was.
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
  for (const auto& [prefix, members] : by_prefix(candidates, round.special_use_is_global)) {
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
  // Then slot by slot: the prefix with the fewest slots, of those the one that goes without for
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
  Ranked rest = interested(candidates);
  if (round.slots == 0 || rest.empty()) return decision;
  if (round.is_seeding) {
    choose_seeding(rest, round, now, rng, decision);
  } else {
    choose_leeching(std::move(rest), round, rng, decision);
  }
  std::sort(decision.unchoked.begin(), decision.unchoked.end());
  PN_CHECK(decision.unchoked.size() <= round.slots);
  return decision;
}

}  // namespace peernet::transfer
