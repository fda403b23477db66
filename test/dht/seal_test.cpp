#include "dht/seal.h"

#include <catch2/catch.hpp>

#include "dht/krpc.h"
#include "test/dht/network.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

constexpr Time kNow{1000s};
constexpr WallTime kWall{1'800'000'000'000};

Key key_of(std::uint8_t number) {
  Key key;
  key.mutable_view()[0] = number;
  return key;
}

Seal seal_at(std::int64_t behind_ms, std::uint64_t seed = 1, std::uint8_t network = 9,
             bool is_v6 = false) {
  Seal seal(key_of(network), is_v6, Rng(seed));
  seal.on_wall_clock(kNow, {kWall.unix_ms - behind_ms});
  return seal;
}

const BytesView kMessage = as_bytes("d1:t2:aa1:y1:qe");

}  // namespace

TEST_CASE("what a member seals another opens, a query once and an answer at any time", "[dht]") {
  Seal a = seal_at(0, 1);
  Seal b = seal_at(0, 2);
  Bytes opened;
  const Bytes query = a.close(kNow, Direction::query, kMessage);
  CHECK(query.size() == kMessage.size() + kSealOverhead);
  CHECK(b.open(kNow, query, opened) == Direction::query);
  CHECK(as_text(opened) == as_text(kMessage));
  CHECK_FALSE(b.open(kNow, query, opened));
  const Bytes answer = a.close(kNow, Direction::answer, kMessage);
  CHECK(b.open(kNow, answer, opened) == Direction::answer);
  CHECK(b.open(kNow + 1h, answer, opened) == Direction::answer);
}

TEST_CASE("no bit of a sealed datagram can be changed", "[dht]") {
  Seal a = seal_at(0, 1);
  Seal b = seal_at(0, 2);
  Bytes opened;
  Bytes query = a.close(kNow, Direction::query, kMessage);
  for (std::size_t bit = 0; bit < query.size() * 8; ++bit) {
    query[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    CHECK_FALSE(b.open(kNow, query, opened));
    query[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
  }
  for (std::size_t size = 0; size < query.size(); ++size) {
    CHECK_FALSE(b.open(kNow, BytesView(query).first(size), opened));
  }
  CHECK(b.open(kNow, query, opened));
}

TEST_CASE("another network's datagrams, and another family's, are not opened", "[dht]") {
  Bytes opened;
  const Bytes query = seal_at(0, 1).close(kNow, Direction::query, kMessage);
  Seal other = seal_at(0, 2, 8);
  CHECK_FALSE(other.open(kNow, query, opened));
  Seal v6 = seal_at(0, 2, 9, true);
  CHECK_FALSE(v6.open(kNow, query, opened));
}

TEST_CASE("a query counts for two minutes before and after it was sent", "[dht]") {
  Bytes opened;
  for (const std::int64_t behind : {-120'000, 120'000}) {
    Seal sender = seal_at(behind);
    Seal receiver = seal_at(0);
    CHECK(receiver.open(kNow, sender.close(kNow, Direction::query, kMessage), opened));
  }
  for (const std::int64_t behind : {-120'001, 120'001}) {
    Seal sender = seal_at(behind);
    Seal receiver = seal_at(0);
    CHECK_FALSE(receiver.open(kNow, sender.close(kNow, Direction::query, kMessage), opened));
    CHECK(receiver.open(kNow, sender.close(kNow, Direction::answer, kMessage), opened));
  }
}

TEST_CASE("without the time no query is opened", "[dht]") {
  Seal receiver(key_of(9), false, Rng(1));
  Bytes opened;
  CHECK_FALSE(receiver.open(kNow, seal_at(0).close(kNow, Direction::query, kMessage), opened));
}

TEST_CASE("a query is never taken twice, however many come", "[dht]") {
  Seal sender = seal_at(0, 1);
  Seal receiver = seal_at(0, 2);
  Bytes opened;
  Time now = kNow;
  const Bytes first = sender.close(now, Direction::query, kMessage);
  REQUIRE(receiver.open(now, first, opened));
  std::vector<Bytes> kept;
  std::size_t taken = 0;
  // Both generations fill, twice over.
  for (std::size_t i = 0; i < 4 * kNoncesMax + 1; ++i) {
    now += 100us;
    const Bytes query = sender.close(now, Direction::query, kMessage);
    if (receiver.open(now, query, opened)) ++taken;
    if (i % 10'000 == 0) kept.push_back(query);
  }
  for (const Bytes& query : kept) CHECK_FALSE(receiver.open(now, query, opened));
  CHECK_FALSE(receiver.open(now, first, opened));
  // Fresh ones are hardly ever refused: only those sent in the millisecond that was forgotten.
  CHECK(taken > 4 * kNoncesMax - 50);
}

TEST_CASE("a replay is refused across the change of generations", "[dht]") {
  Seal sender = seal_at(-119'000, 1);  // its clock is ahead
  Seal receiver = seal_at(0, 2);
  Bytes opened;
  Bytes query = sender.close(kNow, Direction::query, kMessage);
  REQUIRE(receiver.open(kNow, query, opened));
  for (int second = 1; second < 600; ++second) {
    const Time now = kNow + second * 1s;
    CHECK_FALSE(receiver.open(now, query, opened));
    CHECK(receiver.open(now, sender.close(now, Direction::query, kMessage), opened));
  }
}

TEST_CASE("a set of nonces is full at its limit, and knows each of them", "[dht]") {
  NonceSet nonces;
  Rng rng(1);
  std::vector<DatagramNonce> added;
  while (!nonces.is_full()) {
    added.push_back(rng.tagged<DatagramNonce>());
    nonces.add(added.back());
  }
  CHECK(added.size() == kNoncesMax);
  CHECK(std::all_of(added.begin(), added.end(), [&](auto& n) { return nonces.contains(n); }));
  CHECK_FALSE(nonces.contains(rng.tagged<DatagramNonce>()));
  nonces.clear();
  CHECK_FALSE(nonces.contains(added[0]));
}

TEST_CASE("a private network finds its peers, and strangers get silence", "[dht]") {
  Network::Options options;
  options.network_key = key_of(7);
  options.loss = 0.01;
  Network network(31, options);
  network.add(global_endpoint(0), {});
  for (unsigned i = 1; i < 20; ++i) {
    network.add(global_endpoint(i), {bootstrap_at(global_endpoint(0))});
    network.run_for(20ms);
  }
  network.run_for(5s);
  network.announce(global_endpoint(3), make_id(1), 5001);
  network.put_item(global_endpoint(4), immutable_item(as_bytes("5:hello")));
  network.run_for(5s);
  network.get_peers(global_endpoint(17), make_id(1));
  network.get_item(global_endpoint(17), item_target(as_bytes("5:hello")));
  network.run_for(5s);
  CHECK(network.host(global_endpoint(17)).found[make_id(1)].size() == 1);
  CHECK(network.host(global_endpoint(17)).items.size() == 1);

  network.strays().clear();
  Query query;
  query.txid = as_bytes("aa");
  query.sender = make_id(5);
  query.body = Ping{};
  const Endpoint stranger = global_endpoint(500);
  network.send(stranger, global_endpoint(3), encode(query));
  network.send(stranger, global_endpoint(3), Bytes(kSealOverhead, 1));
  Seal other(key_of(8), false, Rng(1));
  other.on_wall_clock(network.now(), {});
  network.send(stranger, global_endpoint(3),
               other.close(network.now(), Direction::query, encode(query)));
  network.run_for(5s);
  CHECK(network.strays().empty());
}

}  // namespace peernet::dht::test
