#pragma once

// An item of BEP 44: any bencoded value of at most 1,000 bytes, found by the SHA-1 of itself
// (immutable), or by the SHA-1 of the Ed25519 key that signs it and a salt (mutable). Of two
// mutable items under one target the one with the higher sequence number is the newer. Nothing here
// is believed of a stranger before check() said so.

#include <cstdint>
#include <optional>

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/result.h"

namespace peernet::dht {

inline constexpr std::size_t kItemValueMax = 1'000;  // bytes, bencoded
inline constexpr std::size_t kSaltMax = 64;
// So that the message around a value stays within what decode() takes.
inline constexpr std::size_t kItemDepthMax = 4;
inline constexpr std::size_t kItemTokensMax = 480;

struct Item {
  Bytes value;                // exactly one bencoded value
  std::optional<PeerId> key;  // who signs it; none: the item is immutable
  Bytes salt;                 // this and all below of mutable items only
  std::int64_t seq = 0;       // not negative
  Signature signature;
};

// A value as it is, and one signed by the key with this seed (RFC 8032's private key).
Item immutable_item(BytesView value);
Item mutable_item(const Key& seed, BytesView salt, std::int64_t seq, BytesView value);

DhtId item_target(BytesView value);
DhtId item_target(const PeerId& key, BytesView salt);
DhtId item_target(const Item& item);

// The bytes a signature of BEP 44 covers.
Bytes signed_bytes(BytesView salt, std::int64_t seq, BytesView value);

// Is it worth storing and telling? Errors: too_large (value or salt), malformed (the value is not
// one bencoded value, or nests too deep; a negative sequence number), refused (the signature).
Result<void> check(const Item& item);

}  // namespace peernet::dht
