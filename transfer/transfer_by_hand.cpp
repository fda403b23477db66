// What a user does with single peers: connect to one and see each step, drop it, ban it, lift that.

#include <algorithm>
#include <utility>

#include "transfer/share_key.h"
#include "transfer/transfer.h"

namespace peernet::transfer {

namespace {

// Shares that are offered to a peer which the user named without one.
constexpr std::size_t kOfferedMax = 64;

}  // namespace

// ---- Connect

Result<std::uint64_t> Transfer::connect(Time now, const ProbeRequest& request, Effects& out) {
  if (probes_.size() >= kProbesMax) {
    return Error{Errc::refused, "too many such connections are tried at a time", "wait for one"};
  }
  Turn t = turn(now, out);
  const std::uint64_t number = ++last_probe_;
  Probe& probe = probes_.emplace(number, Probe(number, request.share, now)).first->second;
  const bool is_v6 = request.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + request.host + "]" : request.host;
  if (const auto literal = Endpoint::parse(host + ":" + std::to_string(request.port))) {
    probe.left.push_back(*literal);
    probe.pass(now, "an address, no name");
    probe_next(t, number, {});
  } else {
    const JobId job = jobs_.next();
    probe.resolving = job;
    out.push_back(Resolve{job, request.host, request.port});
  }
  next_tick_ = std::min(next_tick_, now + std::chrono::seconds(1));
  return number;
}

bool Transfer::on_probe_resolved(Turn& t, JobId job, const std::vector<Endpoint>& endpoints) {
  for (auto& [number, probe] : probes_) {
    if (probe.resolving != job) continue;
    probe.resolving.reset();
    if (endpoints.empty()) {
      probe.fail(t.now, "there is no such name, or nobody could say");
      end_probe(number);
      return true;
    }
    probe.left.assign(endpoints.begin(), endpoints.end());
    std::string text;
    for (const Endpoint& endpoint : endpoints) {
      text += (text.empty() ? "" : ", ") + endpoint.to_string();
    }
    probe.pass(t.now, text);
    probe_next(t, number, {});
    return true;
  }
  return false;
}

Probe* Transfer::probe_of(ConnId conn) {
  for (auto& [number, probe] : probes_) {
    if (probe.conn == conn) return &probe;
  }
  return nullptr;
}

// The next address; `failed`: what came of the one before.
void Transfer::probe_next(Turn& t, std::uint64_t number, const std::string& failed) {
  Probe& probe = probes_.at(number);
  if (probe.left.empty() || is_stopping_) {
    probe.fail(t.now, failed);
    end_probe(number);
    return;
  }
  const Endpoint endpoint = probe.left.front();
  probe.left.pop_front();
  probe.endpoint = endpoint;
  if (const auto known = by_listen_.find(endpoint); known != by_listen_.end()) {
    probe.conn = known->second;
    probe.pass(t.now, "connected already");
    on_probe_session(t, peers_.at(known->second), probe);
    return;
  }
  const ConnId conn = next_conn();
  probe.conn = conn;
  ++counted_.dials;
  gate_.on_dialled(conn);
  add_peer(t.now, conn, endpoint, false);
  t.out.push_back(Connect{conn, endpoint});
}

void Transfer::on_probe_session(Turn& t, Peer& peer, Probe& probe) {
  probe.conn = peer.conn();
  probe.peer = peer.session().peer;
  if (probe.at() == Probe::Step::handshake) probe.pass(t.now, "it speaks this protocol");
  if (probe.at() == Probe::Step::identity) probe.pass(t.now, to_text(*probe.peer));
  if (probe.is_done()) {
    std::size_t offered = 0;
    for (const ShareId& id : order_) {
      Swarm& swarm = swarms_.at(id);
      if (!swarm.is_active() || !swarm.wants_data()) continue;
      if (++offered > kOfferedMax) break;
      open_share(t, peer, swarm);
    }
    peer.flush(t.out);
    end_probe(probe.number());
    return;
  }
  const ShareId& id = *probe.share();
  Swarm* const swarm = find_swarm(id);
  if (swarm == nullptr || !swarm->is_active()) {
    // Not ours to exchange: a question and no more.
    peer.send(wire::ShareOpen{peer.new_channel(), dht_key(id),
                              share_proof(id, peer.role(), peer.session().handshake_hash), 0});
  } else {
    open_share(t, peer, *swarm);
    const PeerShare* const share = peer.find_share(id);
    if (share != nullptr && share->is_open()) {
      probe.pass(t.now, "it offers the share");
      end_probe(probe.number());
    }
  }
  peer.flush(t.out);
}

// True: the share is none of ours, and the message was for the probe alone.
bool Transfer::on_probe_share_open(Turn& t, Peer& peer, const wire::ShareOpen& message) {
  Probe* const probe = probe_of(peer.conn());
  if (probe == nullptr || probe->at() != Probe::Step::share) return false;
  const ShareId& id = *probe->share();
  if (dht_key(id) != message.key) return false;
  const Role sender = peer.role() == Role::initiator ? Role::responder : Role::initiator;
  const Hash proof = share_proof(id, sender, peer.session().handshake_hash);
  if (!secure_equal(proof.view(), message.proof.view())) return false;
  const bool has_manifest = (message.flags & wire::kShareHasManifest) != 0;
  probe->pass(t.now, has_manifest ? "it offers the share" : "it wants the share, as we do");
  end_probe(probe->number());
  const Swarm* const swarm = find_swarm(id);
  if (swarm != nullptr && swarm->is_active()) return false;
  peer.send(wire::ShareClose{message.key, wire::ShareCloseReason::stopped});
  return true;
}

void Transfer::on_probe_share_close(Turn& t, const Peer& peer, const wire::ShareClose& message) {
  Probe* const probe = probe_of(peer.conn());
  if (probe == nullptr || probe->at() != Probe::Step::share) return;
  if (dht_key(*probe->share()) != message.key) return;
  probe->fail(t.now, "it does not know this share, or does not offer it now");
  end_probe(probe->number());
}

void Transfer::on_probe_gone(Turn& t, const Peer& peer, Dialer::Outcome outcome,
                             const std::string& why) {
  Probe* const probe = probe_of(peer.conn());
  if (probe == nullptr) return;
  probe->conn.reset();
  if (peer.phase() == Peer::Phase::open) {
    probe->peer = peer.session().peer;
    // Another connection to the same peer stays: what is left to ask is asked there.
    const auto kept = by_peer_.find(*probe->peer);
    if (kept != by_peer_.end() && kept->second != peer.conn()) {
      on_probe_session(t, peers_.at(kept->second), *probe);
      return;
    }
    if (probe->at() == Probe::Step::handshake) probe->pass(t.now, "it speaks this protocol");
  } else if (!probe->left.empty()) {
    probe_next(t, probe->number(), {});
    return;
  }
  probe->fail(t.now, probe_failure(probe->at(), outcome, why));
  end_probe(probe->number());
}

void Transfer::tick_probes(Turn& t) {
  std::vector<std::uint64_t> late;
  for (const auto& [number, probe] : probes_) {
    if (t.now - probe.began() >= kProbeTime) late.push_back(number);
  }
  for (const std::uint64_t number : late) {
    probes_.at(number).fail(t.now, "no answer");
    end_probe(number);
  }
}

void Transfer::end_probe(std::uint64_t number) {
  const auto found = probes_.find(number);
  events_.emplace_back(found->second.report());
  probes_.erase(found);
}

// ---- Drop and ban

Result<void> Transfer::drop_peer(Time now, const PeerId& peer, Effects& out) {
  const auto open = by_peer_.find(peer);
  if (open == by_peer_.end()) {
    return Error{Errc::not_found, "this peer is not connected", "peernet peers"};
  }
  Turn t = turn(now, out);
  close_peer(t, open->second, wire::CloseReason::done, "dropped by hand");
  return {};
}

Result<void> Transfer::ban_peer(Time now, const PeerId& peer, std::optional<Duration> duration,
                                Effects& out) {
  if (peer == identity_.id()) {
    return Error{Errc::refused, "this is the peer id of this node", "peernet peers shows others"};
  }
  Turn t = turn(now, out);
  const Time until = duration ? now + *duration : kNever;
  if (auto banned = bans_.ban(now, peer, until); !banned) return banned;
  BanRecord record;
  record.id = peer;
  if (duration) record.until.unix_ms = t.wall.unix_ms + duration->count() / 1000;
  save_ban(t, record);
  const auto open = by_peer_.find(peer);
  const auto endpoint = open == by_peer_.end() ? Endpoint{} : peers_.at(open->second).endpoint();
  events_.emplace_back(PeerBanned{peer, endpoint, "banned by hand"});
  if (open != by_peer_.end()) {
    for (const auto& [id, share] : peers_.at(open->second).shares()) {
      if (Swarm* swarm = find_swarm(id)) swarm->on_ban({peer, endpoint, "banned by hand", now});
    }
    close_peer(t, open->second, wire::CloseReason::banned, "banned by hand");
  }
  return {};
}

Result<void> Transfer::unban_peer(Time now, const PeerId& peer, Effects& out) {
  if (!bans_.lift(now, peer)) {
    return Error{Errc::not_found, "this peer is not banned", "peernet peers --banned"};
  }
  Turn t = turn(now, out);
  BanRecord record;
  record.id = peer;
  record.is_lifted = true;
  save_ban(t, record);
  return {};
}

void Transfer::save_ban(Turn& t, const BanRecord& record) {
  const JobId job = jobs_.next();
  unowned_.insert(job);
  t.out.push_back(Save{job, record});
}

void Transfer::start_bans(Turn& t, const std::vector<BanRecord>& bans) {
  for (BanRecord record : bans) {
    const bool is_over = record.until.unix_ms != 0 && record.until.unix_ms <= t.wall.unix_ms;
    if (is_over) {
      record.is_lifted = true;
      save_ban(t, record);
      continue;
    }
    const Duration left = std::chrono::milliseconds(record.until.unix_ms - t.wall.unix_ms);
    // More than fit were never accepted.
    static_cast<void>(
        bans_.ban(t.now, record.id, record.until.unix_ms == 0 ? kNever : t.now + left));
  }
}

std::vector<PeerId> Transfer::known_peers(Time now) const {
  std::vector<PeerId> all;
  for (const auto& [id, conn] : by_peer_) all.push_back(id);
  for (const Bans::Banned& banned : bans_.banned(now)) all.push_back(banned.peer);
  for (const auto& [id, record] : remembered_) all.push_back(id);
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace peernet::transfer
