#pragma once

// Steering is how a seed gets each piece into a swarm once before it sends any twice: it hands
// every peer other pieces, by `suggest`, and peers pass them on to each other. What was handed to a
// peer that leaves before anybody has it is handed out again. (The aim of super-seeding, BEP 16,
// without hiding what the seed has.)

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/effects.h"
#include "core/rng.h"
#include "transfer/bitfield.h"

namespace peernet::transfer {

// Places looked at for a piece that one peer lacks: bounds the work in a share of a million pieces.
inline constexpr std::size_t kSteerScanMax = 4096;

class Steering {
 public:
  // Requires: pieces_count > 0.
  Steering(std::uint32_t pieces_count, Rng& rng);

  // A piece that nobody was handed yet and that the peer lacks, if there is one; from now on it is
  // this peer's to pass on.
  std::optional<std::uint32_t> next(ConnId peer, const Bitfield& peer_has);
  bool is_exhausted() const { return order_.empty(); }
  // Some peer has it: whoever was handed it need not be watched any more.
  void on_had(std::uint32_t piece);
  // It was not sent after all.
  void take_back(std::uint32_t piece);
  // Whoever has it does not pass it on.
  void give_up(std::uint32_t piece);
  void on_gone(ConnId peer);

 private:
  void forget_stale();

  Bitfield waiting_;                  // handed to nobody, and nobody has it
  std::vector<std::uint32_t> order_;  // all that wait, by chance, and some that no longer do
  std::map<std::uint32_t, ConnId> handed_;
};

}  // namespace peernet::transfer
