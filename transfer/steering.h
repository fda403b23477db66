#pragma once

// Steering is how a seed gets each piece into a swarm once before it sends any twice: it hands
// every peer other pieces, by `suggest`, and peers pass them on to each other. A piece is done with
// when a peer has it that did not get it here. What was handed to a peer that leaves before, or
// that sits on it, is handed out again, the latter when nothing else is left. Once everything is
// handed out, whoever was sent its own helps with what others were not sent yet, and what was sent
// before is declined for a while; what went to somebody who never passed anything on counts as not
// sent. (The aim of super-seeding, BEP 16, without hiding what the seed has.)

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/rng.h"
#include "core/time.h"
#include "transfer/bitfield.h"
#include "transfer/network.h"

namespace peernet::transfer {

// Places looked at for a piece that one peer lacks: bounds the work in a share of a million pieces.
inline constexpr std::size_t kSteerScanMax = 4096;
// Pieces that are somebody's to pass on; the one that is so for longest is forgotten first.
inline constexpr std::size_t kHandedMax = 65'536;
// Peers that one piece is sent to, after which it counts as spread, if all of it was sent.
inline constexpr std::size_t kSentToMax = 16;
// What a peer was handed, and neither got any more of nor passed on in this time, others may have.
inline constexpr Duration kPassOnTime = std::chrono::seconds(5);

// Once nothing was left to hand out, nothing is declined any longer than this; counted anew when
// something was given back meanwhile.
inline constexpr Duration kLastRound = std::chrono::seconds(5);

class Steering {
 public:
  struct BlockSent {
    std::uint32_t piece = 0;
    std::uint32_t index = 0;         // in the piece
    std::uint32_t blocks_count = 0;  // of the piece
    bool passes_on = true;           // whoever got it has passed on something before
  };

  // Requires: pieces_count > 0.
  Steering(std::uint32_t pieces_count, Rng& rng);

  // A piece that the peer lacks and that is nobody's to pass on, if there is one, else one that
  // somebody sits on; from now on it is this peer's.
  std::optional<std::uint32_t> next(Time now, ConnId peer, const Bitfield& peer_has);
  // Where everything is handed out and little is left of what was suggested to the peer: another's
  // piece that was not sent whole. It stays that one's.
  std::optional<std::uint32_t> help(ConnId peer, const Bitfield& peer_has);
  // What next() or help() gave, of so many blocks, was suggested to the peer.
  void on_suggested(std::uint32_t piece, ConnId peer, std::uint32_t blocks_count);
  // Blocks suggested to the peer and neither sent to it nor declined yet.
  std::uint32_t blocks_ahead(ConnId peer) const;
  std::size_t suggestions_count(ConnId peer) const;
  // Suggestions to it are void. Those of which nothing was sent or declined are nobody's again.
  void on_choked(ConnId peer);
  // Is everything handed out, for no longer than kLastRound from the first such question on, and do
  // blocks go out that nobody was sent, at most `gap` apart?
  bool is_last_round(Time now, Duration gap);
  // Is it somebody's to pass on?
  bool is_handed(std::uint32_t piece) const { return handed_.contains(piece); }
  // To anybody who passes on; true of all that is nobody's to pass on.
  bool was_sent(std::uint32_t piece, std::uint32_t block) const;
  // A block of the piece, which has so many, went to a peer, handed to it or not.
  void on_sent(Time now, const BlockSent& block, ConnId peer, const Network& network);
  // A block of the piece that the peer asked for was declined.
  void on_declined(std::uint32_t piece, ConnId peer);
  // A peer has it. One network counts as one peer, as in Spread.
  void on_had(Time now, std::uint32_t piece, ConnId peer, const Network& network);
  // It is in the swarm already.
  void skip(std::uint32_t piece);
  // It is this peer's no more, and others may have it. Whom it was sent to is remembered.
  void take_back(std::uint32_t piece, ConnId peer);
  // All that is this peer's to pass on is nobody's again: it left, or passes nothing on.
  void take_all_back(ConnId peer);

 private:
  using SentTo = std::vector<std::pair<ConnId, Network>>;
  struct Sent {
    SentTo to;
    Bitfield blocks;  // to anybody who passes on; empty: none yet
  };
  struct Suggested {
    std::uint32_t blocks_count = 0;
    std::uint32_t blocks_left = 0;  // neither sent nor declined; at least one
  };
  using Suggestions = std::map<std::uint32_t, Suggested>;  // by piece
  struct Handed {
    ConnId peer{};
    Time at{};                      // or when the newest part of it was sent to that peer
    std::uint32_t helps_count = 0;  // times that it was suggested to another since
    Sent sent;
  };

  static bool is_from_us(const SentTo& sent_to, ConnId conn, const Network& network);
  void hand(Time now, std::uint32_t piece, ConnId peer);
  void add_sent_to(std::uint32_t piece, ConnId peer, const Network& network);
  void set_time(std::uint32_t piece, Handed& handed, Time now);
  void forget(std::uint32_t piece);
  void count_down(ConnId peer, std::uint32_t piece);
  void end_suggestion(ConnId peer, std::uint32_t piece);
  std::optional<std::uint32_t> next_waiting(const Bitfield& peer_has);
  std::optional<std::uint32_t> next_kept(Time now, ConnId peer, const Bitfield& peer_has) const;
  void forget_stale();

  Bitfield waiting_;                  // handed to nobody, and nobody has it
  std::vector<std::uint32_t> order_;  // all that wait, by chance, and some that no longer do
  Bitfield in_order_;
  std::map<std::uint32_t, Handed> handed_;
  std::map<std::uint32_t, Sent> taken_back_;  // of those that wait again; none is empty
  std::set<std::pair<Time, std::uint32_t>> handed_by_time_;
  std::set<std::uint32_t> unsent_;           // of those handed, the ones not sent whole
  std::map<ConnId, Suggestions> suggested_;  // none is empty
  Time new_sent_at_{};                       // a block that nobody had been sent
  std::optional<Time> all_handed_at_;  // since when no piece waits, as far as it was looked at
};

}  // namespace peernet::transfer
