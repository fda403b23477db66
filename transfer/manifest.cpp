#include "transfer/manifest.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "core/bencode.h"
#include "core/check.h"
#include "core/hash.h"
#include "core/merkle.h"

namespace peernet::transfer {
namespace {

constexpr std::int64_t kMetaVersion = 2;
constexpr std::uint32_t kPieceLengthChosenMin = 64U << 10U;
constexpr std::uint64_t kPiecesChosenMax = 2048;
// Name, its dictionary, "", its dictionary, and three keys with their values.
constexpr std::size_t kTokensPerEntry = 10;
constexpr std::size_t kTokensBeside = 16;
// Info dictionary, file tree, the directories, the file's two.
constexpr std::size_t kBencodeDepthMax = kPathDepthMax + 4;
constexpr std::size_t kPathsSizeSpare = std::size_t{1} << 20U;
// Nodes of a piece layer that are hashed at a time, so that a large layer is not copied whole.
constexpr std::size_t kLayerPartNodes = 4096;

Error malformed_manifest(std::string what) {
  return {Errc::malformed, "the manifest is wrong: " + std::move(what), ""};
}

Error too_large(std::string what) {
  return {Errc::too_large, "the manifest is over a limit: " + std::move(what),
          "limits.manifest_size and limits.manifest_entries say how much is allowed"};
}

Error no_byte() {
  return {Errc::refused, "the share has no byte in it", "share something that is not empty"};
}

std::string quoted(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

bool is_key(const bencode::Value& key, std::string_view name) {
  const auto text = key.string();
  return text && as_text(*text) == name;
}

struct Header {
  std::string name;
  std::uint32_t piece_length = 0;
  bencode::Value file_tree;
};

Result<Header> read_header(const bencode::Value& root, const PathRules& rules) {
  if (!root.is_dict()) return malformed_manifest("it is not a dictionary");
  Header header;
  bool has_version = false;
  for (auto key = root.first_child(); key.exists();) {
    const auto value = key.next_sibling();
    if (is_key(key, "file tree") && value.is_dict()) {
      header.file_tree = value;
    } else if (is_key(key, "meta version") && value.integer() == kMetaVersion) {
      has_version = true;
    } else if (is_key(key, "name") && value.string()) {
      auto name = ValidatedPath::parse_name(as_text(*value.string()), rules);
      if (!name) return name.error();
      header.name = name->str();
    } else if (is_key(key, "piece length")) {
      const std::int64_t length = value.integer().value_or(0);
      if (length < kPieceLengthMin || length > kPieceLengthMax ||
          !std::has_single_bit(static_cast<std::uint64_t>(length))) {
        return malformed_manifest("the piece length is not a power of two from 16 KiB to 16 MiB");
      }
      header.piece_length = static_cast<std::uint32_t>(length);
    } else {
      return malformed_manifest("its keys are not exactly those of a PeerNet share");
    }
    key = value.next_sibling();
  }
  if (!header.file_tree.exists() || !has_version || header.name.empty() ||
      header.piece_length == 0) {
    return malformed_manifest("a key is missing");
  }
  return header;
}

// The dictionary under the key "" of a file.
Result<ManifestFile> read_file(const bencode::Value& entry) {
  if (!entry.is_dict()) return malformed_manifest("a file is not a dictionary");
  ManifestFile file;
  bool has_length = false;
  bool has_root = false;
  for (auto key = entry.first_child(); key.exists();) {
    const auto value = key.next_sibling();
    if (is_key(key, "attr") && is_key(value, "x")) {
      file.is_executable = true;
    } else if (is_key(key, "length") && value.integer().value_or(-1) >= 0) {
      has_length = true;
      file.size = static_cast<std::uint64_t>(*value.integer());
    } else if (is_key(key, "pieces root") && value.string()) {
      const auto root = Hash::from(*value.string());
      if (!root) return malformed_manifest("a pieces root is not 32 bytes");
      has_root = true;
      file.pieces_root = *root;
    } else {
      return malformed_manifest("a file has a key, or a value, that PeerNet does not use");
    }
    key = value.next_sibling();
  }
  if (!has_length) return malformed_manifest("a file has no length");
  if (has_root != (file.size > 0))
    return malformed_manifest("a file has bytes and no hash, or the reverse");
  if (file.size > kShareSizeMax) return too_large("a file is larger than 2^53 bytes");
  return file;
}

// Walks the file tree with a stack of its own; the tree's depth never becomes the program's.
class TreeReader {
 public:
  TreeReader(const PathRules& rules, std::size_t entries_max, std::size_t paths_size_max)
      : rules_(rules), entries_left_(entries_max), paths_size_left_(paths_size_max) {}

  Result<void> run(const bencode::Value& tree) {
    if (!tree.first_child().exists()) return malformed_manifest("the file tree is empty");
    open_.push_back({tree.first_child(), 0});
    while (!open_.empty()) {
      Open& directory = open_.back();
      const auto key = directory.next_key;
      if (!key.exists()) {
        open_.pop_back();
        continue;
      }
      const auto value = key.next_sibling();
      directory.next_key = value.next_sibling();
      path_.resize(directory.path_size);
      auto read = read_entry(as_text(key.string().value_or(BytesView{})), value);
      if (!read) return read;
    }
    return {};
  }

  std::vector<ManifestFile> take_files() { return std::move(files_); }

 private:
  struct Open {
    bencode::Value next_key;
    std::size_t path_size;  // of the directory's own path, with the slash after it
  };

  Result<void> read_entry(std::string_view name, const bencode::Value& value) {
    if (entries_left_-- == 0) return too_large("too many files and directories");
    const auto valid = ValidatedPath::parse_name(name, rules_);
    if (!valid) return valid.error();
    path_ += name;
    if (path_.size() > kPathSizeMax) return too_large("a path is longer than 1024 bytes");
    const auto first = value.first_child();
    if (!value.is_dict() || !first.exists()) return malformed_manifest("a directory has no entry");
    if (!is_key(first, "")) {
      if (open_.size() >= kPathDepthMax) return too_large("a path is deeper than 64 directories");
      path_ += '/';
      open_.push_back({first, path_.size()});
      return {};
    }
    if (first.next_sibling().next_sibling().exists()) {
      return malformed_manifest(quoted(path_) + " is a file and also a directory");
    }
    auto file = read_file(first.next_sibling());
    if (!file) return file.error();
    if (path_.size() > paths_size_left_) return too_large("its paths repeat too much");
    paths_size_left_ -= path_.size();
    file->path = path_;
    files_.push_back(*std::move(file));
    return {};
  }

  PathRules rules_;
  std::size_t entries_left_;
  std::size_t paths_size_left_;
  std::vector<Open> open_;
  std::string path_;
  std::vector<ManifestFile> files_;
};

Result<void> check_paths(const std::vector<ManifestFile>& files, const PathRules& rules) {
  std::vector<std::string_view> paths;
  paths.reserve(files.size());
  for (const ManifestFile& file : files) paths.emplace_back(file.path);
  return check_tree(paths, rules);
}

// What decoding says of a name without the path it stands in, or not as a matter of names at all.
Result<void> check_names(std::string_view name, const std::vector<ManifestFile>& files,
                         const PathRules& rules) {
  const auto top = ValidatedPath::parse_name(name, rules);
  if (!top) return top.error();
  for (const ManifestFile& file : files) {
    const auto path = ValidatedPath::parse(file.path, rules);
    if (path) continue;
    Error error = path.error();
    error.what = "cannot share " + quoted(file.path) + ": " + error.what;
    if (error.hint.empty()) error.hint = "rename it, or leave it out with --exclude GLOB";
    return error;
  }
  return check_paths(files, rules);
}

void encode_file(const ManifestFile& file, bencode::Encoder& encoder) {
  encoder.begin_dict().string("").begin_dict();
  if (file.is_executable) encoder.string("attr").string("x");
  encoder.string("length").integer(static_cast<std::int64_t>(file.size));
  if (file.size > 0) encoder.string("pieces root").string(file.pieces_root.view());
  encoder.end().end();
}

// Requires: files in tree order.
void encode_tree(const std::vector<ManifestFile>& files, bencode::Encoder& encoder) {
  std::vector<std::string_view> open;  // the directories we are in
  encoder.begin_dict();
  for (const ManifestFile& file : files) {
    std::vector<std::string_view> components;
    std::string_view rest = file.path;
    for (std::size_t slash = rest.find('/'); slash != std::string_view::npos;
         slash = rest.find('/')) {
      components.push_back(rest.substr(0, slash));
      rest.remove_prefix(slash + 1);
    }
    const auto differing =
        std::mismatch(open.begin(), open.end(), components.begin(), components.end());
    for (auto left = open.end() - differing.first; left > 0; --left) {
      encoder.end();
      open.pop_back();
    }
    for (auto added = differing.second; added != components.end(); ++added) {
      encoder.string(*added).begin_dict();
      open.push_back(*added);
    }
    encoder.string(rest);
    encode_file(file, encoder);
  }
  for (std::size_t i = 0; i < open.size(); ++i) encoder.end();
  encoder.end();
}

Bytes encode(std::string_view name, std::uint32_t piece_length,
             const std::vector<ManifestFile>& files) {
  Bytes encoded;
  bencode::Encoder encoder(encoded);
  encoder.begin_dict().string("file tree");
  encode_tree(files, encoder);
  encoder.string("meta version").integer(kMetaVersion);
  encoder.string("name").string(name);
  encoder.string("piece length").integer(piece_length).end();
  return encoded;
}

// Root of a file from its packed piece layer, part by part.
Hash root_of_packed_layer(BytesView packed, std::uint64_t blocks_per_piece) {
  const std::size_t count = packed.size() / Hash::kSize;
  const auto height = static_cast<unsigned>(std::countr_zero(blocks_per_piece));
  const std::size_t width = std::bit_ceil(count);
  const std::size_t part_width = std::min(width, kLayerPartNodes);
  std::vector<Hash> parts;
  std::vector<Hash> nodes;
  for (std::size_t begin = 0; begin < count; begin += part_width) {
    nodes.clear();
    for (std::size_t i = begin; i < std::min(count, begin + part_width); ++i) {
      nodes.push_back(*Hash::from(packed.subspan(i * Hash::kSize, Hash::kSize)));
    }
    parts.push_back(merkle::root(nodes, part_width, height));
  }
  if (parts.size() == 1) return parts.front();
  return merkle::root(parts, width / part_width,
                      height + static_cast<unsigned>(std::countr_zero(part_width)));
}

}  // namespace

Result<Manifest> Manifest::decode(BytesView encoded, const PathRules& rules,
                                  const ManifestLimits& limits) {
  if (encoded.size() > limits.encoded_size_max) return too_large("it has too many bytes");
  const bencode::Limits bencode_limits{
      .depth_max = kBencodeDepthMax,
      .tokens_max = kTokensBeside + limits.entries_max * kTokensPerEntry,
      .canonical = true};
  const auto document = bencode::decode(encoded, bencode_limits);
  if (!document) return document.error();
  auto header = read_header(document->root(), rules);
  if (!header) return header.error();
  TreeReader reader(rules, limits.entries_max,
                    encoded.size() * kPathsExpansionMax + kPathsSizeSpare);
  const auto read = reader.run(header->file_tree);
  if (!read) return read.error();

  Manifest manifest;
  manifest.files_ = reader.take_files();
  std::vector<std::uint64_t> sizes;
  sizes.reserve(manifest.files_.size());
  for (const ManifestFile& file : manifest.files_) sizes.push_back(file.size);
  if (!Layout::is_possible(header->piece_length, sizes)) {
    return too_large("too many bytes, or too many pieces for its piece length");
  }
  manifest.layout_ = Layout(header->piece_length, sizes);
  if (manifest.layout_.total_size() == 0) return no_byte();
  const auto checked = check_paths(manifest.files_, rules);
  if (!checked) return checked.error();

  manifest.id_ = *ShareId::from(sha256(encoded).view());
  manifest.encoded_ = to_bytes(encoded);
  manifest.name_ = std::move(header->name);
  manifest.is_single_file_ =
      manifest.files_.size() == 1 && manifest.files_.front().path == manifest.name_;
  if (manifest.is_single_file_) manifest.files_.front().path.clear();
  return manifest;
}

Result<Manifest> Manifest::build(std::string_view name, std::uint32_t piece_length,
                                 std::vector<ManifestFile> files, const PathRules& rules,
                                 const ManifestLimits& limits) {
  if (files.empty()) return no_byte();
  if (files.size() == 1 && files.front().path.empty()) {
    files.front().path = name;
  } else if (files.size() == 1 && files.front().path == name) {
    return Error{Errc::refused,
                 "the directory " + quoted(name) + " holds only a file of its own name",
                 "share the file itself, or rename one of them"};
  }
  std::sort(files.begin(), files.end(), [](const ManifestFile& a, const ManifestFile& b) {
    return is_before_in_tree(a.path, b.path);
  });
  // What we build is what we would take from others: one set of rules.
  auto manifest = decode(encode(name, piece_length, files), rules, limits);
  if (manifest) return manifest;
  const auto named = check_names(name, files, rules);
  if (!named) return named.error();
  return manifest;
}

Manifest Manifest::with_roots(std::span<const Hash> roots) && {
  PN_CHECK(roots.size() == files_.size());
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (files_[i].size > 0) files_[i].pieces_root = roots[i];
  }
  if (is_single_file_) files_.front().path = name_;
  encoded_ = encode(name_, piece_length(), files_);
  if (is_single_file_) files_.front().path.clear();
  id_ = *ShareId::from(sha256(encoded_).view());
  return std::move(*this);
}

std::uint32_t Manifest::choose_piece_length(std::uint64_t total_size) {
  std::uint32_t length = kPieceLengthChosenMin;
  while (length < kPieceLengthMax && total_size > length * kPiecesChosenMax) length *= 2;
  return length;
}

std::vector<FileSpec> Manifest::file_specs() const {
  std::vector<FileSpec> specs;
  specs.reserve(files_.size());
  for (const ManifestFile& file : files_) {
    specs.push_back({file.path, file.size, file.is_executable});
  }
  return specs;
}

Result<PieceLayers> PieceLayers::check(const Manifest& manifest, Bytes concatenated) {
  if (concatenated.size() != size_of(manifest)) {
    return Error{Errc::malformed, "the piece layers have the wrong size", ""};
  }
  const BytesView all(concatenated);
  for (std::uint32_t i = 0; i < manifest.layout().files_count(); ++i) {
    const Layout::File& file = manifest.layout().file(i);
    if (file.layer_nodes_count == 0) continue;
    const BytesView layer = all.subspan(std::size_t{file.first_layer_node} * Hash::kSize,
                                        std::size_t{file.layer_nodes_count} * Hash::kSize);
    if (root_of_packed_layer(layer, manifest.layout().blocks_per_piece()) !=
        manifest.files()[i].pieces_root) {
      return Error{
          Errc::corrupt,
          "the piece layer of " + quoted(manifest.files()[i].path) + " does not hash to its root",
          ""};
    }
  }
  return PieceLayers(std::move(concatenated));
}

Hash PieceLayers::piece_hash(const Manifest& manifest, std::uint32_t piece_index) const {
  const Piece piece = manifest.layout().piece(piece_index);
  if (piece.is_only_piece_of_file) return manifest.files()[piece.file_index].pieces_root;
  const Layout::File& file = manifest.layout().file(piece.file_index);
  const std::size_t node = file.first_layer_node + (piece_index - file.first_piece);
  PN_CHECK(bytes_.size() == size_of(manifest));
  return *Hash::from(BytesView(bytes_).subspan(node * Hash::kSize, Hash::kSize));
}

bool PieceLayers::check_leaves(const Manifest& manifest, std::uint32_t piece_index,
                               std::span<const Hash> leaves) const {
  const Piece piece = manifest.layout().piece(piece_index);
  if (leaves.size() != piece.blocks_count) return false;
  const Hash node =
      merkle::piece_node(leaves, manifest.layout().blocks_per_piece(), piece.is_only_piece_of_file);
  return node == piece_hash(manifest, piece_index);
}

}  // namespace peernet::transfer
