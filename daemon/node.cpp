#include "daemon/node.h"

#include <algorithm>
#include <utility>

namespace peernet::daemon {

namespace {

NodeConfig settled(NodeConfig config) {
  config.transfer.has_lookups = config.is_dht_enabled;
  return config;
}

}  // namespace

Node::Node(NodeConfig config, Identity identity, Rng rng, Log& log)
    : config_(settled(std::move(config))),
      identity_(std::move(identity)),
      log_(log),
      dht_(config_.dht, rng.fork(), log_),
      transfer_(config_.transfer, identity_, rng.fork(), log_) {}

void Node::start(Time now, WallTime wall, const Saved& saved, Effects& out) {
  started_ = now;
  dht_.on_wall_clock(now, wall);
  if (config_.is_dht_enabled) dht_.start(now, saved.dht, out);
  transfer_.start(now, wall, saved, out);
  settle(now, out);
}

// ---- Where the engines meet

void Node::settle(Time now, Effects& out) {
  bool is_quiet = false;
  while (!is_quiet) {
    is_quiet = true;
    while (auto event = transfer_.next_event()) {
      is_quiet = false;
      // Not const: a const one would lose against the last, which takes everything.
      std::visit(Overloaded{
                     [&](transfer::PeersWanted& wanted) {
                       if (config_.is_dht_enabled) dht_.get_peers(now, wanted.key, out);
                     },
                     [&](transfer::AnnounceWanted& wanted) {
                       if (!config_.is_dht_enabled) return;
                       // TCP and UDP share one port; behind a NAT only others know which it is.
                       dht_.announce(now, wanted.key, config_.transfer.listen_port, true, out);
                     },
                     [&](transfer::AnnounceOver& over) {
                       if (config_.is_dht_enabled && !raw_keys_.contains(over.key)) {
                         dht_.forget(over.key);
                       }
                     },
                     [&](auto& other) { events_.emplace_back(std::move(other)); },
                 },
                 *event);
    }
    if (!config_.is_dht_enabled) continue;
    while (const auto event = dht_.next_event()) {
      is_quiet = false;
      on_dht_event(now, *event, out);
    }
  }
}

void Node::on_dht_event(Time now, const dht::Event& event, Effects& out) {
  tell_raw(event);
  std::visit(
      Overloaded{
          [&](const dht::PeersFound& found) {
            transfer_.add_peers(now, found.key, found.peers, out);
          },
          [&](const dht::LookupDone& done) {
            transfer_.on_lookup_done(now, done.key, {now, done.nodes_asked, done.peers_found});
            if (!done.is_announce) return;
            // Enough have it: the others will.
            const bool is_enough = done.stored >= dht::kStoresEnough;
            transfer_.on_announced(now, done.key, is_enough ? done.store_targets : done.stored);
          },
          [&](const dht::NodesChanged&) {
            out.push_back(Save{jobs_.next(), dht_.snapshot()});
          },
          [&](const dht::Joined&) { transfer_.announce_all(now); },
          [&](const dht::Grown&) { transfer_.announce_few(now); },
          [](const auto&) {},  // of raw commands only
      },
      event);
}

void Node::tell_raw(const dht::Event& event) {
  const bool is_wanted =
      std::visit(Overloaded{
                     [&](const dht::PeersFound& found) { return raw_keys_.contains(found.key); },
                     [&](const dht::LookupStep& step) { return raw_keys_.contains(step.key); },
                     [&](const dht::LookupDone& done) { return raw_keys_.erase(done.key) > 0; },
                     [](const dht::NodesChanged&) { return false; },
                     [](const dht::Joined&) { return false; },
                     [](const dht::Grown&) { return false; },
                     // Nobody else asks for items and pings.
                     [](const auto&) { return true; },
                 },
                 event);
  if (is_wanted) dht_events_.push_back(event);
}

// ---- Inputs

void Node::on_datagram(Time now, const Endpoint& from, BytesView bytes, Effects& out) {
  if (!config_.is_dht_enabled) return;
  dht_.on_datagram(now, from, bytes, out);
  settle(now, out);
}

void Node::on_multicast(Time now, const Endpoint& from, BytesView bytes, Effects& out) {
  transfer_.on_multicast(now, from, bytes, out);
  settle(now, out);
}

std::optional<ConnId> Node::on_accepted(Time now, const Endpoint& from, Effects& out) {
  const auto conn = transfer_.on_accepted(now, from, out);
  settle(now, out);
  return conn;
}

void Node::on_connected(Time now, ConnId conn, Effects& out) {
  transfer_.on_connected(now, conn, out);
  settle(now, out);
}

void Node::on_bytes(Time now, ConnId conn, BytesView bytes, Effects& out) {
  transfer_.on_bytes(now, conn, bytes, out);
  settle(now, out);
}

void Node::on_sent(Time now, ConnId conn, std::size_t bytes_unsent, Effects& out) {
  transfer_.on_sent(now, conn, bytes_unsent, out);
  settle(now, out);
}

void Node::on_closed(Time now, ConnId conn, const Error& why, Effects& out) {
  transfer_.on_closed(now, conn, why, out);
  settle(now, out);
}

void Node::on_file(Time now, JobId job, FileResult result, Effects& out) {
  transfer_.on_file(now, job, std::move(result), out);
  settle(now, out);
}

void Node::on_hook(Time now, JobId job, const HookResult& result, Effects& out) {
  transfer_.on_hook(now, job, result, out);
  settle(now, out);
}

void Node::on_saved(Time now, JobId job, const Result<void>& result, Effects& out) {
  if (JobIds::owner(job) != JobOwner::transfer) return;  // the next save brings it again
  transfer_.on_saved(now, job, result, out);
  settle(now, out);
}

void Node::on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out) {
  if (JobIds::owner(job) == JobOwner::dht) {
    dht_.on_resolved(now, job, endpoints, out);
  } else if (JobIds::owner(job) == JobOwner::node) {
    on_ping_resolved(now, job, endpoints, out);
  } else {
    transfer_.on_resolved(now, job, endpoints, out);
  }
  settle(now, out);
}

