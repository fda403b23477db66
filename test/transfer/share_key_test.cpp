#include "transfer/share_key.h"

#include <catch2/catch.hpp>

#include <set>

namespace peernet::transfer {
namespace {

// Expected values were computed with Python's hashlib and hmac.
TEST_CASE("keys and proofs are derived from the share id as the README says", "[transfer]") {
  ShareId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(i);
  Hash handshake;
  handshake.bytes.fill(0xaa);
  CHECK(to_hex(dht_key(id).view()) == "29bc068a923f170d1beb522e600255872af50a37");
  CHECK(to_hex(segment_key(id, 15).view()) == "43397e62a71896d8dbf156930e3fc62d9126e73a");
  CHECK(to_hex(share_proof(id, Role::initiator, handshake).view()) ==
        "206ff4aabe2db67708b6f783b08d5b591f61fc143c6081894a220da75ca258b4");
  CHECK(to_hex(share_proof(id, Role::responder, handshake).view()) ==
        "690026de1ff30f9921901b795a24b709523804301a01d800a91930754e7a133b");
}

TEST_CASE("every segment has a key of its own", "[transfer]") {
  const ShareId id;
  std::set<DhtId> keys{dht_key(id)};
  for (std::uint8_t i = 0; i < kSegmentsCount; ++i) keys.insert(segment_key(id, i));
  CHECK(keys.size() == 17);
}

}  // namespace
}  // namespace peernet::transfer
