#include "dht/item.h"

#include "core/bencode.h"
#include "core/hash.h"

namespace peernet::dht {

Item immutable_item(BytesView value) {
  Item item;
  item.value = to_bytes(value);
  return item;
}

Item mutable_item(const Key& seed, BytesView salt, std::int64_t seq, BytesView value) {
  Item item;
  item.value = to_bytes(value);
  item.key = sign_public(seed);
  item.salt = to_bytes(salt);
  item.seq = seq;
  item.signature = sign(seed, signed_bytes(salt, seq, value));
  return item;
}

DhtId item_target(BytesView value) {
  return sha1({value});
}

DhtId item_target(const PeerId& key, BytesView salt) {
  return sha1({key.view(), salt});
}

DhtId item_target(const Item& item) {
  return item.key ? item_target(*item.key, item.salt) : item_target(item.value);
}

Bytes signed_bytes(BytesView salt, std::int64_t seq, BytesView value) {
  Bytes bytes;
  make_room(bytes, salt.size() + value.size() + 48);
  bencode::Encoder encoder(bytes);
  if (!salt.empty()) encoder.string("salt").string(salt);
  encoder.string("seq").integer(seq).string("v").raw(value);
  return bytes;
}

Result<void> check(const Item& item) {
  if (item.value.size() > kItemValueMax) return Error{Errc::too_large, "the value is too big", {}};
  if (item.salt.size() > kSaltMax) return Error{Errc::too_large, "the salt is too big", {}};
  bencode::Limits limits;
  limits.depth_max = kItemDepthMax;
  limits.tokens_max = kItemTokensMax;
  limits.canonical = false;
  const auto document = bencode::decode(item.value, limits);
  if (!document) return document.error();
  if (!item.key) return {};
  if (item.seq < 0) return Error{Errc::malformed, "the sequence number is negative", {}};
  const Bytes text = signed_bytes(item.salt, item.seq, item.value);
  if (!verify(*item.key, text, item.signature)) {
    return Error{Errc::refused, "the signature does not match", {}};
  }
  return {};
}

}  // namespace peernet::dht
