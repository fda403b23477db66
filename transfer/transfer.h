#pragma once

// Transfer is the exchange engine: it owns the shares (Swarm), the connections (Peer), the dial
// scheduler and the limits, and routes each input to the one it concerns. Pieces are exchanged
// between peers that proved to each other that they know the share id.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/effects.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/rate.h"
#include "core/rng.h"
#include "core/time.h"
#include "core/timers.h"
#include "transfer/bans.h"
#include "transfer/contention.h"
#include "transfer/dialer.h"
#include "transfer/events.h"
#include "transfer/gate.h"
#include "transfer/handshake.h"
#include "transfer/importer.h"
#include "transfer/lan.h"
#include "transfer/limits.h"
#include "transfer/peer.h"
#include "transfer/probe.h"
#include "transfer/segments.h"
#include "transfer/status.h"
#include "transfer/swarm.h"
#include "transfer/why.h"

namespace peernet::transfer {

inline constexpr std::size_t kSharesMax = 65'536;
inline constexpr std::size_t kImportsMax = 16;  // at a time
// A peer with more than this unsent does not read what it asks for, or what is news to it, and is
// closed: after the record that asked, else at the next tick. A full have-state of the largest
// share and a few hash answers fit.
inline constexpr std::size_t kUnsentMax = std::size_t{2} << 20U;
// Sealed and not yet sent, at the least, while there is something to send. Our own requests wait
// behind it: a second behind four times as much where sixteen peers share 1 MB/s.
inline constexpr std::size_t kUnsentGoalMin = std::size_t{16} << 10U;

class Transfer {
 public:
  Transfer(Config config, const Identity& identity, Rng rng, Log& log);

  // Once, before any input: opens what was saved.
  void start(Time now, WallTime wall, const Saved& saved, Effects& out);

  // Inputs.
  std::optional<ConnId> on_accepted(Time now, const Endpoint& from, Effects& out);
  void on_connected(Time now, ConnId conn, Effects& out);
  void on_bytes(Time now, ConnId conn, BytesView bytes, Effects& out);
  void on_sent(Time now, ConnId conn, std::size_t bytes_unsent, Effects& out);
  void on_closed(Time now, ConnId conn, const Error& why, Effects& out);
  void on_file(Time now, JobId job, FileResult result, Effects& out);
  void on_saved(Time now, JobId job, const Result<void>& result, Effects& out);
  void on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out);
  // Came to the group of the local network.
  void on_multicast(Time now, const Endpoint& from, BytesView bytes, Effects& out);
  void on_hook(Time now, JobId job, const HookResult& result, Effects& out);
  void on_wall_clock(Time now, WallTime wall);
  void on_time(Time now, Effects& out);

