#include "daemon/node.h"

#include <algorithm>
#include <utility>

namespace peernet::daemon {

Node::Node(NodeConfig config, Identity identity, Rng rng, Log& log)
    : config_(std::move(config)),
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
                       if (config_.is_dht_enabled) dht_.forget(over.key);
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
  std::visit(
      Overloaded{
          [&](const dht::PeersFound& found) {
            transfer_.add_peers(now, found.key, found.peers, out);
          },
          [&](const dht::LookupDone& done) {
            transfer_.on_lookup_done(now, done.key, {now, done.nodes_asked, done.peers_found});
            if (done.is_announce) transfer_.on_announced(now, done.key, done.stored);
          },
          [&](const dht::NodesChanged&) {
            out.push_back(Save{jobs_.next(), dht_.snapshot()});
          },
          [&](const dht::Joined&) { transfer_.announce_all(now); },
          [&](const dht::Grown&) { transfer_.announce_few(now); },
          [](const auto&) {},  // nobody here asked for it
      },
      event);
}

// ---- Inputs

void Node::on_datagram(Time now, const Endpoint& from, BytesView bytes, Effects& out) {
  if (!config_.is_dht_enabled) return;
  dht_.on_datagram(now, from, bytes, out);
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

void Node::on_saved(Time now, JobId job, const Result<void>& result, Effects& out) {
  if (JobIds::owner(job) != JobOwner::transfer) return;  // the next save brings it again
  transfer_.on_saved(now, job, result, out);
  settle(now, out);
}

void Node::on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out) {
  if (JobIds::owner(job) == JobOwner::dht) {
    dht_.on_resolved(now, job, endpoints, out);
  } else {
    transfer_.on_resolved(now, job, endpoints, out);
  }
  settle(now, out);
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

Result<void> Node::remove(Time now, const ShareId& id, bool is_data_deleted, Effects& out) {
  auto done = transfer_.remove(now, id, is_data_deleted, out);
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

// ---- Queries

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

std::optional<std::string> Node::link(const ShareId& id) const {
  return transfer_.link(id);
}

std::optional<transfer::ShareFiles> Node::files(const ShareId& id) const {
  return transfer_.files(id);
}

}  // namespace peernet::daemon
