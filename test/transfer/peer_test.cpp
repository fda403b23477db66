#include "transfer/peer.h"

#include <catch2/catch.hpp>

#include "test/support/support.h"
#include "transfer/network.h"

namespace peernet::transfer {

TEST_CASE("requests for leaf hashes are bounded for a peer, over all of its shares", "[transfer]") {
  const auto endpoint = *Endpoint::parse("192.0.2.7:4000");
  Peer peer(ConnId{1}, endpoint, network_of(endpoint, ConnId{1}, false), true, Time{});
  peer.add_share(test::tagged<ShareId>(1)).leaf_requests = kLeafRequestsMax / 2;
  PeerShare& other = peer.add_share(test::tagged<ShareId>(2));
  other.leaf_requests = kLeafRequestsMax - kLeafRequestsMax / 2 - 1;
  CHECK(peer.may_ask_leaves());
  ++other.leaf_requests;
  CHECK_FALSE(peer.may_ask_leaves());
}

}  // namespace peernet::transfer
