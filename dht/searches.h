#pragma once

// All searches of ours: those the owner asked for, one for each key, and those that keep the table
// filled. Only so many run at a time; the owner's wait for their turn in the order they came.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/effects.h"
#include "dht/search.h"

namespace peernet::dht {

inline constexpr std::size_t kSearchesActiveMax = 32;  // of the owner, at a time
inline constexpr std::size_t kSearchesMax = 4'096;     // of the owner, with those that wait

class Searches {
 public:
  explicit Searches(bool special_use_is_global) : special_use_is_global_(special_use_is_global) {}

  // Commands. `known`: peers under the key that we keep ourselves. A search of this key that runs
  // is joined. Over kSearchesMax the command is done at once, with nothing found.
  void find_peers(Time now, const DhtId& key, const std::optional<Announce>& announce,
                  const std::vector<Endpoint>& known, Family& family, Effects& out);
  void find_nodes(Time now, const DhtId& target, const std::optional<Introduction>& introduction,
                  Family& family, Effects& out);
  void forget(const DhtId& key);

  // Inputs.
  void on_reply(Time now, const Transaction& transaction, const Reply& reply, Family& family,
                Effects& out);
  void on_refused(Time now, const Transaction& transaction, Family& family, Effects& out);
  void on_stage(Time now, const Transaction& transaction, Family& family, Effects& out);
  // Somebody answered what a search for nodes near `target` asks, if one runs.
  void on_introduced(Time now, const DhtId& target, const Introduction& introduction,
                     Family& family, Effects& out);
  void on_listed(Time now, Family& family, Effects& out);
  void on_time(Time now, Family& family, Effects& out);

  std::optional<Event> next_event();

  Time deadline() const;
  std::size_t count(Search::Goal goal) const;
  // The key of the owner's search that this query is a step of.
  std::optional<DhtId> key_of(const Transaction& transaction) const;

 private:
  struct Entry {
    Search search;
    bool is_told = false;  // that it is done; it may still have stores to make
  };
  using Map = std::map<std::uint64_t, Entry>;

  // Those the owner still waits for.
  Map::iterator find(const DhtId& key);
  // Tells what a search has found, ends it if it is over, and starts those that wait.
  void settle(Time now, Map::iterator search, Family& family, Effects& out);
  void start_waiting(Time now, Family& family, Effects& out);

  bool special_use_is_global_;
  std::uint64_t last_number_ = 0;
  Map searches_;  // in the order they were asked for
  std::deque<Event> events_;
};

}  // namespace peernet::dht
