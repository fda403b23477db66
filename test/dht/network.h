#pragma once

// A network of DHT engines in virtual time: it carries their datagrams with delay and loss, answers
// their Resolve effects from a table of names, and keeps what they found. Other endpoints can be
// played by the test itself, which sees every datagram sent to them.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "core/rng.h"
#include "dht/dht.h"

namespace peernet::dht::test {

// A logger that writes nowhere.
Log& quiet_log();

struct Host {
  Endpoint endpoint;
  std::optional<Endpoint> second;  // of the other family
  std::unique_ptr<Dht> dht;
  bool is_up = true;
  std::map<DhtId, std::set<Endpoint>> found;
  std::vector<LookupDone> done;
  std::map<DhtId, Item> items;  // the best of each target
  std::vector<ItemDone> items_done;
  std::vector<LookupStep> steps;
  std::vector<Pinged> pinged;
  std::uint32_t joined_count = 0;
  std::vector<std::uint32_t> grown;  // what each Grown said
  std::uint32_t changed_count = 0;
  std::optional<Time> joined_at;
};

class Network {
 public:
  struct Options {
    Duration delay_min = std::chrono::milliseconds(20);
    Duration delay_max = std::chrono::milliseconds(80);
    double loss = 0;
    bool special_use_is_global = false;
    std::optional<Key> network_key;
  };
  struct Datagram {
    Endpoint from;
    Endpoint to;
    Bytes bytes;
  };

  Network(std::uint64_t seed, const Options& options) : rng_(seed), options_(options) {}

  // An engine at this endpoint, started now. A host that was there is replaced.
  Host& add(const Endpoint& endpoint, const std::vector<BootstrapName>& bootstrap,
            const DhtRecord& saved = {});
  // One in both families; the host is known by its first endpoint.
  Host& add(const Endpoint& endpoint, const std::optional<Endpoint>& second,
            const std::vector<BootstrapName>& bootstrap, const DhtRecord& saved = {});
  void kill(const Endpoint& endpoint) { hosts_.at(endpoint).is_up = false; }
  // From now on the name has these addresses.
  void name(const std::string& host, std::vector<Endpoint> endpoints) {
    names_[host] = std::move(endpoints);
  }

  Host& host(const Endpoint& endpoint) { return hosts_.at(endpoint); }
  std::map<Endpoint, Host>& hosts() { return hosts_; }
  Effects& out() { return out_; }

  void get_peers(const Endpoint& endpoint, const DhtId& key);
  void announce(const Endpoint& endpoint, const DhtId& key, std::uint16_t port);
  void get_item(const Endpoint& endpoint, const DhtId& target, BytesView salt = {});
  void put_item(const Endpoint& endpoint, const Item& item,
                std::optional<std::int64_t> cas = std::nullopt);
  void ping(const Endpoint& endpoint, std::uint64_t number, const Endpoint& to);
  // A datagram from an endpoint the test plays.
  void send(const Endpoint& from, const Endpoint& to, Bytes bytes);

  void run_for(Duration duration);
  Time now() const { return now_; }
  // What was sent to endpoints without an engine.
  std::vector<Datagram>& strays() { return strays_; }
  std::uint64_t datagrams_count() const { return datagrams_count_; }
  // Of every datagram sent, in order.
  std::uint64_t digest() const { return digest_; }
  bool is_partitioned = false;  // nothing arrives

 private:
  struct Happening {
    Time at;
    std::uint64_t order = 0;
    Datagram datagram;
    std::optional<JobId> job;  // an answer to Resolve instead
    std::vector<Endpoint> resolved;
    bool operator<(const Happening& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  void carry_out(Host& host);
  void push(Datagram datagram);
  void happen(const Happening& happening);

  Rng rng_;
  Options options_;
  Time now_{std::chrono::seconds(1000)};
  std::map<Endpoint, Host> hosts_;
  std::map<Endpoint, Endpoint> hosts_of_second_;
  std::map<std::string, std::vector<Endpoint>> names_;
  std::priority_queue<Happening> happenings_;
  std::uint64_t order_ = 0;
  std::vector<Datagram> strays_;
  std::uint64_t datagrams_count_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325U;
  Effects out_;
};

// 10.0.x.y:7000 of the n-th host, and 60.x.y.1:7000 where every host has a /16 of its own.
Endpoint local_endpoint(unsigned n);
Endpoint global_endpoint(unsigned n);
// [24<..>:<n>::1]:7000, a /32 of its own for each.
Endpoint v6_endpoint(unsigned n);
BootstrapName bootstrap_at(const Endpoint& endpoint);
DhtId make_id(std::uint64_t seed);

}  // namespace peernet::dht::test
