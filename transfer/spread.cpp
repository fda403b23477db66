#include "transfer/spread.h"

namespace peernet::transfer {

void Spread::on_sent(std::uint32_t piece, ConnId peer, const Network& network, std::uint64_t bytes,
                     bool is_alone) {
  auto found = entrusted_.find(piece);
  if (found == entrusted_.end()) {
    if (!is_alone) return;
    found = entrusted_.emplace(piece, Entrusted{peer, network, 0}).first;
  }
  if (found->second.peer != peer) {
    // From now on others may have it from us. What the first kept until now stays kept.
    entrusted_.erase(found);
    return;
  }
  found->second.bytes += bytes;
  accounts_[peer].kept += bytes;
}

void Spread::on_had(std::uint32_t piece, ConnId peer, const Network& network) {
  const auto found = entrusted_.find(piece);
  if (found == entrusted_.end()) return;
  if (found->second.peer == peer || found->second.network == network) return;
  Account& account = accounts_[found->second.peer];
  account.kept -= found->second.bytes;
  account.passed_on += found->second.bytes;
  entrusted_.erase(found);
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
