#include "transfer/selection.h"

#include <algorithm>

#include "transfer/glob.h"

namespace peernet::transfer {

Result<void> check_globs(const std::vector<std::string>& globs) {
  if (globs.size() > kGlobsMax) {
    return Error{Errc::too_large, "at most " + std::to_string(kGlobsMax) + " patterns are taken",
                 "one pattern can name a directory, or many files"};
  }
  for (const std::string& glob : globs) {
    if (glob.empty() || glob.front() == '/') {
      return Error{Errc::malformed, "a pattern is empty or begins with a slash",
                   "patterns are paths below the share's top, such as docs/*.pdf"};
    }
    if (glob.size() > kGlobSizeMax) {
      return Error{Errc::too_large, "a pattern is longer than a path can be", {}};
    }
  }
  return {};
}

bool is_selected(const std::vector<Selection>& selections, std::string_view path) {
  const auto names = [&](const std::string& glob) { return glob_matches(glob, path); };
  return selections.empty() || std::ranges::any_of(selections, [&](const Selection& selection) {
           return (selection.only.empty() || std::ranges::any_of(selection.only, names)) &&
                  std::ranges::none_of(selection.skip, names);
         });
}

std::vector<bool> selected_files(const std::vector<Selection>& selections,
                                 const Manifest& manifest) {
  std::vector<bool> files;
  files.reserve(manifest.files().size());
  for (const ManifestFile& file : manifest.files()) {
    files.push_back(
        is_selected(selections, manifest.is_single_file() ? manifest.name() : file.path));
  }
  return files;
}

Bitfield pieces_of(const std::vector<bool>& files, const Layout& layout) {
  Bitfield pieces(layout.pieces_count());
  for (std::uint32_t i = 0; i < layout.files_count(); ++i) {
    const Layout::File& file = layout.file(i);
    for (std::uint32_t p = 0; p < file.pieces_count && files[i]; ++p) {
      pieces.set(file.first_piece + p);
    }
  }
  return pieces;
}

}  // namespace peernet::transfer
