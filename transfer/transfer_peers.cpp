// Connections: who may connect, what the handshake settles, which shares are opened on it, and
// where each message goes.

#include <utility>

#include "core/check.h"
#include "transfer/share_key.h"
#include "transfer/transfer.h"

namespace peernet::transfer {

namespace {

// What was sent to a peer is held against it for so long after it left.
constexpr std::int64_t kDebtKept = 3'600'000;  // ms

// How a dial ended when the connection did, by how far it had come.
Dialer::Outcome outcome_of(const Peer& peer, Errc code) {
  using enum Dialer::Outcome;
  if (peer.phase() == Peer::Phase::open) return ended;
  if (peer.phase() == Peer::Phase::handshaking) {
    if (peer.has_spoken) return handshake;
    return code == Errc::timed_out ? silent : closed_silently;
  }
  switch (code) {
    case Errc::refused: return refused;
    case Errc::timed_out: return timed_out;
    case Errc::unavailable: return unreachable;
    default: return other;
  }
}

Dialer::Outcome outcome_of(const Peer& peer, wire::CloseReason reason) {
  switch (reason) {
    case wire::CloseReason::banned: return Dialer::Outcome::banned;
    case wire::CloseReason::busy: return Dialer::Outcome::busy;
    case wire::CloseReason::duplicate: return Dialer::Outcome::duplicate;
    case wire::CloseReason::timed_out: return outcome_of(peer, Errc::timed_out);
    default: return outcome_of(peer, Errc::closed);
  }
}

wire::CloseReason reason_of(const Error& error) {
  return error.code == Errc::too_large ? wire::CloseReason::busy : wire::CloseReason::protocol;
}

}  // namespace

ConnId Transfer::next_conn() {
  return ConnId{++last_conn_};
}

std::optional<ConnId> Transfer::on_accepted(Time now, const Endpoint& from, Effects& out) {
  ++counted_.accepted;
  if (is_stopping_ || bans_.is_banned(now, from)) {
    ++counted_.turned_away;
    count(is_stopping_ ? Reject::stopping : Reject::banned);
    return std::nullopt;
  }
  Turn t = turn(now, out);
  const ConnId conn = next_conn();
  const Gate::Verdict verdict = gate_.on_accepted(now, conn, from);
  if (verdict.evicted) {
    count(Reject::evicted);
    out.push_back(Close{*verdict.evicted});
    remove_peer(t, *verdict.evicted, "evicted for a newer connection");
  }
  if (!verdict.is_admitted) {
    ++counted_.turned_away;
    count(Reject::address_limit);
    return std::nullopt;
  }
  add_peer(now, conn, from, true);
  next_tick_ = std::min(next_tick_, now + std::chrono::seconds(1));
  return conn;
}

void Transfer::add_peer(Time now, ConnId conn, const Endpoint& endpoint, bool is_inbound) {
  const Network network = network_of(endpoint, conn, config_.special_use_is_global);
  Peer& peer = peers_.emplace(conn, Peer(conn, endpoint, network, is_inbound, now)).first->second;
  if (!is_exempt(peer)) peer.limits.change(now, config_.peer_limits.each);
}

void Transfer::on_connected(Time now, ConnId conn, Effects& out) {
  const auto found = peers_.find(conn);
  if (found == peers_.end()) return;
  Turn t = turn(now, out);
  if (Probe* probe = probe_of(conn)) probe->pass(now, found->second.endpoint().to_string());
  found->second.start(handshake_, rng_, now, t.wall, out);
}

void Transfer::on_bytes(Time now, ConnId conn, BytesView bytes, Effects& out) {
  const auto found = peers_.find(conn);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  Turn t = turn(now, out);
  counted_.wire_in += bytes.size();
  peer.last_heard = now;
  peer.has_spoken = true;
  if (peer.phase() == Peer::Phase::handshaking) {
    if (!peer.is_started()) {
      if (!gate_.may_handshake(now, peer.endpoint())) {
        count(Reject::handshake_rate);
        out.push_back(Close{conn});
        remove_peer(t, conn, "too many handshakes at a time");
        return;
      }
      peer.start(handshake_, rng_, now, t.wall, out);
    }
    const auto done = peer.on_handshake(now, t.wall, guard_, bytes, out);
    if (!done) {
      // Refused as an initiator means that the other side is ourselves.
      if (!peer.is_inbound() && done.error().code == Errc::refused)
        dialer_.on_self(peer.endpoint());
      count(Reject::handshake);
      out.push_back(Close{conn});
      remove_peer(t, conn, "handshake failed: " + done.error().what, Dialer::Outcome::handshake);
      return;
    }
    if (!*done) return;
    on_session(t, peer);
    if (!peers_.contains(conn)) return;
  }
  while (true) {
    auto record = peer.next_record(bytes);
    if (!record) {
      count(Reject::protocol);
      close_peer(t, conn, wire::CloseReason::protocol, record.error().what);
      return;
    }
    if (!record->has_value()) break;
    if (const auto taken = on_record(t, peer, std::move(**record)); !taken) {
      if (taken.error().code == Errc::closed) {
        out.push_back(Close{conn});
        remove_peer(t, conn, taken.error().what);
      } else if (taken.error().code == Errc::corrupt) {
        ++counted_.hash_failures;
        ban(t, {conn, peer.session().peer, peer.endpoint()}, taken.error().what);
      } else {
        count(Reject::protocol);
        close_peer(t, conn, reason_of(taken.error()), taken.error().what);
      }
      return;
    }
    // After each record: one read holds thousands of questions, and an answer may be a thousand
    // times as long.
    if (peer.unsent() > kUnsentMax) {
      count(Reject::unread);
      close_peer(t, conn, wire::CloseReason::busy, "it asks and does not read");
      return;
    }
  }
  for (const auto& [id, share] : peer.shares()) {
    if (Swarm* swarm = find_swarm(id)) swarm->flush_writes(t);
  }
  // What it has just given may have earned it a slot.
  if (has_free_slot_ && peer.is_choked && peer.is_interested()) want_rechoke(t.now);
  settle(t, peer);
}

void Transfer::on_sent(Time now, ConnId conn, std::size_t bytes_unsent, Effects& out) {
  const auto found = peers_.find(conn);
  if (found == peers_.end()) return;
  found->second.on_sent(bytes_unsent);
  if (found->second.phase() != Peer::Phase::open) return;
  if (bytes_unsent == 0) found->second.upload.on_drained();
  Turn t = turn(now, out);
  pump(t, found->second);
  found->second.flush(out);
}

void Transfer::on_closed(Time now, ConnId conn, const Error& why, Effects& out) {
  Turn t = turn(now, out);
  const auto found = peers_.find(conn);
  if (found == peers_.end()) return;
  remove_peer(t, conn, why.what, outcome_of(found->second, why.code));
}

// ---- Sessions

void Transfer::on_session(Turn& t, Peer& peer) {
  ++counted_.sessions;
  const ConnId conn = peer.conn();
  const PeerId& id = peer.session().peer;
  if (bans_.is_banned(t.now, id)) {
    count(Reject::banned);
    close_peer(t, conn, wire::CloseReason::banned, "it is banned for an hour");
    return;
  }
  if (!resolve_duplicate(t, peer)) return;
  if (!gate_.on_proven(conn, peer.is_inbound())) {
    count(Reject::peers_limit);
    close_peer(t, conn, wire::CloseReason::busy, "as many peers are connected as may be");
    return;
  }
  if (!peer.is_inbound()) dialer_.on_proven(t.now, peer.endpoint());
  by_peer_[id] = conn;
  if (const auto listen = peer.listen_endpoint()) by_listen_[*listen] = conn;
  if (const auto known = remembered_.find(id); known != remembered_.end()) {
    peer.credit = known->second.downloaded;
    if (t.wall.unix_ms - known->second.seen.unix_ms < kDebtKept)
      peer.owed_before = known->second.uploaded;
  }
  events_.emplace_back(PeerJoined{id, peer.endpoint()});
  remember(t, peer);
  peer.empty_since = t.now;
  peer.ping_nonce = rng_.next();
  peer.last_ping = t.now;
  peer.send(wire::Ping{peer.ping_nonce});
  if (const auto listen = peer.listen_endpoint()) {
    for (const ShareId& share : dialer_.shares(*listen)) {
      Swarm* swarm = find_swarm(share);
      if (swarm != nullptr && swarm->is_active()) open_share(t, peer, *swarm);
    }
  }
  if (Probe* probe = probe_of(conn)) on_probe_session(t, peer, *probe);
  peer.flush(t.out);
}

// Two connections between the same two peers: a new session key means that the other side has
// restarted, so that the newer stays; otherwise the one that the lower peer id dialled. False: the
// new one was closed.
bool Transfer::resolve_duplicate(Turn& t, Peer& peer) {
  const PeerId& id = peer.session().peer;
  const auto known = by_peer_.find(id);
  if (known == by_peer_.end()) return true;
  const Peer& older = peers_.at(known->second);
  bool is_newer_kept = true;
  if (older.session().peer_static == peer.session().peer_static) {
    const auto is_dialled_by_lower = [&](const Peer& candidate) {
      return candidate.is_inbound() == (id < identity_.id());
    };
    is_newer_kept = !is_dialled_by_lower(older) && is_dialled_by_lower(peer);
  }
  const ConnId loser = is_newer_kept ? older.conn() : peer.conn();
  if (!is_newer_kept) {
    // What it was dialled for is opened on the one that stays.
    Peer& kept = peers_.at(known->second);
    if (const auto listen = peer.listen_endpoint()) {
      for (const ShareId& share : dialer_.shares(*listen)) {
        Swarm* swarm = find_swarm(share);
        if (swarm != nullptr && swarm->is_active()) open_share(t, kept, *swarm);
      }
    }
    kept.flush(t.out);
    if (!peer.is_inbound()) dialer_.on_proven(t.now, peer.endpoint());
  }
  count(Reject::duplicate);
  close_peer(t, loser, wire::CloseReason::duplicate, "another connection to it stays");
  return is_newer_kept;
}

void Transfer::remember(Turn& t, const Peer& peer) {
  PeerRecord& record = remembered_[peer.session().peer];
  record.id = peer.session().peer;
  if (const auto listen = peer.listen_endpoint()) record.endpoint = *listen;
  record.seen = t.wall;
  const JobId job = jobs_.next();
  unowned_.insert(job);
  t.out.push_back(Save{job, record});
}

void Transfer::open_share(Turn& t, Peer& peer, Swarm& swarm) {
  PeerShare& share = peer.add_share(swarm.id());
  if (share.channel) return;
  share.channel = peer.new_channel();
  share.is_manifest_said = swarm.is_exchanging();
  peer.send(wire::ShareOpen{*share.channel, swarm.key(),
                            share_proof(swarm.id(), peer.role(), peer.session().handshake_hash),
                            share.is_manifest_said ? wire::kShareHasManifest : std::uint8_t{0}});
  if (share.is_open()) swarm.on_open(t, peer, share);
}

void Transfer::close_peer(Turn& t, ConnId conn, wire::CloseReason reason, const std::string& why) {
  const auto found = peers_.find(conn);
  if (found == peers_.end()) return;
  if (found->second.phase() == Peer::Phase::open) {
    found->second.send(wire::Close{reason});
    found->second.flush(t.out);
  }
  const Dialer::Outcome outcome = outcome_of(found->second, reason);
  t.out.push_back(Close{conn});
  remove_peer(t, conn, why, outcome);
}

// The connection is no more: nothing may be sent on it from here on.
void Transfer::remove_peer(Turn& t, ConnId conn, const std::string& why, Dialer::Outcome outcome) {
  const auto found = peers_.find(conn);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  counted_.wire_out += peer.written();
  gate_.on_closed(conn);
  const bool was_open = peer.phase() == Peer::Phase::open;
  for (auto& [id, share] : peer.shares()) {
    Swarm* swarm = find_swarm(id);
    if (swarm == nullptr || !share.is_counted) continue;
    swarm->on_gone(t, peer, share);
    // The last one is gone: look for others soon.
    if (swarm->wants_data() && swarm->peers_count() == 0) {
      lookup_tries_[id] = 0;
      lookups_.set(id, t.now + std::chrono::seconds(2));
    }
  }
  if (was_open) {
    const PeerId& id = peer.session().peer;
    const auto known = by_peer_.find(id);
    const bool was_known = known != by_peer_.end() && known->second == conn;
    if (was_known) {
      by_peer_.erase(known);
      PeerRecord& record = remembered_[id];
      record.downloaded += peer.received.total();
      record.uploaded += peer.sent.total();
      if (peer.received.total() + peer.sent.total() > 0) remember(t, peer);
      events_.emplace_back(PeerLeft{id, peer.endpoint(), why});
    }
    if (const auto listen = peer.listen_endpoint()) {
      const auto at = by_listen_.find(*listen);
      if (at != by_listen_.end() && at->second == conn) by_listen_.erase(at);
    }
    if (!peer.is_idle_for_choker()) want_rechoke(t.now);
  }
  if (!peer.is_inbound()) {
    if (was_open) {
      dialer_.on_closed(t.now, peer.endpoint(), outcome);
    } else {
      ++counted_.dials_failed;
      dialer_.on_failed(t.now, peer.endpoint(), why, outcome);
    }
  }
  on_probe_gone(t, peer, outcome, why);
  peers_.erase(found);
}

void Transfer::ban(Turn& t, const Swarm::Liar& liar, const std::string& why) {
  bans_.on_bad_block(t.now, liar.peer, liar.endpoint);
  events_.emplace_back(PeerBanned{liar.peer, liar.endpoint, why});
  const auto open = by_peer_.find(liar.peer);
  const ConnId conn = open == by_peer_.end() ? liar.conn : open->second;
  if (const auto found = peers_.find(conn); found != peers_.end()) {
    for (const auto& [id, share] : found->second.shares()) {
      if (Swarm* swarm = find_swarm(id)) swarm->on_ban({liar.peer, liar.endpoint, why, t.now});
    }
  }
  close_peer(t, conn, wire::CloseReason::banned, why);
}

// ---- Messages

// Above its caller: clang 14 does not instantiate it otherwise.
template <class M>
Result<void> Transfer::on_share_message(Turn& t, Peer& peer, const M& message) {
  // A message may cross our share_close: what comes for a share that is not open is dropped.
  PeerShare* share = peer.find_channel(message.channel);
  if (share == nullptr || !share->is_open()) return {};
  Swarm* swarm = find_swarm(share->id);
  if (swarm == nullptr || !swarm->is_active()) return {};
  return swarm->on_message(t, peer, *share, message);
}

Result<void> Transfer::on_record(Turn& t, Peer& peer, Bytes record) {
  const auto message = wire::decode(record);
  if (!message) return message.error();
  return std::visit(
      Overloaded{
          [&](const wire::Choke&) -> Result<void> {
            peer.is_choking = true;
            peer.choking_since = t.now;
            peer.pipeline.restart();
            for (auto& [id, share] : peer.shares()) {
              if (Swarm* swarm = find_swarm(id)) swarm->on_choked(peer, share);
            }
            return {};
          },
          [&](const wire::Unchoke&) -> Result<void> {
            peer.is_choking = false;
            peer.choking_since = t.now;
            peer.pipeline.restart();
            peer.last_block = t.now;
            return {};
          },
          [&](const wire::Interested& m) -> Result<void> {
            on_interest(t, peer, m.channel, true);
            return {};
          },
          [&](const wire::NotInterested& m) -> Result<void> {
            on_interest(t, peer, m.channel, false);
            return {};
          },
          [&](const wire::Request& m) -> Result<void> {
            on_request(t, peer, m);
            return {};
          },
          [&](const wire::Cancel& m) -> Result<void> {
            for (const UploadRun& part : peer.upload.cancel({m.channel, m.run})) {
              reject(peer, part);
            }
            return {};
          },
          [&](const wire::PieceBlock& m) -> Result<void> {
            PeerShare* share = peer.find_channel(m.channel);
            Swarm* swarm = share == nullptr ? nullptr : find_swarm(share->id);
            if (swarm == nullptr || !share->is_open()) return {};
            return swarm->on_block(t, peer, *share, m, std::move(record));
          },
          [&](const wire::ShareOpen& m) { return on_share_open(t, peer, m); },
          [&](const wire::ShareClose& m) -> Result<void> {
            on_share_close(t, peer, m);
            return {};
          },
          [&](const wire::Ping& m) -> Result<void> {
            peer.send(wire::Pong{m.nonce});
            return {};
          },
          [&](const wire::Pong& m) -> Result<void> {
            if (m.nonce != peer.ping_nonce) return {};
            peer.ping_nonce = 0;
            const Duration round_trip = t.now - peer.last_ping;
            peer.round_trip =
                peer.round_trip ? (*peer.round_trip * 7 + round_trip) / 8 : round_trip;
            peer.pipeline.on_round_trip(round_trip);
            return {};
          },
          [&](const wire::Close& m) -> Result<void> {
            return Error{Errc::closed,
                         "it said close, reason " + std::to_string(static_cast<unsigned>(m.reason)),
                         {}};
          },
          [&](const wire::Pex& m) -> Result<void> {
            on_pex(t, peer, m);
            return {};
          },
          [&](const wire::Ignored&) -> Result<void> { return {}; },
          [&](const auto& m) -> Result<void> { return on_share_message(t, peer, m); },
      },
      *message);
}

Result<void> Transfer::on_share_open(Turn& t, Peer& peer, const wire::ShareOpen& message) {
  if (on_probe_share_open(t, peer, message)) return {};
  Swarm* swarm = find_swarm(message.key);
  const Role sender = peer.role() == Role::initiator ? Role::responder : Role::initiator;
  // An unknown share and a wrong proof get the same answer, computed the same way.
  const Hash proof = share_proof(swarm != nullptr ? swarm->id() : ShareId{}, sender,
                                 peer.session().handshake_hash);
  const bool is_proved = secure_equal(proof.view(), message.proof.view());
  if (swarm == nullptr || !swarm->is_active() || !is_proved) {
    count(Reject::unknown_share);
    if (++peer.unknown_shares > kUnknownSharesMax) {
      return Error{Errc::too_large, "it asks for one unknown share after the other", {}};
    }
    peer.send(wire::ShareClose{message.key, wire::ShareCloseReason::unknown});
    return {};
  }
  PeerShare& share = peer.add_share(swarm->id());
  if (!peer.set_remote_channel(share, message.channel)) {
    return Error{Errc::malformed, "a share or a channel was opened twice", {}};
  }
  share.has_manifest = (message.flags & wire::kShareHasManifest) != 0;
  if (share.channel) {
    swarm->on_open(t, peer, share);
  } else {
    open_share(t, peer, *swarm);
  }
  dialer_.set_enough(swarm->id(), swarm->has_dialled_enough(t.now, peers_));
  return {};
}

void Transfer::on_share_close(Turn& t, Peer& peer, const wire::ShareClose& message) {
  on_probe_share_close(t, peer, message);
  Swarm* swarm = find_swarm(message.key);
  if (swarm == nullptr) return;
  PeerShare* share = peer.find_share(swarm->id());
  if (share == nullptr) return;
  if (share->is_counted) swarm->on_gone(t, peer, *share);
  peer.remove_share(swarm->id());
  if (const auto listen = peer.listen_endpoint()) {
    dialer_.on_refused_share(t.now, *listen, swarm->id());
  }
}

void Transfer::on_interest(Turn& t, Peer& peer, wire::ShareChannel channel, bool is_interested) {
  PeerShare* share = peer.find_channel(channel);
  if (share == nullptr || !share->is_open()) return;
  const bool was_interested = peer.is_interested();
  share->is_interested = is_interested;
  if (peer.is_interested() == was_interested) return;
  if (!was_interested) peer.waiting_since = t.now;
  want_rechoke(t.now);
}

void Transfer::on_request(Turn& t, Peer& peer, const wire::Request& message) {
  static_cast<void>(t);
  const PeerShare* share = peer.find_channel(message.channel);
  const Swarm* swarm = share == nullptr ? nullptr : find_swarm(share->id);
  if (swarm == nullptr || !share->is_open()) return;
  const bool is_taken = !peer.is_choked && swarm->can_serve(message.run) &&
                        peer.upload.add({message.channel, message.run});
  if (is_taken) return;
  count(Reject::request);
  reject(peer, {message.channel, message.run});
}

}  // namespace peernet::transfer
