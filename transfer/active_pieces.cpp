#include "transfer/active_pieces.h"

#include <algorithm>

#include "core/check.h"

namespace peernet::transfer {
namespace {

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

bool ActivePieces::Block::is_requester(ConnId peer) const {
  const auto* const end = requesters.begin() + requesters_count;
  return std::find(requesters.begin(), end, peer) != end;
}

bool ActivePieces::Block::remove_requester(ConnId peer) {
  auto* const end = requesters.begin() + requesters_count;
  auto* const kept = std::remove(requesters.begin(), end, peer);
  if (kept == end) return false;
  --requesters_count;
  return true;
}

ActivePieces::ActivePieces(std::uint32_t run_blocks_max) : run_blocks_max_(run_blocks_max) {
  PN_CHECK(run_blocks_max > 0 && run_blocks_max <= kBlocksPerPieceMax);
}

// ---- Pieces

void ActivePieces::add(std::uint32_t piece, std::uint32_t blocks_count, std::uint32_t first,
                       const Bitfield* written) {
  PN_CHECK(first < blocks_count);
  Piece active;
  active.next = first;
  active.order = next_order_++;
  active.blocks.resize(blocks_count);
  active.missing_count = blocks_count;
  if (written != nullptr) {
    PN_CHECK(written->size() == blocks_count && !written->all());
    active.have_count = written->count_set();
    active.missing_count -= active.have_count;
    for (auto block = written->next_set(0); block; block = written->next_set(*block + 1)) {
      active.blocks[*block].state = BlockState::have;
    }
  }
  open_.emplace(active.order, piece);
  const bool is_new = pieces_.emplace(piece, std::move(active)).second;
  PN_CHECK(is_new);
}

void ActivePieces::drop(std::uint32_t piece) {
  const Piece* const active = find(piece);
  if (active == nullptr) return;
  for (std::uint32_t block = 0; block < active->blocks.size(); ++block) {
    const Block& at = active->blocks[block];
    for (std::size_t i = 0; i < at.requesters_count; ++i) {
      forget_outstanding(at.requesters[i], piece, block);
    }
  }
  open_.erase({active->order, piece});
  pieces_.erase(piece);
}

const ActivePieces::Piece* ActivePieces::find(std::uint32_t piece) const {
  const auto found = pieces_.find(piece);
  return found == pieces_.end() ? nullptr : &found->second;
}

ActivePieces::Piece* ActivePieces::find_piece(std::uint32_t piece) {
  const auto found = pieces_.find(piece);
  return found == pieces_.end() ? nullptr : &found->second;
}

ActivePieces::Block* ActivePieces::find_block(Piece* active, std::uint32_t block) {
  if (active == nullptr || block >= active->blocks.size()) return nullptr;
  return &active->blocks[block];
}

std::vector<std::uint32_t> ActivePieces::idle() const {
  std::vector<std::uint32_t> idle;
  for (const auto& [piece, active] : pieces_) {
    if (active.missing_count == active.blocks.size()) idle.push_back(piece);
  }
  return idle;
}

std::vector<std::uint32_t> ActivePieces::resting() const {
  std::vector<std::uint32_t> resting;
  for (const auto& [piece, active] : pieces_) {
    const bool is_resting = active.missing_count + active.have_count == active.blocks.size();
    if (active.have_count > 0 && is_resting) resting.push_back(piece);
  }
  return resting;
}

bool ActivePieces::has_blocks(const BlockRun& run) const {
  const Piece* const active = find(run.piece);
  if (active == nullptr) return false;
  const auto begin = active->blocks.begin() + run.first_block;
  return std::all_of(begin, begin + run.count,
                     [](const Block& block) { return block.state == BlockState::have; });
}

Parts ActivePieces::written() const {
  Parts parts;
  for (const auto& [piece, active] : pieces_) {
    if (active.have_count == 0) continue;
    const auto count = static_cast<std::uint32_t>(active.blocks.size());
    Bitfield& blocks = parts.emplace_hint(parts.end(), piece, count)->second;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (active.blocks[i].state == BlockState::have) blocks.set(i);
    }
  }
  return parts;
}

std::uint64_t ActivePieces::bytes_written(const Layout& layout) const {
  std::uint64_t bytes = 0;
  for (const auto& [piece, active] : pieces_) {
    bytes += std::uint64_t{active.have_count} * kBlockSize;
    // Only the last block of a file is shorter than the others.
    const auto last = static_cast<std::uint32_t>(active.blocks.size() - 1);
    if (active.blocks[last].state == BlockState::have) {
      bytes -= kBlockSize - layout.block_size(piece, last);
    }
  }
  return bytes;
}

std::uint32_t ActivePieces::missing_count(std::uint32_t piece, const Bitfield* part) const {
  const Piece& active = pieces_.at(piece);
  if (part == nullptr) return active.missing_count;
  std::uint32_t count = 0;
  for (auto block = part->next_set(0); block; block = part->next_set(*block + 1)) {
    count += active.blocks[*block].state == BlockState::missing ? 1U : 0U;
  }
  return count;
}

// ---- Asking

std::uint32_t ActivePieces::take(std::uint32_t piece, const Bitfield* part, ConnId peer,
                                 std::uint32_t count_max, Time now, std::vector<BlockRun>& out) {
  Piece& active = pieces_.at(piece);
  const auto end = static_cast<std::uint32_t>(active.blocks.size());
  std::uint32_t taken = 0;
  const auto take_between = [&](std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t block = from; block < to; ++block) {
      if (taken == count_max || active.missing_count == 0) return;
      if (part != nullptr) {
        const auto next = part->next_set(block);
        if (!next || *next >= to) return;
        block = *next;
      }
      if (active.blocks[block].state != BlockState::missing) continue;
      add_request(active, piece, block, peer, now, out);
      ++taken;
      active.next = block + 1 == end ? 0 : block + 1;
    }
  };
  const std::uint32_t begin = active.next;
  take_between(begin, end);
  take_between(0, begin);
  return taken;
}

