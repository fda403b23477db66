#pragma once

// Picker decides which blocks to ask a peer for: random first pieces, then rarest first, blocks of
// started pieces before new ones, in the endgame the same block from two peers. It keeps for each
// piece its state and how many peers have it, and for each active piece the state of its blocks.
//
//   missing --prepare--> preparing --activate--> active --all blocks written--> have
//      ^-------abandon------'  ^---(missing)------'  '--release_idle--> missing
//
// Blocks are given only of active pieces, whose leaf hashes are at hand: the swarm asks
// wanted_pieces() what to fetch leaves for, prepares those, and activates each when its leaves are
// checked (at once if they were on disk).
//
// A piece that is not wanted is `unwanted` where another would be missing. Pieces that somebody
// waits for are urgent: they go before all others, in the order given.

#include <array>
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
#include "transfer/layout.h"
#include "transfer/partial.h"
#include "transfer/wire.h"

namespace peernet::transfer {

using wire::BlockRun;

// Blocks of preparing and active pieces together: 1 GiB in flight. Bounds memory and leaves held.
inline constexpr std::uint32_t kActiveBlocksMax = 65'536;
inline constexpr std::uint32_t kOutstandingMax = 256;  // blocks asked of one peer at a time
inline constexpr std::uint32_t kEndgameOutstandingMax =
    8;                                                   // at which a peer is given no second copy
inline constexpr std::uint32_t kRandomFirstPieces = 4;   // had before rarest first begins
inline constexpr std::uint32_t kRunBlocksMax = 16;       // blocks in one request
inline constexpr std::uint32_t kAvailabilityMax = 4095;  // more peers than that count as this
// A block of an urgent piece is asked of a second peer when the first has had so long for it.
inline constexpr Duration kUrgentPatience = std::chrono::seconds(2);

class Picker {
 public:
  enum class PieceState : std::uint8_t { missing, preparing, active, have, unwanted };

  struct Expired {
    ConnId peer{};
    BlockRun run;
  };

  // `layout` is copied. `have`: what is there already. Requires: have.size() ==
  // layout.pieces_count().
  Picker(Layout layout, const Bitfield& have, const Rng& rng,
         std::uint32_t run_blocks_max = kRunBlocksMax);

  // ---- What the peers have
  void add_peer(ConnId peer, const Bitfield& has);
  // Requires: the peer was added and did not have the piece.
  void on_peer_has(ConnId peer, std::uint32_t piece);
  // It has these blocks of a piece that it does not have whole. False when it told of more pieces
  // than are kept. Requires: the run lies within the piece.
  bool on_peer_has_blocks(ConnId peer, const BlockRun& run);
  // It does not serve its part of the piece after all.
  void forget_blocks(ConnId peer, std::uint32_t piece);
  // `has`: everything said by add_peer and on_peer_has. Its requests return to missing.
  void remove_peer(ConnId peer, const Bitfield& has);

  // ---- What is wanted, and what first
  // At first everything is. Pieces under way that are not wanted any more are given up; gives the
  // requests that were out for them. Requires: wanted.size() == have().size().
  std::vector<Expired> set_wanted(const Bitfield& wanted);
  // What was urgent before is so no more. Pieces that are had or unwanted are passed over.
  void set_urgent(std::vector<std::uint32_t> pieces);
  // Urgent pieces that the peer has and that are missing, in their order.
  std::vector<std::uint32_t> urgent_missing(const Bitfield& has) const;
  // Has the peer an urgent piece that we have not?
  bool is_urgent(const Bitfield& has) const;

  // ---- Pieces
  // Up to count_max missing pieces that the peer has, best first, of which the swarm should get
  // the leaves. None when there is no room (see release_idle).
  std::vector<std::uint32_t> wanted_pieces(const Bitfield& has, std::size_t count_max);
  // The same of the pieces that it has in part.
  std::vector<std::uint32_t> wanted_in_part(ConnId peer, std::size_t count_max) const;
  // missing -> preparing; false when there is no room or the piece is not missing.
  bool prepare(std::uint32_t piece);
  void abandon(std::uint32_t piece);  // preparing -> missing; else nothing
  // Its leaves are at hand: missing or preparing -> active; false as for prepare().
  bool activate(std::uint32_t piece);
  // Active pieces of which no block was asked for or received return to missing, so that there is
  // room again; gives them.
  std::vector<std::uint32_t> release_idle();
  // Found complete on disk or elsewhere. Any state -> have. Requests out for it are forgotten.
  void set_have(std::uint32_t piece);
  // Lost (a failed sync, bit rot): have or active -> missing.
  void set_missing(std::uint32_t piece);
  // Lost, and not wanted again for now.
  void give_up(std::uint32_t piece);

