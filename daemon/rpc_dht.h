#pragma once

// The methods dht.*: raw 20-byte keys, for tools and for work with other implementations. DhtCalls
// keeps the calls that wait for the network and what has come for them so far; each is answered
// once, at the latest when its time is over. Calls for the same key share one lookup.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/time.h"
#include "daemon/json.h"
#include "daemon/node.h"
#include "daemon/rpc_client.h"

namespace peernet::daemon {

inline constexpr Duration kDhtCallTimeout = std::chrono::seconds(60);
inline constexpr std::size_t kDhtStepsMax = 1'024;  // kept of one traced lookup

class DhtCalls {
 public:
  // Gives a call its answer; never within a command.
  using Answer = std::function<void(const PendingCall& call, const Result<Json>& result)>;
  explicit DhtCalls(Answer answer) : answer_(std::move(answer)) {}

  // Where a method is carried out.
  struct Place {
    Time now{};
    WallTime wall;
    Node& node;
    Effects& out;
  };

  // Commands; the parameters were checked against the table. Nothing: answered later. An error is
  // the answer.
  Result<void> lookup(const Place& place, PendingCall call, const Json& params);
  Result<void> announce(const Place& place, PendingCall call, const Json& params);
  Result<void> get(const Place& place, PendingCall call, const Json& params);
  Result<void> put(const Place& place, PendingCall call, const Json& params);
  Result<void> ping(const Place& place, PendingCall call, const Json& params);

  // Inputs.
  void on_event(Time now, const dht::Event& event);
  void on_client_gone(ClientId client);
  void on_time(Time now);

  // Queries.
  Time deadline() const;

 private:
  struct LookupCall {
    PendingCall call;
    std::uint16_t port = 0;  // 0: it only looks
    bool is_traced = false;
  };
  struct Step {
    dht::LookupStep step;
    Time asked{};
  };
  struct Lookup {
    Time began{};
    std::vector<LookupCall> calls;
    std::vector<Endpoint> peers;  // at most dht::kSearchPeersMax
    std::vector<Step> steps;      // at most kDhtStepsMax
  };
  struct Get {
    Time began{};
    std::vector<PendingCall> calls;
    std::optional<dht::Item> item;
  };
  struct Put {
    Time began{};
    PendingCall call;
    dht::Item item;
  };
  struct Ping {
    Time began{};
    PendingCall call;
    std::string text;
  };

  Result<void> begin(const Place& place, const DhtId& key, LookupCall call);
  void on_lookup_done(const dht::LookupDone& done);
  void on_item_done(const dht::ItemDone& done);
  void on_pinged(const dht::Pinged& pinged);

  Answer answer_;
  std::map<DhtId, Lookup> lookups_;
  std::map<DhtId, Get> gets_;
  std::multimap<DhtId, Put> puts_;
  std::map<std::uint64_t, Ping> pings_;
};

// dht.stats.
Json dht_stats_json(const NodeStatus& status, const std::vector<dht::Contact>& nodes);

}  // namespace peernet::daemon
