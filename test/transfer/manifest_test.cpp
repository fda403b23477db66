#include "transfer/manifest.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/merkle.h"
#include "test/support/support.h"

namespace peernet::transfer {
namespace {

constexpr std::uint32_t k64KiB = 64U << 10U;
const PathRules kStrict{};
const PathRules kLoose{.allow_unportable = true};

std::vector<Hash> leaves_of(BytesView data) {
  std::vector<Hash> leaves;
  for (std::size_t at = 0; at < data.size(); at += kBlockSize) {
    leaves.push_back(sha256(data.subspan(at, std::min<std::size_t>(kBlockSize, data.size() - at))));
  }
  return leaves;
}

struct Hashed {
  Hash root;
  std::vector<Hash> layer;  // empty where the file has one piece
};

Hashed hash_file(BytesView data, std::uint32_t piece_length) {
  const std::vector<Hash> leaves = leaves_of(data);
  const std::size_t per_piece = piece_length / kBlockSize;
  Hashed hashed;
  if (leaves.size() <= per_piece) {
    hashed.root = merkle::piece_node(leaves, per_piece, true);
    return hashed;
  }
  for (std::size_t at = 0; at < leaves.size(); at += per_piece) {
    const auto count = std::min(per_piece, leaves.size() - at);
    hashed.layer.push_back(
        merkle::piece_node(std::span(leaves).subspan(at, count), per_piece, false));
  }
  hashed.root = merkle::root_of_layer(hashed.layer, per_piece);
  return hashed;
}

Bytes filled(std::size_t size, char with) {
  return Bytes(size, static_cast<std::uint8_t>(with));
}

ManifestFile file_of(std::string path, const Bytes& data, bool is_executable = false) {
  ManifestFile file{std::move(path), data.size(), is_executable, {}};
  if (!data.empty()) file.pieces_root = hash_file(data, k64KiB).root;
  return file;
}

std::vector<ManifestFile> some_tree() {
  return {file_of("bin/run", filled(16'384, 'x'), true), file_of("a.b", filled(5, 'h')),
          file_of("a/z", filled(200'000, 'a')), file_of("a/empty", {}, true)};
}

Bytes text(std::string_view characters) {
  return to_bytes(as_bytes(characters));
}

constexpr std::string_view kRoot = "12345678901234567890123456789012";

std::string entry(std::string_view length = "5") {
  return "d0:d6:lengthi" + std::string(length) + "e11:pieces root32:" + std::string(kRoot) + "ee";
}

std::string with_tree(std::string_view tree, std::string_view name = "4:name") {
  return "d9:file tree" + std::string(tree) + "12:meta versioni2e4:name" + std::string(name) +
         "12:piece lengthi65536ee";
}

Errc code_of(std::string_view encoded, const PathRules& rules = kStrict) {
  const auto manifest = Manifest::decode(as_bytes(encoded), rules);
  REQUIRE_FALSE(manifest);
  return manifest.error().code;
}

// The expected bytes were made by a second implementation of BEP 52, in Python.
TEST_CASE("a manifest is the BEP 52 info dictionary of its tree", "[transfer]") {
  auto files = some_tree();
  files[1] = file_of("a.b", text("hello"));
  const auto manifest = Manifest::build("tree", k64KiB, files, kStrict);
  REQUIRE(manifest);
  CHECK(to_hex(manifest->encoded()) ==
        "64393a66696c65207472656564313a6164353a656d70747964303a64343a61747472313a78363a6c656e6774"
        "686930656565313a7a64303a64363a6c656e677468693230303030306531313a70696563657320726f6f7433"
        "323adf85d60a2cebf528c08feead7bcf9d763e8688f71c6d58232cd2d68eb893fdc4656565333a612e626430"
        "3a64363a6c656e67746869356531313a70696563657320726f6f7433323a2cf24dba5fb0a30e26e83b2ac5b9"
        "e29e1b161e5c1fa7425e73043362938b98246565333a62696e64333a72756e64303a64343a61747472313a78"
        "363a6c656e6774686931363338346531313a70696563657320726f6f7433323a1536c422c31cc98834759d70"
        "85cda394a3510a03d78188248986a6b1a7207d036565656531323a6d6574612076657273696f6e693265343a"
        "6e616d65343a7472656531323a7069656365206c656e6774686936353533366565");
  CHECK(to_hex(manifest->id().view()) ==
        "41072d7952a1d09195e5df5ff11514e41d86e09c6ef8b4949b7e2d45187df0aa");
}

TEST_CASE("a manifest built from any order is the same manifest", "[transfer]") {
  auto files = some_tree();
  const auto manifest = Manifest::build("tree", k64KiB, files, kStrict);
  REQUIRE(manifest);
  std::reverse(files.begin(), files.end());
  const auto again = Manifest::build("tree", k64KiB, files, kStrict);
  REQUIRE(again);
  CHECK(again->id() == manifest->id());

  std::vector<std::string> paths;
  for (const ManifestFile& file : manifest->files()) paths.push_back(file.path);
  CHECK(paths == std::vector<std::string>{"a/empty", "a/z", "a.b", "bin/run"});
  CHECK(manifest->name() == "tree");
  CHECK_FALSE(manifest->is_single_file());
  CHECK(manifest->piece_length() == k64KiB);
  CHECK(manifest->layout().pieces_count() == 4 + 1 + 1);
  CHECK(manifest->files()[0].is_executable);
  CHECK_FALSE(manifest->files()[1].is_executable);
  CHECK(manifest->file_specs()[3].path == "bin/run");
}

TEST_CASE("a manifest is read back as it was built", "[transfer]") {
  const auto built = Manifest::build("tree", k64KiB, some_tree(), kStrict);
  REQUIRE(built);
  const auto decoded = Manifest::decode(built->encoded(), kStrict);
  REQUIRE(decoded);
  CHECK(decoded->files() == built->files());
  CHECK(decoded->id() == built->id());
  CHECK(decoded->id().bytes == sha256(built->encoded()).bytes);
}

TEST_CASE("a tree of one file of the share's own name is that single file", "[transfer]") {
  const auto manifest = Manifest::build("one.txt", k64KiB, {file_of("", text("hello"))}, kStrict);
  REQUIRE(manifest);
  CHECK(manifest->is_single_file());
  CHECK(manifest->files().front().path.empty());
  CHECK(to_hex(manifest->id().view()) ==
        "fee1846aebfd8e95e153c437c5cb8e13f4e0fc92874065ea5863d5877530a595");

  const auto directory =
      Manifest::build("dir", k64KiB, {file_of("one.txt", text("hello"))}, kStrict);
  REQUIRE(directory);
  CHECK_FALSE(directory->is_single_file());
  const auto nested = Manifest::build("dir", k64KiB, {file_of("dir/dir", text("hello"))}, kStrict);
  REQUIRE(nested);
  CHECK_FALSE(nested->is_single_file());
}

TEST_CASE("what has no byte, or would have the id of another share, is refused with a hint",
          "[transfer]") {
  const auto refused = [](const Result<Manifest>& result) {
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::refused);
    CHECK_FALSE(result.error().hint.empty());
  };
  refused(Manifest::build("dir", k64KiB, {}, kStrict));
  refused(Manifest::build("dir", k64KiB, {file_of("a", {}), file_of("b", {})}, kStrict));
  refused(Manifest::build("a", k64KiB, {file_of("", {})}, kStrict));
  refused(Manifest::build("same", k64KiB, {file_of("same", text("x"))}, kStrict));
  CHECK(code_of(with_tree("d1:ad0:d6:lengthi0eeee")) == Errc::refused);
}

TEST_CASE("names in a manifest follow the rules of paths", "[transfer]") {
  const auto tree_of = [](const std::string& name) {
    return with_tree("d" + std::to_string(name.size()) + ":" + name + entry() + "e");
  };
  for (const std::string& name :
       {std::string(".."), std::string("."), std::string("a/b"), std::string("a\nb"),
        std::string("\xff"), std::string("a\0b", 3), std::string(as_text(test::hex("e280ae")))}) {
    CHECK(code_of(tree_of(name)) == Errc::refused);
    CHECK(code_of(tree_of(name), kLoose) == Errc::refused);
  }
  CHECK(code_of(tree_of("nul")) == Errc::refused);
  CHECK(Manifest::decode(as_bytes(tree_of("nul")), kLoose));
  CHECK(code_of(tree_of(std::string(256, 'a'))) == Errc::too_large);

  CHECK(code_of(with_tree("d1:a" + entry() + "e", "2:..")) == Errc::refused);
  CHECK(code_of(with_tree("d1:a" + entry() + "e", "3:a/b")) == Errc::refused);
  CHECK(code_of(with_tree("d1:a" + entry() + "e", "0:")) == Errc::refused);
  CHECK(code_of(with_tree("d1:A" + entry() + "1:a" + entry() + "e")) == Errc::refused);
  CHECK(Manifest::decode(as_bytes(with_tree("d1:A" + entry() + "1:a" + entry() + "e")), kLoose));
}

TEST_CASE("a manifest has exactly the keys of a PeerNet share", "[transfer]") {
  const std::string tree = "d1:a" + entry() + "e";
  CHECK(Manifest::decode(as_bytes(with_tree(tree)), kStrict));
  for (const std::string& encoded :
       {"d9:file tree" + tree + "12:meta versioni1e4:name4:name12:piece lengthi65536ee",
        "d9:file tree" + tree + "12:meta versioni2e4:name4:name12:piece lengthi65537ee",
        "d9:file tree" + tree + "12:meta versioni2e4:name4:name12:piece lengthi8192ee",
        "d9:file tree" + tree + "12:meta versioni2e4:name4:name12:piece lengthi33554432ee",
        "d9:file tree" + tree + "12:meta versioni2e4:name4:name12:piece lengthi-65536ee",
        "d9:file tree" + tree + "12:meta versioni2e4:name4:namee",
        "d9:file tree" + tree + "12:meta versioni2e12:piece lengthi65536ee",
        "d9:file tree" + tree + "4:name4:name12:piece lengthi65536ee",
        std::string("d12:meta versioni2e4:name4:name12:piece lengthi65536ee"),
        "d9:file tree" + tree + "12:meta versioni2e4:name4:name12:piece lengthi65536e7:privatei1ee",
        with_tree("de"), with_tree("le"), with_tree("i1e"), with_tree("1:a"), std::string("le"),
        std::string("i1e"), std::string()}) {
    INFO(encoded);
    CHECK(code_of(encoded) == Errc::malformed);
  }
}

TEST_CASE("a file in a manifest has exactly length, root and perhaps attr x", "[transfer]") {
  const std::string root = "11:pieces root32:" + std::string(kRoot);
  CHECK(Manifest::decode(as_bytes(with_tree("d1:ad0:d4:attr1:x6:lengthi5e" + root + "eee")),
                         kStrict));
  for (const std::string& file :
       {std::string("d6:lengthi5ee"),                    // bytes and no root
        "d6:lengthi0e" + root + "e",                     // root and no bytes
        "d6:lengthi-1e" + root + "e", "d" + root + "e",  // no length
        "d4:attr1:h6:lengthi5e" + root + "e",            // hidden
        "d4:attr2:xl6:lengthi5e" + root + "e", "d4:attr0:6:lengthi5e" + root + "e",
        "d6:lengthi5e11:pieces root31:" + std::string(kRoot.substr(1)) + "e",
        "d6:lengthi5e" + root + "12:symlink pathl1:aee", std::string("de"), std::string("le")}) {
    INFO(file);
    CHECK(code_of(with_tree("d1:ad0:" + file + "ee")) == Errc::malformed);
  }
  // A file that is also a directory, a directory without entries, a file at the root.
  CHECK(code_of(with_tree("d1:ad0:d6:lengthi5e" + root + "e1:b" + entry() + "ee")) ==
        Errc::malformed);
  CHECK(code_of(with_tree("d1:adee")) == Errc::malformed);
  CHECK(code_of(with_tree(entry())) == Errc::refused);
}

TEST_CASE("only canonical bencode has an id", "[transfer]") {
  CHECK(code_of(with_tree("d1:b" + entry() + "1:a" + entry() + "e")) == Errc::malformed);
  CHECK(code_of(with_tree("d1:a" + entry() + "1:a" + entry() + "e")) == Errc::malformed);
  CHECK(code_of(with_tree("d1:a" + entry("05") + "e")) == Errc::malformed);
  CHECK(code_of(with_tree("d1:a" + entry() + "e") + "x") == Errc::malformed);
  const std::string good = with_tree("d1:a" + entry() + "e");
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(Manifest::decode(as_bytes(std::string_view(good).substr(0, size)), kStrict));
  }
}

TEST_CASE("sizes are bounded before anything is made of them", "[transfer]") {
  const auto sized = [](std::string_view length) {
    return with_tree("d1:a" + entry(length) + "e");
  };
  CHECK(code_of(sized("9007199254740993")) == Errc::too_large);  // 2^53 + 1
  CHECK(code_of(sized("9223372036854775807")) == Errc::too_large);
  CHECK(code_of(sized("9223372036854775808")) == Errc::malformed);
  const std::uint64_t most = std::uint64_t{kPiecesCountMax} * k64KiB;
  CHECK(Manifest::decode(as_bytes(sized(std::to_string(most))), kStrict));
  CHECK(code_of(sized(std::to_string(most + 1))) == Errc::too_large);
}

TEST_CASE("a manifest has at most the bytes and entries of its limits", "[transfer]") {
  const std::string tree =
      "d1:a" + entry() + "1:bd1:c" + entry() + "1:d" + entry() + "ee";  // 4 entries
  const std::string encoded = with_tree(tree);
  const auto decode = [&](ManifestLimits limits) {
    return Manifest::decode(as_bytes(encoded), kStrict, limits);
  };
  CHECK(decode({.encoded_size_max = encoded.size(), .entries_max = 4}));
  CHECK(decode({.encoded_size_max = encoded.size() - 1, .entries_max = 4}).error().code ==
        Errc::too_large);
  CHECK(decode({.encoded_size_max = encoded.size(), .entries_max = 3}).error().code ==
        Errc::too_large);
  CHECK(decode({.encoded_size_max = encoded.size(), .entries_max = 0}).error().code ==
        Errc::too_large);
}

TEST_CASE("200,000 entries fit and one more does not", "[transfer]") {
  std::vector<ManifestFile> files;
  const Hash root = sha256(as_bytes("x"));
  for (std::size_t i = 0; i < ManifestLimits{}.entries_max; ++i) {
    files.push_back({"f" + std::to_string(i), 1, false, root});
  }
  CHECK(Manifest::build("many", k64KiB, files, kStrict));
  files.push_back({"one more", 1, false, root});
  const auto crowded = Manifest::build("many", k64KiB, files, kStrict);
  REQUIRE_FALSE(crowded);
  CHECK(crowded.error().code == Errc::too_large);
}

TEST_CASE("a tree is at most 64 names deep", "[transfer]") {
  const auto nested = [](std::size_t depth) {
    std::string tree;
    for (std::size_t i = 1; i < depth; ++i) tree += "d1:a";
    tree += "d1:f" + entry() + "e";
    return with_tree(tree + std::string(depth - 1, 'e'));
  };
  CHECK(Manifest::decode(as_bytes(nested(kPathDepthMax)), kStrict));
  CHECK(code_of(nested(kPathDepthMax + 1)) == Errc::too_large);
  CHECK(code_of(nested(100'000)) == Errc::too_large);

  const auto long_path = [](std::size_t last) {
    const std::string name = "d255:" + std::string(255, 'a');
    return with_tree(name + name + name + name + "d" + std::to_string(last) + ":" +
                     std::string(last, 'b') + entry() + "eeeee");
  };
  CHECK(code_of(long_path(1)) == Errc::too_large);  // 4 * 256 + 1
}

TEST_CASE("paths that repeat long directories many times are over a limit", "[transfer]") {
  std::vector<ManifestFile> files;
  const std::string deep =
      std::string(255, 'a') + '/' + std::string(255, 'b') + '/' + std::string(255, 'c') + '/';
  const Hash root = sha256(as_bytes("x"));
  files.reserve(5000);
  for (int i = 0; i < 1000; ++i) files.push_back({deep + std::to_string(i), 1, false, root});
  CHECK(Manifest::build("few", k64KiB, files, kStrict));
  for (int i = 1000; i < 5000; ++i) files.push_back({deep + std::to_string(i), 1, false, root});
  const auto repeated = Manifest::build("many", k64KiB, files, kStrict);
  REQUIRE_FALSE(repeated);
  CHECK(repeated.error().code == Errc::too_large);
}

TEST_CASE("the piece length is the smallest that makes at most 2048 pieces", "[transfer]") {
  CHECK(Manifest::choose_piece_length(1) == k64KiB);
  CHECK(Manifest::choose_piece_length(std::uint64_t{2048} * k64KiB) == k64KiB);
  CHECK(Manifest::choose_piece_length(std::uint64_t{2048} * k64KiB + 1) == 2 * k64KiB);
  CHECK(Manifest::choose_piece_length(std::uint64_t{2048} * kPieceLengthMax) == kPieceLengthMax);
  CHECK(Manifest::choose_piece_length(kShareSizeMax) == kPieceLengthMax);
}

// ---- Piece layers

struct Share {
  Manifest manifest;
  Bytes layers;
  std::vector<Bytes> contents;
};

// Files of 5 pieces, of one, of none, and of 4100 pieces of 16 KiB, in one share.
Share make_share(std::uint32_t piece_length, const std::vector<std::size_t>& sizes) {
  std::vector<ManifestFile> files;
  Share share{*Manifest::build("x", k64KiB, {file_of("", text("y"))}, kStrict), {}, {}};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Bytes data(sizes[i]);
    for (std::size_t at = 0; at < data.size(); ++at) {
      data[at] = static_cast<std::uint8_t>(at / 251 + i);
    }
    ManifestFile file{std::string(1, static_cast<char>('a' + i)), data.size(), false, {}};
    if (!data.empty()) {
      const Hashed hashed = hash_file(data, piece_length);
      file.pieces_root = hashed.root;
      for (const Hash& node : hashed.layer) append(share.layers, node.view());
    }
    files.push_back(file);
    share.contents.push_back(std::move(data));
  }
  share.manifest = *Manifest::build("share", piece_length, files, kStrict);
  return share;
}

TEST_CASE("piece layers must hash to the roots of the manifest", "[transfer]") {
  const Share share = make_share(k64KiB, {5 * k64KiB - 7, 1000, 0, k64KiB, k64KiB + 1});
  REQUIRE(PieceLayers::size_of(share.manifest) == 7 * Hash::kSize);
  REQUIRE(share.layers.size() == 7 * Hash::kSize);
  const auto layers = PieceLayers::check(share.manifest, share.layers);
  REQUIRE(layers);

  for (std::size_t i = 0; i < share.layers.size(); ++i) {
    Bytes wrong = share.layers;
    wrong[i] ^= 1U;
    const auto refused = PieceLayers::check(share.manifest, wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::corrupt);
  }
  Bytes longer = share.layers;
  longer.resize(longer.size() + Hash::kSize, 0);
  CHECK(PieceLayers::check(share.manifest, longer).error().code == Errc::malformed);
  CHECK(PieceLayers::check(share.manifest, Bytes{}).error().code == Errc::malformed);
}

TEST_CASE("leaves are checked against the piece layer, or the root of a file of one piece",
          "[transfer]") {
  const Share share = make_share(k64KiB, {5 * k64KiB - 7, 20'000, 0, k64KiB, k64KiB + 1});
  const auto layers = PieceLayers::check(share.manifest, share.layers);
  REQUIRE(layers);
  for (std::uint32_t i = 0; i < share.manifest.layout().pieces_count(); ++i) {
    const Piece piece = share.manifest.layout().piece(i);
    const BytesView data = BytesView(share.contents[piece.file_index])
                               .subspan(static_cast<std::size_t>(piece.offset), piece.size);
    std::vector<Hash> leaves = leaves_of(data);
    CHECK(layers->check_leaves(share.manifest, i, leaves));
    leaves.push_back(Hash{});
    CHECK_FALSE(layers->check_leaves(share.manifest, i, leaves));
    leaves.pop_back();
    leaves.back().bytes[31] ^= 1U;
    CHECK_FALSE(layers->check_leaves(share.manifest, i, leaves));
    CHECK_FALSE(layers->check_leaves(share.manifest, i, {}));
  }
}

TEST_CASE("a layer hashed in parts has the root of the whole", "[transfer]") {
  for (const std::size_t pieces : {4095U, 4096U, 4097U, 9000U}) {
    std::vector<Hash> nodes;
    Bytes packed;
    for (std::size_t i = 0; i < pieces; ++i) {
      const auto low = static_cast<std::uint8_t>(i);
      const auto high = static_cast<std::uint8_t>(i >> 8U);
      nodes.push_back(sha256({BytesView(&low, 1), BytesView(&high, 1)}));
      append(packed, nodes.back().view());
    }
    const ManifestFile file{"", pieces * k64KiB, false, merkle::root_of_layer(nodes, 4)};
    const auto manifest = Manifest::build("large", k64KiB, {file}, kStrict);
    REQUIRE(manifest);
    const auto layers = PieceLayers::check(*manifest, packed);
    REQUIRE(layers);
    CHECK(layers->piece_hash(*manifest, 4094) == nodes[4094]);
    packed.back() ^= 1U;
    CHECK_FALSE(PieceLayers::check(*manifest, packed));
  }
}

TEST_CASE("a share of files of one piece has no piece layers", "[transfer]") {
  const auto manifest = Manifest::build("one", k64KiB, {file_of("", text("hello"))}, kStrict);
  REQUIRE(manifest);
  const auto layers = PieceLayers::check(*manifest, {});
  REQUIRE(layers);
  CHECK(layers->piece_hash(*manifest, 0) == sha256(as_bytes("hello")));
}

}  // namespace
}  // namespace peernet::transfer
