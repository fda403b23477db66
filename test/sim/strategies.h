#pragma once

// Strategies are ways to choke that the product does not have: those of peers that want more than
// they give, and those that the product's own was measured against. Each takes the place of
// transfer::choose in whole nodes that are otherwise as they are.

#include <cstdint>
#include <string_view>

#include "transfer/choker.h"

namespace peernet::sim {

// Serves nobody.
transfer::Chooser free_ride();

// BitTyrant (Piatek et al. 2007): gives each peer just enough to be given back, and first those
// that give most for it. up: its uplink, bytes a second.
transfer::Chooser tyrant(std::uint64_t up);

// Serves those of its own network only, which is one person with many identities.
transfer::Chooser sybil(const Endpoint& own);

// Whoever gives is served for it; a stranger is lent a little, once; whoever owes more waits until
// nobody else has wanted anything for a while. To a seed, giving is passing on what it got there.
// Riders get little by it; but a fast peer is held to the pace at which slow ones take from it.
transfer::ChokeDecision budgets(std::span<const transfer::ChokeCandidate> candidates,
                                const transfer::ChokeRound& round, Time now, Rng& rng);

}  // namespace peernet::sim
