#pragma once

// Content is what a simulated share holds, made from a seed, and where each piece of it lies. The
// layout is counted here a second time on purpose: the oracle does not ask the engine where a piece
// is.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/effects.h"

namespace peernet::sim {

struct ContentFile {
  std::string path;  // below the top; empty for a single file
  Bytes bytes;
  bool is_executable = false;
  std::vector<Hash> leaves{};  // of `bytes`; made by World::keep
};

struct Content {
  std::string name;
  std::uint32_t piece_length = 0;
  std::vector<ContentFile> files;

  std::uint64_t size() const;
  bool is_single_file() const { return files.size() == 1 && files[0].path.empty(); }
  // nullptr: no such file.
  const ContentFile* find(const std::string& path) const;
};

// A single file of exactly `size` bytes.
Content make_file(std::uint64_t seed, const std::string& name, std::uint64_t size,
                  std::uint32_t piece_length);
// A directory of `files_count` files of about `size` bytes together: empty ones, ones of odd sizes,
// executable ones, some in directories below.
Content make_tree(std::uint64_t seed, const std::string& name, std::uint32_t files_count,
                  std::uint64_t size, std::uint32_t piece_length);

struct PiecePlace {
  std::uint32_t file_index = 0;  // in `files`
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
// In the order of `files`, each file starting a new piece.
std::vector<PiecePlace> place_pieces(const std::vector<FileSpec>& files,
                                     std::uint32_t piece_length);

struct BlockPlace {
  std::size_t piece = 0;  // in `pieces`
  PiecePlace place;
};
// Where the blocks lie that the parts of a progress record name: for each piece, in order, its
// number in four bytes, and its blocks as a bitfield. nullopt: that is not what it says.
std::optional<std::vector<BlockPlace>> place_parts(BytesView parts,
                                                   const std::vector<PiecePlace>& pieces);

// The leaf hash of each block.
std::vector<Hash> hash_blocks(BytesView bytes);

// Bit of a bitfield as on the wire: the first piece is the high bit of the first byte.
bool has_bit(BytesView bitfield, std::size_t index);

}  // namespace peernet::sim
