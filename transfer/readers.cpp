#include "transfer/readers.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace peernet::transfer {

std::uint32_t window_pieces(const Layout& layout) {
  const auto pieces = static_cast<std::uint32_t>(kReadWindow / layout.piece_length());
  return std::max(pieces, kReadWindowPiecesMin);
}

bool Readers::add(ReadId id, Read read) {
  if (!windows_.contains(read.reader)) {
    if (windows_.size() >= kReadersMax) return false;
    windows_.emplace(read.reader, Window{});
  }
  reads_.emplace(id, std::move(read));
  return true;
}

void Readers::remove(ReaderId reader) {
  windows_.erase(reader);
  std::erase_if(reads_, [&](const auto& entry) { return entry.second.reader == reader; });
}

void Readers::on_failed(ReadId id) {
  const auto found = reads_.find(id);
  if (found == reads_.end()) return;
  found->second.is_at_disk = false;
  found->second.is_one_piece = true;
}

void Readers::place(ReaderId reader, const Layout& layout, std::uint32_t file_index,
                    std::uint64_t offset) {
  const auto found = windows_.find(reader);
  PN_CHECK(found != windows_.end());
  const Layout::File& file = layout.file(file_index);
  const std::uint32_t begin = layout.piece_at(file_index, offset);
  const std::uint32_t end = file.first_piece + file.pieces_count;
  found->second = {begin, begin + std::min(window_pieces(layout), end - begin)};
}

std::vector<std::uint32_t> Readers::urgent(const Bitfield& lacking) const {
  std::vector<Window> windows;
  for (const auto& [reader, window] : windows_) windows.push_back(window);
  std::vector<std::uint32_t> pieces;
  bool is_more = true;
  while (is_more && pieces.size() < kUrgentMax) {
    is_more = false;
    for (Window& window : windows) {
      if (window.begin >= window.end) continue;
      const auto piece = lacking.next_set(window.begin);
      window.begin = piece && *piece < window.end ? *piece + 1 : window.end;
      if (!piece || *piece >= window.end) continue;
      is_more = true;
      // Two readers in one place want it once.
      const bool is_known = windows.size() > 1 && std::ranges::find(pieces, *piece) != pieces.end();
      if (!is_known) pieces.push_back(*piece);
      if (pieces.size() == kUrgentMax) break;
    }
  }
  return pieces;
}

}  // namespace peernet::transfer
