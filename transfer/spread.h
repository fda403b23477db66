#pragma once

// Spread is what we see of a swarm passing on what we sent: blocks of a piece that we gave to one
// peer alone, while nobody else had the piece, can only have come to others through that peer. So a
// seed tells those that work for the swarm from those that only take, without believing anything
// they say of themselves; nor what others in its network say.

#include <cstdint>
#include <map>
#include <vector>

#include "core/effects.h"
#include "transfer/bitfield.h"
#include "transfer/network.h"
#include "transfer/wire.h"

namespace peernet::transfer {

class Spread {
 public:
  struct Block {
    std::uint32_t piece = 0;
    std::uint32_t index = 0;  // in the piece
    std::uint32_t piece_size = 0;
  };
  // A block went to a peer; is_alone: nobody we know of had the piece.
  void on_sent(const Block& block, ConnId peer, const Network& network, bool is_alone);
  // A peer has the piece, or some blocks of it.
  void on_had(std::uint32_t piece, ConnId peer, const Network& network);
  void on_had(const wire::BlockRun& run, ConnId peer, const Network& network);
  void on_has(const Bitfield& has, ConnId peer, const Network& network);
  void on_gone(ConnId peer);

  // Bytes of such blocks that others have by now; and of those that nobody had but the peer when we
  // sent of their piece to others too, or that nobody else has yet.
  std::uint64_t passed_on(ConnId peer) const;
  std::uint64_t kept(ConnId peer) const;

 private:
  struct Entrusted {
    ConnId peer{};
    Network network;
    std::uint32_t piece_size = 0;
    Bitfield blocks;  // sent, and nobody else has them
  };
  struct Account {
    std::uint64_t passed_on = 0;
    std::uint64_t kept = 0;
  };

  // It can only have come to that peer through the entrusted one.
  static bool has_from(const Entrusted& entrusted, ConnId peer, const Network& network);
  void pass_on(Entrusted& entrusted, std::uint32_t begin, std::uint32_t end);

  std::map<std::uint32_t, Entrusted> entrusted_;  // at most one for each piece
  std::map<ConnId, Account> accounts_;
};

}  // namespace peernet::transfer