  // Commands.
  // Reads, hashes and shares a path in place. Progress and the outcome are events.
  ImportId add(Time now, AddRequest request, Effects& out);
  void cancel_add(Time now, ImportId import, Effects& out);
  // A share already known is resumed if it was paused. Errors: refused, too_large, exists
  // (something stands at the target; seen later too, as a failed state).
  Result<ShareId> fetch(Time now, const FetchRequest& request, Effects& out);
  // Fetches the manifest only, and does nothing with it: ManifestKnown, then files(), then
  // remove(). True: the share is here already, and stays. Errors: refused, too_large.
  Result<bool> list(Time now, const FetchRequest& request, Effects& out);
  Result<void> pause(Time now, const ShareId& id, Effects& out);   // not_found
  Result<void> resume(Time now, const ShareId& id, Effects& out);  // not_found
  // Takes a share that hooks.scan has kept back as it is. not_found, refused (it has not).
  Result<void> accept(Time now, const ShareId& id, Effects& out);
  // Ends with Removed, after the last disk job of the share has reported. not_found.
  Result<void> remove(Time now, const ShareId& id, bool is_data_deleted, Effects& out);
  // Bytes of a file in order, as soon as they are there; what follows is fetched first. Ends with
  // FileRead. One read of a reader at a time. Errors: not_found, refused (too many readers).
  Result<ReadId> read(Time now, ReadRequest request, Effects& out);
  // Hashes again all that the share claims; with `is_repair` what is damaged at its place is
  // fetched again. Ends with Verified. Errors: not_found, refused, unavailable.
  Result<void> verify(Time now, const ShareId& id, bool is_repair, Effects& out);
  void cancel_verify(Time now, const ShareId& id, Effects& out);
  // What it waits for is dropped without an answer, and nothing is fetched for it any more.
  void end_reader(Time now, ReaderId reader, Effects& out);
  // From now on. Of the node, of each peer, and of one share beside that (not_found). A share's
  // that are `is_kept` come back after a restart; the others never do.
  void set_limits(Time now, const Limits& limits);
  void set_peer_limits(Time now, const PeerLimits& limits);
  Result<void> set_share_limits(Time now, const ShareId& id, const Limits& limits, bool is_kept,
                                Effects& out);
  // Dials whom the user names and tells each step in the end: Probed, with the number given back.
  // Errors: refused (too many at a time).
  Result<std::uint64_t> connect(Time now, const ProbeRequest& request, Effects& out);
  // Closes the connection; it may come again. not_found.
  Result<void> drop_peer(Time now, const PeerId& peer, Effects& out);
  // No connection with this peer for so long, or until it is lifted; restarts change nothing about
  // it. Errors: refused (ourselves), too_large.
  Result<void> ban_peer(Time now, const PeerId& peer, std::optional<Duration> duration,
                        Effects& out);
  Result<void> unban_peer(Time now, const PeerId& peer, Effects& out);  // not_found
  // Addresses where peers of the share with this DHT key may be. Hints, never believed.
  void add_peers(Time now, const DhtId& key, const std::vector<Endpoint>& peers, Effects& out);
  void on_lookup_done(Time now, const DhtId& key, const LookupFacts& facts);
  // So many DHT nodes hold our announce now; with few, it is said again soon.
  void on_announced(Time now, const DhtId& key, std::uint32_t nodes_count);
  // The DHT has come (back) to life: everything is announced anew.
  void announce_all(Time now);
  // A node has come to a small DHT: what few nodes hold is announced to it too.
  void announce_few(Time now);
  void stop(Time now, Effects& out);

  // Facts for the owner, oldest first.
  std::optional<Event> next_event();

  // Queries.
  Time deadline() const;
  std::vector<ShareStatus> shares(Time now) const;
  std::optional<ShareStatus> share(Time now, const ShareId& id) const;
  Limits limits() const { return limits_.rates(); }
  std::optional<Limits> share_limits(const ShareId& id) const;
  TransferStats stats() const;
  // nullopt: no such share.
  std::optional<WhyFacts> why(Time now, const ShareId& id) const;
  std::vector<PeerStatus> peers(Time now) const;
  std::uint32_t peers_count() const;
  std::vector<Bans::Banned> banned(Time now) const { return bans_.banned(now); }
  // Connected, banned or remembered.
  std::vector<PeerId> known_peers(Time now) const;
  std::vector<ShareId> share_ids() const;  // in the order they were added
  std::optional<std::string> link(const ShareId& id) const;
  std::optional<ShareFiles> files(const ShareId& id) const;
  double rate_down(Time now) const;
  double rate_up(Time now) const;

 private:
  Turn turn(Time now, Effects& out);
  ConnId next_conn();

