#pragma once

// Peer is one connection: the handshake, then records each way, and what both sides said about the
// shares they have in common. It seals and sends, and remembers; what to say is decided by Swarm
// (about a share) and Transfer (about the connection).

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/channel.h"
#include "core/effects.h"
#include "core/endpoint.h"
#include "core/rate.h"
#include "core/result.h"
#include "core/rng.h"
#include "core/time.h"
#include "transfer/bitfield.h"
#include "transfer/handshake.h"
#include "transfer/limits.h"
#include "transfer/network.h"
#include "transfer/pex.h"
#include "transfer/pipeline.h"
#include "transfer/upload.h"
#include "transfer/wire.h"

namespace peernet::transfer {

inline constexpr std::size_t kSharesPerPeerMax = 4096;  // channels the other side may open
inline constexpr std::uint32_t kHashRequestsMax = 64;   // of one peer, being answered
// Hash requests out at one peer, over all shares: a peer that answers slowly never refuses one, and
// pieces of 256 KiB fill 100 ms at 1 Gbit/s.
inline constexpr std::uint32_t kLeafRequestsMax = 48;
inline constexpr std::size_t kSuggestionsMax = 256;       // of one peer for one share, the newest
inline constexpr std::uint32_t kUnknownSharesMax = 4096;  // share_opens for nothing, then closed

// One share on one connection.
struct PeerShare {
  ShareId id;
  std::optional<wire::ShareChannel> channel;         // ours: our share_open was sent
  std::optional<wire::ShareChannel> remote_channel;  // theirs: their proof was checked
  bool is_counted = false;                           // Swarm::on_open was called
  bool is_manifest_said = false;                     // we said that we have it
  bool has_manifest = false;                         // the other side said that it has
  bool is_state_sent = false;                        // our have-state
  std::optional<wire::BitfieldCollector> collector;
  std::optional<Bitfield> has;           // their have-state, once it is there
  bool is_interesting = false;           // we said interested
  bool is_interested = false;            // they did
  std::uint32_t leaf_requests = 0;       // hash requests of ours that are out
  Time late_at{};                        // it was last given up as the source of the manifest
  Time asked_again_at{};                 // after a hash_reject no hashes are asked before this
  PexTold pex_told;                      // where other peers of the share are
  std::optional<Time> pex_heard_at;      // their last message of the kind that counted
  std::vector<std::uint32_t> suggested;  // pieces we should ask it for, oldest first

  bool is_open() const { return channel.has_value() && remote_channel.has_value(); }
  // They suggest a piece; beyond kSuggestionsMax the oldest is forgotten.
  void suggest(std::uint32_t piece);
};

class Peer {
 public:
  enum class Phase : std::uint8_t { dialling, handshaking, open };

  Peer(ConnId conn, const Endpoint& endpoint, Network network, bool is_inbound, Time now);

  // ---- The connection
  // Connected, or accepted: begins the handshake.
  void start(const HandshakeConfig& config, Rng& rng, Time now, WallTime wall, Effects& out);
  bool is_started() const { return handshake_.has_value() || session_.has_value(); }
  // Takes handshake messages off the front of input. True when the handshake is done: the peer is
  // open and what is left in input are records.
  Result<bool> on_handshake(Time now, WallTime wall, HandshakeGuard& guard, BytesView& input,
                            Effects& out);
  Result<std::optional<Bytes>> next_record(BytesView& input);

  // Seals one message into the outbox. Requires: phase() is open.
  template <class M>
  void send(const M& message) {
    send_encoded(wire::encoded(message));
  }
  void send_encoded(const Bytes& plain) {
    seal(plain);
    is_due_ = true;
  }
  // Likewise, but in no hurry: it leaves with the next thing that is sent, or at the next tick.
  template <class M>
  void send_later(const M& message) {
    seal(wire::encoded(message));
  }
  // Seals one block straight from where the disk put it.
  void send_block(const UploadQueue::Block& block, wire::ShareChannel own_channel);
  // So much is about to be sealed: the outbox grows once.
  void expect(std::size_t bytes) { outbox_.reserve(outbox_.size() + bytes); }
  // What was sealed since the last flush leaves as one Write, if some of it is due.
  void flush(Effects& out);
  void flush_all(Effects& out);
  void on_sent(std::size_t bytes_unsent) { unsent_ = bytes_unsent; }
  std::uint64_t written() const { return written_; }  // bytes flushed
  // Sealed and not yet taken by the network, the outbox included.
  std::size_t unsent() const { return unsent_ + outbox_.size(); }

