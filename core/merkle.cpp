#include "core/merkle.h"

#include <array>
#include <bit>

#include "core/check.h"
#include "core/hash.h"

namespace peernet::merkle {

namespace {

// A 64-bit file size over 16 KiB blocks makes at most 50 layers above the leaves.
constexpr unsigned kHeightMax = 63;

Hash parent(const Hash& left, const Hash& right) {
  return sha256({left.view(), right.view()});
}

// Replaces a layer by the one above it. A missing right child is the zero subtree of that height.
void climb(std::vector<Hash>& layer, unsigned height) {
  const std::size_t parents_count = layer.size() / 2 + layer.size() % 2;
  for (std::size_t i = 0; i < parents_count; ++i) {
    const bool has_right = 2 * i + 1 < layer.size();
    layer[i] = parent(layer[2 * i], has_right ? layer[2 * i + 1] : zero_root(height));
  }
  layer.resize(parents_count);
}

unsigned log2_of(std::uint64_t power_of_two) {
  return static_cast<unsigned>(std::countr_zero(power_of_two));
}

}  // namespace

const Hash& zero_root(unsigned height) {
  static const auto roots = [] {
    std::array<Hash, kHeightMax + 1> made{};
    for (unsigned i = 1; i <= kHeightMax; ++i) made[i] = parent(made[i - 1], made[i - 1]);
    return made;
  }();
  PN_CHECK(height <= kHeightMax);
  return roots[height];
}

Hash root(std::span<const Hash> nodes, std::uint64_t width, unsigned height) {
  PN_CHECK(std::has_single_bit(width) && !nodes.empty() && nodes.size() <= width);
  std::vector<Hash> layer(nodes.begin(), nodes.end());
  for (unsigned level = 0; level < log2_of(width); ++level) climb(layer, height + level);
  return layer.front();
}

Hash piece_node(std::span<const Hash> leaves, std::uint64_t blocks_per_piece, bool is_only_piece) {
  PN_CHECK(leaves.size() <= blocks_per_piece);
  const std::uint64_t needed = std::bit_ceil(std::uint64_t{leaves.size()});
  return root(leaves, is_only_piece ? needed : blocks_per_piece, 0);
}

Hash root_of_layer(std::span<const Hash> piece_layer, std::uint64_t blocks_per_piece) {
  PN_CHECK(std::has_single_bit(blocks_per_piece));
  return root(piece_layer, std::bit_ceil(std::uint64_t{piece_layer.size()}),
              log2_of(blocks_per_piece));
}

std::vector<Hash> proof(std::span<const Hash> nodes, std::uint64_t width, unsigned height,
                        std::uint64_t index, std::uint64_t count) {
  PN_CHECK(std::has_single_bit(width) && !nodes.empty() && nodes.size() <= width);
  PN_CHECK(std::has_single_bit(count) && count <= width && index % count == 0);
  PN_CHECK(index <= width - count);
  std::vector<Hash> layer(nodes.begin(), nodes.end());
  std::vector<Hash> uncles;
  const unsigned subtree_level = log2_of(count);
  for (unsigned level = 0; level < log2_of(width); ++level) {
    if (level >= subtree_level) {
      const std::uint64_t sibling = index >> level ^ 1U;
      const bool is_padding = sibling >= layer.size();
      uncles.push_back(is_padding ? zero_root(height + level)
                                  : layer[static_cast<std::size_t>(sibling)]);
    }
    climb(layer, height + level);
  }
  return uncles;
}

bool verify(const Hash& node, std::uint64_t index, std::span<const Hash> uncles, const Hash& root) {
  Hash hash = node;
  for (const Hash& uncle : uncles) {
    hash = index % 2 == 0 ? parent(hash, uncle) : parent(uncle, hash);
    index /= 2;
  }
  // An index that is left over names no node of a tree of this height.
  return index == 0 && hash == root;
}

}  // namespace peernet::merkle
