#pragma once

// Secret keys on disk: 32 raw bytes in a regular file of one name, mode 0600 (or less), owned by
// the user who runs this. Anything else is refused with what to do about it (SECURITY.md 1.4).

#include <string>

#include "core/crypto.h"
#include "core/identity.h"
#include "core/result.h"
#include "core/rng.h"

namespace peernet::daemon {

// Errors: not_found, denied (owner, mode, link), malformed (size), io.
Result<Key> load_key(const std::string& path);

// Makes the file, durable and never half written, when it is missing. Errors: as load_key, and
// no_space.
Result<Identity> load_or_make_identity(const std::string& path, Rng& rng);

// Makes a new file with this key; nothing may stand there. Errors: exists, not_found (the
// directory), denied, no_space, io.
Result<void> make_key_file(const std::string& path, const Key& key);

}  // namespace peernet::daemon
