// Whole networks of engines in virtual time.

#include "test/dht/network.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace peernet::dht::test {

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

// Each search asks everybody there, and all of them are over within milliseconds. That one id is
// very near to ours says nothing of how many others there are.
TEST_CASE("in a small network of near nodes nobody is asked more than he answers", "[dht]") {
  Network::Options options;
  options.delay_min = 50us;
  options.delay_max = 150us;
  Network network(5, options);
  add_hosts(network, 10, global_endpoint);
  network.run_for(60s);
  // To BEP 42 these two addresses are one: the id is good for both.
  const Endpoint last = global_endpoint(16 + 5);
  DhtRecord twin;
  twin.id = network.host(global_endpoint(5)).dht->snapshot().id;
  twin.id.bytes[10] ^= 1;
  network.add(last, {bootstrap_at(global_endpoint(0))}, twin);
  for (unsigned i = 0; i < 5; ++i) {
    network.run_for(5ms);
    network.announce(last, make_id(i), 6000);
  }
  network.run_for(10s);
  CHECK(network.host(last).dht->stats().id == twin.id);
  CHECK(network.host(last).done.size() == 5);
  for (const LookupDone& done : network.host(last).done) CHECK(done.stored >= kStoresEnough);
  for (auto& [endpoint, host] : network.hosts()) {
    for (const QueryCounts& kind : host.dht->stats().by_kind) CHECK(kind.limited == 0);
  }
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
      // Of 49; where all learn their addresses at once, all change their ids at once (BEP 42).
      CHECK(host.dht->stats().nodes >= (is_global ? 30 : 44));
    }
    for (unsigned i = 0; i < 20; ++i) network.announce(endpoint_of(i), make_id(i), 6000);
    network.run_for(5s);
    for (unsigned i = 0; i < 20; ++i) {
      const Host& host = network.host(endpoint_of(i));
      REQUIRE(host.done.size() == 1);
      CHECK(host.done[0].stored >= kStoresEnough);
      CHECK(host.done[0].took < 1s);
    }
    // Success was told early; the rest was announced to all the same, but for what was lost.
    std::size_t stored = 0;
    for (auto& [endpoint, host] : network.hosts()) stored += host.dht->stats().stored_keys;
    CHECK(stored >= 20 * 8 - 10);
    for (unsigned i = 0; i < 20; ++i) network.get_peers(endpoint_of(49 - i), make_id(i));
    network.run_for(5s);
    for (unsigned i = 0; i < 20; ++i) {
      Host& host = network.host(endpoint_of(49 - i));
      Endpoint peer = endpoint_of(i);
      peer.port = 6000;
      CHECK(host.found[make_id(i)].contains(peer));
      REQUIRE(!host.done.empty());
      CHECK(host.done.back().nodes_asked <= 22);
    }
  }
}

TEST_CASE("lookups find what is announced while a third of the nodes has just died", "[dht]") {
  Network::Options options;
  options.loss = 0.01;
  Network network(3, options);
  add_hosts(network, 60, global_endpoint);
  network.run_for(60s);
  for (unsigned i = 40; i < 60; ++i) network.announce(global_endpoint(i), make_id(i), 6000);
  network.run_for(5s);
  for (unsigned i = 0; i < 20; ++i) network.kill(global_endpoint(i));
  for (unsigned i = 40; i < 60; ++i) network.get_peers(global_endpoint(99 - i), make_id(i));
  network.run_for(5s);
  for (unsigned i = 40; i < 60; ++i) {
    Host& host = network.host(global_endpoint(99 - i));
    CHECK(host.found[make_id(i)].contains(Endpoint::v4(0x3c000001U + (i << 16U), 6000)));
    REQUIRE(!host.done.empty());
    CHECK(host.done.back().took < 3s);
  }
}

