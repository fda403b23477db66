#pragma once

// Which files of a share are wanted (core/records.h, Selection): those that a glob of `only` names,
// or all if there is none, less those that a glob of `skip` names. Of several selections each adds
// what it names; no selection wants everything. The path of a single file is its name.

#include <string_view>
#include <vector>

#include "core/records.h"
#include "core/result.h"
#include "transfer/bitfield.h"
#include "transfer/manifest.h"

namespace peernet::transfer {

inline constexpr std::size_t kGlobsMax = 100;       // of `only`, and of `skip`
inline constexpr std::size_t kSelectionsMax = 100;  // of one share

// Errors: malformed, too_large.
Result<void> check_globs(const std::vector<std::string>& globs);
bool is_selected(const std::vector<Selection>& selections, std::string_view path);
// One flag a file, in the manifest's order.
std::vector<bool> selected_files(const std::vector<Selection>& selections,
                                 const Manifest& manifest);
// All pieces of those files.
Bitfield pieces_of(const std::vector<bool>& files, const Layout& layout);

}  // namespace peernet::transfer
