#pragma once

// Node is the two engines introduced to each other: what Transfer wants to know, Dht finds out. It
// has the engine shape itself (inputs, commands, events, a deadline), so that the daemon and the
// simulator drive it in the same way. settle() is the whole coupling.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/effects.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/time.h"
#include "dht/dht.h"
#include "transfer/link.h"
#include "transfer/status.h"
#include "transfer/transfer.h"

namespace peernet::daemon {

inline constexpr std::size_t kRawLookupsMax = 256;  // of dht_lookup and dht_announce, at a time
inline constexpr std::size_t kRawPingsMax = 256;    // of dht_ping whose name is looked up

struct NodeConfig {
  dht::Config dht;
  transfer::Config transfer;
  bool is_dht_enabled = true;
};

struct NodeStatus {
  PeerId id;
  std::string name;
  std::uint16_t port = 0;  // TCP and UDP
  Duration uptime{};
  dht::Stats dht;
  bool is_dht_enabled = true;
  double rate_down = 0;
  double rate_up = 0;
  std::optional<std::string> network;  // of a private one: its name
  std::uint32_t peers_connected = 0;
  std::uint32_t shares_count = 0;
};

class Node {
 public:
  Node(NodeConfig config, Identity identity, Rng rng, Log& log);

  // Once, before any input.
  void start(Time now, WallTime wall, const Saved& saved, Effects& out);

  // Inputs.
  void on_datagram(Time now, const Endpoint& from, BytesView bytes, Effects& out);
  // To the group of the local network.
  void on_multicast(Time now, const Endpoint& from, BytesView bytes, Effects& out);
  // nullopt: over a limit; the shell closes the socket at once.
  std::optional<ConnId> on_accepted(Time now, const Endpoint& from, Effects& out);
  void on_connected(Time now, ConnId conn, Effects& out);
  void on_bytes(Time now, ConnId conn, BytesView bytes, Effects& out);
  void on_sent(Time now, ConnId conn, std::size_t bytes_unsent, Effects& out);
  void on_closed(Time now, ConnId conn, const Error& why, Effects& out);
  void on_file(Time now, JobId job, FileResult result, Effects& out);
  void on_saved(Time now, JobId job, const Result<void>& result, Effects& out);
  void on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out);
  void on_hook(Time now, JobId job, const HookResult& result, Effects& out);
  void on_wall_clock(Time now, WallTime wall);  // every minute, and after a jump
  // Those of this machine's interfaces, when it started and every minute.
  void on_own_addresses(Time now, const std::vector<Endpoint>& addresses);
  void on_time(Time now, Effects& out);

  // Commands; the same as Transfer's.
  transfer::ImportId add(Time now, transfer::AddRequest request, Effects& out);
  void cancel_add(Time now, transfer::ImportId import, Effects& out);
  Result<ShareId> fetch(Time now, const transfer::FetchRequest& request, Effects& out);
  Result<void> pause(Time now, const ShareId& id, Effects& out);
  Result<void> resume(Time now, const ShareId& id, Effects& out);
  Result<void> accept(Time now, const ShareId& id, Effects& out);
  Result<void> remove(Time now, const ShareId& id, bool is_data_deleted, Effects& out);

  // Commands on raw keys of the DHT, for tools and for work with other implementations. What comes
  // of them is told by next_dht_event(). Errors of all: unavailable (the DHT is off), refused (too
  // many at a time).
  Result<void> dht_lookup(Time now, const DhtId& key, bool is_traced, Effects& out);
  Result<void> dht_announce(Time now, const DhtId& key, std::uint16_t port, bool is_traced,
                            Effects& out);
  Result<void> dht_get(Time now, const DhtId& target, BytesView salt, Effects& out);
  // Gives the target. Errors: also those of dht::check.
  Result<DhtId> dht_put(Time now, const dht::Item& item, std::optional<std::int64_t> cas,
                        Effects& out);
  // Gives the number that dht::Pinged will have; its endpoint has port 0 if there is no such host.
  Result<std::uint64_t> dht_ping(Time now, const std::string& host, std::uint16_t port,
                                 Effects& out);