  // Connections: transfer_peers.cpp.
  void add_peer(Time now, ConnId conn, const Endpoint& endpoint, bool is_inbound);
  void on_session(Turn& turn, Peer& peer);
  bool resolve_duplicate(Turn& turn, Peer& peer);
  Result<void> on_record(Turn& turn, Peer& peer, Bytes record);
  Result<void> on_share_open(Turn& turn, Peer& peer, const wire::ShareOpen& message);
  void on_share_close(Turn& turn, Peer& peer, const wire::ShareClose& message);
  void on_request(Turn& turn, Peer& peer, const wire::Request& message);
  void on_interest(Turn& turn, Peer& peer, wire::ShareChannel channel, bool is_interested);
  void open_share(Turn& turn, Peer& peer, Swarm& swarm);
  void close_peer(Turn& turn, ConnId conn, wire::CloseReason reason, const std::string& why);
  void remove_peer(Turn& turn, ConnId conn, const std::string& why,
                   Dialer::Outcome outcome = Dialer::Outcome::ended);
  void ban(Turn& turn, const Swarm::Liar& liar, const std::string& why);
  void count(Reject why) { ++counted_.rejects.at(static_cast<std::size_t>(why)); }
  void remember(Turn& turn, const Peer& peer);
  template <class M>
  Result<void> on_share_message(Turn& turn, Peer& peer, const M& message);

  // Single peers, by the user: transfer_by_hand.cpp.
  Probe* probe_of(ConnId conn);
  void probe_next(Turn& turn, std::uint64_t number, const std::string& failed);
  bool on_probe_resolved(Turn& turn, JobId job, const std::vector<Endpoint>& endpoints);
  void on_probe_session(Turn& turn, Peer& peer, Probe& probe);
  bool on_probe_share_open(Turn& turn, Peer& peer, const wire::ShareOpen& message);
  void on_probe_share_close(Turn& turn, const Peer& peer, const wire::ShareClose& message);
  void on_probe_gone(Turn& turn, const Peer& peer, Dialer::Outcome outcome, const std::string& why);
  void tick_probes(Turn& turn);
  void end_probe(std::uint64_t number);
  void save_ban(Turn& turn, const BanRecord& record);
  void start_bans(Turn& turn, const std::vector<BanRecord>& bans);
  // Peers that tell of peers, and the local network: transfer_finding.cpp.
  void tell_peers(Turn& turn);
  std::set<Endpoint> listeners_of(const ShareId& share) const;
  void on_pex(Turn& turn, Peer& peer, const wire::Pex& message);
  void say_on_lan(Time now, const Swarm& swarm);
  // Piece discovery: likewise.
  void say_and_seek_segments(Time now, const Swarm& swarm);
  void end_segments(const ShareId& share);

  // Blocks in and out: transfer_flow.cpp.
  void settle(Turn& turn, Peer& peer);  // after anything that concerned this peer
  void settle_in_turn(Turn& turn);
  void fill(Turn& turn, Peer& peer);
  void pump(Turn& turn, Peer& peer);
  void read_ahead(Turn& turn, Peer& peer);
  void reject(Peer& peer, const UploadRun& run);  // no longer in its queue
  void steer(Turn& turn, Peer& peer);
  std::uint64_t block_bytes_held() const;
  std::uint32_t blocks_allowed(Turn& turn, Peer& peer, std::uint32_t wanted);
  // Do no limits count for this peer?
  bool is_exempt(const Peer& peer) const;
  RateLimits& limits_for(const Peer& peer) { return is_exempt(peer) ? unlimited_ : limits_; }
  RateLimits& limits_for(const Peer& peer, Swarm& swarm) {
    return is_exempt(peer) ? unlimited_ : swarm.rate_limits();
  }
  void wait_for_limit(Time at);
  // How many blocks a limit lets us ask for at a time: a twentieth of a second's worth, so that it
  // is kept over seconds.
  static std::uint32_t blocks_within(const TokenBucket& limit, std::uint32_t room);

  // Who is served: transfer_choking.cpp.
  void rechoke(Turn& turn);
  // Of this round, each looked for once: it takes a look at all peers of the share.
  using Allowances = std::map<ShareId, std::uint64_t>;
  ChokeCandidate candidate_of(Time now, const Peer& peer, Allowances& allowances) const;
  void want_rechoke(Time now);
  std::uint32_t slots() const;
  void adapt_slots(Time now);
  void look_at_contention(Time now);
  void set_choked(Turn& turn, Peer& peer, bool is_choked);

