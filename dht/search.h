#pragma once

// One search of ours from the command to its end: it waits for nodes while there are none, looks
// for the nearest, and announces to them if that was asked, to each as soon as it is probably among
// them. It sends its own queries.

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/time.h"
#include "dht/events.h"
#include "dht/family.h"
#include "dht/lookup.h"
#include "dht/targets.h"

namespace peernet::dht {

inline constexpr std::size_t kSearchSeeds = 32;        // nodes of our own table to begin with
inline constexpr std::size_t kSearchPeersMax = 2'048;  // told to the owner; more are ignored
inline constexpr Duration kSearchPatience = std::chrono::seconds(10);  // for the first answer
inline constexpr Duration kSearchRetry = std::chrono::seconds(1);

struct Announce {
  std::uint16_t port = 0;
  bool is_port_implied = false;
  auto operator<=>(const Announce&) const = default;
};

// Somebody told us of nodes near a place before we had begun to search there.
struct Introduction {
  Contact by;
  std::vector<Contact> nodes;
};

class Search {
 public:
  enum class Goal : std::uint8_t { nodes, peers };
  Search(Time now, std::uint64_t number, const DhtId& target, Goal goal,
         bool special_use_is_global);

  // Commands. announce_as: also when the search is over already.
  void start(Time now, const Introduction* introduction, Family& family, Effects& out);
  void announce_as(Time now, const Announce& announce, Family& family, Effects& out);

  // Inputs. Requires: the transaction is one of this search.
  void on_reply(Time now, const Transaction& transaction, const Reply& reply, Family& family,
                Effects& out);
  void on_refused(Time now, const Transaction& transaction, Family& family, Effects& out);
  void on_stage(Time now, const Transaction& transaction, Family& family, Effects& out);
  // An answer to the same question that was asked for another reason.
  void on_introduced(Time now, const Introduction& introduction, Family& family, Effects& out);
  // A node was listed.
  void on_listed(Time now, Family& family, Effects& out);
  void on_time(Time now, Family& family, Effects& out);
  // Peers known without asking. Those that are new.
  std::vector<Endpoint> on_peers(const std::vector<Endpoint>& peers);

  // Peers the last reply brought.
  std::vector<Endpoint> take_new_peers() { return std::exchange(new_peers_, {}); }

  bool is_over() const { return phase_ == Phase::over; }
  // What the owner wanted is done, though the search may still have stores to make.
  bool is_success() const;
  bool is_started() const { return phase_ != Phase::queued; }
  Time deadline() const;
  Goal goal() const { return goal_; }
  const DhtId& target() const { return lookup_.target(); }
  LookupDone result(Time now) const;

 private:
  enum class Phase : std::uint8_t { queued, waiting, looking, storing, over };

  void seed(Time now, const Introduction* introduction, Family& family, Effects& out);
  void step(Time now, Family& family, Effects& out);
  void add_nodes(const std::vector<Contact>& nodes, const Contact& teller, const Family& family);
  // Sends to those of `stores_` that are due, and is over when it was and nobody is awaited.
  void settle_stores(Time now, Family& family, Effects& out);

  std::uint64_t number_;
  Goal goal_;
  bool special_use_is_global_;
  Time began_;
  Time retry_at_;
  Phase phase_ = Phase::queued;
  Lookup lookup_;
  std::optional<Announce> announce_;
  Targets stores_;
  std::set<Endpoint> peers_;
  std::vector<Endpoint> new_peers_;
  // Of rounds before this one, which nobody answered.
  std::size_t asked_before_ = 0;
};

}  // namespace peernet::dht