  // ---- Blocks
  // What to ask of the peer now, at most count_max blocks, urgent ones first; they count as
  // requested.
  std::vector<BlockRun> pick(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now);
  // The same, of these pieces only, in their order.
  std::vector<BlockRun> pick_of(const std::vector<std::uint32_t>& pieces, ConnId peer,
                                const Bitfield& has, std::uint32_t count_max, Time now);
  // Not from this peer any more: rejected, cancelled, or given up.
  void on_rejected(ConnId peer, const BlockRun& run);
  // All requests of the peer return to missing (it choked us, or is too slow).
  void on_choked(ConnId peer);

  struct Received {
    bool is_wanted = false;  // write it: it now counts as being written
    // Of this peer, and not given up since. A block that was cancelled, or whose request expired,
    // may still come and is no offence.
    bool was_requested = false;
    std::vector<ConnId> cancel_at;  // others that were asked for it too
  };
  Received on_block_received(ConnId peer, std::uint32_t piece, std::uint32_t block);
  // True when that was the last block: the piece is had from now on.
  bool on_block_written(std::uint32_t piece, std::uint32_t block);
  // It did not match its leaf, or could not be written: missing again.
  void on_block_failed(std::uint32_t piece, std::uint32_t block);

  // Requests made at or before `made_by` and not answered: they may go to other peers, and the late
  // block is still welcome. Each is given once.
  std::vector<Expired> expire(Time made_by);

  // ---- Queries
  const Bitfield& have() const { return have_; }
  PieceState state(std::uint32_t piece) const;
  // Pieces that are wanted and not had.
  const Bitfield& lacking() const { return lacking_; }
  bool is_complete() const { return lacking_.none(); }
  bool is_endgame() const;
  // Are these blocks written, whether or not their piece is whole?
  bool has_blocks(const BlockRun& run) const;
  // Has the peer a piece that we lack, whole or in part?
  bool is_interesting(ConnId peer, const Bitfield& has) const;
  // Connected peers that have part of the piece.
  std::uint32_t partial_copies(std::uint32_t piece) const;
  // What the peer told of the piece by on_peer_has_blocks; null: nothing.
  const Bitfield* blocks_of(ConnId peer, std::uint32_t piece) const;
  // May another piece become preparing or active?
  bool has_room() const { return active_blocks_ + layout_.blocks_per_piece() <= kActiveBlocksMax; }
  std::uint32_t active_blocks() const { return active_blocks_; }  // preparing ones included
  std::uint32_t active_count() const { return static_cast<std::uint32_t>(active_.size()); }
  std::uint32_t preparing_count() const { return static_cast<std::uint32_t>(preparing_.size()); }
  // Missing blocks of active pieces that the peer has, counted up to count_max: how far ahead the
  // leaves are for this peer.
  std::uint32_t blocks_ready(ConnId peer, const Bitfield& has, std::uint32_t count_max) const;
  std::uint32_t outstanding(ConnId peer) const;
  std::vector<BlockRun> requests(ConnId peer) const;  // those, oldest first
  // When the peer's oldest request still out was made.
  std::optional<Time> oldest_request(ConnId peer) const;
  // Connected peers that have the piece.
  std::uint32_t availability(std::uint32_t piece) const;
  // Of those, the ones that came without everything.
  std::uint32_t copies(std::uint32_t piece) const { return availability_.at(piece); }
  // Pieces lacking that no connected peer has, in order, at most count_max.
  std::vector<std::uint32_t> without_holder(std::size_t count_max) const;
  std::uint32_t without_holder_count() const;
  // Bytes of blocks written in pieces that are not complete.
  std::uint64_t partial_bytes() const;