TEST_CASE("a node comes back over its saved nodes when its bootstrap node is gone", "[dht]") {
  Network network(4, {});
  add_hosts(network, 20, local_endpoint);
  network.run_for(30s);
  network.announce(local_endpoint(7), make_id(7), 6000);
  const DhtRecord saved = network.host(local_endpoint(5)).dht->snapshot();
  CHECK(saved.nodes.size() >= 8);
  network.kill(local_endpoint(0));
  network.kill(local_endpoint(5));
  network.run_for(30s);

  const Time start = network.now();
  network.add(local_endpoint(5), {bootstrap_at(local_endpoint(0))}, saved);
  network.run_for(2s);
  Host& host = network.host(local_endpoint(5));
  CHECK(host.dht->stats().id == saved.id);
  REQUIRE(host.joined_at);
  CHECK(*host.joined_at - start < 300ms);
  CHECK(host.dht->stats().nodes >= 8);
  network.get_peers(local_endpoint(5), make_id(7));
  network.run_for(5s);
  CHECK(host.found[make_id(7)].size() == 1);
}

TEST_CASE("a bootstrap node that comes up half a minute late is found", "[dht]") {
  Network network(5, {});
  const bool is_named = GENERATE(false, true);
  const Endpoint late = local_endpoint(0);
  const Endpoint early = local_endpoint(1);
  const BootstrapName name = is_named ? BootstrapName{"seed.example", 7000} : bootstrap_at(late);
  network.add(early, {name});
  network.get_peers(early, make_id(1));
  network.run_for(30s);
  CHECK(network.host(early).joined_count == 0);
  REQUIRE(network.host(early).done.size() == 1);
  CHECK(network.host(early).done[0].nodes_asked == 0);
  CHECK(network.host(early).done[0].took == 10s);
  // Not a flood while there is nobody: two questions and twice three, after 0, 1, 3, 7 and 15 s.
  if (!is_named) CHECK(network.host(early).dht->stats().queries_out == 5 * (2 + 3 + 3));

  network.name("seed.example", {late});
  network.add(late, {});
  network.run_for(3s);
  CHECK(network.host(early).joined_count == 1);
  CHECK(network.host(late).joined_count == 1);
}

TEST_CASE("a lookup that starts before the network is reached goes on when it is", "[dht]") {
  Network network(6, {});
  add_hosts(network, 10, local_endpoint);
  network.run_for(10s);
  network.announce(local_endpoint(3), make_id(3), 6000);
  network.run_for(2s);
  network.is_partitioned = true;
  network.add(local_endpoint(20), {bootstrap_at(local_endpoint(0))});
  network.get_peers(local_endpoint(20), make_id(3));
  network.run_for(5s);
  CHECK(network.host(local_endpoint(20)).done.empty());
  network.is_partitioned = false;
  network.run_for(5s);
  CHECK(network.host(local_endpoint(20)).found[make_id(3)].size() == 1);
}

TEST_CASE("nodes that lost everybody find each other again", "[dht]") {
  Network network(7, {});
  add_hosts(network, 12, local_endpoint);
  network.run_for(60s);
  network.is_partitioned = true;
  network.run_for(60min);
  for (auto& [endpoint, host] : network.hosts()) {
    CHECK_FALSE(host.dht->stats().is_joined);
    CHECK(host.dht->snapshot().nodes.size() >= 8);
  }
  network.is_partitioned = false;
  network.run_for(6min);
  for (auto& [endpoint, host] : network.hosts()) {
    CHECK(host.joined_count == 2);
    CHECK(host.dht->stats().nodes >= 6);
  }
}

TEST_CASE("an idle node sends at most one query in five seconds", "[dht]") {
  Network network(8, {});
  add_hosts(network, 50, global_endpoint);
  network.run_for(20min);
  std::uint64_t before = 0;
  std::uint64_t bytes_before = 0;
  for (auto& [endpoint, host] : network.hosts()) {
    before += host.dht->stats().queries_out;
    bytes_before += host.dht->stats().bytes_out;
  }
  network.run_for(60min);
  std::uint64_t after = 0;
  std::uint64_t bytes_after = 0;
  for (auto& [endpoint, host] : network.hosts()) {
    after += host.dht->stats().queries_out;
    bytes_after += host.dht->stats().bytes_out;
  }
  const double node_seconds = 50 * 3600.0;
  CHECK(static_cast<double>(after - before) / node_seconds < 0.2);
  CHECK(static_cast<double>(bytes_after - bytes_before) / node_seconds < 80);
}

