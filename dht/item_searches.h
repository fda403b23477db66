#pragma once

// All searches of ours for items, by the number their queries carry.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "core/effects.h"
#include "dht/item_search.h"

namespace peernet::dht {

inline constexpr std::size_t kItemSearchesMax = 64;  // at a time

class ItemSearches {
 public:
  explicit ItemSearches(bool special_use_is_global)
      : special_use_is_global_(special_use_is_global) {}

  // Commands. `known`: the item we keep ourselves, or null. A get that runs already is joined. Over
  // kItemSearchesMax a command is done at once, with nothing found or stored.
  void get(Time now, const DhtId& target, BytesView salt, const Item* known, Family& family,
           Effects& out);
  void put(Time now, const Item& item, std::optional<std::int64_t> cas, const Item* known,
           Family& family, Effects& out);

  // Inputs.
  void on_reply(Time now, const Transaction& transaction, const Reply& reply, Family& family,
                Effects& out);
  void on_refused(Time now, const Transaction& transaction, std::int64_t code, Family& family,
                  Effects& out);
  void on_stage(Time now, const Transaction& transaction, Family& family, Effects& out);
  void on_listed(Time now, Family& family, Effects& out);
  void on_time(Time now, Family& family, Effects& out);

  std::optional<Event> next_event();
  Time deadline() const;
  std::size_t size() const { return searches_.size(); }

 private:
  struct Entry {
    ItemSearch search;
    bool is_told = false;  // that it is done; it may still have puts to make
  };
  using Map = std::map<std::uint64_t, Entry>;
  void start(Time now, ItemSearch search, const Item* known, Family& family, Effects& out);
  // Tells what a search has found or stored, and ends it if it is over.
  void settle(Time now, Map::iterator search);
  bool is_full(const DhtId& target, bool is_put);

  bool special_use_is_global_;
  std::uint64_t last_number_ = 0;
  Map searches_;
  std::deque<Event> events_;
};

}  // namespace peernet::dht
