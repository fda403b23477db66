#include "transfer/rarity.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "core/check.h"

namespace peernet::transfer {
namespace {

// Places looked at in order of rarity before a peer that has little of what we lack is asked the
// other way round, by its own pieces.
constexpr std::size_t kPlacesScannedMax = 4096;
// Pieces compared for their rarity then.
constexpr std::size_t kPiecesComparedMax = 64;

}  // namespace

Rarity::Rarity(const Bitfield& missing, const Rng& rng)
    : rng_(rng),
      missing_(missing),
      copies_(missing.size()),
      order_(missing.size()),
      place_(missing.size()) {
  std::iota(order_.begin(), order_.end(), 0U);
  rng_.shuffle(std::span(order_));
  std::stable_partition(order_.begin(), order_.end(),
                        [&](std::uint32_t piece) { return !missing.test(piece); });
  for (std::uint32_t place = 0; place < order_.size(); ++place) place_[order_[place]] = place;
  zone_begin_ = {0, missing.size() - missing.count_set(), missing.size()};
}

// ---- What the peers have

void Rarity::add_peer(ConnId peer, const Bitfield& has) {
  PN_CHECK(has.size() == missing_.size());
  if (has.all()) {
    seeds_.insert(peer);
    return;
  }
  for (auto piece = has.next_set(0); piece; piece = has.next_set(*piece + 1)) {
    change_copies(*piece, 1);
  }
}

void Rarity::on_peer_has(ConnId peer, std::uint32_t piece) {
  if (!seeds_.contains(peer)) change_copies(piece, 1);
}

void Rarity::remove_peer(ConnId peer, const Bitfield& has) {
  PN_CHECK(has.size() == missing_.size());
  if (seeds_.erase(peer) > 0) return;
  for (auto piece = has.next_set(0); piece; piece = has.next_set(*piece + 1)) {
    change_copies(*piece, -1);
  }
}

std::uint32_t Rarity::availability(std::uint32_t piece) const {
  PN_CHECK(piece < copies_.size());
  return copies_[piece] + static_cast<std::uint32_t>(seeds_.size());
}

std::uint32_t Rarity::missing_without_holder_count() const {
  return seeds_.empty() ? zone_begin_[2] - zone_begin_[1] : 0;
}

// ---- The permutation

void Rarity::set_missing(std::uint32_t piece) {
  missing_.set(piece);
  move_to_zone(piece, 0, zone_of_missing(piece));
}

void Rarity::reset_missing(std::uint32_t piece) {
  missing_.reset(piece);
  move_to_zone(piece, zone_of_missing(piece), 0);
}

std::uint32_t Rarity::zone_of_missing(std::uint32_t piece) const {
  return 1 + std::min<std::uint32_t>(copies_[piece], kAvailabilityMax);
}

void Rarity::swap_places(std::uint32_t a, std::uint32_t b) {
  std::swap(order_[a], order_[b]);
  place_[order_[a]] = a;
  place_[order_[b]] = b;
}

void Rarity::move_to_zone(std::uint32_t piece, std::uint32_t from, std::uint32_t to) {
  while (zone_begin_.size() < std::size_t{to} + 2) {
    zone_begin_.push_back(static_cast<std::uint32_t>(order_.size()));
  }
  for (; from < to; ++from) swap_places(place_[piece], --zone_begin_[from + 1]);
  for (; from > to; --from) swap_places(place_[piece], zone_begin_[from]++);
  if (to == 0) return;
  const std::uint32_t size = zone_begin_[to + 1] - zone_begin_[to];
  const auto within = static_cast<std::uint32_t>(rng_.below(size));
  swap_places(place_[piece], zone_begin_[to] + within);
}

void Rarity::change_copies(std::uint32_t piece, int by) {
  PN_CHECK(piece < copies_.size());
  const std::uint32_t from = zone_of_missing(piece);
  PN_CHECK(by > 0 ? copies_[piece] < UINT16_MAX : copies_[piece] > 0);
  copies_[piece] = static_cast<std::uint16_t>(copies_[piece] + by);
  const std::uint32_t to = zone_of_missing(piece);
  if (from != to && missing_.test(piece)) move_to_zone(piece, from, to);
}

// ---- Choosing

std::vector<std::uint32_t> Rarity::rarest(const Bitfield& has, std::size_t count_max) {
  // Pieces without copies are held by seeds alone.
  return from_place(zone_begin_[has.all() ? 1 : 2], has, count_max);
}

std::vector<std::uint32_t> Rarity::any(const Bitfield& has, std::size_t count_max) {
  if (missing_.none()) return {};
  const auto skipped = static_cast<std::uint32_t>(rng_.below(missing_.count_set()));
  return from_place(zone_begin_[1] + skipped, has, count_max);
}

std::vector<std::uint32_t> Rarity::from_place(std::uint32_t place, const Bitfield& has,
                                              std::size_t count_max) {
  std::vector<std::uint32_t> pieces;
  const std::size_t end = std::min(order_.size(), place + kPlacesScannedMax);
  for (std::size_t at = place; at < end && pieces.size() < count_max; ++at) {
    if (has.test(order_[at])) pieces.push_back(order_[at]);
  }
  if (pieces.size() < count_max) append_by_scan(has, count_max, pieces);
  return pieces;
}

void Rarity::append_by_scan(const Bitfield& has, std::size_t count_max,
                            std::vector<std::uint32_t>& out) {
  std::vector<std::uint32_t> found;
  const auto start = static_cast<std::uint32_t>(rng_.below(missing_.size()));
  const auto collect = [&](std::uint32_t from, std::uint32_t end) {
    for (auto piece = missing_.next_common(has, from);
         piece && *piece < end && found.size() < kPiecesComparedMax;
         piece = missing_.next_common(has, *piece + 1)) {
      if (std::find(out.begin(), out.end(), *piece) == out.end()) found.push_back(*piece);
    }
  };
  collect(start, missing_.size());
  collect(0, start);
  std::stable_sort(found.begin(), found.end(),
                   [this](std::uint32_t a, std::uint32_t b) { return copies_[a] < copies_[b]; });
  found.resize(std::min(found.size(), count_max - out.size()));
  out.insert(out.end(), found.begin(), found.end());
}

}  // namespace peernet::transfer
