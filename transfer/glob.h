#pragma once

// Glob patterns over the paths of a share, '/' between components. '*' stands for any run of
// characters within a component, '?' for one, '[a-z]' or '[!a-z]' for one of a set, '\' takes the
// next one as it is; '**' as a whole component stands for any number of components. A pattern
// without '/' is compared with each single component, so that it also names whole directories.

#include <cstddef>
#include <string>
#include <string_view>

namespace peernet::transfer {

inline constexpr std::size_t kGlobSizeMax = 1024;

// Where `path`, or a directory above it, is what the pattern names: so many bytes of `path` are
// that. npos: it is not. Time is bounded by the product of the sizes.
std::size_t glob_prefix(std::string_view pattern, std::string_view path);

// Is the path, or a directory above it, what the pattern names?
inline bool glob_matches(std::string_view pattern, std::string_view path) {
  return glob_prefix(pattern, path) != std::string_view::npos;
}

}  // namespace peernet::transfer
