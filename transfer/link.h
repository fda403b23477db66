#pragma once

// The text a user pastes: peernet:s…?dn=NAME&xl=SIZE&pe=HOST:PORT (pe repeatable), or the share id
// alone (DESIGN.md 4). The id is what counts; dn, xl and pe are hints from whoever wrote the link
// and are never believed. name_hint is raw bytes: escape() before it is shown.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace peernet::transfer {

inline constexpr std::size_t kLinkSizeMax = 4096;
inline constexpr std::size_t kLinkPeersMax = 16;
inline constexpr std::size_t kLinkHostSizeMax = 253;  // RFC 1035

struct PeerHint {
  std::string host;  // a name, an IPv4 address, or an IPv6 address without brackets
  std::uint16_t port = 0;
  bool operator==(const PeerHint&) const = default;
};

struct Link {
  ShareId id;
  std::string name_hint;  // empty: none
  std::optional<std::uint64_t> size_hint;
  std::vector<PeerHint> peers;
  bool operator==(const Link&) const = default;
};

// White space around the text is ignored, and so are unknown parameters. Errors: malformed,
// too_large; for links of other kinds (a peer id, a feed id, magnet:) the hint says what they are.
Result<Link> parse_link(std::string_view text);

// Hints that would make the link too long are left out, the peers first.
std::string format_link(const Link& link);

}  // namespace peernet::transfer
