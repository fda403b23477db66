#pragma once

// The DHT engine: a Mainline-compatible Kademlia node (BEP 5) on IPv4. It owns the routing table,
// the peers kept for others, and every query in flight. It is told of datagrams and of the time,
// and answers with effects; it never asks for either. Which part does what is in README.md.

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
#include "dht/searches.h"
#include "dht/server.h"
#include "dht/upkeep.h"

namespace peernet::dht {

inline constexpr Duration kNodesChangedEvery = std::chrono::minutes(1);
inline constexpr Duration kExpiryEvery = std::chrono::minutes(1);
inline constexpr std::size_t kTracesMax = 64;  // lookups watched at a time
inline constexpr Duration kIdChangeEvery = std::chrono::minutes(10);

struct Stats {
  DhtId id;
  std::optional<Endpoint> address;  // ours, as others see it; with port 0
  std::uint32_t nodes = 0;
  std::uint32_t nodes_good = 0;
  double network_size = 0;  // nodes of the whole network, estimated; 0: not known
  std::uint32_t stored_keys = 0;
  std::uint32_t stored_peers = 0;
  std::uint32_t stored_items = 0;
  std::uint32_t lookups_active = 0;  // of the owner, with those that wait their turn
  std::uint64_t queries_in = 0;
  std::uint64_t queries_out = 0;
  std::uint64_t replies_in = 0;  // matched to a query of ours
  std::uint64_t errors_in = 0;
  std::uint64_t dropped_in = 0;  // malformed, unasked for, or over the source's budget
  std::uint64_t bytes_in = 0;    // of payload
  std::uint64_t bytes_out = 0;
  bool is_joined = false;
};

class Dht {
 public:
  Dht(Config config, Rng rng, Log& log);
  // Once, before anything else. A saved id of all zeros: a new one is drawn.
  void start(Time now, const DhtRecord& saved, Effects& out);

  // Inputs.
  void on_datagram(Time now, const Endpoint& from, BytesView bytes, Effects& out);
  // The answer to Resolve; no endpoints: it failed.
  void on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out);
  void on_time(Time now, Effects& out);
  // Every minute, and after a jump. A private network needs it, before the start too: queries count
  // for two minutes around the time they were sent.
  void on_wall_clock(Time now, WallTime wall);

  // Commands. A lookup of a key that runs already is joined; announcing turns it into an announce.
  // Without any node a lookup waits for one, 10 s at most. Ends in LookupDone, unless forgotten.
  void get_peers(Time now, const DhtId& key, Effects& out);
  // A lookup, then announce_peer to the 8 nearest that gave tokens. `implied_port`: others shall
  // take the port our datagrams come from, and `port` is only a fallback for those who cannot.
  void announce(Time now, const DhtId& key, std::uint16_t port, bool implied_port, Effects& out);
  // From now on a LookupStep for each query of the lookup of this key, until its LookupDone. Over
  // kTracesMax nothing is told.
  void trace(const DhtId& key);
  // Stops looking for this key.
  void forget(const DhtId& key);
  // BEP 44. What is under this target: an immutable item needs no salt; a mutable one is checked
  // against the salt, which answers do not tell. ItemFound for each better one, then ItemDone.
  void get_item(Time now, const DhtId& target, BytesView salt, Effects& out);
  // Stores the item at the 8 nearest nodes, which are asked for tokens (and so for what they have)
  // first. With `cas` only where the item stored now has this sequence number. Gives the target;
  // ItemDone tells how many stored it. Errors: those of check().
  Result<DhtId> put_item(Time now, const Item& item, std::optional<std::int64_t> cas, Effects& out);
  // BEP 43: whether we ask only, and answer nobody. For a node nobody can reach, as behind a NAT
  // without a mapped port, while others would list it in vain.
  void set_read_only(bool is_read_only);
  // Here may be a node, for example at the UDP port of a connected peer: asks it who it is.
  void add_node(Time now, const Endpoint& endpoint, Effects& out);
  // Is anybody there? Ends in Pinged with this number. False: it cannot be asked (now).
  // Requires: number > 0.
  bool ping(Time now, std::uint64_t number, const Endpoint& endpoint, Effects& out);

  // Facts for the owner, oldest first.
  std::optional<Event> next_event();

  // Queries.
  Time deadline() const;
  Stats stats() const;
  // Our id and the best nodes known, at most 200; while there are none, those of better times.
  DhtRecord snapshot() const;

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
  void on_query(Time now, const Endpoint& from, const Query& query, std::size_t size, Effects& out);
  void on_reply(Time now, const Endpoint& from, const Reply& reply, Effects& out);
  void on_error(Time now, const Endpoint& from, const ErrorReply& error, Effects& out);
  void on_stage(Time now, const Transaction& transaction, Effects& out);
  // A node says this is our address: if enough do, our id must fit it (BEP 42).
  void on_seen_as(Time now, const Endpoint& by, const Endpoint& address);
  void tell_step(Time now, const Transaction& transaction, LookupStep step);
  void tell_pinged(Time now, const Transaction& transaction, const std::optional<DhtId>& id);
  // Every input and command ends here.
  void settle(Time now, Effects& out);
  void tell_changes(Time now);
  Running& running();
  const Running& running() const;

  Config config_;
  Rng rng_;
  Log* log_;
  Decoder decoder_;
  Bytes opened_;  // the datagram that is dealt with, in a private network
  std::optional<std::pair<Time, WallTime>> wall_clock_;
  Join join_;
  std::optional<Running> running_;
  std::deque<Event> events_;
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
