// Whole networks of engines in virtual time.

#include "test/dht/network.h"

#include <catch2/catch.hpp>

using namespace peernet;
using namespace peernet::dht;
using namespace peernet::dht::test;
using namespace std::chrono_literals;

namespace {

// Hosts 0 to count-1; all but the first know the first.
void add_hosts(Network& network, unsigned count, Endpoint (*endpoint_of)(unsigned)) {
  network.add(endpoint_of(0), {});
  for (unsigned i = 1; i < count; ++i) {
    network.add(endpoint_of(i), {bootstrap_at(endpoint_of(0))});
    network.run_for(20ms);
  }
}

}  // namespace

TEST_CASE("two nodes are a network in which each finds what the other announced", "[dht]") {
  Network network(1, {});
  const Endpoint a = local_endpoint(0);
  const Endpoint b = local_endpoint(1);
  network.add(a, {});
  network.add(b, {bootstrap_at(a)});
  network.run_for(2s);
  CHECK(network.host(a).joined_count == 1);
  CHECK(network.host(b).joined_count == 1);
  CHECK(network.host(a).dht->stats().nodes == 1);

  network.announce(b, make_id(1), 5001);
  network.announce(a, make_id(2), 5002);
  network.run_for(2s);
  REQUIRE(network.host(a).done.size() == 1);
  CHECK(network.host(a).done[0].stored == 1);
  CHECK(network.host(a).done[0].is_announce);
  REQUIRE(network.host(b).done.size() == 1);
  CHECK(network.host(b).done[0].stored == 1);

  network.get_peers(a, make_id(1));
  network.get_peers(b, make_id(2));
  network.run_for(2s);
  const Endpoint b_peer = Endpoint::v4(0x0a000002, 5001);
  const Endpoint a_peer = Endpoint::v4(0x0a000001, 5002);
  CHECK(network.host(a).found[make_id(1)] == std::set<Endpoint>{b_peer});
  CHECK(network.host(b).found[make_id(2)] == std::set<Endpoint>{a_peer});
}

TEST_CASE("fifty nodes join over one and find each other's announces", "[dht]") {
  for (const bool is_global : {false, true}) {
    Network::Options options;
    options.loss = 0.01;
    Network network(2, options);
    const auto endpoint_of = is_global ? global_endpoint : local_endpoint;
    add_hosts(network, 50, endpoint_of);
    network.run_for(20s);
    for (auto& [endpoint, host] : network.hosts()) {
      CHECK(host.joined_count == 1);
      CHECK(host.changed_count >= 1);
      CHECK(host.dht->stats().nodes >= 12);
    }
    for (unsigned i = 0; i < 20; ++i) network.announce(endpoint_of(i), make_id(i), 6000);
    network.run_for(5s);
    for (unsigned i = 0; i < 20; ++i) {
      const Host& host = network.host(endpoint_of(i));
      REQUIRE(host.done.size() == 1);
      CHECK(host.done[0].stored >= 7);
      CHECK(host.done[0].took < 3s);
    }
    for (unsigned i = 0; i < 20; ++i) network.get_peers(endpoint_of(49 - i), make_id(i));
    network.run_for(5s);
    for (unsigned i = 0; i < 20; ++i) {
      Host& host = network.host(endpoint_of(49 - i));
      Endpoint peer = endpoint_of(i);
      peer.port = 6000;
      CHECK(host.found[make_id(i)].contains(peer));
      REQUIRE(!host.done.empty());
      CHECK(host.done.back().nodes_asked <= 40);
    }
  }
}
