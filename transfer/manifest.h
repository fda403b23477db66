#pragma once

// Manifest is a checked BEP 52 info dictionary with exactly the keys `file tree`, `meta version`,
// `name` and `piece length` (and `attr` = `x` on files that may be executed). Its SHA-256 is the
// share id. Every name in it passed ValidatedPath, every size its limit. PieceLayers are the hashes
// at piece size that the manifest's roots vouch for.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/effects.h"
#include "core/result.h"
#include "transfer/layout.h"
#include "transfer/path.h"

namespace peernet::transfer {

struct ManifestLimits {
  std::uint64_t encoded_size_max = std::uint64_t{16} << 20U;
  std::uint32_t entries_max = 200'000;  // files and directories
};
// What the user may allow at most. A share that is here was accepted when it came, and is held to
// no less than this.
inline constexpr ManifestLimits kManifestLimitsMost{.encoded_size_max = std::uint64_t{128} << 20U,
                                                    .entries_max = 1'000'000};
// What is accepted of others, for one share.
struct ManifestRules {
  PathRules paths;
  ManifestLimits limits;
};
// What is here was accepted when it came, and is not judged again.
inline constexpr ManifestRules kRulesOfKnown{{.allow_unportable = true}, kManifestLimitsMost};
// Deep directories repeated in front of many files may not grow memory past the manifest's own
// size: the paths of all files together are at most this many times the encoded size, plus 1 MiB.
inline constexpr std::size_t kPathsExpansionMax = 4;

struct ManifestFile {
  std::string path;  // below the top; empty for a share of a single file
  std::uint64_t size = 0;
  bool is_executable = false;
  Hash pieces_root;  // zero for an empty file
  bool operator==(const ManifestFile&) const = default;
};

class Manifest {
 public:
  // Errors: malformed, too_large, refused (a name, or a share of no byte).
  static Result<Manifest> decode(BytesView encoded, const PathRules& rules,
                                 const ManifestLimits& limits = {});

  // Files in any order; a single file has the path "". Errors: refused (with a hint: a share of no
  // byte, a directory whose only entry is a file of its own name, a name and the path it stands
  // in), too_large.
  static Result<Manifest> build(std::string_view name, std::uint32_t piece_length,
                                std::vector<ManifestFile> files, const PathRules& rules,
                                const ManifestLimits& limits = {});
  // The same files with other pieces roots, in file-tree order; no rule looks at a root.
  // Requires: one for each file, used if the file is not empty.
  Manifest with_roots(std::span<const Hash> roots) &&;

  // The smallest power of two from 64 KiB to 16 MiB that is not below total_size / 2,048.
  static std::uint32_t choose_piece_length(std::uint64_t total_size);

  const ShareId& id() const { return id_; }
  const Bytes& encoded() const { return encoded_; }
  const std::string& name() const { return name_; }  // a valid name
  std::uint32_t piece_length() const { return layout_.piece_length(); }
  bool is_single_file() const { return is_single_file_; }
  const std::vector<ManifestFile>& files() const { return files_; }  // in file-tree order
  const Layout& layout() const { return layout_; }
  std::vector<FileSpec> file_specs() const;  // for OpenStorage

 private:
  Manifest() = default;

  ShareId id_;
  Bytes encoded_;
  std::string name_;
  bool is_single_file_ = false;
  std::vector<ManifestFile> files_;
  Layout layout_;
};

// The piece layers of all files of more than one piece, concatenated in file-tree order, 32 bytes a
// node. Invariant: they hash to the pieces roots of the manifest they were checked against.
class PieceLayers {
 public:
  static std::size_t size_of(const Manifest& manifest) {
    return std::size_t{manifest.layout().layer_nodes_count()} * Hash::kSize;
  }
  // Errors: malformed (the size is not size_of), corrupt (naming the first file that differs).
  static Result<PieceLayers> check(const Manifest& manifest, Bytes concatenated);

  const Bytes& encoded() const { return bytes_; }
  // What piece_node() of the piece's leaves must give; the pieces root itself where the file has
  // one piece. Requires: the manifest it was checked against, piece_index in it.
  Hash piece_hash(const Manifest& manifest, std::uint32_t piece_index) const;
  // Do these leaf hashes, one for each block of the piece, belong to it?
  bool check_leaves(const Manifest& manifest, std::uint32_t piece_index,
                    std::span<const Hash> leaves) const;

 private:
  explicit PieceLayers(Bytes bytes) : bytes_(std::move(bytes)) {}
  Bytes bytes_;
};

}  // namespace peernet::transfer