TEST_CASE("a node that restarts at another port with its id is found there", "[dht]") {
  Network network(9, {});
  add_hosts(network, 6, local_endpoint);
  network.run_for(60s);
  const DhtRecord saved = network.host(local_endpoint(2)).dht->snapshot();
  network.kill(local_endpoint(2));
  Endpoint moved = local_endpoint(2);
  moved.port = 7777;
  network.add(moved, {bootstrap_at(local_endpoint(0))}, saved);
  network.run_for(60s);
  unsigned known = 0;
  for (auto& [endpoint, host] : network.hosts()) {
    if (!host.is_up) continue;
    for (const auto& node : host.dht->snapshot().nodes) known += node.endpoint == moved ? 1U : 0U;
  }
  CHECK(known >= 4);
}

TEST_CASE("a network in which every rule applies to private addresses works", "[dht]") {
  Network::Options options;
  options.special_use_is_global = true;
  Network network(10, options);
  const auto endpoint_of = [](unsigned n) { return Endpoint::v4(0x0a000001U + (n << 16U), 7000); };
  add_hosts(network, 40, endpoint_of);
  network.run_for(30s);
  for (unsigned i = 0; i < 10; ++i) network.announce(endpoint_of(i), make_id(i), 6000);
  network.run_for(5s);
  for (unsigned i = 0; i < 10; ++i) network.get_peers(endpoint_of(20 + i), make_id(i));
  network.run_for(5s);
  for (unsigned i = 0; i < 10; ++i) {
    CHECK(network.host(endpoint_of(20 + i)).found[make_id(i)].size() == 1);
  }
}

TEST_CASE("each of the first eight nodes is told to the owner, and none after them", "[dht]") {
  for (const unsigned hosts_count : {2U, 5U, 30U}) {
    Network network(12, {});
    add_hosts(network, hosts_count, global_endpoint);
    network.run_for(60s);
    const auto& grown = network.host(global_endpoint(0)).grown;
    const unsigned expected = std::min(hosts_count - 1, 8U);
    REQUIRE(grown.size() >= expected);
    for (unsigned i = 0; i < expected; ++i) CHECK(grown[i] == i + 1);
    CHECK(*std::ranges::max_element(grown) == expected);
  }
}

TEST_CASE("the same seed gives the same datagrams, another seed others", "[dht]") {
  const auto digest = [](std::uint64_t seed) {
    Network::Options options;
    options.loss = 0.05;
    Network network(seed, options);
    add_hosts(network, 20, global_endpoint);
    network.run_for(10s);
    network.announce(global_endpoint(3), make_id(3), 6000);
    network.get_peers(global_endpoint(4), make_id(3));
    network.run_for(20min);
    return network.digest();
  };
  CHECK(digest(11) == digest(11));
  CHECK(digest(11) != digest(12));
}

TEST_CASE("nodes that learn their address take an id bound to it, and still find everything",
          "[dht]") {
  Network network(21, {});
  add_hosts(network, 30, global_endpoint);
  network.announce(global_endpoint(3), make_id(1), 5001);
  network.run_for(60s);
  for (auto& [endpoint, host] : network.hosts()) {
    INFO(endpoint.to_string());
    CHECK(is_bound_to(host.dht->stats().id, endpoint));
    CHECK(host.dht->stats().address == endpoint.prefix(32));
    CHECK(host.dht->snapshot().id == host.dht->stats().id);
    CHECK(host.dht->stats().nodes > 12);
  }
  network.get_peers(global_endpoint(17), make_id(1));
  network.run_for(3s);
  CHECK(network.host(global_endpoint(17)).found[make_id(1)].size() == 1);
}

TEST_CASE("nodes at private addresses keep their ids", "[dht]") {
  Network network(22, {});
  add_hosts(network, 20, local_endpoint);
  std::map<Endpoint, DhtId> before;
  for (auto& [endpoint, host] : network.hosts()) before[endpoint] = host.dht->stats().id;
  network.run_for(60s);
  for (auto& [endpoint, host] : network.hosts()) {
    CHECK(host.dht->stats().id == before[endpoint]);
    CHECK_FALSE(host.dht->stats().address);
  }
}

}  // namespace peernet::dht::test