  // See transfer::Transfer.
  Result<transfer::ReadId> read(Time now, transfer::ReadRequest request, Effects& out);
  Result<bool> list(Time now, const transfer::FetchRequest& request, Effects& out);
  Result<void> verify(Time now, const ShareId& id, bool is_repair, Effects& out);
  void cancel_verify(Time now, const ShareId& id, Effects& out);
  void end_reader(Time now, transfer::ReaderId reader, Effects& out);
  void set_limits(Time now, const transfer::Limits& limits, Effects& out);
  void set_peer_limits(Time now, const transfer::PeerLimits& limits, Effects& out);
  // `is_kept`: also after a restart.
  Result<void> set_share_limits(Time now, const ShareId& id, const transfer::Limits& limits,
                                bool is_kept, Effects& out);
  // Single peers; the same as Transfer's. What comes of connect is transfer::Probed.
  Result<std::uint64_t> connect(Time now, const transfer::ProbeRequest& request, Effects& out);
  Result<void> drop_peer(Time now, const PeerId& peer, Effects& out);
  Result<void> ban_peer(Time now, const PeerId& peer, std::optional<Duration> duration,
                        Effects& out);
  Result<void> unban_peer(Time now, const PeerId& peer, Effects& out);
  // Says close to every peer and saves what is worth saving. The shell carries out what comes of it
  // and then stops.
  void stop(Time now, Effects& out);

  // Facts for the owner, oldest first.
  std::optional<transfer::Event> next_event();
  // The same of the DHT, as far as the raw commands caused them. At most so many wait as those have
  // queries: drain it after each command and input.
  std::optional<dht::Event> next_dht_event();

  // Queries.
  Time deadline() const;
  NodeStatus status(Time now) const;
  std::vector<transfer::ShareStatus> shares(Time now) const;  // in the order they were added
  std::optional<transfer::ShareStatus> share(Time now, const ShareId& id) const;
  transfer::Limits limits() const { return transfer_.limits(); }
  std::optional<transfer::Limits> share_limits(const ShareId& id) const {
    return transfer_.share_limits(id);
  }
  transfer::TransferStats transfer_stats() const { return transfer_.stats(); }
  // nullopt: no such share.
  std::optional<transfer::WhyFacts> why(Time now, const ShareId& id) const;
  std::vector<transfer::PeerStatus> peers(Time now) const;
  // An id, or an unambiguous prefix of at least kIdPrefixMin characters. Errors: not_found,
  // malformed (too short, or ambiguous).
  Result<ShareId> find_share(std::string_view id_or_prefix) const;
  // Likewise a peer: any by its whole id, a known one (connected, banned or remembered) by a
  // prefix.
  Result<PeerId> find_peer(Time now, std::string_view id_or_prefix) const;
  std::vector<transfer::Bans::Banned> banned(Time now) const { return transfer_.banned(now); }
  std::optional<std::string> link(const ShareId& id) const;  // the text to give to others
  std::optional<transfer::ShareFiles> files(
      const ShareId& id) const;  // nullopt before the manifest
  const PeerId& id() const { return identity_.id(); }
  // Nodes in the DHT's table, the best first, at most 200.
  std::vector<dht::Contact> dht_nodes() const;

 private:
  // Drains the engines' events until there are none: the one place where they meet.
  void settle(Time now, Effects& out);
  void on_dht_event(Time now, const dht::Event& event, Effects& out);
  void tell_raw(const dht::Event& event);
  Result<void> begin_raw(const DhtId& key, bool is_traced);
  void on_ping_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out);

  NodeConfig config_;
  Identity identity_;
  Log& log_;
  dht::Dht dht_;
  transfer::Transfer transfer_;
  JobIds jobs_{JobOwner::node};
  std::deque<transfer::Event> events_;  // for the owner
  std::deque<dht::Event> dht_events_;   // likewise
  std::set<DhtId> raw_keys_;            // of raw lookups that run
  struct RawPing {
    std::uint64_t number = 0;
    std::uint16_t port = 0;
  };
  std::map<JobId, RawPing> raw_pings_;  // whose name is looked up
  std::uint64_t pings_count_ = 0;
  Time started_{};
};

}  // namespace peernet::daemon
