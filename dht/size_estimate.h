#pragma once

// How many nodes the network has, and what follows: how many are to be expected within a distance,
// and when more are there than chance allows. Our own table gives the frame, which strangers can
// move only by living in several of its buckets at once; what our own lookups found refines it
// within that frame, by a median that no single key can move.

#include <array>
#include <cstddef>

#include "dht/node_id.h"

namespace peernet::dht {

class SizeEstimate {
 public:
  static constexpr std::size_t kKept = 16;
  // What lookups say moves the table's word by at most this factor.
  static constexpr double kFrame = 2;

  // A lookup ended, and its `rank`-th nearest node lies at this share of the space.
  void on_lookup(std::size_t rank, double share);
  // `population`: what our own table says (RoutingTable::population). 0 while nothing is known.
  double nodes(double population) const;

 private:
  std::array<double, kKept> recent_{};
  std::size_t count_ = 0;  // of all ever added
};

// With `expected` nodes in a place, more than this are there once in a thousand times or less
// (Poisson): an expectation of 0 allows 2, of 8 allows 18.
double crowd_max(double expected);

}  // namespace peernet::dht
