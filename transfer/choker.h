#pragma once

// Who is unchoked this round: a pure function of what the peers gave and how long they wait
// (DESIGN.md 6). Leeching, the best givers of verified bytes get the regular slots and one
// optimistic slot rotates; seeding, those that wait longest are served, network by network, so that
// many identities in one network get no more than one does. Either way whoever is in debt comes
// after all who are not, and is served only with what those leave (contention.h): a stranger is
// lent an allowance, and what more it is sent it has to have given before. To a seed, giving is
// passing on what it got there.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "core/effects.h"
#include "core/rng.h"
#include "core/time.h"
#include "transfer/network.h"

namespace peernet::transfer {

inline constexpr Duration kChokeInterval = std::chrono::seconds(10);
inline constexpr Duration kChokeIntervalShort = std::chrono::seconds(2);
inline constexpr Duration kOptimisticInterval = std::chrono::seconds(30);
inline constexpr Duration kSeedTurn = std::chrono::seconds(30);  // a slot is kept at least so long
inline constexpr unsigned kNewcomerWeight = 3;
// Bytes that a leecher sends for each byte it was given, and a seed for each that was passed on,
// before it counts as a debt.
inline constexpr std::uint64_t kReturn = 2;
inline constexpr std::uint64_t kSeedReturn = 4;

struct ChokeCandidate {
  ConnId conn{};
  Network network;
  bool is_interested = false;
  bool is_unchoked = false;
  bool is_optimistic = false;        // holds the optimistic slot now
  bool is_snubbed = false;           // gives nothing while it holds our requests
  bool is_newcomer = false;          // connected for less than a minute or so
  std::uint64_t received = 0;        // verified bytes from it in the last 20 s
  std::uint64_t received_total = 0;  // in this session
  std::uint64_t sent_total = 0;      // to it, in this session
  std::uint64_t sent_lately = 0;     // of it what it cannot have passed on yet
  std::uint64_t credit = 0;          // verified bytes from this identity in earlier sessions
  Time unchoked_since{};             // where is_unchoked
  // Where not: since it was last choked or became interested, whichever was later.
  Time waiting_since{};
  std::optional<Time> last_served;  // when it was last choked after having been unchoked
  std::uint64_t owed_before = 0;  // bytes of earlier sessions not long ago; counts up to allowance
  std::uint64_t passed_on = 0;    // bytes that it alone had, from us, and others have now
  std::uint64_t kept = 0;         // likewise, and nobody else has them yet
  std::uint64_t allowance = 0;    // bytes that a stranger may be sent
};

struct ChokeRound {
  bool is_seeding = false;
  std::uint32_t slots = 4;         // in all, the optimistic one included
  bool are_debtors_served = true;  // those in good standing leave something over
  bool is_optimistic_due = false;  // kOptimisticInterval has passed: give it to another
};

struct ChokeDecision {
  std::vector<ConnId> unchoked;      // sorted; at most `slots`
  std::optional<ConnId> optimistic;  // one of them; never when seeding
  // What each candidate may be sent before it is in debt; 0: it is.
  std::map<ConnId, std::uint64_t> room;
};

// Only interested candidates are unchoked. Requires: conns are distinct.
ChokeDecision choose(std::span<const ChokeCandidate> candidates, const ChokeRound& round, Time now,
                     Rng& rng);

using Chooser = std::function<ChokeDecision(std::span<const ChokeCandidate> candidates,
                                            const ChokeRound& round, Time now, Rng& rng)>;

}  // namespace peernet::transfer