  // What time brings: transfer_schedule.cpp.
  void dial(Turn& turn);
  void tick(Turn& turn);
  void tick_peers(Turn& turn);
  void schedule_share(Time now, const Swarm& swarm);
  void seek_among_known(Time now, const Swarm& swarm);
  void on_due_shares(Turn& turn);
  bool is_busy() const;

  // Shares come and go: transfer.cpp, transfer_commands.cpp.
  Swarm& add_swarm(ShareRecord record, const ManifestRules& rules);
  Swarm* find_swarm(const ShareId& id);
  const Swarm* find_swarm(const ShareId& id) const;
  Swarm* find_swarm(const DhtId& key);
  Result<Swarm*> begin_fetch(Turn& turn, const FetchRequest& request);
  void add_hints(Turn& turn, Swarm& swarm, const Link& link);
  void offer(Turn& turn, Swarm& swarm, const Endpoint& endpoint, Dialer::Source source);
  void on_import(Turn& turn, Importer& importer);
  void sweep(Turn& turn);  // shares that are gone, imports that have ended

  Config config_;
  const Identity& identity_;
  Rng rng_;
  Log& log_;
  HandshakeConfig handshake_;
  HandshakeGuard guard_{WallTime{}};
  Gate gate_;
  Bans bans_;
  Dialer dialer_;
  std::optional<Lan> lan_;
  JobIds jobs_{JobOwner::transfer};
  std::uint64_t last_conn_ = 0;
  std::int64_t wall_offset_ms_ = 0;  // wall clock at Time zero

  Peers peers_;
  std::map<PeerId, ConnId> by_peer_;      // open connections
  std::map<Endpoint, ConnId> by_listen_;  // open connections, by where the peer listens
  std::map<PeerId, PeerRecord> remembered_;
  std::map<std::uint64_t, Probe> probes_;  // at most kProbesMax
  std::uint64_t last_probe_ = 0;

  std::map<ShareId, Swarm> swarms_;
  std::vector<ShareId> order_;  // as they were added
  std::map<DhtId, ShareId> by_key_;
  std::map<DhtId, ShareId> by_segment_;
  std::map<ShareId, Segments> segments_;
  std::set<ShareId> removing_;
  std::map<JobId, ShareId> job_owners_;
  std::map<ImportId, Importer> importers_;
  std::map<ShareId, Imported> imported_;  // to be told once the share is saved
  std::map<JobId, ShareId> resolving_;    // names of link hints
  std::set<JobId> unowned_;               // jobs and saves whose result changes nothing
  std::uint64_t last_import_ = 0;
  std::uint64_t last_read_ = 0;

  Load load_;
  // Bytes of blocks that were asked for, are being read or wait to be sent: what it was when all
  // peers were last looked at, and all that was asked for and read since.
  std::uint64_t held_at_most_ = 0;
  bool is_memory_short_ = false;  // somebody was not asked for want of memory
  RateLimits limits_;
  RateLimits unlimited_;  // stands for those that do not count
  Timers<ShareId> announces_;
  Timers<ShareId> lookups_;
  Timers<ShareId> retries_;  // of shares that a fault of this machine stopped
  std::map<ShareId, unsigned> lookup_tries_;
  Time last_announce_at_{};
  std::set<ShareId> held_by_few_;  // announced at fewer nodes than wanted
  ConnId limit_turn_{};       // who got something first when a limit last let something through
  Time limit_wait_ = kNever;  // when a rate limit or the disk lets somebody go on
  Time next_tick_ = kNever;
  Time next_rechoke_ = kNever;
  Time last_rechoke_{};
  Contention contention_;
  bool has_free_slot_ = false;  // somebody may earn it
  Time optimistic_at_{};
  std::uint32_t adaptive_slots_;
  bool is_stopping_ = false;
  TransferStats counted_;  // its counters
  std::deque<Event> events_;
};

}  // namespace peernet::transfer
