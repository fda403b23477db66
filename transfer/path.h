#pragma once

// ValidatedPath is the only way from a name to a file: a relative path, or one name, that passed
// the rules of SECURITY.md 4.5.9. What fails is refused, never repaired, for a repair makes two
// names one. The same function serves single files, directories, links, manifests, the RPC and
// resume.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace peernet::transfer {

inline constexpr std::size_t kComponentSizeMax = 255;
inline constexpr std::size_t kPathSizeMax = 1024;
inline constexpr std::size_t kPathDepthMax = 64;  // components

struct PathRules {
  // Names that are legal here and not everywhere: reserved DOS names, :*?"<>|\ and a trailing dot
  // or space; in a tree also two names that differ only by case or by Unicode composition.
  bool allow_unportable = false;
};

class ValidatedPath {
 public:
  // Components between single '/'. Errors: refused (the name, with a hint when allow_unportable
  // would take it), too_large.
  static Result<ValidatedPath> parse(std::string_view relative, const PathRules& rules);
  // One component.
  static Result<ValidatedPath> parse_name(std::string_view name, const PathRules& rules);

  const std::string& str() const { return path_; }
  std::vector<std::string_view> components() const;
  bool operator==(const ValidatedPath&) const = default;

 private:
  explicit ValidatedPath(std::string_view path) : path_(path) {}
  std::string path_;
};

// Bytewise by component, as the file tree of BEP 52 is ordered: "a/z" stands before "a.b".
bool is_before_in_tree(std::string_view a, std::string_view b);

// The key under which two names are one on a file system that folds case or composition: simple
// case folding of ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic, then the composed Latin
// letters of Latin-1 and Latin Extended-A taken apart. Valid UTF-8 in, valid UTF-8 out.
std::string fold_name(std::string_view name);

// Does the tree of these valid paths hold a path twice, or a file that is also a directory, or
// (unless rules.allow_unportable) two names that fold to one? Error: refused, naming both.
Result<void> check_tree(std::span<const std::string_view> paths, const PathRules& rules);

}  // namespace peernet::transfer
