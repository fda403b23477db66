#pragma once

// The DHT engine: a Mainline-compatible Kademlia (BEP 5) on IPv4, IPv6 (BEP 32) or both. It owns
// one node for each address family, and makes of two one: commands go to both, what they find ends
// once, and each gives the other the contacts it hears of. It is told of datagrams and of the time,
// and answers with effects; it never asks for either. Which part does what is in README.md.

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/effects.h"
#include "core/log.h"
#include "core/records.h"
#include "core/rng.h"
#include "core/time.h"
#include "dht/config.h"
#include "dht/ends.h"
#include "dht/events.h"
#include "dht/item.h"
#include "dht/node.h"
#include "dht/stats.h"

namespace peernet::dht {

// While the node of one family knows fewer, the other asks for contacts of both.
inline constexpr std::size_t kNodesWanted = 32;

class Dht {
 public:
  // Requires: the config names a family at least.
  Dht(const Config& config, Rng rng, Log& log);
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
  // The addresses of our interfaces, ports aside. If others see us at none of them and nobody asks
  // us of himself, we are read-only for our first ten minutes.
  void set_own_addresses(Time now, const std::vector<Endpoint>& addresses);
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
  Node* node_of(const Endpoint& endpoint) {
    auto& node = nodes_[endpoint.is_v6 ? 1 : 0];
    return node ? &*node : nullptr;
  }
  // Those that know somebody; if none does, all.
  Families families_now() const;
  Families has_nodes() const;
  template <class Act>
  void for_each(const Families& families, Act act);
  // Every input and command ends here.
  void settle(Time now, Effects& out);
  void tell(Event event, std::size_t family);

  std::array<std::optional<Node>, 2> nodes_;  // IPv4, IPv6
  Ends ends_;
  std::deque<Event> events_;
  // Of datagrams of a family we have no node in.
  std::uint64_t foreign_datagrams_ = 0;
  std::uint64_t foreign_bytes_ = 0;
};

}  // namespace peernet::dht