  ConnId conn() const { return conn_; }
  const Endpoint& endpoint() const { return endpoint_; }
  const Network& network() const { return network_; }
  // Where others can dial this peer: its address with the port it listens on; nullopt if it does
  // not listen.
  std::optional<Endpoint> listen_endpoint() const;
  bool is_inbound() const { return is_inbound_; }
  Phase phase() const { return phase_; }
  // Requires: phase() is open.
  const HandshakeOutcome& session() const;
  Role role() const { return is_inbound_ ? Role::responder : Role::initiator; }
  Time since() const { return since_; }  // connected, or dialled

  // ---- Shares, by id; a share of the other side's channels
  PeerShare* find_share(const ShareId& id);
  const PeerShare* find_share(const ShareId& id) const;
  PeerShare* find_channel(wire::ShareChannel remote_channel);
  PeerShare& add_share(const ShareId& id);  // the one there is, or a new one
  // False when the other side uses that channel number already, or too many.
  bool set_remote_channel(PeerShare& share, wire::ShareChannel remote_channel);
  wire::ShareChannel new_channel();
  void remove_share(const ShareId& id);
  const std::map<ShareId, PeerShare>& shares() const { return shares_; }
  std::map<ShareId, PeerShare>& shares() { return shares_; }
  bool may_ask_leaves() const;  // fewer than kLeafRequestsMax are out
  bool is_interested() const;   // they are, in some share
  bool is_interesting() const;  // we are
  // Neither unchoked nor waiting for it: the choker need not know that it goes.
  bool is_idle_for_choker() const { return is_choked && !is_interested(); }

  // ---- What the choker and the scheduler know about it
  bool is_choked = true;   // by us
  bool is_choking = true;  // us
  Time choking_since{};    // when is_choking was last said; before that, connected
  bool is_optimistic = false;
  bool is_snubbed = false;
  Time unchoked_since{};
  Time waiting_since{};
  std::optional<Time> last_served;
  bool is_in_debt = false;         // by the last decision of the choker
  std::uint64_t debt_at = 0;       // with so much sent in all it will be
  std::uint64_t sent_at_look = 0;  // sent.total() when Contention looked last
  Time last_heard{};
  bool has_spoken = false;  // a byte has come
  Time last_block{};        // a block we asked for arrived, or a request began to wait
  Time last_ping{};
  std::optional<Duration> round_trip;
  std::uint64_t credit = 0;       // verified bytes of earlier sessions
  std::uint64_t owed_before = 0;  // bytes it was sent in earlier sessions, not long ago
  RateMeter received;             // verified bytes
  RateMeter sent;                 // bytes of blocks
  RateLimits limits;              // of this peer, over all shares
  Pipeline pipeline;
  UploadQueue upload;
  std::uint32_t hash_requests = 0;  // being answered
  std::uint32_t unknown_shares = 0;
  PexNamed pex_named;  // addresses it told us of, over all shares
  ShareId fill_turn;   // the share that was asked last: shares take turns
  std::uint64_t ping_nonce = 0;
  std::optional<Time> empty_since;  // has had no share in common since

 private:
  void seal(const Bytes& plain);

  ConnId conn_;
  Endpoint endpoint_;
  Network network_;
  bool is_inbound_;
  Phase phase_;
  Time since_;
  std::optional<Handshake> handshake_;
  std::optional<HandshakeOutcome> session_;
  std::optional<Channel> channel_;
  Bytes outbox_;
  bool is_due_ = false;  // some of it
  std::size_t unsent_ = 0;
  std::uint64_t written_ = 0;
  std::map<ShareId, PeerShare> shares_;
  std::map<wire::ShareChannel, ShareId> by_channel_;
  wire::ShareChannel next_channel_ = 0;
};

}  // namespace peernet::transfer