void Node::on_own_addresses(Time now, const std::vector<Endpoint>& addresses) {
  dht_.set_own_addresses(now, addresses);
}

void Node::on_wall_clock(Time now, WallTime wall) {
  transfer_.on_wall_clock(now, wall);
  dht_.on_wall_clock(now, wall);
}

void Node::on_time(Time now, Effects& out) {
  if (config_.is_dht_enabled && now >= dht_.deadline()) dht_.on_time(now, out);
  if (now >= transfer_.deadline()) transfer_.on_time(now, out);
  settle(now, out);
}

// ---- Commands

transfer::ImportId Node::add(Time now, transfer::AddRequest request, Effects& out) {
  const auto import = transfer_.add(now, std::move(request), out);
  settle(now, out);
  return import;
}

void Node::cancel_add(Time now, transfer::ImportId import, Effects& out) {
  transfer_.cancel_add(now, import, out);
  settle(now, out);
}

Result<ShareId> Node::fetch(Time now, const transfer::FetchRequest& request, Effects& out) {
  auto id = transfer_.fetch(now, request, out);
  settle(now, out);
  return id;
}

Result<void> Node::pause(Time now, const ShareId& id, Effects& out) {
  auto done = transfer_.pause(now, id, out);
  settle(now, out);
  return done;
}

Result<void> Node::resume(Time now, const ShareId& id, Effects& out) {
  auto done = transfer_.resume(now, id, out);
  settle(now, out);
  return done;
}

Result<void> Node::accept(Time now, const ShareId& id, Effects& out) {
  auto done = transfer_.accept(now, id, out);
  settle(now, out);
  return done;
}

Result<void> Node::remove(Time now, const ShareId& id, bool is_data_deleted, Effects& out) {
  auto done = transfer_.remove(now, id, is_data_deleted, out);
  settle(now, out);
  return done;
}

// ---- Commands on raw keys

namespace {

Error dht_is_off() {
  return {Errc::unavailable, "the DHT is off", "set discovery.dht to true in the config"};
}

}  // namespace

Result<void> Node::begin_raw(const DhtId& key, bool is_traced) {
  if (!config_.is_dht_enabled) return dht_is_off();
  if (raw_keys_.size() >= kRawLookupsMax && !raw_keys_.contains(key)) {
    return Error{Errc::refused, std::to_string(kRawLookupsMax) + " such lookups run already",
                 "wait for one of them"};
  }
  raw_keys_.insert(key);
  if (is_traced) dht_.trace(key);
  return {};
}

Result<void> Node::dht_lookup(Time now, const DhtId& key, bool is_traced, Effects& out) {
  if (auto begun = begin_raw(key, is_traced); !begun) return begun;
  dht_.get_peers(now, key, out);
  settle(now, out);
  return {};
}

