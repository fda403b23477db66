
#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "core/check.h"
#include "test/sim/strategies.h"

namespace peernet::sim {

using transfer::ChokeCandidate;
using transfer::ChokeDecision;
using transfer::ChokeRound;
using transfer::kNewcomerWeight;
using transfer::kSeedTurn;

namespace {

// A peer may be sent its allowance, and for each byte it gave so many.
constexpr std::uint64_t kReturn = 2;
// Likewise at a seed, for each byte that it passed on.
constexpr std::uint64_t kSeedReturn = 4;
// Nobody in good standing has wanted anything for so long: what is idle goes to the others.
constexpr Duration kIdleTime = std::chrono::seconds(20);

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

// ---- Standing

// How many bytes each may still be sent; below zero it owes. Strangers of one network share an
// allowance, so that many identities are lent what one is.
using Budgets = std::map<ConnId, std::int64_t>;

std::int64_t signed_of(std::uint64_t bytes) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, std::uint64_t{1} << 60U));
}

bool is_stranger(const ChokeCandidate& candidate) {
  return candidate.received_total + candidate.credit + candidate.passed_on == 0;
}

std::uint64_t owed_of(const ChokeCandidate& candidate) {
  return candidate.sent_total + std::min(candidate.owed_before, candidate.allowance);
}

std::int64_t budget_of(const ChokeCandidate& c, std::uint64_t owed, bool is_seeding) {
  const std::uint64_t given = c.received_total + c.credit;
  if (!is_seeding) return signed_of(c.allowance + kReturn * given) - signed_of(owed);
  // What it keeps to itself is bounded, the more loosely the more it has passed on.
  return std::min(signed_of(c.allowance + c.passed_on / kSeedReturn) - signed_of(c.kept),
                  signed_of(c.allowance + kSeedReturn * (given + c.passed_on)) - signed_of(owed));
}

Budgets budgets_of(std::span<const ChokeCandidate> candidates, const ChokeRound& round) {
  std::map<PrefixKey, std::uint64_t> lent;
  for (const ChokeCandidate& candidate : candidates) {
    if (!is_stranger(candidate)) continue;
    lent[prefix_of(candidate, round.special_use_is_global)] += owed_of(candidate);
  }
  Budgets budgets;
  for (const ChokeCandidate& candidate : candidates) {
    const std::uint64_t owed = is_stranger(candidate)
                                   ? lent[prefix_of(candidate, round.special_use_is_global)]
                                   : owed_of(candidate);
    budgets[candidate.conn] = budget_of(candidate, owed, round.is_seeding);
  }
  return budgets;
}

// Who was choked for what it owes comes back with a quarter of its allowance and not with a byte.
bool is_in_good_standing(const ChokeCandidate& candidate, const Budgets& budgets) {
  const std::int64_t least = candidate.is_unchoked ? 0 : signed_of(candidate.allowance) / 4;
  return budgets.at(candidate.conn) > least;
}

void unchoke(const ChokeCandidate& candidate, const Budgets& budgets, ChokeDecision& decision) {
  decision.unchoked.push_back(candidate.conn);
  const std::int64_t budget = budgets.at(candidate.conn);
  decision.budgets[candidate.conn] =
      budget > 0 ? static_cast<std::uint64_t>(budget) : candidate.allowance / 4 + 1;
}

// ---- Leeching

bool is_better_giver(const ChokeCandidate* a, const ChokeCandidate* b) {
  return std::tuple(a->received, a->credit, b->conn) > std::tuple(b->received, b->credit, a->conn);
}

void choose_optimistic(Ranked& rest, const Budgets& budgets, const ChokeRound& round, Rng& rng,
                       ChokeDecision& decision) {
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
  unchoke(*chosen, budgets, decision);
  remove(rest, chosen);
}

// Nobody in good standing wants anything: in time, what is idle goes to those that owe least.
void choose_idle(Ranked rest, const Budgets& budgets, const ChokeRound& round,
                 ChokeDecision& decision) {
  decision.is_idle = true;
  if (round.idle < kIdleTime) return;
  std::stable_sort(rest.begin(), rest.end(), [&](const auto* a, const auto* b) {
    return budgets.at(a->conn) > budgets.at(b->conn);
  });
  if (rest.size() > round.slots) rest.resize(round.slots);
  for (const ChokeCandidate* candidate : rest) unchoke(*candidate, budgets, decision);
}

void choose_leeching(const Ranked& all, const Budgets& budgets, const ChokeRound& round, Rng& rng,
                     ChokeDecision& decision) {
  Ranked rest;
  for (const ChokeCandidate* candidate : all) {
    if (candidate->is_snubbed || !is_in_good_standing(*candidate, budgets)) continue;
    rest.push_back(candidate);
  }
  if (rest.empty()) {
    choose_idle(all, budgets, round, decision);
    return;
  }
  // A single slot is the optimistic one: without it nobody new could ever begin to give.
  std::size_t regular_slots = round.slots - 1;
  std::sort(rest.begin(), rest.end(), is_better_giver);
  Ranked givers;
  for (const ChokeCandidate* candidate : rest) {
    if (givers.size() == regular_slots) break;
    if (candidate->received > 0) givers.push_back(candidate);
  }
  for (const ChokeCandidate* giver : givers) {
    unchoke(*giver, budgets, decision);
    remove(rest, giver);
  }
  regular_slots -= givers.size();
  std::sort(rest.begin(), rest.end(),
            [](const auto* a, const auto* b) { return a->conn < b->conn; });
  choose_optimistic(rest, budgets, round, rng, decision);

  // What nobody has earned is lent: at the start of a swarm nobody can have given anything.
  // Those that are being served already stay, so that slots do not change hands without a reason.
  std::stable_partition(rest.begin(), rest.end(),
                        [](const ChokeCandidate* c) { return c->is_unchoked; });
  while (regular_slots > 0 && !rest.empty()) {
    const ChokeCandidate* chosen =
        rest.front()->is_unchoked ? rest.front() : draw(rest, round.special_use_is_global, rng);
    unchoke(*chosen, budgets, decision);
    remove(rest, chosen);
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

void choose_seeding(const Ranked& all, const Budgets& budgets, const ChokeRound& round, Time now,
                    Rng& rng, ChokeDecision& decision) {
  Ranked candidates;
  for (const ChokeCandidate* candidate : all) {
    if (is_in_good_standing(*candidate, budgets)) candidates.push_back(candidate);
  }
  // A seed has nothing better to do than to serve those that owe, when nobody else is there.
  if (candidates.empty()) candidates = all;
  std::vector<Queue> queues;
  for (const auto& [prefix, members] : by_prefix(candidates, round.special_use_is_global)) {
    queues.push_back(make_queue(members, now, rng));
  }
  const auto serve = [&](Queue& queue, Ranked::iterator at) {
    unchoke(**at, budgets, decision);
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

ChokeDecision budgets(std::span<const ChokeCandidate> candidates, const ChokeRound& round, Time now,
                      Rng& rng) {
  ChokeDecision decision;
  Ranked rest = interested(candidates);
  if (round.slots == 0 || rest.empty()) return decision;
  const Budgets all_budgets = budgets_of(candidates, round);
  if (round.is_seeding) {
    choose_seeding(rest, all_budgets, round, now, rng, decision);
  } else {
    choose_leeching(rest, all_budgets, round, rng, decision);
  }
  std::sort(decision.unchoked.begin(), decision.unchoked.end());
  PN_CHECK(decision.unchoked.size() <= round.slots);
  return decision;
}

}  // namespace peernet::sim
