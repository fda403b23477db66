#include "transfer/picker.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/check.h"

namespace peernet::transfer {
namespace {

Bitfield complement(const Bitfield& set) {
  Bitfield rest(set.size());
  for (auto piece = set.next_unset(0); piece; piece = set.next_unset(*piece + 1)) rest.set(*piece);
  return rest;
}

}  // namespace

Picker::Picker(const Layout& layout, const Bitfield& have, const Rng::Seed& seed,
               std::uint32_t run_blocks_max)
    : layout_(layout),
      have_(have),
      wanted_(layout_.pieces_count()),
      lacking_(complement(have)),
      states_(layout_.pieces_count(), PieceState::missing),
      rarity_(lacking_, seed),
      active_(run_blocks_max) {
  PN_CHECK(have.size() == layout_.pieces_count());
  for (auto piece = have.next_set(0); piece; piece = have.next_set(*piece + 1)) {
    states_[*piece] = PieceState::have;
  }
  wanted_.set_all();
}

// ---- What the peers have

void Picker::add_peer(ConnId peer, const Bitfield& has) {
  rarity_.add_peer(peer, has);
}

void Picker::on_peer_has(ConnId peer, std::uint32_t piece) {
  forget_blocks(peer, piece);
  rarity_.on_peer_has(peer, piece);
}

bool Picker::on_peer_has_blocks(ConnId peer, const BlockRun& run) {
  return partial_[peer].add(run, layout_.blocks_count(run.piece));
}

void Picker::forget_blocks(ConnId peer, std::uint32_t piece) {
  const auto found = partial_.find(peer);
  if (found == partial_.end()) return;
  found->second.forget(piece);
  if (found->second.pieces().empty()) partial_.erase(found);
}

void Picker::on_declined(Time now, ConnId peer, const BlockRun& run) {
  declined_[peer].add(now, run, layout_.blocks_count(run.piece));
}

void Picker::forget_declined(Time now, ConnId peer) {
  const auto found = declined_.find(peer);
  if (found == declined_.end()) return;
  found->second.forget_old(now);
  if (found->second.is_empty()) declined_.erase(found);
}

bool Picker::is_declining_all(Time now, ConnId peer) {
  forget_declined(now, peer);
  const auto found = declined_.find(peer);
  return found != declined_.end() && found->second.is_full();
}

void Picker::remove_peer(ConnId peer, const Bitfield& has) {
  active_.on_choked(peer);
  partial_.erase(peer);
  declined_.erase(peer);
  rarity_.remove_peer(peer, has);
}

// ---- What is wanted, and what first

std::vector<Picker::Expired> Picker::set_wanted(const Bitfield& wanted) {
  PN_CHECK(wanted.size() == have_.size());
  wanted_ = wanted;
  std::vector<Expired> given_up;
  for (std::uint32_t piece = 0; piece < wanted_.size(); ++piece) {
    const PieceState now = states_[piece];
    if (now != PieceState::have && wanted_.test(piece)) {
      lacking_.set(piece);
    } else {
      lacking_.reset(piece);
    }
    const bool is_under_way = now == PieceState::preparing || now == PieceState::active;
    if (now == PieceState::have || (is_under_way && wanted_.test(piece))) continue;
    if (now == PieceState::active) {
      const std::vector<Expired> requests = active_.requests_for(piece);
      given_up.insert(given_up.end(), requests.begin(), requests.end());
    }
    set_missing(piece);
  }
  return given_up;
}

void Picker::set_urgent(std::vector<std::uint32_t> pieces) {
  urgent_ = std::move(pieces);
}

std::vector<std::uint32_t> Picker::urgent_missing(const Bitfield& has) const {
  std::vector<std::uint32_t> pieces;
  for (const std::uint32_t piece : urgent_) {
    if (rarity_.missing().test(piece) && has.test(piece)) pieces.push_back(piece);
  }
  return pieces;
}

bool Picker::is_urgent(const Bitfield& has) const {
  return std::any_of(urgent_.begin(), urgent_.end(),
                     [&](std::uint32_t piece) { return lacking_.test(piece) && has.test(piece); });
}

// ---- Pieces

std::vector<std::uint32_t> Picker::wanted_pieces(const Bitfield& has, std::size_t count_max) {
  PN_CHECK(has.size() == have_.size());
  if (rarity_.missing().none() || has.none() || !has_room()) return {};
  const std::uint32_t room = (kActiveBlocksMax - active_blocks_) / layout_.blocks_per_piece();
  count_max = std::min<std::size_t>(count_max, room);
  // At first something to give in return is worth more than rarity.
  if (have_.count_set() < kRandomFirstPieces) return rarity_.any(has, count_max);
  return rarity_.rarest(has, count_max);
}

std::vector<std::uint32_t> Picker::wanted_in_part(ConnId peer, std::size_t count_max) const {
  std::vector<std::uint32_t> wanted;
  const auto found = partial_.find(peer);
  if (found == partial_.end()) return wanted;
  for (const auto& [piece, blocks] : found->second.pieces()) {
    if (wanted.size() == count_max) break;
    if (state(piece) == PieceState::missing) wanted.push_back(piece);
  }
  return wanted;
}

bool Picker::prepare(std::uint32_t piece) {
  if (state(piece) != PieceState::missing || !has_room()) return false;
  change_state(piece, PieceState::preparing);
  return true;
}

bool Picker::resume(std::uint32_t piece, Bitfield written) {
  const bool is_room = active_blocks_ + layout_.blocks_count(piece) <= kActiveBlocksMax;
  if (state(piece) != PieceState::missing || !is_room) return false;
  change_state(piece, PieceState::preparing);
  resumed_.emplace(piece, std::move(written));
  return true;
}

void Picker::abandon(std::uint32_t piece) {
  if (state(piece) == PieceState::preparing) change_state(piece, PieceState::missing);
}

bool Picker::activate(std::uint32_t piece) {
  const PieceState from = state(piece);
  if (from == PieceState::missing && !has_room()) return false;
  if (from != PieceState::missing && from != PieceState::preparing) return false;
  const auto resumed = resumed_.find(piece);
  const Bitfield* const written = resumed == resumed_.end() ? nullptr : &resumed->second;
  const std::uint32_t blocks_count = layout_.blocks_count(piece);
  active_.add(piece, blocks_count, rarity_.first_block(piece, blocks_count), written);
  change_state(piece, PieceState::active);
  return true;
}

std::vector<std::uint32_t> Picker::release_idle() {
  std::vector<std::uint32_t> idle = active_.idle();
  for (const std::uint32_t piece : idle) {
    active_.drop(piece);
    change_state(piece, PieceState::missing);
  }
  return idle;
}

std::vector<std::uint32_t> Picker::stranded() const {
  std::vector<std::uint32_t> pieces = active_.resting();
  std::erase_if(pieces, [this](std::uint32_t piece) {
    return availability(piece) > 0 || partial_copies(piece) > 0;
  });
  return pieces;
}

void Picker::set_have(std::uint32_t piece) {
  active_.drop(piece);
  change_state(piece, PieceState::have);
}

void Picker::set_missing(std::uint32_t piece) {
  active_.drop(piece);
  change_state(piece, PieceState::missing);
}

void Picker::give_up(std::uint32_t piece) {
  wanted_.reset(piece);
  set_missing(piece);
  lacking_.reset(piece);
}

// ---- Blocks

std::vector<BlockRun> Picker::pick(ConnId peer, const Bitfield& has, std::uint32_t count_max,
                                   Time now) {
  PN_CHECK(has.size() == have_.size());
  forget_declined(now, peer);
  std::vector<BlockRun> runs;
  const std::uint32_t held = outstanding(peer);
  const std::uint32_t end = held + std::min(count_max, kOutstandingMax - held);
  const auto room = [&] { return end - outstanding(peer); };
  pick_urgent(peer, has, room(), now, runs);
  pick_open(peer, has, room(), now, runs);
  if (room() > 0 && is_endgame()) pick_endgame(peer, has, room(), now, runs);
  return runs;
}

std::vector<BlockRun> Picker::pick_of(const std::vector<std::uint32_t>& pieces, ConnId peer,
                                      const Bitfield& has, std::uint32_t count_max, Time now) {
  PN_CHECK(has.size() == have_.size());
  forget_declined(now, peer);
  std::vector<BlockRun> runs;
  std::uint32_t room = std::min(count_max, kOutstandingMax - outstanding(peer));
  for (const std::uint32_t piece : pieces) {
    if (room == 0) break;
    if (active_.find(piece) == nullptr || !has.test(piece)) continue;
    room -= active_.take(piece, *served(peer, has, piece), peer, room, now, runs);
  }
  return runs;
}

bool Picker::on_block_written(std::uint32_t piece, std::uint32_t block) {
  if (!active_.on_block_written(piece, block)) return false;
  set_have(piece);
  return true;
}

// ---- Queries

Picker::PieceState Picker::state(std::uint32_t piece) const {
  PN_CHECK(piece < states_.size());
  return states_[piece];
}

bool Picker::is_endgame() const {
  // What nobody has cannot be waited for.
  if (active_.pieces().empty() || !preparing_.empty()) return false;
  if (rarity_.missing().count_set() > rarity_.missing_without_holder_count()) return false;
  return std::all_of(active_.open().begin(), active_.open().end(),
                     [this](const auto& entry) { return availability(entry.second) == 0; });
}

bool Picker::has_blocks(const BlockRun& run) const {
  return have_.test(run.piece) || active_.has_blocks(run);
}

Parts Picker::parts() const {
  Parts parts = active_.written();
  parts.insert(resumed_.begin(), resumed_.end());
  return parts;
}

bool Picker::has_part(std::uint32_t piece) const {
  const ActivePieces::Piece* const active = active_.find(piece);
  return active != nullptr ? active->have_count > 0 : resumed_.contains(piece);
}

bool Picker::is_interesting(ConnId peer, const Bitfield& has) const {
  if (have_.has_wanted(has)) return true;
  const auto found = partial_.find(peer);
  if (found == partial_.end()) return false;
  return std::any_of(found->second.pieces().begin(), found->second.pieces().end(),
                     [this](const auto& entry) { return !have_.test(entry.first); });
}

std::uint32_t Picker::partial_copies(std::uint32_t piece) const {
  return static_cast<std::uint32_t>(
      std::count_if(partial_.begin(), partial_.end(),
                    [piece](const auto& entry) { return entry.second.find(piece) != nullptr; }));
}

const Bitfield* Picker::blocks_of(ConnId peer, std::uint32_t piece) const {
  const auto found = partial_.find(peer);
  return found == partial_.end() ? nullptr : found->second.find(piece);
}

std::uint32_t Picker::blocks_ready(ConnId peer, const Bitfield& has,
                                   std::uint32_t count_max) const {
  std::uint32_t count = 0;
  for (const auto& [order, piece] : active_.open()) {
    if (count >= count_max) break;
    if (const auto part = served(peer, has, piece)) count += active_.missing_count(piece, *part);
  }
  return std::min(count, count_max);
}

std::vector<std::uint32_t> Picker::without_holder(std::size_t count_max) const {
  std::vector<std::uint32_t> pieces;
  count_max = std::min<std::size_t>(count_max, without_holder_count());
  for (auto piece = lacking_.next_set(0); piece && pieces.size() < count_max;
       piece = lacking_.next_set(*piece + 1)) {
    if (availability(*piece) == 0) pieces.push_back(*piece);
  }
  return pieces;
}

std::uint32_t Picker::without_holder_count() const {
  std::uint32_t count = rarity_.missing_without_holder_count();
  const auto is_lost = [this](std::uint32_t piece) {
    return availability(piece) == 0 && lacking_.test(piece);
  };
  for (const auto& [piece, active] : active_.pieces()) count += is_lost(piece) ? 1U : 0U;
  for (const std::uint32_t piece : preparing_) count += is_lost(piece) ? 1U : 0U;
  return count;
}

void Picker::change_state(std::uint32_t piece, PieceState to) {
  const PieceState from = state(piece);
  if (to == PieceState::missing && !wanted_.test(piece)) to = PieceState::unwanted;
  if (from == to) return;
  const auto holds_room = [](PieceState s) {
    return s == PieceState::preparing || s == PieceState::active;
  };
  const std::uint32_t blocks = layout_.blocks_count(piece);
  if (holds_room(to) && !holds_room(from)) active_blocks_ += blocks;
  if (holds_room(from) && !holds_room(to)) active_blocks_ -= blocks;
  if (from == PieceState::preparing) {
    preparing_.erase(piece);
    resumed_.erase(piece);
  }
  if (to == PieceState::preparing) preparing_.insert(piece);
  if (from == PieceState::have) {
    have_.reset(piece);
    if (wanted_.test(piece)) lacking_.set(piece);
  }
  if (to == PieceState::have) {
    have_.set(piece);
    lacking_.reset(piece);
  }
  states_[piece] = to;
  if (from == PieceState::missing) rarity_.reset_missing(piece);
  if (to == PieceState::missing) rarity_.set_missing(piece);
}

// ---- The order of picking

std::optional<const Bitfield*> Picker::served(ConnId peer, const Bitfield& has,
                                              std::uint32_t piece) const {
  if (has.test(piece)) {
    const auto declined = declined_.find(peer);
    return declined == declined_.end() ? nullptr : declined->second.others(piece);
  }
  if (const Bitfield* const part = blocks_of(peer, piece)) return part;
  return std::nullopt;
}

bool Picker::serves(ConnId peer, const Bitfield& has, std::uint32_t piece,
                    std::uint32_t block) const {
  const auto part = served(peer, has, piece);
  return part && (*part == nullptr || (*part)->test(block));
}

void Picker::pick_open(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                       std::vector<BlockRun>& out) {
  for (auto at = active_.open().begin(); at != active_.open().end() && count_max > 0;) {
    const std::uint32_t piece = at->second;
    ++at;  // the piece may leave the open ones
    if (const auto part = served(peer, has, piece)) {
      count_max -= active_.take(piece, *part, peer, count_max, now, out);
    }
  }
}

void Picker::pick_urgent(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                         std::vector<BlockRun>& out) {
  std::uint32_t taken = 0;
  bool is_any_ready = false;
  for (const std::uint32_t piece : urgent_) {
    if (taken == count_max) return;
    if (active_.find(piece) == nullptr) continue;
    const auto part = served(peer, has, piece);
    if (!part) continue;
    const std::uint32_t picked = active_.take(piece, *part, peer, count_max - taken, now, out);
    is_any_ready = is_any_ready || picked > 0;
    taken += picked;
  }
  // Whoever has nothing urgent of its own to give helps with what others are late with.
  if (!is_any_ready) pick_late(peer, has, count_max, now, out);
}

void Picker::pick_late(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                       std::vector<BlockRun>& out) {
  count_max = std::min(count_max, kEndgameOutstandingMax);
  std::uint32_t taken = 0;
  for (const std::uint32_t piece : urgent_) {
    const ActivePieces::Piece* const active = active_.find(piece);
    if (active == nullptr || active->requested_count == 0) continue;
    for (std::uint32_t block = 0; block < active->blocks.size() && taken < count_max; ++block) {
      const ActivePieces::Block& at = active->blocks[block];
      if (at.requesters_count != 1 || at.is_requester(peer)) continue;
      if (!serves(peer, has, piece, block)) continue;
      const auto asked = active_.request_time(at.requesters.front(), piece, block);
      if (!asked || now - *asked < kUrgentPatience) continue;
      active_.take_second(piece, block, peer, now, out);
      ++taken;
    }
    if (taken == count_max) return;
  }
}

void Picker::pick_endgame(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                          std::vector<BlockRun>& out) {
  const std::uint32_t held = outstanding(peer);
  if (held >= kEndgameOutstandingMax) return;
  count_max = std::min(count_max, kEndgameOutstandingMax - held);

  // Of each other peer the requests it has had for longest, and of those the oldest.
  std::vector<ActivePieces::Request> oldest;
  for (const auto& [other, requests] : active_.outstanding()) {
    if (other == peer) continue;
    std::uint32_t found = 0;
    for (const ActivePieces::Request& request : requests) {
      if (found == count_max) break;
      const ActivePieces::Block& at = active_.find(request.piece)->blocks[request.block];
      if (at.requesters_count >= ActivePieces::kRequestersMax) continue;
      if (!serves(peer, has, request.piece, request.block)) continue;
      oldest.push_back(request);
      ++found;
    }
  }
  const auto key = [](const ActivePieces::Request& r) {
    return std::tuple(r.at, r.piece, r.block);
  };
  std::sort(oldest.begin(), oldest.end(),
            [&key](const auto& a, const auto& b) { return key(a) < key(b); });
  oldest.resize(std::min<std::size_t>(oldest.size(), count_max));
  for (const ActivePieces::Request& request : oldest) {
    active_.take_second(request.piece, request.block, peer, now, out);
  }
}

}  // namespace peernet::transfer