Result<void> Node::dht_announce(Time now, const DhtId& key, std::uint16_t port, bool is_traced,
                                Effects& out) {
  if (auto begun = begin_raw(key, is_traced); !begun) return begun;
  dht_.announce(now, key, port, false, out);
  settle(now, out);
  return {};
}

Result<void> Node::dht_get(Time now, const DhtId& target, BytesView salt, Effects& out) {
  if (!config_.is_dht_enabled) return dht_is_off();
  dht_.get_item(now, target, salt, out);
  settle(now, out);
  return {};
}

Result<DhtId> Node::dht_put(Time now, const dht::Item& item, std::optional<std::int64_t> cas,
                            Effects& out) {
  if (!config_.is_dht_enabled) return dht_is_off();
  auto target = dht_.put_item(now, item, cas, out);
  settle(now, out);
  return target;
}

Result<std::uint64_t> Node::dht_ping(Time /*now*/, const std::string& host, std::uint16_t port,
                                     Effects& out) {
  if (!config_.is_dht_enabled) return dht_is_off();
  if (raw_pings_.size() >= kRawPingsMax) {
    return Error{Errc::refused, std::to_string(kRawPingsMax) + " names are looked up already",
                 "wait for one of them"};
  }
  const JobId job = jobs_.next();
  raw_pings_.emplace(job, RawPing{++pings_count_, port});
  out.push_back(Resolve{job, host, port});
  return pings_count_;
}

void Node::on_ping_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints,
                            Effects& out) {
  const auto place = raw_pings_.find(job);
  if (place == raw_pings_.end()) return;
  const RawPing ping = place->second;
  raw_pings_.erase(place);
  for (const Endpoint& endpoint : endpoints) {
    if (dht_.ping(now, ping.number, endpoint, out)) return;
  }
  dht::Pinged nobody;
  nobody.number = ping.number;
  if (!endpoints.empty()) nobody.endpoint = endpoints.front();
  dht_events_.push_back(nobody);
}

Result<transfer::ReadId> Node::read(Time now, transfer::ReadRequest request, Effects& out) {
  auto id = transfer_.read(now, std::move(request), out);
  settle(now, out);
  return id;
}

Result<bool> Node::list(Time now, const transfer::FetchRequest& request, Effects& out) {
  auto is_known = transfer_.list(now, request, out);
  settle(now, out);
  return is_known;
}

Result<void> Node::verify(Time now, const ShareId& id, bool is_repair, Effects& out) {
  auto begun = transfer_.verify(now, id, is_repair, out);
  settle(now, out);
  return begun;
}

void Node::cancel_verify(Time now, const ShareId& id, Effects& out) {
  transfer_.cancel_verify(now, id, out);
  settle(now, out);
}

void Node::end_reader(Time now, transfer::ReaderId reader, Effects& out) {
  transfer_.end_reader(now, reader, out);
}

void Node::set_limits(Time now, const transfer::Limits& limits, Effects& out) {
  transfer_.set_limits(now, limits);
  settle(now, out);
}

void Node::set_peer_limits(Time now, const transfer::PeerLimits& limits, Effects& out) {
  transfer_.set_peer_limits(now, limits);
  settle(now, out);
}

Result<void> Node::set_share_limits(Time now, const ShareId& id, const transfer::Limits& limits,
                                    bool is_kept, Effects& out) {
  auto done = transfer_.set_share_limits(now, id, limits, is_kept, out);
  settle(now, out);
  return done;
}

Result<std::uint64_t> Node::connect(Time now, const transfer::ProbeRequest& request, Effects& out) {
  auto number = transfer_.connect(now, request, out);
  settle(now, out);
  return number;
}

Result<void> Node::drop_peer(Time now, const PeerId& peer, Effects& out) {
  auto done = transfer_.drop_peer(now, peer, out);
  settle(now, out);
  return done;
}

Result<void> Node::ban_peer(Time now, const PeerId& peer, std::optional<Duration> duration,
                            Effects& out) {
  auto done = transfer_.ban_peer(now, peer, duration, out);
  settle(now, out);
  return done;
}

Result<void> Node::unban_peer(Time now, const PeerId& peer, Effects& out) {
  auto done = transfer_.unban_peer(now, peer, out);
  settle(now, out);
  return done;
}

void Node::stop(Time now, Effects& out) {
  transfer_.stop(now, out);
  if (config_.is_dht_enabled) out.push_back(Save{jobs_.next(), dht_.snapshot()});
  settle(now, out);
}