void ActivePieces::take_second(std::uint32_t piece, std::uint32_t block, ConnId peer, Time now,
                               std::vector<BlockRun>& out) {
  add_request(pieces_.at(piece), piece, block, peer, now, out);
}

void ActivePieces::add_request(Piece& active, std::uint32_t piece, std::uint32_t block, ConnId peer,
                               Time now, std::vector<BlockRun>& out) {
  Block& at = active.blocks[block];
  PN_CHECK(at.requesters_count < kRequestersMax);
  if (at.state == BlockState::missing) {
    at.state = BlockState::requested;
    ++active.requested_count;
    if (--active.missing_count == 0) open_.erase({active.order, piece});
  }
  at.requesters[at.requesters_count++] = peer;
  outstanding_[peer].push_back({piece, static_cast<std::uint16_t>(block), now});
  append_block(piece, block, run_blocks_max_, out);
}

// ---- What becomes of requests and blocks

void ActivePieces::block_to_missing(Piece& active, std::uint32_t piece, std::uint32_t block) {
  Block& at = active.blocks[block];
  if (at.state == BlockState::requested) --active.requested_count;
  at.state = BlockState::missing;
  if (active.missing_count++ == 0) open_.emplace(active.order, piece);
}

void ActivePieces::forget_request(ConnId peer, std::uint32_t piece, std::uint32_t block) {
  forget_outstanding(peer, piece, block);
  Piece* const active = find_piece(piece);
  Block* const at = find_block(active, block);
  if (at == nullptr || !at->remove_requester(peer)) return;
  if (at->requesters_count == 0) block_to_missing(*active, piece, block);
}

void ActivePieces::forget_outstanding(ConnId peer, std::uint32_t piece, std::uint32_t block) {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return;
  auto& requests = found->second;
  const auto at = std::find_if(requests.begin(), requests.end(), [&](const Request& request) {
    return request.piece == piece && request.block == block;
  });
  if (at == requests.end()) return;
  requests.erase(at);
  if (requests.empty()) outstanding_.erase(found);
}

// One look at what is out, however long the run: a stranger says what is rejected.
void ActivePieces::on_rejected(ConnId peer, const BlockRun& run) {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return;
  const std::uint32_t end = std::uint32_t{run.first_block} + run.count;
  std::vector<std::uint16_t> blocks;
  for (const Request& request : found->second) {
    const bool is_rejected =
        request.piece == run.piece && request.block >= run.first_block && request.block < end;
    if (is_rejected) blocks.push_back(request.block);
  }
  for (const std::uint16_t block : blocks) forget_request(peer, run.piece, block);
}

void ActivePieces::on_choked(ConnId peer) {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return;
  const std::vector<Request> requests = std::move(found->second);
  outstanding_.erase(found);
  for (const Request& request : requests) forget_request(peer, request.piece, request.block);
}

ActivePieces::Received ActivePieces::on_block_received(ConnId peer, std::uint32_t piece,
                                                       std::uint32_t block) {
  Received received;
  Piece* const active = find_piece(piece);
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

bool ActivePieces::on_block_written(std::uint32_t piece, std::uint32_t block) {
  Piece* const active = find_piece(piece);
  Block* const at = find_block(active, block);
  if (at == nullptr || at->state != BlockState::writing) return false;
  at->state = BlockState::have;
  return ++active->have_count == active->blocks.size();
}

void ActivePieces::on_block_failed(std::uint32_t piece, std::uint32_t block) {
  Piece* const active = find_piece(piece);
  Block* const at = find_block(active, block);
  if (at != nullptr && at->state == BlockState::writing) block_to_missing(*active, piece, block);
}

std::vector<ActivePieces::Expired> ActivePieces::expire(Time made_by) {
  std::vector<std::pair<ConnId, Request>> old;
  for (const auto& [peer, requests] : outstanding_) {
    for (const Request& request : requests) {
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

// ---- The requests

std::uint32_t ActivePieces::outstanding(ConnId peer) const {
  const auto found = outstanding_.find(peer);
  return found == outstanding_.end() ? 0 : static_cast<std::uint32_t>(found->second.size());
}

std::vector<BlockRun> ActivePieces::requests(ConnId peer) const {
  std::vector<BlockRun> runs;
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return runs;
  for (const Request& request : found->second) {
    append_block(request.piece, request.block, run_blocks_max_, runs);
  }
  return runs;
}

std::optional<Time> ActivePieces::oldest_request(ConnId peer) const {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return std::nullopt;
  return found->second.front().at;
}

std::optional<Time> ActivePieces::request_time(ConnId peer, std::uint32_t piece,
                                               std::uint32_t block) const {
  const auto found = outstanding_.find(peer);
  if (found == outstanding_.end()) return std::nullopt;
  for (const Request& request : found->second) {
    if (request.piece == piece && request.block == block) return request.at;
  }
  return std::nullopt;
}

std::vector<ActivePieces::Expired> ActivePieces::requests_for(std::uint32_t piece) const {
  std::vector<Expired> requests;
  const Piece& active = pieces_.at(piece);
  for (std::uint32_t i = 0; i < active.blocks.size(); ++i) {
    const Block& block = active.blocks[i];
    for (std::size_t j = 0; j < block.requesters_count; ++j) {
      requests.push_back({block.requesters[j], {piece, static_cast<std::uint16_t>(i), 1}});
    }
  }
  return requests;
}

}  // namespace peernet::transfer
