#pragma once

// Whom a search turns to once it has found them: nodes to store something at, or to ask a second
// time. Which nodes something is stored at, an announce or an item, is decided here. Each is sent
// to once, and once more when it is slow, and is settled when it answers. Pure arithmetic: the
// owner sends, and tells what became of it.

#include <vector>

#include "core/bytes.h"
#include "core/time.h"
#include "dht/lookup.h"
#include "dht/transactions.h"

namespace peernet::dht {

inline constexpr std::size_t kStoresMax = 48;         // nodes that one thing is stored at
inline constexpr std::size_t kStoresEnough = 6;       // of the 8 nearest: success is told
inline constexpr std::size_t kTargetAttemptsMax = 2;  // to one node, the second when it is slow

class Targets {
 public:
  struct Target {
    Contact contact;
    Bytes token;
    std::size_t attempts = 0;
    std::size_t in_flight = 0;     // not lapsed; the owner counts what it has sent
    bool is_due = true;            // to be sent to
    bool is_settled = false;       // answered, or refused
    bool is_acknowledged = false;  // answered
  };

  Targets(Time now, bool special_use_is_global)
      : since_(now), special_use_is_global_(special_use_is_global) {}

  // Forgets all: what was sent before now concerns none of those that come.
  void restart(Time now);
  void add(Lookup::Found found);
  // Adds those that something is to be stored at and that are not here yet: the 8 nearest that gave
  // tokens, of 16 those with a right to their ids first; in a crowd the whole region, one of each
  // /16. While the lookup goes on only who will probably be among them.
  void add_stores(const Lookup& lookup, bool is_lookup_over);

  // The next to send to, which from then on counts as tried; null: nobody.
  Target* next();
  // It answered, or refused. False if the query was to none of them, or the node is settled.
  bool on_reply(const Transaction& transaction);
  bool on_refused(const Transaction& transaction);
  void on_stage(const Transaction& transaction);

  // Is this query to one of them?
  bool contains(const Transaction& transaction) { return find(transaction) != nullptr; }
  // An answer may still come.
  bool is_awaited() const;
  const std::vector<Target>& all() const { return targets_; }
  std::size_t acknowledged_count() const;
  // It is stored at 6 of the 8 nearest; while the lookup goes on, of those that may still be.
  bool is_stored_enough(const Lookup& lookup, bool is_lookup_over) const;

 private:
  Target* find(const Transaction& transaction);
  bool is_store_wanted(const Lookup::Found& found, bool is_crowded, bool is_lookup_over) const;

  Time since_;
  bool special_use_is_global_;
  std::vector<Target> targets_;
};

}  // namespace peernet::dht