 private:
  enum class BlockState : std::uint8_t { missing, requested, writing, have };
  static constexpr std::size_t kRequestersMax = 2;  // in the endgame
  struct Block {
    BlockState state = BlockState::missing;
    std::uint8_t requesters_count = 0;
    std::array<ConnId, kRequestersMax> requesters{};

    bool is_requester(ConnId peer) const;
    bool remove_requester(ConnId peer);
  };
  struct Active {
    std::uint64_t order = 0;          // of activation
    std::uint32_t first_missing = 0;  // no block before this one is missing
    std::uint32_t missing_count = 0;
    std::uint32_t requested_count = 0;
    std::uint32_t have_count = 0;
    std::vector<Block> blocks;
  };
  struct Outstanding {
    std::uint32_t piece = 0;
    std::uint16_t block = 0;
    Time at{};
  };

  // A permutation of the pieces in zones: zone 0 for what is not missing, zone 1 + a for missing
  // pieces of availability a. A piece moves between neighbouring zones by one swap; its place
  // within a zone is random.
  std::uint32_t zone_of_missing(std::uint32_t piece) const;
  void move_to_zone(std::uint32_t piece, std::uint32_t from, std::uint32_t to);
  void swap_places(std::uint32_t a, std::uint32_t b);
  void change_availability(std::uint32_t piece, int by);
  void change_state(std::uint32_t piece, PieceState to);
  std::uint32_t missing_count() const;
  std::uint32_t missing_without_holder_count() const;
  void append_from(std::uint32_t place, const Bitfield& has, std::size_t count_max,
                   std::vector<std::uint32_t>& out) const;
  void append_by_scan(const Bitfield& has, std::size_t count_max, std::vector<std::uint32_t>& out);

  Active* find_active(std::uint32_t piece);
  Block* find_block(Active* active, std::uint32_t block);
  void drop_active(std::uint32_t piece);
  void block_to_missing(Active& active, std::uint32_t piece, std::uint32_t block);
  void add_request(Active& active, std::uint32_t piece, std::uint32_t block, ConnId peer, Time now);
  void forget_request(ConnId peer, std::uint32_t piece, std::uint32_t block);
  void forget_outstanding(ConnId peer, std::uint32_t piece, std::uint32_t block);
  bool has_block(ConnId peer, const Bitfield& has, std::uint32_t piece, std::uint32_t block) const;
  std::uint32_t pick_piece(std::uint32_t piece, ConnId peer, std::uint32_t count_max, Time now,
                           std::vector<BlockRun>& out);
  std::uint32_t pick_part(std::uint32_t piece, const Bitfield& part, ConnId peer,
                          std::uint32_t count_max, Time now, std::vector<BlockRun>& out);
  std::uint32_t pick_open(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                          std::vector<BlockRun>& out);
  void pick_urgent(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                   std::vector<BlockRun>& out);
  void pick_late(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                 std::vector<BlockRun>& out);
  std::optional<Time> request_time(ConnId peer, std::uint32_t piece, std::uint32_t block) const;
  void pick_endgame(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                    std::vector<BlockRun>& out);

  Layout layout_;
  Rng rng_;
  std::uint32_t run_blocks_max_;
  Bitfield have_;
  Bitfield missing_;
  Bitfield wanted_;
  Bitfield lacking_;                   // wanted, less what is had
  std::vector<std::uint32_t> urgent_;  // in order; may hold what was had meanwhile
  std::vector<PieceState> states_;
  std::vector<std::uint16_t> availability_;  // peers with the piece, those of seeds_ not counted
  std::set<ConnId> seeds_;                   // peers that had everything when they were added
  std::map<ConnId, PartialHave> partial_;    // of peers that told of blocks
  std::vector<std::uint32_t> order_;         // the permutation
  std::vector<std::uint32_t> place_;         // its inverse
  std::vector<std::uint32_t> zone_begin_;    // one more than there are zones

  std::set<std::uint32_t> preparing_;
  std::map<std::uint32_t, Active> active_;
  // Active pieces with a missing block, in the order of their activation.
  std::set<std::pair<std::uint64_t, std::uint32_t>> open_;
  std::uint64_t next_order_ = 0;
  std::uint32_t active_blocks_ = 0;
  std::map<ConnId, std::vector<Outstanding>> outstanding_;  // oldest first; none is empty
};

}  // namespace peernet::transfer
