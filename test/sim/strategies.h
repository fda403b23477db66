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

// What the product would be without standing (choker.h): plain tit-for-tat.
transfer::Chooser tit_for_tat();

// Remembered credit, as eMule's: those come first that ever gave most, however long ago.
transfer::Chooser credit();

// PropShare (Levin et al. 2008), as far as slots go: slots are drawn by chance in proportion to
// what each peer gave, one in five by chance alone.
transfer::Chooser prop_share();

}  // namespace peernet::sim
