#pragma once

// SHA-256, SHA-1 (BEP 44 targets) and HMAC-SHA-256 by libcrypto, which uses SHA-NI where the
// processor has it; CRC32C (BEP 42).

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "core/bytes.h"

namespace peernet {

Hash sha256(BytesView bytes);
// Of the concatenation of the parts.
Hash sha256(std::initializer_list<BytesView> parts);
// Of each input. Neighbours of one size, such as blocks, are hashed side by side where the
// processor can (sha256_lanes.h): give many at once.
std::vector<Hash> sha256_each(std::span<const BytesView> inputs);
DhtId sha1(std::initializer_list<BytesView> parts);
Hash hmac_sha256(BytesView key, std::initializer_list<BytesView> parts);
// Castagnoli, reflected, initial value and final xor 0xffffffff.
std::uint32_t crc32c(BytesView bytes);

}  // namespace peernet
