#pragma once

// How the engine gets into the network, and back into it: it asks nodes remembered from better
// times, 16 at once, and the bootstrap nodes, again after 1, 2, 4, 8... seconds up to 5 minutes
// while fewer than 8 nodes are known, up to 1 minute while nobody is. A bootstrap node is asked for
// nodes near us and for nodes as far as can be, and twice more, for others, while fewer than 8 have
// answered: one lost or late datagram costs little, and more nodes are heard of. When the last
// known node is lost, it begins anew.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/effects.h"
#include "core/time.h"
#include "dht/config.h"
#include "dht/family.h"

namespace peernet::dht {

inline constexpr std::size_t kRememberedMax = 200;
inline constexpr std::size_t kJoinAtOnce = 16;  // remembered nodes asked in one attempt
inline constexpr std::size_t kJoinEnough = 8;   // nodes in the table that end joining
inline constexpr Duration kJoinRetryMin = std::chrono::seconds(1);
inline constexpr Duration kJoinRepeatAfter = std::chrono::milliseconds(150);
inline constexpr unsigned kJoinRepeatsMax = 2;  // in one attempt
inline constexpr Duration kJoinRetryMax = std::chrono::minutes(5);
inline constexpr Duration kJoinRetryAloneMax = std::chrono::minutes(1);  // with an empty table

class Join {
 public:
  // One for each address family: they number their jobs apart.
  Join(const std::vector<BootstrapName>& bootstrap, bool is_v6);

  // Nodes that were known once, the best first.
  void start(Time now, const std::vector<Contact>& remembered);
  void on_time(Time now, Family& family, Effects& out);
  void on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Family& family,
                   Effects& out);
  // The table has now so many nodes.
  void on_table(Time now, std::size_t nodes_count);
  // The best nodes of a table that works, for when it no longer does.
  void remember(const std::vector<Contact>& nodes);

  const std::vector<Contact>& remembered() const { return remembered_; }
  Time deadline() const { return std::min(attempt_at_, repeat_at_); }

 private:
  struct Bootstrap {
    BootstrapName name;
    bool is_literal = false;
    std::vector<Endpoint> endpoints;
    std::optional<JobId> job;  // being resolved
  };

  Duration backoff() const;
  void ask_remembered(Time now, Family& family, Effects& out);
  void ask_bootstrap(Time now, Bootstrap& bootstrap, Family& family, Effects& out);
  void ask_bootstrap_again(Time now, Family& family, Effects& out);
  static void ask_twice(Time now, const Endpoint& endpoint, Family& family, Effects& out);
  // For nodes whose ids part from ours in these bits of the first byte.
  static void ask_for_others(Time now, const Endpoint& endpoint, std::uint8_t bits, Family& family,
                             Effects& out);
  static void ask(Time now, const Endpoint& endpoint, Family& family, Effects& out);
  static bool may_ask(const Endpoint& endpoint, const Family& family);

  std::vector<Bootstrap> bootstrap_;
  JobIds jobs_;
  std::vector<Contact> remembered_;
  std::size_t remembered_next_ = 0;
  std::size_t nodes_count_ = 0;
  unsigned attempts_ = 0;
  Time attempt_at_ = kNever;
  Time repeat_at_ = kNever;
  unsigned repeats_ = 0;
};

}  // namespace peernet::dht
