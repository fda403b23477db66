#pragma once

// A world of DHT nodes and nothing else: up to tens of thousands of `Dht` engines in one process,
// with virtual time, and datagrams that take a lognormal time and may be lost. Besides engines it
// has actors, endpoints whose answers are written by hand: that is where attackers live. One heap
// of small events carries all; an engine is woken only when its deadline has come.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "core/rng.h"
#include "dht/dht.h"
#include "test/sim/digest.h"

namespace peernet::dht_sim {

using HostId = std::uint32_t;
using LookupId = std::size_t;
using ItemId = std::size_t;

struct Options {
  double delay_median_ms = 40;  // one way, of every datagram anew
  double delay_sigma = 0.6;
  double loss = 0.01;
};

struct NodeOptions {
  std::vector<Endpoint> bootstrap{};
  DhtRecord saved{};
  bool is_natted = false;  // only who was written to in the last 2 min gets in
  bool is_settled = true;  // it was here before, and its id is bound to its address (BEP 42)
  std::optional<Endpoint> endpoint{};  // empty: a fresh one
};

class World;

// A host without an engine.
class Actor {
 public:
  Actor() = default;
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;
  virtual ~Actor() = default;
  virtual void on_datagram(World& world, HostId self, const Endpoint& from, BytesView bytes) = 0;
  // When it wants to be woken next.
  virtual Time on_time(World&, HostId) { return kNever; }
};

// One command of ours, and what became of it.
struct LookupRecord {
  HostId host = 0;
  DhtId key;
  Time began;
  std::optional<Duration> first_peer;  // zero: the host kept it itself
  std::optional<dht::LookupDone> done;
};

// One get or put of an item, and what became of it.
struct ItemRecord {
  HostId host = 0;
  DhtId target;
  Time began;
  std::optional<Duration> found;  // zero: the host kept it itself
  std::optional<dht::ItemDone> done;
};

struct Traffic {
  std::uint64_t queries_out = 0;
  std::uint64_t bytes_out = 0;
};

class World {
 public:
  World(std::uint64_t seed, const Options& options);

  // A node at a fresh global address, started now.
  HostId add_node(const NodeOptions& options);
  HostId add_actor(std::unique_ptr<Actor> actor);
  // At an address of the caller's choice, which must be new.
  HostId add_actor(const Endpoint& endpoint, std::unique_ptr<Actor> actor);
  void kill(HostId host);  // silence from now on
  bool is_up(HostId host) const { return hosts_[host].is_up; }

  LookupId get_peers(HostId host, const DhtId& key);
  LookupId announce(HostId host, const DhtId& key, std::uint16_t port);
  // A lookup of this key by this host has not ended.
  bool is_seeking(HostId host, const DhtId& key) const {
    return hosts_[host].running.contains(key);
  }
  const LookupRecord& lookup(LookupId id) const { return lookups_[id]; }

  ItemId put_item(HostId host, const dht::Item& item);
  ItemId get_item(HostId host, const DhtId& target);
  bool is_seeking_item(HostId host, const DhtId& target) const {
    return hosts_[host].running_items.contains(target);
  }
  const ItemRecord& item(ItemId id) const { return items_[id]; }

  // From now on it counts who sends there first.
  void watch(const Endpoint& to);
  // When this host first sent there since.
  std::optional<Time> sent_to_watched_at(HostId host) const;

  void run_for(Duration duration) { run_until(now_ + duration); }
  void run_until(Time end);

  // For actors.
  void send(HostId from, const Endpoint& to, Bytes bytes);

  Time now() const { return now_; }
  Rng& rng() { return rng_; }
  const Endpoint& endpoint(HostId host) const { return hosts_[host].endpoint; }
  dht::Dht* node(HostId host) { return hosts_[host].node.get(); }
  std::size_t hosts_count() const { return hosts_.size(); }
  // When the table first held 8 nodes.
  std::optional<Time> usable_at(HostId host) const { return hosts_[host].usable_at; }
  Traffic traffic(HostId host) const;
  std::uint64_t datagrams_count() const { return datagrams_count_; }
  std::uint64_t bytes_received(HostId host) const { return hosts_[host].bytes_received; }
  std::uint64_t digest() const { return digest_.value(); }
  Endpoint fresh_endpoint();

 private:
  struct Host {
    Endpoint endpoint;
    std::unique_ptr<dht::Dht> node;
    std::unique_ptr<Actor> actor;
    bool is_up = true;
    bool is_natted = false;
    Time wake_at = kNever;  // the earliest wake-up in the heap that is not stale
    std::optional<Time> usable_at;
    std::uint64_t bytes_received = 0;
    std::map<DhtId, LookupId> running;
    std::map<DhtId, ItemId> running_items;
    std::unordered_map<std::uint64_t, Time> spoken_to;  // of a natted host
  };
  struct Datagram {
    Endpoint from;
    Bytes bytes;
  };
  struct Happening {
    Time at;
    std::uint64_t order = 0;
    HostId host = 0;
    std::uint32_t slot = 0;  // of a datagram, or kWake
    bool operator<(const Happening& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  static constexpr std::uint32_t kWake = 0xffffffffU;

  void arrive(Host& host, HostId id, const Datagram& datagram);
  void settle(Host& host, HostId id);
  void plan_wake(Host& host, HostId id, Time at);
  void push(Time at, HostId host, std::uint32_t slot);
  void put_on_wire(Host& from, const Endpoint& to, Bytes bytes);
  LookupId begin(HostId host, const DhtId& key);
  ItemId begin_item(HostId host, const DhtId& target);
  Duration delay();

  Options options_;
  Rng rng_;
  Time now_{std::chrono::seconds(1000)};
  std::vector<Host> hosts_;
  std::unordered_map<std::uint64_t, HostId> by_endpoint_;  // never iterated
  std::priority_queue<Happening> heap_;
  std::uint64_t order_ = 0;
  std::vector<Datagram> datagrams_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<LookupRecord> lookups_;
  std::vector<ItemRecord> items_;
  std::optional<Endpoint> watched_;
  std::map<Endpoint, Time> sent_to_watched_;  // by sender
  std::uint64_t datagrams_count_ = 0;
  sim::Digest digest_;
  Effects out_;
};

}  // namespace peernet::dht_sim
