#pragma once

// One node of the Kademlia network, in one address family: it owns the routing table, the peers and
// items kept for others, and every query in flight. Dht has one for each family, and gives them
// what is for both. Its commands and queries are those of Dht, which says what they mean.

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "core/effects.h"
#include "core/log.h"
#include "core/records.h"
#include "core/rng.h"
#include "core/time.h"
#include "dht/address_vote.h"
#include "dht/config.h"
#include "dht/events.h"
#include "dht/family.h"
#include "dht/item.h"
#include "dht/item_searches.h"
#include "dht/join.h"
#include "dht/reach.h"
#include "dht/searches.h"
#include "dht/server.h"
#include "dht/stats.h"
#include "dht/upkeep.h"

namespace peernet::dht {

inline constexpr Duration kNodesChangedEvery = std::chrono::minutes(1);
inline constexpr Duration kExpiryEvery = std::chrono::minutes(1);
inline constexpr std::size_t kTracesMax = 64;  // lookups watched at a time
inline constexpr Duration kIdChangeEvery = std::chrono::minutes(10);

class Node {
 public:
  // Contacts of the other family, and who told us of them.
  struct Introduced {
    Endpoint by;
    std::vector<Contact> contacts;
  };

  Node(const Config& config, bool is_v6, Rng rng, Log& log);
  void start(Time now, const DhtRecord& saved, Effects& out);

  // Inputs.
  // `other`: the node of the other family, whose contacts some ask for; null if there is none.
  // Requires: `from` is of our family.
  void on_datagram(Time now, const Endpoint& from, BytesView bytes, const Node* other,
                   Effects& out);
  // Contacts of our family that the other node was told of.
  void on_introduction(Time now, const Introduced& introduced, Effects& out);
  void on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out);
  void on_time(Time now, Effects& out);
  void on_wall_clock(Time now, WallTime wall);

  // Commands.
  void get_peers(Time now, const DhtId& key, Effects& out);
  void announce(Time now, const DhtId& key, std::uint16_t port, bool implied_port, Effects& out);
  void trace(const DhtId& key);
  void forget(const DhtId& key);
  void get_item(Time now, const DhtId& target, BytesView salt, Effects& out);
  // Requires: check(item) said yes.
  void put_item(Time now, const Item& item, std::optional<std::int64_t> cas, Effects& out);
  void set_read_only(bool is_read_only);
  void set_own_addresses(Time now, std::vector<Endpoint> addresses);
  // Our queries ask for contacts of both families.
  void set_wants_both(bool wants_both);
  void add_node(Time now, const Endpoint& endpoint, Effects& out);
  bool ping(Time now, std::uint64_t number, const Endpoint& endpoint, Effects& out);

  // Facts for the owner, oldest first.
  std::optional<Event> next_event();
  // Contacts for the node of the other family.
  std::vector<Introduced> take_introductions() { return std::exchange(introductions_, {}); }

  // Queries.
  Time deadline() const;
  Stats stats() const;
  DhtRecord snapshot() const;
  std::size_t nodes_count() const { return running().family.table.size(); }

 private:
  // What exists from start() on, when the id is known.
  struct Running {
    DhtId id;
    Family family;
    Server server;
    Searches searches;
    ItemSearches item_searches;
    Upkeep upkeep;
    AddressVote vote;
  };

  Outlet outlet();
  // Opens it, in a private network, and decodes it. Errors: what deserves no answer.
  Result<Message> read(Time now, const Endpoint& from, BytesView bytes);
  void on_query(Time now, const Endpoint& from, const Query& query, std::size_t size,
                const Node* other, Effects& out);
  void on_reply(Time now, const Endpoint& from, const Reply& reply, Effects& out);
  void on_error(Time now, const Endpoint& from, const ErrorReply& error, Effects& out);
  void on_stage(Time now, const Transaction& transaction, Effects& out);
  // A node says this is our address: if enough do, our id must fit it (BEP 42).
  void on_seen_as(Time now, const Endpoint& by, const Endpoint& address);
  // Read-only is who is told to be, and who cannot be reached (Reach).
  void consider_reach(Time now);
  bool is_read_only() const { return config_.is_read_only || is_hidden_; }
  void tell_step(Time now, const Transaction& transaction, LookupStep step);
  void tell_pinged(Time now, const Transaction& transaction, const std::optional<DhtId>& id);
  // Every input and command ends here.
  void settle(Time now, Effects& out);
  void tell_changes(Time now);
  Running& running();
  const Running& running() const;

  Config config_;
  bool is_v6_;
  Rng rng_;
  Log* log_;
  Decoder decoder_;
  Bytes opened_;  // the datagram that is dealt with, in a private network
  std::optional<std::pair<Time, WallTime>> wall_clock_;
  Join join_;
  Reach reach_;
  bool is_hidden_ = false;
  std::optional<Running> running_;
  std::deque<Event> events_;
  std::vector<Introduced> introductions_;
  std::set<DhtId> traced_;  // at most kTracesMax
  bool is_joined_ = false;
  bool is_changed_ = false;  // the table, since NodesChanged
  bool is_grown_ = false;    // the table, in this input
  Time changes_told_at_{};   // when NodesChanged may be told next
  Time id_change_from_{};    // our id may change again
  Time expiry_at_ = kNever;  // of what others announced to us
  Time now_{};               // of the last input, for stats()
  Stats counts_;
};

}  // namespace peernet::dht
