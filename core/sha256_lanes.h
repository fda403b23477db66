#pragma once

// SHA-256 of sixteen messages of one length at once: each 32-bit lane of the AVX-512 registers
// works at a message of its own. On a processor that has both this is twice as fast as SHA-NI is
// with one message after the other. hash.h decides when it is used; libcrypto is what it is tested
// against.

#include <array>
#include <cstddef>

#include "core/bytes.h"

namespace peernet {

inline constexpr std::size_t kSha256Lanes = 16;

// Can this processor, under this kernel, do it?
bool has_sha256_lanes();

// Requires: has_sha256_lanes(), and messages of one size.
void sha256_lanes(const std::array<BytesView, kSha256Lanes>& messages,
                  std::array<Hash, kSha256Lanes>& hashes);

}  // namespace peernet
