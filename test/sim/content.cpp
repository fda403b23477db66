#include "test/sim/content.h"

#include <algorithm>

#include "core/hash.h"
#include "core/merkle.h"
#include "core/rng.h"

namespace peernet::sim {
namespace {

Bytes make_bytes(Rng& rng, std::uint64_t size) {
  Bytes bytes(size);
  rng.fill(bytes);
  return bytes;
}

}  // namespace

std::uint64_t Content::size() const {
  std::uint64_t total = 0;
  for (const ContentFile& file : files) total += file.bytes.size();
  return total;
}

const ContentFile* Content::find(const std::string& path) const {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const ContentFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

Content make_file(std::uint64_t seed, const std::string& name, std::uint64_t size,
                  std::uint32_t piece_length) {
  Rng rng(seed);
  Content content;
  content.name = name;
  content.piece_length = piece_length;
  content.files.push_back({"", make_bytes(rng, size), false});
  return content;
}

Content make_tree(std::uint64_t seed, const std::string& name, std::uint32_t files_count,
                  std::uint64_t size, std::uint32_t piece_length) {
  Rng rng(seed);
  Content content;
  content.name = name;
  content.piece_length = piece_length;
  for (std::uint32_t i = 0; i < files_count; ++i) {
    std::string path;
    if (i % 7 == 2) path = "deep/er/";
    if (i % 3 == 1) path += "d" + std::to_string(i % 5) + "/";
    path += "f" + std::to_string(i);
    const std::uint64_t average = std::max<std::uint64_t>(size / files_count, 1);
    const std::uint64_t drawn = i % 6 == 5 ? 0 : 1 + rng.below(2 * average);
    content.files.push_back({path, make_bytes(rng, drawn), i % 4 == 3});
  }
  return content;
}

std::vector<PiecePlace> place_pieces(const std::vector<FileSpec>& files,
                                     std::uint32_t piece_length) {
  std::vector<PiecePlace> places;
  for (std::uint32_t i = 0; i < files.size(); ++i) {
    for (std::uint64_t at = 0; at < files[i].size; at += piece_length) {
      places.push_back({i, at, std::min<std::uint64_t>(piece_length, files[i].size - at)});
    }
  }
  return places;
}

std::optional<std::vector<BlockPlace>> place_parts(BytesView parts,
                                                   const std::vector<PiecePlace>& pieces) {
  std::vector<BlockPlace> places;
  while (!parts.empty()) {
    if (parts.size() < 4) return std::nullopt;
    std::size_t piece = 0;
    for (const std::uint8_t byte : parts.first(4)) piece = piece << 8U | byte;
    if (piece >= pieces.size()) return std::nullopt;
    const PiecePlace& whole = pieces[piece];
    const std::uint64_t count = (whole.size + merkle::kBlockSize - 1) / merkle::kBlockSize;
    const std::size_t end = 4 + (count + 7) / 8;
    if (parts.size() < end) return std::nullopt;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!has_bit(parts.subspan(4, end - 4), i)) continue;
      const std::uint64_t at = i * merkle::kBlockSize;
      const auto size = std::min<std::uint64_t>(merkle::kBlockSize, whole.size - at);
      places.push_back({piece, {whole.file_index, whole.offset + at, size}});
    }
    parts = parts.subspan(end);
  }
  return places;
}

std::vector<Hash> hash_blocks(BytesView bytes) {
  std::vector<Hash> leaves;
  for (std::size_t at = 0; at < bytes.size(); at += merkle::kBlockSize) {
    leaves.push_back(
        sha256(bytes.subspan(at, std::min<std::size_t>(merkle::kBlockSize, bytes.size() - at))));
  }
  return leaves;
}

bool has_bit(BytesView bitfield, std::size_t index) {
  return index / 8 < bitfield.size() && (bitfield[index / 8] >> (7 - index % 8) & 1U) != 0;
}

}  // namespace peernet::sim
