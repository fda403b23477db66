#pragma once

// Rarity keeps how many connected peers have each piece, and the missing pieces in that order: in a
// permutation of all pieces in zones, so that a `have` and a pick cost the same in a share of a
// million pieces. Ties are broken by chance, differently in each node; but when all who are
// connected have all that is missing, nobody here waits for us, and pieces that follow one another
// make long reads and writes.

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "core/effects.h"
#include "core/rng.h"
#include "transfer/bitfield.h"

namespace peernet::transfer {

inline constexpr std::uint32_t kAvailabilityMax = 4095;  // more peers than that count as this

class Rarity {
 public:
  // `missing`: the pieces to choose from. Requires: missing.size() > 0.
  Rarity(const Bitfield& missing, const Rng::Seed& seed);

  // Requires of every `has`: has.size() is the number of pieces.
  void add_peer(ConnId peer, const Bitfield& has);
  // Requires: the peer was added and did not have the piece.
  void on_peer_has(ConnId peer, std::uint32_t piece);
  // `has`: everything said by add_peer and on_peer_has.
  void remove_peer(ConnId peer, const Bitfield& has);

  // Is the piece one to choose from? Requires of both: it was not so before.
  void set_missing(std::uint32_t piece);
  void reset_missing(std::uint32_t piece);

  // Up to count_max missing pieces that a peer has: the rarest first (if all are with everybody, in
  // their order, from behind the one that was taken last), or any by chance.
  std::vector<std::uint32_t> rarest(const Bitfield& has, std::size_t count_max);
  std::vector<std::uint32_t> any(const Bitfield& has, std::size_t count_max);

  // The block to begin a piece of so many with: by chance, for those who ask a slow peer for the
  // same blocks have nothing to give each other; but the first if everybody here has the piece.
  std::uint32_t first_block(std::uint32_t piece, std::uint32_t blocks_count);

  const Bitfield& missing() const { return missing_; }
  std::uint32_t missing_without_holder_count() const;
  // Connected peers that have the piece.
  std::uint32_t availability(std::uint32_t piece) const;
  // Of those, the ones that came without everything.
  std::uint32_t copies(std::uint32_t piece) const { return order_ ? order_->copies.at(piece) : 0U; }

 private:
  // The permutation, and how many copies of each piece there are. Zone 0 is for what is not
  // missing, zone 1 + a for missing pieces of a copies. A piece moves between neighbouring zones by
  // one swap; its place within a zone is random.
  struct Order {
    Order(const Bitfield& missing, const Rng::Seed& seed);
    std::uint32_t zone_of_missing(std::uint32_t piece) const;
    void move_to_zone(std::uint32_t piece, std::uint32_t from, std::uint32_t to);
    void swap_places(std::uint32_t a, std::uint32_t b);
    void change_copies(std::uint32_t piece, int by, bool is_missing);

    Rng rng;
    std::vector<std::uint16_t> copies;  // peers with the piece, the seeds not counted
    std::vector<std::uint32_t> pieces;
    std::vector<std::uint32_t> places;      // its inverse
    std::vector<std::uint32_t> zone_begin;  // one more than there are zones
  };

  Order& order();
  bool is_rarest_with_all();
  std::vector<std::uint32_t> in_order(const Bitfield& has, std::size_t count_max) const;
  std::vector<std::uint32_t> from_place(std::uint32_t place, const Bitfield& has,
                                        std::size_t count_max);
  void append_by_scan(const Bitfield& has, std::size_t count_max, std::vector<std::uint32_t>& out);

  Rng::Seed seed_;
  Bitfield missing_;
  std::set<ConnId> seeds_;          // peers that had everything when they were added
  std::uint32_t others_count_ = 0;  // peers that had not
  std::uint32_t taken_last_;        // the last piece that was missing and is not; at first any
  // Made when it is asked for, and gone when nothing is missing and nobody is there: a share that
  // nobody asks for does without.
  std::unique_ptr<Order> order_;
};

}  // namespace peernet::transfer
