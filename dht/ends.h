#pragma once

// What the owner asks for is looked for in both address families, and is to end once. Ends counts
// the families a command still runs in, and adds up what they report.

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "dht/events.h"

namespace peernet::dht {

using Families = std::array<bool, 2>;  // IPv4, IPv6

class Ends {
 public:
  // A command began, or joined one that runs, in these families.
  void begin_lookup(const DhtId& key, const Families& families);
  void begin_get(const DhtId& target, const Families& families);
  void begin_put(const DhtId& target, const Families& families);
  void forget_lookup(const DhtId& key);

  // A family is through. The end of all, if nothing runs any more where there are nodes: in a
  // family without any nobody waits for it.
  std::optional<LookupDone> on_done(const LookupDone& done, std::size_t family,
                                    const Families& has_nodes);
  std::optional<ItemDone> on_done(const ItemDone& done, std::size_t family,
                                  const Families& has_nodes);
  // Is this item better than what was told of it, so that it is worth telling?
  bool on_found(const ItemFound& found);

  std::size_t size() const { return lookups_.size() + items_.size(); }

 private:
  struct Lookup {
    LookupDone sum;
    Families awaited{};
  };
  struct ItemCommand {
    ItemDone sum;
    Families awaited{};
    bool is_told = false;
    std::int64_t seq_told = 0;
  };

  // At most as many as run in one family, twice over.
  std::deque<Lookup> lookups_;
  std::deque<ItemCommand> items_;
};

}  // namespace peernet::dht
