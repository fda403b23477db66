#include "transfer/share_key.h"

#include "core/check.h"
#include "core/hash.h"

namespace peernet::transfer {
namespace {

DhtId first_bytes(const Hash& hash) {
  return DhtId::from(hash.view().first(DhtId::kSize)).value_or(DhtId{});
}

}  // namespace

DhtId dht_key(const ShareId& id) {
  return first_bytes(sha256({as_bytes("peernet/1 share"), id.view()}));
}

DhtId segment_key(const ShareId& id, std::uint8_t segment) {
  PN_CHECK(segment < kSegmentsCount);
  return first_bytes(sha256({as_bytes("peernet/1 segment"), id.view(), BytesView(&segment, 1)}));
}

LanKey lan_key(const ShareId& id) {
  return LanKey::from(sha256({as_bytes("peernet/1 lan"), id.view()}).view().first(LanKey::kSize))
      .value_or(LanKey{});
}

Hash share_proof(const ShareId& id, Role sender, const Hash& handshake_hash) {
  const std::uint8_t role = sender == Role::initiator ? 0 : 1;
  return hmac_sha256(id.view(),
                     {as_bytes("peernet/1 proof"), BytesView(&role, 1), handshake_hash.view()});
}

}  // namespace peernet::transfer
