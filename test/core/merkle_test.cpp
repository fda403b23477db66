#include "core/merkle.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>

#include "core/hash.h"
#include "test/support/support.h"

namespace peernet::test {
namespace {

using merkle::kBlockSize;

Hash pair(const Hash& left, const Hash& right) {
  Bytes both = to_bytes(left.view());
  append(both, right.view());
  return sha256(both);
}

std::vector<Hash> leaves_of(BytesView file) {
  std::vector<Hash> leaves;
  for (std::size_t at = 0; at < file.size(); at += kBlockSize) {
    leaves.push_back(sha256(file.subspan(at, std::min<std::size_t>(kBlockSize, file.size() - at))));
  }
  return leaves;
}

// The tree as BEP 52 tells it: every padding leaf is there, and every node is hashed.
Hash naive_root(std::vector<Hash> leaves, std::size_t width) {
  leaves.resize(width);
  while (leaves.size() > 1) {
    std::vector<Hash> above;
    for (std::size_t i = 0; i < leaves.size(); i += 2) {
      above.push_back(pair(leaves[i], leaves[i + 1]));
    }
    leaves = above;
  }
  return leaves[0];
}

struct Tree {
  std::vector<Hash> layer;  // empty: a file of at most one piece
  Hash root;
};

Tree tree_of(BytesView file, std::size_t blocks_per_piece) {
  const std::vector<Hash> leaves = leaves_of(file);
  const std::span<const Hash> all = leaves;
  if (leaves.size() <= blocks_per_piece) {
    return {{}, merkle::piece_node(all, blocks_per_piece, true)};
  }
  Tree tree;
  for (std::size_t at = 0; at < all.size(); at += blocks_per_piece) {
    const auto piece = all.subspan(at, std::min(blocks_per_piece, all.size() - at));
    tree.layer.push_back(merkle::piece_node(piece, blocks_per_piece, false));
  }
  tree.root = merkle::root_of_layer(tree.layer, blocks_per_piece);
  return tree;
}

Hash hash_of_layer(const std::vector<Hash>& layer) {
  Bytes bytes;
  for (const Hash& node : layer) append(bytes, node.view());
  return sha256(bytes);
}

}  // namespace

TEST_CASE("roots and piece layers are those that libtorrent 2.0.8 computes", "[core]") {
  struct Fact {
    std::size_t size;
    std::string_view root;
    std::string_view layer_hash;  // SHA-256 of the piece layer
  };
  const std::size_t piece_size = 65'536;
  const std::array<Fact, 12> facts{{
      {1, "df7e70e5021544f4834bbee64a9e3789febc4be81470df629cad6ddb03320a5c", ""},
      {16383, "2499922ff09a2d548e9eeb0f2f95c405b63f5dd0455a10ce5d5316524a2f5e05", ""},
      {16384, "1e1d9b75dae5c2a0f36f41d641ccdbceb8e3f7808958b13cc3069492ba0fef0f", ""},
      {16385, "b05af40e66c3a5e187821e18a27e46fd6f8c9bd08b75ef1c99a2dd4a089764aa", ""},
      {49152, "cf3444e6c1bbd5fecf5deb790dc769ed1267bb59fc9942beb8e297851f81d012", ""},
      {65535, "cbddef5e09626e797fc8d67c6b9d8c661aa311be539b1b51a97b1d9dcf202489", ""},
      {65536, "fcecdf62d7c50e1ccd99022ee62388b92331fd523d62fe16b96be87a85c23b3a", ""},
      {65537, "dc7df3ae5c911054c3b79e53fcedbb1d9f9b0ff8ecd9704b7bd6f628597ac000",
       "dc7df3ae5c911054c3b79e53fcedbb1d9f9b0ff8ecd9704b7bd6f628597ac000"},
      {131072, "756c3c9efdc59d78f2cf11155638d5b643c1c11718ad314a7f122d03f2020ba8",
       "756c3c9efdc59d78f2cf11155638d5b643c1c11718ad314a7f122d03f2020ba8"},
      {131073, "ca031b3f391cff0120be2ce2941691c84118e0f5ca243f421bd4498b731ab60c",
       "e213b408f9e7fd5fd30753052681a1a297e3111a9eb61901362dcfb269e82f7c"},
      {376839, "7a17842e0f640703440edbd024a0366d73dc1318aa45287670e4625bb0bc4fe4",
       "0500dce03be011f11ef3b77707ab43636d5b990f9991f0ce201d9b6e63366a2e"},
      {589824, "dcc2358de18d0941d0264863b9681d3611b6b29d0c86c661e0ff7e80d37329c9",
       "61754638da0f715ae204a285bb0c0216a57fd24551fcbc6bf3155eb4653f9042"},
  }};
  for (const Fact& fact : facts) {
    INFO(fact.size);
    const Tree tree = tree_of(pattern(fact.size), piece_size / kBlockSize);
    CHECK(to_hex(tree.root.view()) == fact.root);
    CHECK(tree.layer.empty() == fact.layer_hash.empty());
    if (!tree.layer.empty()) CHECK(to_hex(hash_of_layer(tree.layer).view()) == fact.layer_hash);
  }
}

TEST_CASE("the root is that of the naive tree at every boundary", "[core]") {
  for (const std::size_t blocks_per_piece : {1U, 4U, 8U}) {
    const std::size_t piece = blocks_per_piece * kBlockSize;
    for (const std::size_t size :
         {std::size_t{1}, std::size_t{kBlockSize - 1}, std::size_t{kBlockSize},
          std::size_t{kBlockSize + 1}, piece - 1, piece, piece + 1, 2 * piece - 1, 2 * piece,
          2 * piece + 1, 3 * piece, 5 * piece + 3 * kBlockSize + 7}) {
      INFO(blocks_per_piece << " " << size);
      const Bytes file = pattern(size, 3);
      const std::vector<Hash> leaves = leaves_of(file);
      const Tree tree = tree_of(file, blocks_per_piece);
      // More than one piece: the layer is padded, so the tree is at least a whole number of pieces.
      std::size_t width = std::bit_ceil(leaves.size());
      if (leaves.size() > blocks_per_piece) {
        width = std::bit_ceil((leaves.size() + blocks_per_piece - 1) / blocks_per_piece) *
                blocks_per_piece;
      }
      CHECK(tree.root == naive_root(leaves, width));
      for (std::size_t i = 0; i < tree.layer.size(); ++i) {
        const auto begin = leaves.begin() + static_cast<std::ptrdiff_t>(i * blocks_per_piece);
        const auto end = leaves.begin() + static_cast<std::ptrdiff_t>(
                                              std::min(leaves.size(), (i + 1) * blocks_per_piece));
        CHECK(tree.layer[i] == naive_root({begin, end}, blocks_per_piece));
      }
    }
  }
}

TEST_CASE("a zero root is the root of that many zero leaves", "[core]") {
  CHECK(merkle::zero_root(0) == Hash{});
  for (unsigned height = 0; height < 8; ++height) {
    CHECK(merkle::zero_root(height) == naive_root({Hash{}}, std::size_t{1} << height));
  }
  CHECK(merkle::zero_root(50) == pair(merkle::zero_root(49), merkle::zero_root(49)));
}

TEST_CASE("every aligned subtree is proven by its uncles, and by nothing else", "[core]") {
  for (const std::size_t nodes_count : {1U, 2U, 5U, 8U, 13U}) {
    std::vector<Hash> nodes;
    for (std::size_t i = 0; i < nodes_count; ++i) nodes.push_back(tagged<Hash>(i + 1));
    const std::uint64_t width = std::bit_ceil(nodes_count);
    for (const unsigned height : {0U, 3U}) {
      const Hash root = merkle::root(nodes, width, height);
      for (std::uint64_t count = 1; count <= width; count *= 2) {
        for (std::uint64_t index = 0; index < nodes_count; index += count) {
          INFO(nodes_count << " " << height << " " << index << " " << count);
          const auto covered = std::span<const Hash>(nodes).subspan(
              static_cast<std::size_t>(index),
              static_cast<std::size_t>(std::min(count, nodes_count - index)));
          const Hash node = merkle::root(covered, count, height);
          const auto uncles = merkle::proof(nodes, width, height, index, count);
          CHECK(uncles.size() == static_cast<std::size_t>(std::countr_zero(width / count)));
          const std::uint64_t place = index / count;
          CHECK(merkle::verify(node, place, uncles, root));
          CHECK_FALSE(merkle::verify(node, place + (width / count), uncles, root));
          CHECK_FALSE(merkle::verify(tagged<Hash>(999), place, uncles, root));
          CHECK_FALSE(merkle::verify(node, place, uncles, tagged<Hash>(999)));
          if (uncles.empty()) continue;
          CHECK_FALSE(merkle::verify(node, place ^ 1U, uncles, root));
          auto wrong = uncles;
          wrong.back().bytes[31] ^= 1U;
          CHECK_FALSE(merkle::verify(node, place, wrong, root));
          auto cut = uncles;
          cut.pop_back();
          CHECK_FALSE(merkle::verify(node, place, cut, root));
        }
      }
    }
  }
}

TEST_CASE("the index of a proof must fit the height of its tree, up to 2^64", "[core]") {
  const Hash only = tagged<Hash>(1);
  CHECK(merkle::verify(only, 0, {}, only));
  CHECK_FALSE(merkle::verify(only, 1, {}, only));
  CHECK_FALSE(merkle::verify(only, ~std::uint64_t{0}, {}, only));
}

}  // namespace peernet::test
