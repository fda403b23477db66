#pragma once

// ActivePieces are the pieces under way: the state of each of their blocks, and the requests out at
// each peer.
//
//   missing --take--> requested --received--> writing --written--> have
//      ^------rejected----'                      |
//      ^-----------------failed------------------'
//
// A block may be asked of two peers; it is missing again when neither is asked any more.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/time.h"
#include "transfer/bitfield.h"
#include "transfer/layout.h"
#include "transfer/progress.h"
#include "transfer/wire.h"

namespace peernet::transfer {

using wire::BlockRun;

class ActivePieces {
 public:
  enum class BlockState : std::uint8_t { missing, requested, writing, have };
  static constexpr std::size_t kRequestersMax = 2;

  struct Block {
    BlockState state = BlockState::missing;
    std::uint8_t requesters_count = 0;
    std::array<ConnId, kRequestersMax> requesters{};

    bool is_requester(ConnId peer) const;
    bool remove_requester(ConnId peer);
  };
  struct Piece {
    std::uint64_t order = 0;  // of activation
    std::uint32_t next = 0;   // where asking goes on, from the last block to the first
    std::uint32_t missing_count = 0;
    std::uint32_t requested_count = 0;
    std::uint32_t have_count = 0;
    std::vector<Block> blocks;
  };
  struct Request {
    std::uint32_t piece = 0;
    std::uint16_t block = 0;
    Time at{};
  };
  struct Expired {
    ConnId peer{};
    BlockRun run;
  };
  struct Received {
    bool is_wanted = false;  // write it: it now counts as being written
    // Of this peer, and not given up since. A block that was cancelled, or whose request expired,
    // may still come and is no offence.
    bool was_requested = false;
    std::vector<ConnId> cancel_at;  // others that were asked for it too
  };

  // `run_blocks_max`: blocks in one request, at least 1.
  explicit ActivePieces(std::uint32_t run_blocks_max);

  // `first`: the block to begin with. `written`: blocks that are there already; null: none.
  // Requires: first < blocks_count, the piece is not active, and not all of it is written.
  void add(std::uint32_t piece, std::uint32_t blocks_count, std::uint32_t first = 0,
           const Bitfield* written = nullptr);
  // Requests out for it are forgotten. Nothing happens if it is not active.
  void drop(std::uint32_t piece);

  // Asks the peer for missing blocks of an active piece, at most count_max, in order from where it
  // was asked for last, and round: appends to `out` and gives how many. `part`: of these blocks
  // only; null: of all.
  std::uint32_t take(std::uint32_t piece, const Bitfield* part, ConnId peer,
                     std::uint32_t count_max, Time now, std::vector<BlockRun>& out);
  // Asks the peer for a block that one other is asked for.
  void take_second(std::uint32_t piece, std::uint32_t block, ConnId peer, Time now,
                   std::vector<BlockRun>& out);

  // Not from this peer any more: rejected, cancelled, or given up.
  void on_rejected(ConnId peer, const BlockRun& run);
  // All requests of the peer are off.
  void on_choked(ConnId peer);
  // Of what is not there nothing is wanted.
  Received on_block_received(ConnId peer, std::uint32_t piece, std::uint32_t block);
  // True when that was the last block of the piece.
  bool on_block_written(std::uint32_t piece, std::uint32_t block);
  void on_block_failed(std::uint32_t piece, std::uint32_t block);
  // Requests made at or before `made_by`. Each is given once.
  std::vector<Expired> expire(Time made_by);

  const std::map<std::uint32_t, Piece>& pieces() const { return pieces_; }
  const Piece* find(std::uint32_t piece) const;  // null: it is not active
  // Those with a missing block, in the order of their activation.
  const std::set<std::pair<std::uint64_t, std::uint32_t>>& open() const { return open_; }
  // Those of which no block was asked for or received.
  std::vector<std::uint32_t> idle() const;
  // Those with written blocks of which no block is asked for or being written.
  std::vector<std::uint32_t> resting() const;
  // Are these blocks written? False if the piece is not active.
  bool has_blocks(const BlockRun& run) const;
  // The blocks written.
  Parts written() const;
  // Their bytes.
  std::uint64_t bytes_written(const Layout& layout) const;
  // Missing blocks of `part`, or of the whole piece. Requires: the piece is active.
  std::uint32_t missing_count(std::uint32_t piece, const Bitfield* part) const;

  // The requests out at each peer, oldest first; none is empty.
  const std::map<ConnId, std::vector<Request>>& outstanding() const { return outstanding_; }
  std::uint32_t outstanding(ConnId peer) const;
  std::vector<BlockRun> requests(ConnId peer) const;
  std::optional<Time> oldest_request(ConnId peer) const;
  // When the peer was asked for the block.
  std::optional<Time> request_time(ConnId peer, std::uint32_t piece, std::uint32_t block) const;
  // The requests out for an active piece, block by block.
  std::vector<Expired> requests_for(std::uint32_t piece) const;

 private:
  Piece* find_piece(std::uint32_t piece);
  static Block* find_block(Piece* active, std::uint32_t block);
  void block_to_missing(Piece& active, std::uint32_t piece, std::uint32_t block);
  void add_request(Piece& active, std::uint32_t piece, std::uint32_t block, ConnId peer, Time now,
                   std::vector<BlockRun>& out);
  void forget_request(ConnId peer, std::uint32_t piece, std::uint32_t block);
  void forget_outstanding(ConnId peer, std::uint32_t piece, std::uint32_t block);

  std::uint32_t run_blocks_max_;
  std::map<std::uint32_t, Piece> pieces_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> open_;
  std::uint64_t next_order_ = 0;
  std::map<ConnId, std::vector<Request>> outstanding_;
};

}  // namespace peernet::transfer
