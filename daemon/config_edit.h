#pragma once

// A config file changed as text: one key gets another value, and everything else, comments and
// layout included, stays as its owner wrote it. And what two configs differ in, by key.

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "daemon/config.h"

namespace peernet::daemon {

// `value` is JSON, or else taken as text: 8MB/s needs no quotes. The text before and after is a
// valid config. Errors: malformed, refused, too_large, not_found (no such key).
Result<std::string> edit_config(std::string_view text, std::string_view key,
                                std::string_view value);

// The keys in which the two differ, in the order of the file.
std::vector<std::string> changed_keys(const DaemonConfig& before, const DaemonConfig& after);
// Is the key read at the start only? The others are taken over by a reload.
bool needs_restart(std::string_view key);
// Takes over from `fresh` what needs no restart.
void take_over(DaemonConfig& config, const DaemonConfig& fresh);

}  // namespace peernet::daemon
