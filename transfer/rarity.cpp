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

Rarity::Rarity(const Bitfield& missing, const Rng::Seed& seed)
    : seed_(seed),
      missing_(missing),
      taken_last_(static_cast<std::uint32_t>(Rng(seed).below(missing.size()))) {}

// ---- What the peers have

void Rarity::add_peer(ConnId peer, const Bitfield& has) {
  PN_CHECK(has.size() == missing_.size());
  if (has.all()) {
    seeds_.insert(peer);
    return;
  }
  ++others_count_;
  for (auto piece = has.next_set(0); piece; piece = has.next_set(*piece + 1)) {
    order().change_copies(*piece, 1, missing_.test(*piece));
  }
}

void Rarity::on_peer_has(ConnId peer, std::uint32_t piece) {
  if (!seeds_.contains(peer)) order().change_copies(piece, 1, missing_.test(piece));
}

void Rarity::remove_peer(ConnId peer, const Bitfield& has) {
  PN_CHECK(has.size() == missing_.size());
  if (seeds_.erase(peer) == 0) {
    --others_count_;
    for (auto piece = has.next_set(0); piece; piece = has.next_set(*piece + 1)) {
      order().change_copies(*piece, -1, missing_.test(*piece));
    }
  }
  if (seeds_.empty() && others_count_ == 0 && missing_.none()) order_.reset();
}

std::uint32_t Rarity::availability(std::uint32_t piece) const {
  return copies(piece) + static_cast<std::uint32_t>(seeds_.size());
}

std::uint32_t Rarity::missing_without_holder_count() const {
  if (!seeds_.empty()) return 0;
  return order_ ? order_->zone_begin[2] - order_->zone_begin[1] : missing_.count_set();
}

void Rarity::set_missing(std::uint32_t piece) {
  missing_.set(piece);
  if (order_) order_->move_to_zone(piece, 0, order_->zone_of_missing(piece));
}

void Rarity::reset_missing(std::uint32_t piece) {
  missing_.reset(piece);
  taken_last_ = piece;
  if (order_) order_->move_to_zone(piece, order_->zone_of_missing(piece), 0);
}

// ---- The permutation

Rarity::Order& Rarity::order() {
  if (!order_) order_ = std::make_unique<Order>(missing_, seed_);
  return *order_;
}

Rarity::Order::Order(const Bitfield& missing, const Rng::Seed& seed)
    : rng(seed),
      copies(missing.size()),
      pieces(missing.size()),
      places(missing.size()),
      zone_begin{0, missing.size() - missing.count_set(), missing.size()} {
  std::iota(pieces.begin(), pieces.end(), 0U);
  rng.shuffle(std::span(pieces));
  std::stable_partition(pieces.begin(), pieces.end(),
                        [&](std::uint32_t piece) { return !missing.test(piece); });
  for (std::uint32_t place = 0; place < pieces.size(); ++place) places[pieces[place]] = place;
}

std::uint32_t Rarity::Order::zone_of_missing(std::uint32_t piece) const {
  return 1 + std::min<std::uint32_t>(copies[piece], kAvailabilityMax);
}

void Rarity::Order::swap_places(std::uint32_t a, std::uint32_t b) {
  std::swap(pieces[a], pieces[b]);
  places[pieces[a]] = a;
  places[pieces[b]] = b;
}

void Rarity::Order::move_to_zone(std::uint32_t piece, std::uint32_t from, std::uint32_t to) {
  while (zone_begin.size() < std::size_t{to} + 2) {
    zone_begin.push_back(static_cast<std::uint32_t>(pieces.size()));
  }
  for (; from < to; ++from) swap_places(places[piece], --zone_begin[from + 1]);
  for (; from > to; --from) swap_places(places[piece], zone_begin[from]++);
  if (to == 0) return;
  const std::uint32_t size = zone_begin[to + 1] - zone_begin[to];
  const auto within = static_cast<std::uint32_t>(rng.below(size));
  swap_places(places[piece], zone_begin[to] + within);
}

void Rarity::Order::change_copies(std::uint32_t piece, int by, bool is_missing) {
  PN_CHECK(piece < copies.size());
  const std::uint32_t from = zone_of_missing(piece);
  PN_CHECK(by > 0 ? copies[piece] < UINT16_MAX : copies[piece] > 0);
  copies[piece] = static_cast<std::uint16_t>(copies[piece] + by);
  const std::uint32_t to = zone_of_missing(piece);
  if (from != to && is_missing) move_to_zone(piece, from, to);
}

// ---- Choosing

std::vector<std::uint32_t> Rarity::rarest(const Bitfield& has, std::size_t count_max) {
  if (is_rarest_with_all()) return in_order(has, count_max);
  // Pieces without copies are held by seeds alone.
  return from_place(order().zone_begin[has.all() ? 1 : 2], has, count_max);
}

std::uint32_t Rarity::first_block(std::uint32_t piece, std::uint32_t blocks_count) {
  if (copies(piece) >= others_count_) return 0;
  return static_cast<std::uint32_t>(order().rng.below(blocks_count));
}

bool Rarity::is_rarest_with_all() {
  const std::vector<std::uint32_t>& zones = order().zone_begin;
  const std::size_t zone = 1 + std::min(others_count_, kAvailabilityMax);
  return zone < zones.size() && zones[zone] == zones[1];
}

std::vector<std::uint32_t> Rarity::in_order(const Bitfield& has, std::size_t count_max) const {
  std::vector<std::uint32_t> pieces;
  const auto collect = [&](std::uint32_t from, std::uint32_t end) {
    for (auto piece = missing_.next_common(has, from);
         piece && *piece < end && pieces.size() < count_max;
         piece = missing_.next_common(has, *piece + 1)) {
      pieces.push_back(*piece);
    }
  };
  collect(taken_last_, missing_.size());
  collect(0, taken_last_);
  return pieces;
}

std::vector<std::uint32_t> Rarity::any(const Bitfield& has, std::size_t count_max) {
  if (missing_.none()) return {};
  const auto skipped = static_cast<std::uint32_t>(order().rng.below(missing_.count_set()));
  return from_place(order().zone_begin[1] + skipped, has, count_max);
}

std::vector<std::uint32_t> Rarity::from_place(std::uint32_t place, const Bitfield& has,
                                              std::size_t count_max) {
  const std::vector<std::uint32_t>& ordered = order().pieces;
  std::vector<std::uint32_t> pieces;
  const std::size_t end = std::min(ordered.size(), place + kPlacesScannedMax);
  for (std::size_t at = place; at < end && pieces.size() < count_max; ++at) {
    if (has.test(ordered[at])) pieces.push_back(ordered[at]);
  }
  if (pieces.size() < count_max) append_by_scan(has, count_max, pieces);
  return pieces;
}

void Rarity::append_by_scan(const Bitfield& has, std::size_t count_max,
                            std::vector<std::uint32_t>& out) {
  std::vector<std::uint32_t> found;
  const auto start = static_cast<std::uint32_t>(order().rng.below(missing_.size()));
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
                   [this](std::uint32_t a, std::uint32_t b) { return copies(a) < copies(b); });
  found.resize(std::min(found.size(), count_max - out.size()));
  out.insert(out.end(), found.begin(), found.end());
}

}  // namespace peernet::transfer
