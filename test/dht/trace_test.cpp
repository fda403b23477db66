// What the owner is told of single queries: pings, and the steps of a lookup it watches.

#include <catch2/catch.hpp>

#include <algorithm>

#include "dht/dht.h"
#include "test/dht/network.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

// Ten nodes that know each other; the first eight answer for sure.
struct Net {
  Network network{1, {}};
  explicit Net(unsigned count = 10) {
    network.add(local_endpoint(0), {});
    for (unsigned n = 1; n < count; ++n) {
      network.add(local_endpoint(n), {bootstrap_at(local_endpoint(0))});
    }
    network.run_for(10s);
  }
  Host& host(unsigned n) { return network.host(local_endpoint(n)); }
};

}  // namespace

TEST_CASE("a traced lookup tells of each query what became of it", "[dht]") {
  Net net;
  net.network.announce(local_endpoint(2), make_id(1), 5001);
  net.network.run_for(5s);
  net.network.kill(local_endpoint(3));

  Host& host = net.host(9);
  host.dht->trace(make_id(1));
  net.network.get_peers(local_endpoint(9), make_id(1));
  net.network.run_for(5s);
  REQUIRE(host.done.size() == 1);
  const auto answered = std::count_if(host.steps.begin(), host.steps.end(), [](const auto& step) {
    return step.outcome == LookupStep::Outcome::answered;
  });
  CHECK(answered == host.done[0].nodes_answered);
  std::uint32_t told_peers = 0;
  for (const LookupStep& step : host.steps) {
    CHECK(step.key == make_id(1));
    CHECK(step.id.has_value());
    CHECK_FALSE(step.is_announce);
    CHECK(step.took >= 40ms);
    told_peers = std::max(told_peers, step.peers);
    if (step.outcome == LookupStep::Outcome::answered) CHECK(step.took <= 160ms);
  }
  CHECK(told_peers == 1);
}

TEST_CASE("a lookup that is not traced, or no longer, tells no steps", "[dht]") {
  Net net;
  Host& host = net.host(9);
  net.network.get_peers(local_endpoint(9), make_id(1));
  net.network.run_for(5s);
  CHECK(host.steps.empty());

  host.dht->trace(make_id(1));
  net.network.get_peers(local_endpoint(9), make_id(2));
  net.network.run_for(5s);
  CHECK(host.steps.empty());

  net.network.get_peers(local_endpoint(9), make_id(1));
  net.network.run_for(5s);
  const std::size_t steps_count = host.steps.size();
  CHECK(steps_count > 0);
  net.network.get_peers(local_endpoint(9), make_id(1));
  net.network.run_for(5s);
  CHECK(host.steps.size() == steps_count);
}

TEST_CASE("an announce that is traced tells whom it told", "[dht]") {
  Net net;
  Host& host = net.host(9);
  host.dht->trace(make_id(1));
  net.network.announce(local_endpoint(9), make_id(1), 5001);
  net.network.run_for(5s);
  REQUIRE(host.done.size() == 1);
  const auto told = std::count_if(host.steps.begin(), host.steps.end(), [](const auto& step) {
    return step.is_announce && step.outcome == LookupStep::Outcome::answered;
  });
  CHECK(told >= host.done[0].stored);
  CHECK(told > 0);
}

TEST_CASE("no more lookups are traced than are allowed", "[dht]") {
  Net net;
  Host& host = net.host(9);
  for (unsigned n = 0; n < kTracesMax; ++n) host.dht->trace(make_id(1000 + n));
  host.dht->trace(make_id(1));
  net.network.get_peers(local_endpoint(9), make_id(1));
  net.network.run_for(5s);
  CHECK(host.steps.empty());

  net.network.get_peers(local_endpoint(9), make_id(1000 + kTracesMax - 1));
  net.network.run_for(5s);
  CHECK_FALSE(host.steps.empty());
  host.steps.clear();
  host.dht->trace(make_id(1));
  net.network.get_peers(local_endpoint(9), make_id(1));
  net.network.run_for(5s);
  CHECK_FALSE(host.steps.empty());
}

TEST_CASE("a ping ends with the id of who answered, or without", "[dht]") {
  Net net(2);
  net.network.add(local_endpoint(5), {});
  Host& host = net.host(1);
  net.network.ping(local_endpoint(1), 7, local_endpoint(5));
  net.network.ping(local_endpoint(1), 8, local_endpoint(6));
  net.network.run_for(1s);
  REQUIRE(host.pinged.size() == 1);
  CHECK(host.pinged[0].number == 7);
  CHECK(host.pinged[0].endpoint == local_endpoint(5));
  CHECK(host.pinged[0].id == net.host(5).dht->stats().id);
  CHECK(host.pinged[0].took >= 40ms);
  net.network.run_for(3s);
  REQUIRE(host.pinged.size() == 2);
  CHECK(host.pinged[1].number == 8);
  CHECK_FALSE(host.pinged[1].id.has_value());
  CHECK(host.pinged[1].took == kHardTimeout);
}

TEST_CASE("nobody is pinged where nothing can be sent", "[dht]") {
  Net net(1);
  Effects out;
  Dht& dht = *net.host(0).dht;
  CHECK_FALSE(dht.ping(net.network.now(), 1, Endpoint::v4(0, 7000), out));
  CHECK_FALSE(dht.ping(net.network.now(), 1, Endpoint::v4(0x0a000001, 0), out));
  CHECK_FALSE(dht.ping(net.network.now(), 1, Endpoint::v4(0x0a000001, 1023), out));
  CHECK(out.empty());
}

}  // namespace peernet::dht::test
