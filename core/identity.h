#pragma once

// Identity is the Ed25519 key a node is known by; its public half is the PeerId. The text of an id
// is a type letter and 56 characters of base32: the 32 bytes of the id and the first 3 bytes of
// SHA-256(type letter ‖ id), so that a typo is an error and not a wait (DESIGN.md 4).

#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/result.h"
#include "core/rng.h"

namespace peernet {

class Identity {
 public:
  explicit Identity(const Key& seed);
  static Identity make(Rng& rng);

  const PeerId& id() const { return id_; }
  Signature sign(BytesView message) const;
  const Key& seed() const { return seed_; }  // for the key file

 private:
  Key seed_;
  PeerId id_;
};

inline constexpr std::size_t kIdTextSize = 57;
inline constexpr std::size_t kIdPrefixMin = 8;  // characters that may stand for a known id
inline constexpr std::size_t kIdShortSize = 8;  // characters shown where space is short

std::string to_text(const ShareId& id);
std::string to_text(const PeerId& id);
std::string to_short_text(const ShareId& id);
std::string to_short_text(const PeerId& id);

// Errors: malformed, saying whether the letter, the alphabet, the length or the check is wrong.
Result<ShareId> parse_share_id(std::string_view text);
Result<PeerId> parse_peer_id(std::string_view text);

}  // namespace peernet
