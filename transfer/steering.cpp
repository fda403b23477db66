#include "transfer/steering.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <tuple>
#include <utility>

namespace peernet::transfer {
namespace {

// Of those handed out for longest, in a swarm that hears of no other pieces.
constexpr std::size_t kKeptScanMax = 256;
// Blocks still to be sent of what was suggested to a peer, with which it helps others.
constexpr std::uint32_t kHelpAheadMax = 4;

}  // namespace

Steering::Steering(std::uint32_t pieces_count, Rng& rng)
    : waiting_(pieces_count), order_(pieces_count), in_order_(pieces_count) {
  waiting_.set_all();
  in_order_.set_all();
  std::iota(order_.begin(), order_.end(), 0U);
  rng.shuffle(std::span(order_));
}

std::optional<std::uint32_t> Steering::next(Time now, ConnId peer, const Bitfield& peer_has) {
  auto piece = next_waiting(peer_has);
  if (!piece) piece = next_kept(now, peer, peer_has);
  if (piece) hand(now, *piece, peer);
  return piece;
}

std::optional<std::uint32_t> Steering::next_waiting(const Bitfield& peer_has) {
  forget_stale();
  const std::size_t scanned = std::min(order_.size(), kSteerScanMax);
  for (std::size_t i = 1; i <= scanned; ++i) {
    const std::uint32_t piece = order_[order_.size() - i];
    if (peer_has.test(piece)) continue;
    order_.erase(order_.end() - static_cast<std::ptrdiff_t>(i));
    in_order_.reset(piece);
    return piece;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> Steering::next_kept(Time now, ConnId peer,
                                                 const Bitfield& peer_has) const {
  std::size_t scanned = 0;
  for (const auto& [at, piece] : handed_by_time_) {
    if (now - at < kPassOnTime || ++scanned > kKeptScanMax) break;
    if (!peer_has.test(piece) && handed_.at(piece).peer != peer) return piece;
  }
  return std::nullopt;
}

// Of whoever has the most before it, as far as others do not help with it yet.
std::optional<std::uint32_t> Steering::help(ConnId peer, const Bitfield& peer_has) {
  if (!waiting_.none() || blocks_ahead(peer) > kHelpAheadMax) return std::nullopt;
  const auto own = suggested_.find(peer);
  std::size_t scanned = 0;
  std::map<ConnId, std::uint32_t> ahead;
  Handed* best = nullptr;
  std::uint32_t best_piece = 0;
  std::tuple<std::uint32_t, std::uint32_t> best_key;
  for (const std::uint32_t piece : unsent_) {
    if (++scanned > kKeptScanMax) break;
    if (peer_has.test(piece)) continue;
    if (own != suggested_.end() && own->second.contains(piece)) continue;
    Handed& handed = handed_.at(piece);
    if (handed.peer == peer) continue;
    const auto [known, is_new] = ahead.try_emplace(handed.peer, 0);
    if (is_new) known->second = blocks_ahead(handed.peer);
    const auto key = std::tuple(handed.helps_count, UINT32_MAX - known->second);
    if (best != nullptr && key >= best_key) continue;
    best = &handed;
    best_piece = piece;
    best_key = key;
  }
  if (best == nullptr) return std::nullopt;
  ++best->helps_count;
  return best_piece;
}

// Of the places that are looked at.
void Steering::forget_stale() {
  const auto is_stale = [this](std::uint32_t piece) {
    if (waiting_.test(piece)) return false;
    in_order_.reset(piece);
    return true;
  };
  while (!order_.empty() && is_stale(order_.back())) order_.pop_back();
  const auto scanned = static_cast<std::ptrdiff_t>(std::min(order_.size(), kSteerScanMax));
  order_.erase(std::remove_if(order_.end() - scanned, order_.end(), is_stale), order_.end());
}

void Steering::hand(Time now, std::uint32_t piece, ConnId peer) {
  waiting_.reset(piece);
  Sent sent;
  if (const auto before = handed_.find(piece); before != handed_.end()) {
    sent = std::move(before->second.sent);
  } else if (const auto back = taken_back_.find(piece); back != taken_back_.end()) {
    sent = std::move(back->second);
  }
  forget(piece);
  if (handed_.size() == kHandedMax) forget(handed_by_time_.begin()->second);
  handed_[piece] = {peer, now, 0, std::move(sent)};
  handed_by_time_.emplace(now, piece);
  const Bitfield& blocks = handed_.at(piece).sent.blocks;
  if (blocks.size() == 0 || !blocks.all()) unsent_.insert(piece);
}

void Steering::add_sent_to(std::uint32_t piece, ConnId peer, const Network& network) {
  Handed& handed = handed_.at(piece);
  const bool is_full = handed.sent.to.size() > kSentToMax;
  if (!is_full && !is_from_us(handed.sent.to, peer, network)) {
    handed.sent.to.emplace_back(peer, network);
  }
  const Bitfield& blocks = handed.sent.blocks;
  const bool is_unsent = blocks.size() > 0 && !blocks.all();
  if (handed.sent.to.size() > kSentToMax && !is_unsent) forget(piece);
}

void Steering::set_time(std::uint32_t piece, Handed& handed, Time now) {
  handed_by_time_.erase({handed.at, piece});
  handed.at = now;
  handed_by_time_.emplace(now, piece);
}

void Steering::forget(std::uint32_t piece) {
  taken_back_.erase(piece);
  const auto found = handed_.find(piece);
  if (found == handed_.end()) return;
  handed_by_time_.erase({found->second.at, piece});
  unsent_.erase(piece);
  handed_.erase(found);
}

bool Steering::is_from_us(const SentTo& sent_to, ConnId conn, const Network& network) {
  return std::any_of(sent_to.begin(), sent_to.end(), [&](const auto& receiver) {
    return receiver.first == conn || receiver.second == network;
  });
}

void Steering::on_suggested(std::uint32_t piece, ConnId peer, std::uint32_t blocks_count) {
  suggested_[peer][piece] = {blocks_count, blocks_count};
}

std::uint32_t Steering::blocks_ahead(ConnId peer) const {
  const auto found = suggested_.find(peer);
  if (found == suggested_.end()) return 0;
  std::uint32_t blocks = 0;
  for (const auto& [piece, suggested] : found->second) blocks += suggested.blocks_left;
  return blocks;
}

std::size_t Steering::suggestions_count(ConnId peer) const {
  const auto found = suggested_.find(peer);
  return found == suggested_.end() ? 0 : found->second.size();
}

void Steering::on_choked(ConnId peer) {
  const auto found = suggested_.find(peer);
  if (found == suggested_.end()) return;
  for (const auto& [piece, suggested] : found->second) {
    if (suggested.blocks_left == suggested.blocks_count) take_back(piece, peer);
  }
  suggested_.erase(found);
}

void Steering::end_suggestion(ConnId peer, std::uint32_t piece) {
  const auto found = suggested_.find(peer);
  if (found == suggested_.end()) return;
  found->second.erase(piece);
  if (found->second.empty()) suggested_.erase(found);
}

bool Steering::is_last_round(Time now, Duration gap) {
  if (!waiting_.none()) return false;
  if (!all_handed_at_) all_handed_at_ = now;
  return now - *all_handed_at_ < kLastRound && now - new_sent_at_ < gap;
}

bool Steering::was_sent(std::uint32_t piece, std::uint32_t block) const {
  const auto handed = handed_.find(piece);
  if (handed == handed_.end()) return true;
  const Bitfield& sent = handed->second.sent.blocks;
  return sent.size() > 0 && sent.test(block);
}

void Steering::on_declined(std::uint32_t piece, ConnId peer) {
  count_down(peer, piece);
}

void Steering::count_down(ConnId peer, std::uint32_t piece) {
  const auto of_peer = suggested_.find(peer);
  if (of_peer == suggested_.end()) return;
  const auto suggested = of_peer->second.find(piece);
  if (suggested == of_peer->second.end()) return;
  if (--suggested->second.blocks_left == 0) end_suggestion(peer, piece);
}

void Steering::on_sent(Time now, const BlockSent& block, ConnId peer, const Network& network) {
  count_down(peer, block.piece);
  if (waiting_.test(block.piece)) hand(now, block.piece, peer);
  const auto found = handed_.find(block.piece);
  if (found == handed_.end()) return;
  if (found->second.peer == peer) set_time(block.piece, found->second, now);
  Bitfield& sent = found->second.sent.blocks;
  if (sent.size() == 0) sent = Bitfield(block.blocks_count);
  if (block.passes_on && sent.set(block.index)) new_sent_at_ = now;
  if (sent.all()) unsent_.erase(block.piece);
  add_sent_to(block.piece, peer, network);
}

void Steering::on_had(Time now, std::uint32_t piece, ConnId peer, const Network& network) {
  end_suggestion(peer, piece);
  const auto found = handed_.find(piece);
  if (found != handed_.end()) {
    if (!is_from_us(found->second.sent.to, peer, network)) forget(piece);
    return;
  }
  if (!waiting_.test(piece)) return;
  const auto back = taken_back_.find(piece);
  if (back != taken_back_.end() && !is_from_us(back->second.to, peer, network)) {
    skip(piece);
    return;
  }
  hand(now, piece, peer);
  add_sent_to(piece, peer, network);
}

void Steering::skip(std::uint32_t piece) {
  forget(piece);
  waiting_.reset(piece);
}

void Steering::take_back(std::uint32_t piece, ConnId peer) {
  const auto found = handed_.find(piece);
  if (found == handed_.end() || found->second.peer != peer) return;
  Sent sent = std::move(found->second.sent);
  // What nobody else was sent is new to whoever gets it next.
  const auto is_other = [peer](const auto& receiver) { return receiver.first != peer; };
  if (std::ranges::none_of(sent.to, is_other)) sent.blocks = Bitfield();
  forget(piece);
  if (!sent.to.empty() && taken_back_.size() < kHandedMax) {
    taken_back_.emplace(piece, std::move(sent));
  }
  waiting_.set(piece);
  all_handed_at_.reset();
  if (in_order_.test(piece)) return;
  in_order_.set(piece);
  order_.push_back(piece);
}

void Steering::take_all_back(ConnId peer) {
  suggested_.erase(peer);
  std::vector<std::uint32_t> pieces;
  for (const auto& [piece, handed] : handed_) {
    if (handed.peer == peer) pieces.push_back(piece);
  }
  for (const std::uint32_t piece : pieces) take_back(piece, peer);
}

}  // namespace peernet::transfer
