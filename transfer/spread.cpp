#include "transfer/spread.h"

#include <algorithm>

#include "transfer/layout.h"

namespace peernet::transfer {
namespace {

std::uint32_t size_of(std::uint32_t block, std::uint32_t piece_size) {
  return std::min(kBlockSize, piece_size - block * kBlockSize);
}

}  // namespace

void Spread::on_sent(const Block& block, ConnId peer, const Network& network, bool is_alone) {
  auto found = entrusted_.find(block.piece);
  if (found == entrusted_.end()) {
    if (!is_alone) return;
    const std::uint32_t blocks_count = (block.piece_size + kBlockSize - 1) / kBlockSize;
    const Entrusted entrusted{peer, network, block.piece_size, Bitfield(blocks_count)};
    found = entrusted_.emplace(block.piece, entrusted).first;
  }
  if (found->second.peer != peer) {
    // From now on others may have it from us. What the first kept until now stays kept.
    entrusted_.erase(found);
    return;
  }
  if (!found->second.blocks.set(block.index)) return;
  accounts_[peer].kept += size_of(block.index, block.piece_size);
}

// Others have these blocks: of what was sent of them, the entrusted peer keeps nothing to itself.
void Spread::pass_on(Entrusted& entrusted, std::uint32_t begin, std::uint32_t end) {
  std::uint64_t bytes = 0;
  for (auto block = entrusted.blocks.next_set(begin); block && *block < end;
       block = entrusted.blocks.next_set(*block + 1)) {
    entrusted.blocks.reset(*block);
    bytes += size_of(*block, entrusted.piece_size);
  }
  Account& account = accounts_[entrusted.peer];
  account.kept -= bytes;
  account.passed_on += bytes;
}

bool Spread::has_from(const Entrusted& entrusted, ConnId peer, const Network& network) {
  return entrusted.peer != peer && entrusted.network != network;
}

void Spread::on_had(std::uint32_t piece, ConnId peer, const Network& network) {
  const auto found = entrusted_.find(piece);
  if (found == entrusted_.end() || !has_from(found->second, peer, network)) return;
  pass_on(found->second, 0, found->second.blocks.size());
  entrusted_.erase(found);
}

void Spread::on_had(const wire::BlockRun& run, ConnId peer, const Network& network) {
  const auto found = entrusted_.find(run.piece);
  if (found == entrusted_.end() || !has_from(found->second, peer, network)) return;
  pass_on(found->second, run.first_block, std::uint32_t{run.first_block} + run.count);
}

void Spread::on_has(const Bitfield& has, ConnId peer, const Network& network) {
  std::vector<std::uint32_t> pieces;
  for (const auto& [piece, entrusted] : entrusted_) {
    if (has.test(piece)) pieces.push_back(piece);
  }
  for (const std::uint32_t piece : pieces) on_had(piece, peer, network);
}

void Spread::on_gone(ConnId peer) {
  accounts_.erase(peer);
  std::erase_if(entrusted_, [peer](const auto& entry) { return entry.second.peer == peer; });
}

std::uint64_t Spread::passed_on(ConnId peer) const {
  const auto found = accounts_.find(peer);
  return found == accounts_.end() ? 0 : found->second.passed_on;
}

std::uint64_t Spread::kept(ConnId peer) const {
  const auto found = accounts_.find(peer);
  return found == accounts_.end() ? 0 : found->second.kept;
}

}  // namespace peernet::transfer
