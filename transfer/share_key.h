#pragma once

// What is derived one-way from a share id: the keys at which its peers meet in the DHT and on the
// local network, which tell an observer neither the id nor the content, and the proof of knowing
// the id, bound to one connection and one side of it (DESIGN.md 2, 5, 6).

#include <cstdint>

#include "core/bytes.h"
#include "core/noise.h"

namespace peernet::transfer {

inline constexpr std::uint8_t kSegmentsCount = 16;

// First 20 bytes of SHA-256("peernet/1 share" ‖ share id).
DhtId dht_key(const ShareId& id);
// First 20 bytes of SHA-256("peernet/1 segment" ‖ share id ‖ one byte). Requires: segment <
// kSegmentsCount.
DhtId segment_key(const ShareId& id, std::uint8_t segment);

// First 20 bytes of SHA-256("peernet/1 lan" ‖ share id): what is said on the local network.
using LanKey = Tagged<struct LanKeyTag, 20>;
LanKey lan_key(const ShareId& id);

// HMAC-SHA-256(share id, "peernet/1 proof" ‖ role of the sender ‖ final handshake hash); the role
// byte is 0 for the side that dialled, 1 for the other. Compare with secure_equal only.
Hash share_proof(const ShareId& id, Role sender, const Hash& handshake_hash);

}  // namespace peernet::transfer
