#pragma once

// Spread is what we see of a swarm passing pieces on: a piece that we gave to one peer while nobody
// else had it can only have come to others through that peer. So a seed tells those that work for
// the swarm from those that only take, without believing anything they say of themselves; nor what
// others in its network say.

#include <cstdint>
#include <map>
#include <vector>

#include "core/effects.h"
#include "transfer/bitfield.h"
#include "transfer/network.h"

namespace peernet::transfer {

class Spread {
 public:
  // Bytes of a piece went to a peer; is_alone: nobody we know of had the piece.
  void on_sent(std::uint32_t piece, ConnId peer, const Network& network, std::uint64_t bytes,
               bool is_alone);
  // A peer has the piece.
  void on_had(std::uint32_t piece, ConnId peer, const Network& network);
  void on_has(const Bitfield& has, ConnId peer, const Network& network);
  void on_gone(ConnId peer);

  // Bytes of such pieces that others have by now; and of those that nobody had but the peer when we
  // sent them to others too, or that nobody else has yet.
  std::uint64_t passed_on(ConnId peer) const;
  std::uint64_t kept(ConnId peer) const;

 private:
  struct Entrusted {
    ConnId peer{};
    Network network;
    std::uint64_t bytes = 0;
  };
  struct Account {
    std::uint64_t passed_on = 0;
    std::uint64_t kept = 0;
  };

  std::map<std::uint32_t, Entrusted> entrusted_;  // at most one for each piece
  std::map<ConnId, Account> accounts_;
};

}  // namespace peernet::transfer
