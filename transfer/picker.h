#pragma once

// Picker decides which blocks to ask a peer for: random first pieces, then rarest first, blocks of
// started pieces before new ones, in the endgame the same block from two peers. It keeps the state
// of each piece; Rarity knows how many peers have it, ActivePieces what becomes of its blocks.
//
//   missing --prepare--> preparing --activate--> active --all blocks written--> have
//      ^-------abandon------'  ^---(missing)------'  '--release_idle--> missing
//
// Blocks are given only of active pieces, whose leaf hashes are at hand: the swarm asks
// wanted_pieces() what to fetch leaves for, prepares those, and activates each when its leaves are
// checked. A piece of which an earlier run wrote some blocks is preparing from the start, by
// resume(), and becomes active with those.
//
// A piece that is not wanted is `unwanted` where another would be missing. Pieces that somebody
// waits for are urgent: they go before all others, in the order given.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/rng.h"
#include "core/time.h"
#include "transfer/active_pieces.h"
#include "transfer/bitfield.h"
#include "transfer/declined.h"
#include "transfer/layout.h"
#include "transfer/partial.h"
#include "transfer/progress.h"
#include "transfer/rarity.h"

namespace peernet::transfer {

// Blocks of preparing and active pieces together: 1 GiB in flight. Bounds memory and leaves held.
inline constexpr std::uint32_t kActiveBlocksMax = 65'536;
static_assert(kActiveBlocksMax <= kPartsBlocksMax);  // all that is written of them can be recorded
inline constexpr std::uint32_t kOutstandingMax = 1024;  // blocks asked of one peer at a time
// At which a peer is given no second copy.
inline constexpr std::uint32_t kEndgameOutstandingMax = 8;
inline constexpr std::uint32_t kRandomFirstPieces = 4;  // had before rarest first begins
inline constexpr std::uint32_t kRunBlocksMax = 16;      // blocks in one request
// A block of an urgent piece is asked of a second peer when the first has had so long for it.
inline constexpr Duration kUrgentPatience = std::chrono::seconds(2);

class Picker {
 public:
  enum class PieceState : std::uint8_t { missing, preparing, active, have, unwanted };

  using Expired = ActivePieces::Expired;
  using Received = ActivePieces::Received;

  // `layout` outlives the picker. `have`: what is there already. Requires: have.size() ==
  // layout.pieces_count().
  Picker(const Layout& layout, const Bitfield& have, const Rng::Seed& seed,
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
  // It has the piece, and does not give these blocks of it now. Requires: the run lies within the
  // piece.
  void on_declined(Time now, ConnId peer, const BlockRun& run);
  // Anything that was not forgotten since.
  bool is_declined_by(ConnId peer) const { return declined_.contains(peer); }
  // Blocks of so many pieces that it should be asked for nothing for now.
  bool is_declining_all(Time now, ConnId peer);
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
  // The same with blocks that are written already: some of the piece, not all. All that was under
  // way together has room together.
  bool resume(std::uint32_t piece, Bitfield written);
  // preparing -> missing; else nothing. What was written of it is not there.
  void abandon(std::uint32_t piece);
  // Its leaves are at hand: missing or preparing -> active; false as for prepare().
  bool activate(std::uint32_t piece);
  // Active pieces of which no block was asked for or received return to missing, so that there is
  // room again; gives them.
  std::vector<std::uint32_t> release_idle();
  // Active pieces with written blocks of which nothing is under way, and of which no connected peer
  // has anything.
  std::vector<std::uint32_t> stranded() const;
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
  // As ActivePieces says.
  void on_rejected(ConnId peer, const BlockRun& run) { active_.on_rejected(peer, run); }
  void on_choked(ConnId peer) { active_.on_choked(peer); }
  Received on_block_received(ConnId peer, std::uint32_t piece, std::uint32_t block) {
    return active_.on_block_received(peer, piece, block);
  }
  // True when that was the last block: the piece is had from now on.
  bool on_block_written(std::uint32_t piece, std::uint32_t block);
  // It did not match its leaf, or could not be written: missing again.
  void on_block_failed(std::uint32_t piece, std::uint32_t block) {
    active_.on_block_failed(piece, block);
  }
  // Requests made at or before `made_by` and not answered: they may go to other peers, and the late
  // block is still welcome. Each is given once.
  std::vector<Expired> expire(Time made_by) { return active_.expire(made_by); }

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
  std::uint32_t active_count() const { return static_cast<std::uint32_t>(active_.pieces().size()); }
  std::uint32_t preparing_count() const { return static_cast<std::uint32_t>(preparing_.size()); }
  // Missing blocks of active pieces that the peer has, counted up to count_max: how far ahead the
  // leaves are for this peer.
  std::uint32_t blocks_ready(ConnId peer, const Bitfield& has, std::uint32_t count_max) const;
  std::uint32_t outstanding(ConnId peer) const { return active_.outstanding(peer); }
  std::vector<BlockRun> requests(ConnId peer) const { return active_.requests(peer); }
  // When the peer's oldest request still out was made.
  std::optional<Time> oldest_request(ConnId peer) const { return active_.oldest_request(peer); }
  // Connected peers that have the piece; of those, the ones that came without everything.
  std::uint32_t availability(std::uint32_t piece) const { return rarity_.availability(piece); }
  std::uint32_t copies(std::uint32_t piece) const { return rarity_.copies(piece); }
  // Pieces lacking that no connected peer has, in order, at most count_max.
  std::vector<std::uint32_t> without_holder(std::size_t count_max) const;
  std::uint32_t without_holder_count() const;
  // Blocks written in pieces that are not complete, and their bytes.
  Parts parts() const;
  std::uint64_t partial_bytes() const {
    return active_.bytes_written(layout_) + bytes_of(resumed_, layout_);
  }
  // Is any block of the piece written, and not all?
  bool has_part(std::uint32_t piece) const;

 private:
  void change_state(std::uint32_t piece, PieceState to);
  // What the peer serves of the piece: null: all, a set of blocks, or nothing at all.
  std::optional<const Bitfield*> served(ConnId peer, const Bitfield& has,
                                        std::uint32_t piece) const;
  // May this block be asked of the peer?
  bool serves(ConnId peer, const Bitfield& has, std::uint32_t piece, std::uint32_t block) const;
  void forget_declined(Time now, ConnId peer);
  void pick_open(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                 std::vector<BlockRun>& out);
  void pick_urgent(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                   std::vector<BlockRun>& out);
  void pick_late(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                 std::vector<BlockRun>& out);
  void pick_endgame(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                    std::vector<BlockRun>& out);

  const Layout& layout_;
  Bitfield have_;
  Bitfield wanted_;
  Bitfield lacking_;                   // wanted, less what is had
  std::vector<std::uint32_t> urgent_;  // in order; may hold what was had meanwhile
  std::vector<PieceState> states_;
  std::set<std::uint32_t> preparing_;
  Parts resumed_;                          // of preparing pieces
  std::uint32_t active_blocks_ = 0;        // of preparing and active pieces
  std::map<ConnId, PartialHave> partial_;  // of peers that told of blocks
  std::map<ConnId, Declined> declined_;    // none was empty when it was last looked at
  Rarity rarity_;
  ActivePieces active_;
};

}  // namespace peernet::transfer
