#include "transfer/picker.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "core/check.h"

namespace peernet::transfer {
namespace {

// Places looked at in order of rarity before a peer that has little of what we lack is asked the
// other way round, by its own pieces.
constexpr std::size_t kPlacesScannedMax = 4096;
// Pieces compared for their rarity then.
constexpr std::size_t kPiecesComparedMax = 64;

// Appends a block to the last run if it goes on from there.
void append_block(std::uint32_t piece, std::uint32_t block, std::uint32_t run_blocks_max,
                  std::vector<BlockRun>& runs) {
  if (!runs.empty()) {
    BlockRun& last = runs.back();
    const bool goes_on = last.piece == piece && last.first_block + last.count == block;
    if (goes_on && last.count < run_blocks_max) {
      ++last.count;
      return;
    }
  }
  runs.push_back({piece, static_cast<std::uint16_t>(block), 1});
}

}  // namespace

bool Picker::Block::is_requester(ConnId peer) const {
  const auto* const end = requesters.begin() + requesters_count;
  return std::find(requesters.begin(), end, peer) != end;
}

bool Picker::Block::remove_requester(ConnId peer) {
  auto* const end = requesters.begin() + requesters_count;
  auto* const kept = std::remove(requesters.begin(), end, peer);
  if (kept == end) return false;
  --requesters_count;
  return true;
}

Picker::Picker(Layout layout, const Bitfield& have, const Rng& rng, std::uint32_t run_blocks_max)
    : layout_(std::move(layout)),
      rng_(rng),
      run_blocks_max_(run_blocks_max),
      have_(have),
      missing_(layout_.pieces_count()),
      wanted_(layout_.pieces_count()),
      lacking_(layout_.pieces_count()),
      states_(layout_.pieces_count(), PieceState::missing),
      availability_(layout_.pieces_count()),
      order_(layout_.pieces_count()),
      place_(layout_.pieces_count()) {
  PN_CHECK(have.size() == layout_.pieces_count());
  PN_CHECK(run_blocks_max > 0 && run_blocks_max <= kBlocksPerPieceMax);
  std::iota(order_.begin(), order_.end(), 0U);
  rng_.shuffle(std::span(order_));
  std::stable_partition(order_.begin(), order_.end(),
                        [&](std::uint32_t piece) { return have.test(piece); });
  for (std::uint32_t place = 0; place < order_.size(); ++place) {
    const std::uint32_t piece = order_[place];
    place_[piece] = place;
    if (have.test(piece)) {
      states_[piece] = PieceState::have;
    } else {
      missing_.set(piece);
    }
  }
  wanted_.set_all();
  lacking_ = missing_;
  zone_begin_ = {0, have.count_set(), layout_.pieces_count()};
}

// ---- What the peers have

void Picker::add_peer(ConnId peer, const Bitfield& has) {
  PN_CHECK(has.size() == have_.size());
  if (has.all()) {
    seeds_.insert(peer);
    return;
  }
  for (auto piece = has.next_set(0); piece; piece = has.next_set(*piece + 1)) {
    change_availability(*piece, 1);
  }
}

void Picker::on_peer_has(ConnId peer, std::uint32_t piece) {
  forget_blocks(peer, piece);
  if (!seeds_.contains(peer)) change_availability(piece, 1);
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

void Picker::remove_peer(ConnId peer, const Bitfield& has) {
  PN_CHECK(has.size() == have_.size());
  on_choked(peer);
  partial_.erase(peer);
  if (seeds_.erase(peer) > 0) return;
  for (auto piece = has.next_set(0); piece; piece = has.next_set(*piece + 1)) {
    change_availability(*piece, -1);
  }
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
    if (const Active* const active = find_active(piece)) {
      for (std::uint32_t i = 0; i < active->blocks.size(); ++i) {
        const Block& block = active->blocks[i];
        for (std::size_t j = 0; j < block.requesters_count; ++j) {
          given_up.push_back({block.requesters[j], {piece, static_cast<std::uint16_t>(i), 1}});
        }
      }
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
    if (missing_.test(piece) && has.test(piece)) pieces.push_back(piece);
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
  std::vector<std::uint32_t> wanted;
  if (missing_count() == 0 || has.none() || !has_room()) return wanted;
  const std::uint32_t room = (kActiveBlocksMax - active_blocks_) / layout_.blocks_per_piece();
  count_max = std::min<std::size_t>(count_max, room);
  if (have_.count_set() < kRandomFirstPieces) {
    // Something to give in return is worth more now than rarity.
    const auto skipped = static_cast<std::uint32_t>(rng_.below(missing_count()));
    append_from(zone_begin_[1] + skipped, has, count_max, wanted);
  } else {
    // Pieces of availability 0 are held by seeds alone.
    append_from(zone_begin_[has.all() ? 1 : 2], has, count_max, wanted);
  }
  if (wanted.size() < count_max) append_by_scan(has, count_max, wanted);
  return wanted;
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

void Picker::abandon(std::uint32_t piece) {
  if (state(piece) == PieceState::preparing) change_state(piece, PieceState::missing);
}

bool Picker::activate(std::uint32_t piece) {
  const PieceState from = state(piece);
  if (from == PieceState::missing && !has_room()) return false;
  if (from != PieceState::missing && from != PieceState::preparing) return false;
  change_state(piece, PieceState::active);
  Active active;
  active.order = next_order_++;
  active.blocks.resize(layout_.blocks_count(piece));
  active.missing_count = static_cast<std::uint32_t>(active.blocks.size());
  open_.emplace(active.order, piece);
  active_.emplace(piece, std::move(active));
  return true;
}

std::vector<std::uint32_t> Picker::release_idle() {
  std::vector<std::uint32_t> idle;
  for (const auto& [piece, active] : active_) {
    if (active.missing_count == active.blocks.size()) idle.push_back(piece);
  }
  for (const std::uint32_t piece : idle) {
    drop_active(piece);
    change_state(piece, PieceState::missing);
  }
  return idle;
}

void Picker::set_have(std::uint32_t piece) {
  drop_active(piece);
  change_state(piece, PieceState::have);
}

void Picker::set_missing(std::uint32_t piece) {
  drop_active(piece);
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
  std::vector<BlockRun> runs;
  std::uint32_t room = std::min(count_max, kOutstandingMax - outstanding(peer));
  for (const std::uint32_t piece : pieces) {
    if (room == 0) break;
    if (find_active(piece) != nullptr && has.test(piece)) {
      room -= pick_piece(piece, peer, room, now, runs);
    }
  }
  return runs;
}

void Picker::on_rejected(ConnId peer, const BlockRun& run) {
  for (std::uint32_t i = 0; i < run.count; ++i) {
    forget_request(peer, run.piece, std::uint32_t{run.first_block} + i);
  }
}

void Picker::on_choked(ConnId peer) {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return;
  const std::vector<Outstanding> requests = std::move(found->second);
  outstanding_.erase(found);
  for (const Outstanding& request : requests) forget_request(peer, request.piece, request.block);
}

Picker::Received Picker::on_block_received(ConnId peer, std::uint32_t piece, std::uint32_t block) {
  Received received;
  Active* const active = find_active(piece);
  Block* const at = find_block(active, block);
  if (at == nullptr || at->state == BlockState::writing || at->state == BlockState::have) {
    return received;
  }
  received.is_wanted = true;
  received.was_requested = at->is_requester(peer);
  for (std::size_t i = 0; i < at->requesters_count; ++i) {
    if (at->requesters[i] != peer) received.cancel_at.push_back(at->requesters[i]);
    forget_outstanding(at->requesters[i], piece, block);
  }
  at->requesters_count = 0;
  if (at->state == BlockState::requested) {
    --active->requested_count;
  } else if (--active->missing_count == 0) {
    open_.erase({active->order, piece});
  }
  at->state = BlockState::writing;
  return received;
}

bool Picker::on_block_written(std::uint32_t piece, std::uint32_t block) {
  Active* const active = find_active(piece);
  Block* const at = find_block(active, block);
  if (at == nullptr || at->state != BlockState::writing) return false;
  at->state = BlockState::have;
  if (++active->have_count < active->blocks.size()) return false;
  set_have(piece);
  return true;
}

void Picker::on_block_failed(std::uint32_t piece, std::uint32_t block) {
  Active* const active = find_active(piece);
  Block* const at = find_block(active, block);
  if (at != nullptr && at->state == BlockState::writing) block_to_missing(*active, piece, block);
}

std::vector<Picker::Expired> Picker::expire(Time made_by) {
  std::vector<std::pair<ConnId, Outstanding>> old;
  for (const auto& [peer, requests] : outstanding_) {
    for (const Outstanding& request : requests) {
      if (request.at > made_by) break;
      old.emplace_back(peer, request);
    }
  }
  std::vector<Expired> expired;
  std::vector<BlockRun> runs;
  for (std::size_t i = 0; i < old.size(); ++i) {
    const auto& [peer, request] = old[i];
    forget_request(peer, request.piece, request.block);
    append_block(request.piece, request.block, run_blocks_max_, runs);
    if (i + 1 < old.size() && old[i + 1].first == peer) continue;
    for (const BlockRun& run : runs) expired.push_back({peer, run});
    runs.clear();
  }
  return expired;
}

// ---- Queries

Picker::PieceState Picker::state(std::uint32_t piece) const {
  PN_CHECK(piece < states_.size());
  return states_[piece];
}

bool Picker::is_endgame() const {
  // What nobody has cannot be waited for.
  if (active_.empty() || !preparing_.empty()) return false;
  if (missing_count() > missing_without_holder_count()) return false;
  return std::all_of(open_.begin(), open_.end(),
                     [this](const auto& entry) { return availability(entry.second) == 0; });
}

bool Picker::has_blocks(const BlockRun& run) const {
  if (have_.test(run.piece)) return true;
  const auto found = active_.find(run.piece);
  if (found == active_.end()) return false;
  const std::vector<Block>& blocks = found->second.blocks;
  const auto begin = blocks.begin() + run.first_block;
  return std::all_of(begin, begin + run.count,
                     [](const Block& block) { return block.state == BlockState::have; });
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
  for (const auto& [order, piece] : open_) {
    if (count >= count_max) break;
    const Active& active = active_.at(piece);
    if (has.test(piece)) {
      count += active.missing_count;
    } else if (const Bitfield* part = blocks_of(peer, piece)) {
      for (auto block = part->next_set(0); block; block = part->next_set(*block + 1)) {
        count += active.blocks[*block].state == BlockState::missing ? 1U : 0U;
      }
    }
  }
  return std::min(count, count_max);
}

std::uint32_t Picker::outstanding(ConnId peer) const {
  const auto found = outstanding_.find(peer);
  return found == outstanding_.end() ? 0 : static_cast<std::uint32_t>(found->second.size());
}

std::vector<BlockRun> Picker::requests(ConnId peer) const {
  std::vector<BlockRun> runs;
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return runs;
  for (const Outstanding& request : found->second) {
    append_block(request.piece, request.block, run_blocks_max_, runs);
  }
  return runs;
}

std::optional<Time> Picker::oldest_request(ConnId peer) const {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return std::nullopt;
  return found->second.front().at;
}

std::uint32_t Picker::availability(std::uint32_t piece) const {
  PN_CHECK(piece < availability_.size());
  return availability_[piece] + static_cast<std::uint32_t>(seeds_.size());
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
  std::uint32_t count = missing_without_holder_count();
  const auto is_lost = [this](std::uint32_t piece) {
    return availability(piece) == 0 && lacking_.test(piece);
  };
  for (const auto& [piece, active] : active_) count += is_lost(piece) ? 1U : 0U;
  for (const std::uint32_t piece : preparing_) count += is_lost(piece) ? 1U : 0U;
  return count;
}

std::uint64_t Picker::partial_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [piece, active] : active_) {
    bytes += std::uint64_t{active.have_count} * kBlockSize;
    // Only the last block of a file is shorter than the others.
    const auto last = static_cast<std::uint32_t>(active.blocks.size() - 1);
    if (active.blocks[last].state == BlockState::have) {
      bytes -= kBlockSize - layout_.block_size(piece, last);
    }
  }
  return bytes;
}

// ---- Rarity

std::uint32_t Picker::zone_of_missing(std::uint32_t piece) const {
  return 1 + std::min<std::uint32_t>(availability_[piece], kAvailabilityMax);
}

void Picker::swap_places(std::uint32_t a, std::uint32_t b) {
  std::swap(order_[a], order_[b]);
  place_[order_[a]] = a;
  place_[order_[b]] = b;
}

void Picker::move_to_zone(std::uint32_t piece, std::uint32_t from, std::uint32_t to) {
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

void Picker::change_availability(std::uint32_t piece, int by) {
  PN_CHECK(piece < availability_.size());
  const std::uint32_t from = zone_of_missing(piece);
  PN_CHECK(by > 0 ? availability_[piece] < UINT16_MAX : availability_[piece] > 0);
  availability_[piece] = static_cast<std::uint16_t>(availability_[piece] + by);
  const std::uint32_t to = zone_of_missing(piece);
  if (from != to && states_[piece] == PieceState::missing) move_to_zone(piece, from, to);
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
  if (from == PieceState::preparing) preparing_.erase(piece);
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
  if (from == PieceState::missing) {
    missing_.reset(piece);
    move_to_zone(piece, zone_of_missing(piece), 0);
  } else if (to == PieceState::missing) {
    missing_.set(piece);
    move_to_zone(piece, 0, zone_of_missing(piece));
  }
}

std::uint32_t Picker::missing_count() const {
  return missing_.count_set();
}

std::uint32_t Picker::missing_without_holder_count() const {
  return seeds_.empty() ? zone_begin_[2] - zone_begin_[1] : 0;
}

void Picker::append_from(std::uint32_t place, const Bitfield& has, std::size_t count_max,
                         std::vector<std::uint32_t>& out) const {
  const std::size_t end = std::min(order_.size(), place + kPlacesScannedMax);
  for (std::size_t at = place; at < end && out.size() < count_max; ++at) {
    if (has.test(order_[at])) out.push_back(order_[at]);
  }
}

void Picker::append_by_scan(const Bitfield& has, std::size_t count_max,
                            std::vector<std::uint32_t>& out) {
  std::vector<std::uint32_t> found;
  const auto start = static_cast<std::uint32_t>(rng_.below(have_.size()));
  const auto collect = [&](std::uint32_t from, std::uint32_t end) {
    for (auto piece = missing_.next_common(has, from);
         piece && *piece < end && found.size() < kPiecesComparedMax;
         piece = missing_.next_common(has, *piece + 1)) {
      if (std::find(out.begin(), out.end(), *piece) == out.end()) found.push_back(*piece);
    }
  };
  collect(start, have_.size());
  collect(0, start);
  std::stable_sort(found.begin(), found.end(), [this](std::uint32_t a, std::uint32_t b) {
    return availability_[a] < availability_[b];
  });
  found.resize(std::min(found.size(), count_max - out.size()));
  out.insert(out.end(), found.begin(), found.end());
}

// ---- Active pieces

Picker::Active* Picker::find_active(std::uint32_t piece) {
  const auto found = active_.find(piece);
  return found == active_.end() ? nullptr : &found->second;
}

Picker::Block* Picker::find_block(Active* active, std::uint32_t block) {
  if (active == nullptr || block >= active->blocks.size()) return nullptr;
  return &active->blocks[block];
}

void Picker::drop_active(std::uint32_t piece) {
  Active* const active = find_active(piece);
  if (active == nullptr) return;
  for (std::uint32_t block = 0; block < active->blocks.size(); ++block) {
    const Block& at = active->blocks[block];
    for (std::size_t i = 0; i < at.requesters_count; ++i) {
      forget_outstanding(at.requesters[i], piece, block);
    }
  }
  open_.erase({active->order, piece});
  active_.erase(piece);
}

void Picker::block_to_missing(Active& active, std::uint32_t piece, std::uint32_t block) {
  Block& at = active.blocks[block];
  if (at.state == BlockState::requested) --active.requested_count;
  at.state = BlockState::missing;
  active.first_missing = std::min(active.first_missing, block);
  if (active.missing_count++ == 0) open_.emplace(active.order, piece);
}

void Picker::add_request(Active& active, std::uint32_t piece, std::uint32_t block, ConnId peer,
                         Time now) {
  Block& at = active.blocks[block];
  PN_CHECK(at.requesters_count < kRequestersMax);
  if (at.state == BlockState::missing) {
    at.state = BlockState::requested;
    ++active.requested_count;
    if (--active.missing_count == 0) open_.erase({active.order, piece});
  }
  at.requesters[at.requesters_count++] = peer;
  outstanding_[peer].push_back({piece, static_cast<std::uint16_t>(block), now});
}

void Picker::forget_request(ConnId peer, std::uint32_t piece, std::uint32_t block) {
  forget_outstanding(peer, piece, block);
  Active* const active = find_active(piece);
  Block* const at = find_block(active, block);
  if (at == nullptr || !at->remove_requester(peer)) return;
  if (at->requesters_count == 0) block_to_missing(*active, piece, block);
}

void Picker::forget_outstanding(ConnId peer, std::uint32_t piece, std::uint32_t block) {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return;
  auto& requests = found->second;
  const auto at = std::find_if(requests.begin(), requests.end(), [&](const Outstanding& request) {
    return request.piece == piece && request.block == block;
  });
  if (at == requests.end()) return;
  requests.erase(at);
  if (requests.empty()) outstanding_.erase(found);
}

std::uint32_t Picker::pick_piece(std::uint32_t piece, ConnId peer, std::uint32_t count_max,
                                 Time now, std::vector<BlockRun>& out) {
  Active& active = active_.at(piece);
  std::uint32_t taken = 0;
  std::uint32_t block = active.first_missing;
  for (; active.missing_count > 0 && taken < count_max; ++block) {
    if (active.blocks[block].state != BlockState::missing) continue;
    add_request(active, piece, block, peer, now);
    append_block(piece, block, run_blocks_max_, out);
    ++taken;
  }
  active.first_missing = block;
  return taken;
}

bool Picker::has_block(ConnId peer, const Bitfield& has, std::uint32_t piece,
                       std::uint32_t block) const {
  if (has.test(piece)) return true;
  const Bitfield* part = blocks_of(peer, piece);
  return part != nullptr && part->test(block);
}

std::uint32_t Picker::pick_part(std::uint32_t piece, const Bitfield& part, ConnId peer,
                                std::uint32_t count_max, Time now, std::vector<BlockRun>& out) {
  Active& active = active_.at(piece);
  std::uint32_t taken = 0;
  for (auto block = part.next_set(active.first_missing); block && taken < count_max;
       block = part.next_set(*block + 1)) {
    if (active.blocks[*block].state != BlockState::missing) continue;
    add_request(active, piece, *block, peer, now);
    append_block(piece, *block, run_blocks_max_, out);
    ++taken;
  }
  return taken;
}

std::uint32_t Picker::pick_open(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                                std::vector<BlockRun>& out) {
  std::uint32_t taken = 0;
  for (auto at = open_.begin(); at != open_.end() && taken < count_max;) {
    const std::uint32_t piece = at->second;
    ++at;  // the piece may leave open_
    if (has.test(piece)) {
      taken += pick_piece(piece, peer, count_max - taken, now, out);
    } else if (const Bitfield* part = blocks_of(peer, piece)) {
      taken += pick_part(piece, *part, peer, count_max - taken, now, out);
    }
  }
  return taken;
}

void Picker::pick_urgent(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                         std::vector<BlockRun>& out) {
  std::uint32_t taken = 0;
  bool is_any_ready = false;
  for (const std::uint32_t piece : urgent_) {
    if (taken == count_max) return;
    if (find_active(piece) == nullptr || !has.test(piece)) continue;
    const std::uint32_t picked = pick_piece(piece, peer, count_max - taken, now, out);
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
    Active* const active = find_active(piece);
    if (active == nullptr || active->requested_count == 0 || !has.test(piece)) continue;
    for (std::uint32_t block = 0; block < active->blocks.size() && taken < count_max; ++block) {
      const Block& at = active->blocks[block];
      if (at.state != BlockState::requested || at.requesters_count >= kRequestersMax) continue;
      if (at.is_requester(peer)) continue;
      const auto asked = request_time(at.requesters.front(), piece, block);
      if (!asked || now - *asked < kUrgentPatience) continue;
      add_request(*active, piece, block, peer, now);
      append_block(piece, block, run_blocks_max_, out);
      ++taken;
    }
    if (taken == count_max) return;
  }
}

std::optional<Time> Picker::request_time(ConnId peer, std::uint32_t piece,
                                         std::uint32_t block) const {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return std::nullopt;
  for (const Outstanding& request : found->second) {
    if (request.piece == piece && request.block == block) return request.at;
  }
  return std::nullopt;
}

void Picker::pick_endgame(ConnId peer, const Bitfield& has, std::uint32_t count_max, Time now,
                          std::vector<BlockRun>& out) {
  const std::uint32_t held = outstanding(peer);
  if (held >= kEndgameOutstandingMax) return;
  count_max = std::min(count_max, kEndgameOutstandingMax - held);

  // Of each other peer the requests it has had for longest, and of those the oldest.
  std::vector<Outstanding> oldest;
  for (const auto& [other, requests] : outstanding_) {
    if (other == peer) continue;
    std::uint32_t found = 0;
    for (const Outstanding& request : requests) {
      if (found == count_max) break;
      const Block& at = active_.at(request.piece).blocks[request.block];
      if (at.requesters_count >= kRequestersMax) continue;
      if (!has_block(peer, has, request.piece, request.block)) continue;
      oldest.push_back(request);
      ++found;
    }
  }
  const auto key = [](const Outstanding& r) { return std::tuple(r.at, r.piece, r.block); };
  std::sort(oldest.begin(), oldest.end(),
            [&key](const Outstanding& a, const Outstanding& b) { return key(a) < key(b); });
  oldest.resize(std::min<std::size_t>(oldest.size(), count_max));
  for (const Outstanding& request : oldest) {
    add_request(active_.at(request.piece), request.piece, request.block, peer, now);
    append_block(request.piece, request.block, run_blocks_max_, out);
  }
}

}  // namespace peernet::transfer
