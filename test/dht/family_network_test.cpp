// Networks in IPv6, and in both families (BEP 32).

#include <catch2/catch.hpp>

#include <algorithm>

#include "dht/node_id.h"
#include "test/dht/network.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

TEST_CASE("nodes of IPv6 alone find each other's announces and items", "[dht]") {
  Network network(51, {});
  network.add(v6_endpoint(0), {});
  for (unsigned i = 1; i < 30; ++i) {
    network.add(v6_endpoint(i), {bootstrap_at(v6_endpoint(0))});
    network.run_for(20ms);
  }
  network.run_for(20s);
  network.announce(v6_endpoint(3), make_id(1), 5001);
  const Item item = immutable_item(as_bytes("5:hello"));
  network.put_item(v6_endpoint(4), item);
  network.run_for(5s);
  network.get_peers(v6_endpoint(17), make_id(1));
  network.get_item(v6_endpoint(18), item_target(item));
  network.run_for(5s);
  Endpoint peer = v6_endpoint(3);
  peer.port = 5001;
  CHECK(network.host(v6_endpoint(17)).found[make_id(1)] == std::set<Endpoint>{peer});
  CHECK(network.host(v6_endpoint(18)).items.contains(item_target(item)));
  const Stats stats = network.host(v6_endpoint(17)).dht->stats();
  CHECK(stats.nodes == stats.nodes6);
  CHECK(stats.address6 == v6_endpoint(17).prefix(128));
  CHECK(is_bound_to(stats.id, v6_endpoint(17)));
}

TEST_CASE("a node in both families joins one through the other, and finds what is in each",
          "[dht]") {
  Network network(52, {});
  // 20 nodes in both, 10 in IPv4 and 10 in IPv6 alone; all know a node by IPv4, or the first.
  const auto dual = [&](unsigned n) { return global_endpoint(n); };
  network.add(dual(0), v6_endpoint(0), {});
  for (unsigned i = 1; i < 20; ++i) {
    network.add(dual(i), v6_endpoint(i), {bootstrap_at(dual(0))});
    network.run_for(50ms);
  }
  for (unsigned i = 20; i < 30; ++i) {
    network.add(global_endpoint(i), {bootstrap_at(dual(0))});
    network.add(v6_endpoint(i), {bootstrap_at(v6_endpoint(0))});
    network.run_for(50ms);
  }
  network.run_for(60s);
  for (unsigned i = 0; i < 20; ++i) {
    const Stats stats = network.host(dual(i)).dht->stats();
    INFO(i << ": " << stats.nodes << " nodes, " << stats.nodes6 << " of IPv6");
    CHECK(stats.nodes6 >= 10);
    CHECK(stats.nodes - stats.nodes6 >= 10);
    // Each family has an id of its own, bound to its address.
    CHECK(is_bound_to(stats.id, dual(i)));
  }
  network.announce(global_endpoint(25), make_id(1), 5001);
  network.announce(v6_endpoint(25), make_id(1), 5001);
  network.run_for(5s);
  network.get_peers(dual(7), make_id(1));
  network.run_for(5s);
  Host& host = network.host(dual(7));
  CHECK(host.found[make_id(1)].size() == 2);
  REQUIRE(host.done.size() == 1);
  CHECK(host.done[0].peers_found >= 2);

  // What a node of both announces is found in either.
  network.announce(dual(9), make_id(2), 5002);
  network.run_for(5s);
  CHECK(network.host(dual(9)).done.at(0).stored >= 12);
  network.get_peers(global_endpoint(21), make_id(2));
  network.get_peers(v6_endpoint(21), make_id(2));
  network.run_for(5s);
  CHECK(network.host(global_endpoint(21)).found[make_id(2)].size() == 1);
  CHECK(network.host(v6_endpoint(21)).found[make_id(2)].size() == 1);
}

TEST_CASE("a node in both families where there is no IPv6 loses no time over it", "[dht]") {
  Network network(54, {});
  network.add(global_endpoint(0), {});
  network.add(global_endpoint(1), v6_endpoint(1), {bootstrap_at(global_endpoint(0))});
  network.run_for(2s);
  network.get_peers(global_endpoint(1), make_id(1));
  network.run_for(500ms);
  CHECK(network.host(global_endpoint(1)).done.size() == 1);
}

TEST_CASE("saved nodes of both families are asked", "[dht]") {
  Network network(55, {});
  for (unsigned i = 0; i < 10; ++i) {
    network.add(global_endpoint(i), v6_endpoint(i),
                i == 0
                    ? std::vector<BootstrapName>{}
                    : std::vector{bootstrap_at(global_endpoint(0)), bootstrap_at(v6_endpoint(0))});
    network.run_for(50ms);
  }
  network.run_for(40s);
  const DhtRecord saved = network.host(global_endpoint(5)).dht->snapshot();
  const auto v6_count = std::count_if(saved.nodes.begin(), saved.nodes.end(),
                                      [](const auto& node) { return node.endpoint.is_v6; });
  CHECK(v6_count >= 5);
  CHECK(saved.nodes.size() - static_cast<std::size_t>(v6_count) >= 5);
  network.add(global_endpoint(5), v6_endpoint(5), {}, saved);
  network.run_for(2s);
  const Stats stats = network.host(global_endpoint(5)).dht->stats();
  CHECK(stats.nodes6 >= 5);
  CHECK(stats.nodes - stats.nodes6 >= 5);
}

}  // namespace peernet::dht::test
