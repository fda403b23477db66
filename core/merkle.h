#pragma once

// The per-file Merkle trees of BEP 52: SHA-256 over 16 KiB blocks, binary, the leaf count padded to
// a power of two with zero hashes. Layer 0 is the leaves. The piece layer is the layer whose nodes
// each cover one piece; a file of at most one piece has no piece layer of its own (its root stands
// for it).

#include <cstdint>
#include <span>
#include <vector>

#include "core/bytes.h"

namespace peernet::merkle {

inline constexpr std::uint32_t kBlockSize = 16 * 1024;

// The root of a subtree with all-zero leaves, `height` layers above the leaves.
const Hash& zero_root(unsigned height);

// Root of the tree over `nodes`, padded on the right to `width` nodes with zero_root(height), where
// the nodes stand `height` layers above the leaves. Requires: width a power of two, nodes.size()
// in [1, width].
Hash root(std::span<const Hash> nodes, std::uint64_t width, unsigned height);

// The node of the piece layer that covers these leaves (at most blocks_per_piece of them). In a
// file of at most one piece the tree is only as wide as the leaves need, so that this is its root.
Hash piece_node(std::span<const Hash> leaves, std::uint64_t blocks_per_piece, bool is_only_piece);

// Root of a file from its piece layer (more than one node).
Hash root_of_layer(std::span<const Hash> piece_layer, std::uint64_t blocks_per_piece);

// Uncle hashes from the layer that holds `nodes` (padded as in root) up to below the root: what
// proves nodes[index .. index+count). Requires: count a power of two that divides index.
std::vector<Hash> proof(std::span<const Hash> nodes, std::uint64_t width, unsigned height,
                        std::uint64_t index, std::uint64_t count);
// Does the subtree root `node`, the index-th node of its layer, hash up to `root` with these
// uncles?
bool verify(const Hash& node, std::uint64_t index, std::span<const Hash> uncles, const Hash& root);

}  // namespace peernet::merkle
