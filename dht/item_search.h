#pragma once

// One search of ours for an item of BEP 44 from the command to its end: it waits for nodes while
// there are none, asks the nearest, judges every value as it comes, and puts to the 8 nearest if
// that was asked. A node may hold back a value until we have proved our address to it; so those who
// may have a better one than we are asked a second time.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/time.h"
#include "dht/events.h"
#include "dht/family.h"
#include "dht/item.h"
#include "dht/lookup.h"
#include "dht/targets.h"

namespace peernet::dht {

class ItemSearch {
 public:
  struct Put {
    Item item;
    std::optional<std::int64_t> cas;
  };
  // To get what is under the target.
  ItemSearch(Time now, std::uint64_t number, const DhtId& target, BytesView salt,
             bool special_use_is_global);
  // To put. Requires: check(put.item) said yes.
  ItemSearch(Time now, std::uint64_t number, Put put, bool special_use_is_global);

  void start(Time now, Family& family, Effects& out);

  // Inputs. Requires: the transaction is one of this search.
  void on_reply(Time now, const Transaction& transaction, const Reply& reply, Family& family,
                Effects& out);
  void on_refused(Time now, const Transaction& transaction, std::int64_t code, Family& family,
                  Effects& out);
  void on_stage(Time now, const Transaction& transaction, Family& family, Effects& out);
  void on_listed(Time now, Family& family, Effects& out);
  void on_time(Time now, Family& family, Effects& out);
  // One we keep ourselves.
  void on_item(const Item& item);

  // The best item so far, if it is better than the one taken last.
  std::optional<Item> take_found();
  bool is_over() const { return phase_ == Phase::over; }
  // What was to be put is, though the search may go on.
  bool is_success() const;
  Time deadline() const;
  const DhtId& target() const { return lookup_.target(); }
  bool is_get_of(const DhtId& target, BytesView salt) const;
  ItemDone result(Time now) const;

 private:
  enum class Phase : std::uint8_t { waiting, looking, asking_again, putting, over };
  void seed(Time now, Family& family, Effects& out);
  void step(Time now, Family& family, Effects& out);
  void look(Time now, Family& family, Effects& out);
  void begin_asking_again(Time now);
  std::optional<std::int64_t> refusal() const;
  void begin_putting();
  void consider(const Reply& reply);
  // The query that goes to a target.
  QueryBody body_for(const Targets::Target& target) const;
  // Did the query go to a target? What was asked while looking did not.
  bool is_to_target(const Transaction& transaction);
  QueryBody get_body() const;

  std::uint64_t number_;
  Bytes salt_;
  std::optional<Put> put_;
  bool special_use_is_global_;
  Time began_;
  Time retry_at_;
  Phase phase_ = Phase::waiting;
  Lookup lookup_;
  Targets targets_;  // to put to, or to ask again
  std::optional<Item> best_;
  bool is_best_new_ = false;
  // Nodes that said they have one newer than they sent; at most kLookupQueriesMax.
  std::vector<std::pair<Endpoint, std::int64_t>> held_back_;
  std::uint32_t refused_ = 0;
  std::int64_t error_ = 0;
};

}  // namespace peernet::dht