std::optional<transfer::Event> Node::next_event() {
  if (events_.empty()) return std::nullopt;
  transfer::Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<dht::Event> Node::next_dht_event() {
  if (dht_events_.empty()) return std::nullopt;
  dht::Event event = std::move(dht_events_.front());
  dht_events_.pop_front();
  return event;
}

// ---- Queries

std::vector<dht::Contact> Node::dht_nodes() const {
  std::vector<dht::Contact> nodes;
  if (!config_.is_dht_enabled || dht_.stats().nodes == 0) return nodes;
  for (const DhtRecord::Node& node : dht_.snapshot().nodes) {
    nodes.push_back({node.id, node.endpoint});
  }
  return nodes;
}

Time Node::deadline() const {
  const Time transfer = transfer_.deadline();
  return config_.is_dht_enabled ? std::min(dht_.deadline(), transfer) : transfer;
}

NodeStatus Node::status(Time now) const {
  NodeStatus status;
  status.id = identity_.id();
  status.name = config_.transfer.name;
  status.port = config_.transfer.listen_port;
  status.uptime = now - started_;
  status.is_dht_enabled = config_.is_dht_enabled;
  if (config_.is_dht_enabled) status.dht = dht_.stats();
  status.rate_down = transfer_.rate_down(now);
  status.rate_up = transfer_.rate_up(now);
  if (const auto& key = config_.transfer.network_key) {
    status.network = transfer::network_name(*key);
  }
  status.peers_connected = transfer_.peers_count();
  status.shares_count = static_cast<std::uint32_t>(transfer_.share_ids().size());
  return status;
}

std::vector<transfer::ShareStatus> Node::shares(Time now) const {
  return transfer_.shares(now);
}

std::optional<transfer::ShareStatus> Node::share(Time now, const ShareId& id) const {
  return transfer_.share(now, id);
}

std::optional<transfer::WhyFacts> Node::why(Time now, const ShareId& id) const {
  return transfer_.why(now, id);
}

std::vector<transfer::PeerStatus> Node::peers(Time now) const {
  return transfer_.peers(now);
}

Result<ShareId> Node::find_share(std::string_view id_or_prefix) const {
  if (id_or_prefix.size() >= kIdTextSize || id_or_prefix.starts_with("peernet:")) {
    const auto link = transfer::parse_link(id_or_prefix);
    if (!link) return link.error();
    const auto ids = transfer_.share_ids();
    if (std::ranges::find(ids, link->id) == ids.end()) {
      return Error{Errc::not_found, "this node does not have that share", "peernet ls"};
    }
    return link->id;
  }
  if (id_or_prefix.size() < kIdPrefixMin) {
    return Error{Errc::malformed,
                 "an id is given by at least " + std::to_string(kIdPrefixMin) + " characters",
                 "peernet ls shows the ids"};
  }
  std::optional<ShareId> found;
  for (const ShareId& id : transfer_.share_ids()) {
    if (!to_text(id).starts_with(id_or_prefix)) continue;
    if (found) {
      return Error{Errc::malformed, "more than one share has an id that begins like this",
                   "give more characters of it"};
    }
    found = id;
  }
  if (!found)
    return Error{Errc::not_found, "no share has an id that begins like this", "peernet ls"};
  return *found;
}

Result<PeerId> Node::find_peer(Time now, std::string_view id_or_prefix) const {
  if (id_or_prefix.size() >= kIdTextSize) return parse_peer_id(id_or_prefix);
  if (id_or_prefix.size() < kIdPrefixMin) {
    return Error{Errc::malformed,
                 "an id is given by at least " + std::to_string(kIdPrefixMin) + " characters",
                 "peernet peers shows the ids"};
  }
  std::optional<PeerId> found;
  for (const PeerId& id : transfer_.known_peers(now)) {
    if (!to_text(id).starts_with(id_or_prefix)) continue;
    if (found) {
      return Error{Errc::malformed, "more than one peer has an id that begins like this",
                   "give more characters of it"};
    }
    found = id;
  }
  if (!found) {
    return Error{Errc::not_found, "no known peer has an id that begins like this",
                 "peernet peers shows those that are connected; any other by its whole id"};
  }
  return *found;
}

std::optional<std::string> Node::link(const ShareId& id) const {
  return transfer_.link(id);
}

std::optional<transfer::ShareFiles> Node::files(const ShareId& id) const {
  return transfer_.files(id);
}

}  // namespace peernet::daemon
