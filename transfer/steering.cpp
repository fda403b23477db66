#include "transfer/steering.h"

#include <algorithm>
#include <numeric>
#include <span>

namespace peernet::transfer {

Steering::Steering(std::uint32_t pieces_count, Rng& rng)
    : waiting_(pieces_count), order_(pieces_count) {
  waiting_.set_all();
  std::iota(order_.begin(), order_.end(), 0U);
  rng.shuffle(std::span(order_));
}

std::optional<std::uint32_t> Steering::next(ConnId peer, const Bitfield& peer_has) {
  forget_stale();
  const std::size_t scanned = std::min(order_.size(), kSteerScanMax);
  for (std::size_t i = 1; i <= scanned; ++i) {
    const std::uint32_t piece = order_[order_.size() - i];
    if (peer_has.test(piece)) continue;
    waiting_.reset(piece);
    order_.erase(order_.end() - static_cast<std::ptrdiff_t>(i));
    handed_[piece] = peer;
    return piece;
  }
  return std::nullopt;
}

// Of the places that are looked at.
void Steering::forget_stale() {
  const auto is_stale = [this](std::uint32_t piece) { return !waiting_.test(piece); };
  while (!order_.empty() && is_stale(order_.back())) order_.pop_back();
  const auto scanned = static_cast<std::ptrdiff_t>(std::min(order_.size(), kSteerScanMax));
  order_.erase(std::remove_if(order_.end() - scanned, order_.end(), is_stale), order_.end());
}

void Steering::on_had(std::uint32_t piece) {
  handed_.erase(piece);
  waiting_.reset(piece);
}

void Steering::take_back(std::uint32_t piece) {
  if (handed_.contains(piece)) give_up(piece);
}

void Steering::give_up(std::uint32_t piece) {
  handed_.erase(piece);
  if (waiting_.test(piece)) return;
  waiting_.set(piece);
  order_.push_back(piece);
}

void Steering::on_gone(ConnId peer) {
  std::vector<std::uint32_t> left;
  for (const auto& [piece, holder] : handed_) {
    if (holder == peer) left.push_back(piece);
  }
  for (const std::uint32_t piece : left) take_back(piece);
}

}  // namespace peernet::transfer
