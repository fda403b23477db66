// Items of BEP 44 in whole networks of engines.

#include <catch2/catch.hpp>

#include "dht/krpc.h"
#include "test/dht/network.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

Network grown(std::uint64_t seed, const Network::Options& options, unsigned hosts_count) {
  Network network(seed, options);
  network.add(global_endpoint(0), {});
  for (unsigned i = 1; i < hosts_count; ++i) {
    network.add(global_endpoint(i), {bootstrap_at(global_endpoint(0))});
    network.run_for(20ms);
  }
  network.run_for(10s);
  return network;
}

Item version(std::int64_t seq, std::string_view value) {
  return mutable_item(Key{}, as_bytes("salt"), seq, as_bytes(value));
}

}  // namespace

TEST_CASE("items put at one of fifty nodes are got at another, at one in a hundred lost", "[dht]") {
  Network::Options options;
  options.loss = 0.01;
  Network network = grown(3, options, 50);
  // Too long for an answer to a stranger.
  const std::string text(900, 'x');
  const Item item = immutable_item(as_bytes("900:" + text));
  const DhtId target = item_target(item);
  network.put_item(global_endpoint(7), item);
  network.run_for(5s);
  REQUIRE(network.host(global_endpoint(7)).items_done.size() == 1);
  const ItemDone done = network.host(global_endpoint(7)).items_done[0];
  CHECK(done.is_put);
  CHECK(done.stored >= 6);
  CHECK(done.refused == 0);

  for (const unsigned n : {0U, 20U, 49U}) {
    network.get_item(global_endpoint(n), target);
    network.run_for(5s);
    const Host& host = network.host(global_endpoint(n));
    REQUIRE(host.items_done.size() == 1);
    CHECK(host.items_done[0].is_found);
    REQUIRE(host.items.contains(target));
    CHECK(host.items.at(target).value == item.value);
  }
}

TEST_CASE("the newest of a mutable item's versions is told", "[dht]") {
  Network network = grown(4, {}, 20);
  const DhtId target = item_target(version(1, "1:a"));
  network.put_item(global_endpoint(1), version(1, "1:a"));
  network.run_for(3s);
  network.put_item(global_endpoint(2), version(2, "1:b"), 1);
  network.run_for(3s);
  CHECK(network.host(global_endpoint(2)).items_done.at(0).stored >= kStoresEnough);

  network.get_item(global_endpoint(3), target, as_bytes("salt"));
  network.run_for(3s);
  CHECK(network.host(global_endpoint(3)).items.at(target).seq == 2);

  // An older one, and one that expects what is no longer there, are refused by who has the newest.
  network.put_item(global_endpoint(4), version(1, "1:c"));
  network.run_for(3s);
  const ItemDone older = network.host(global_endpoint(4)).items_done.at(0);
  CHECK(older.stored == 0);
  CHECK(older.refused > 0);
  CHECK(older.error == ErrorReply::kSeqTooLow);
  network.put_item(global_endpoint(5), version(3, "1:c"), 1);
  network.run_for(3s);
  CHECK(network.host(global_endpoint(5)).items_done.at(0).error == ErrorReply::kCasMismatch);
}

TEST_CASE("a value that is not the one under the target is not told", "[dht]") {
  Network network(5, {});
  const Endpoint liar = global_endpoint(1);
  network.add(global_endpoint(0), {bootstrap_at(liar)});
  const Item honest = version(5, "1:a");
  const DhtId target = item_target(honest);
  network.get_item(global_endpoint(0), target, as_bytes("salt"));
  for (int i = 0; i < 200; ++i) {
    network.run_for(20ms);
    for (const Network::Datagram& datagram : std::exchange(network.strays(), {})) {
      const auto message = decode(datagram.bytes);
      REQUIRE(message);
      const auto* query = std::get_if<Query>(&*message);
      if (query == nullptr) continue;
      Reply reply;
      reply.txid = query->txid;
      reply.sender = make_id(77);
      const bool is_signed = i % 2 == 0;
      reply.value = as_bytes("1:z");
      if (is_signed) {
        reply.key = honest.key;
        reply.seq = 9;
        reply.signature = honest.signature;
      }
      network.send(liar, datagram.from, encode(reply));
    }
  }
  const Host& host = network.host(global_endpoint(0));
  REQUIRE(host.items_done.size() == 1);
  CHECK(host.items_done[0].nodes_answered == 1);
  CHECK_FALSE(host.items_done[0].is_found);
  CHECK(host.items.empty());
}

TEST_CASE("item searches over the limit are done at once", "[dht]") {
  Network network(6, {});
  const Endpoint endpoint = global_endpoint(0);
  network.add(endpoint, {});
  for (unsigned n = 0; n < kItemSearchesMax; ++n) network.get_item(endpoint, make_id(n));
  CHECK(network.host(endpoint).items_done.empty());
  network.get_item(endpoint, make_id(0));  // joined
  CHECK(network.host(endpoint).items_done.empty());
  network.get_item(endpoint, make_id(kItemSearchesMax));
  CHECK(network.host(endpoint).items_done.size() == 1);
  network.run_for(kSearchPatience + 1s);
  CHECK(network.host(endpoint).items_done.size() == kItemSearchesMax + 1);
}

TEST_CASE("what is no good item is not put", "[dht]") {
  Network network(7, {});
  Host& host = network.add(global_endpoint(0), {});
  Item item = version(1, "1:a");
  item.seq = 2;
  CHECK_FALSE(host.dht->put_item(network.now(), item, std::nullopt, network.out()));
}

}  // namespace peernet::dht::test
