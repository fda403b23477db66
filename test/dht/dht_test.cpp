// One engine, and a test that plays all others, honestly and not.

#include "dht/dht.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>

#include "dht/krpc.h"
#include "dht/node_id.h"
#include "test/dht/engine.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

TEST_CASE("a query is answered with its transaction id, our id and the asker's endpoint", "[dht]") {
  Engine engine;
  for (const std::size_t size : {0U, 1U, 8U, 32U}) {
    const std::string txid(size, '\xff');
    engine.query(local_endpoint(1), make_id(1), Ping{}, txid);
    bool is_answered = false;
    for (const Sent& sent : engine.sent()) {
      const auto* reply = std::get_if<Reply>(&sent.message);
      if (reply == nullptr) continue;
      is_answered = true;
      CHECK(sent.to == local_endpoint(1));
      CHECK(as_text(reply->txid) == txid);
      CHECK(reply->sender == engine.id);
      CHECK(reply->seen_as == local_endpoint(1));
    }
    CHECK(is_answered);
  }
}

TEST_CASE("a node that asks is listed only when it has answered our ping", "[dht]") {
  Engine engine;
  const Contact node = contact(1);
  engine.query(node.endpoint, node.id, Ping{});
  auto sent = engine.sent();
  REQUIRE(sent.size() == 2);
  REQUIRE(std::holds_alternative<Query>(sent[0].message));
  CHECK(engine.dht.stats().nodes == 0);

  SECTION("an honest answer lists it") {
    engine.answer(sent[0], node.id);
    CHECK(engine.dht.stats().nodes == 1);
    const auto event = engine.dht.next_event();
    REQUIRE(event);
    CHECK(std::holds_alternative<Joined>(*event));
  }
  SECTION("an answer with another transaction id does not") {
    Reply reply;
    reply.txid = as_bytes("12345678");
    reply.sender = node.id;
    engine.receive(node.endpoint, encode(reply));
    CHECK(engine.dht.stats().nodes == 0);
    CHECK(engine.dht.stats().dropped_in == 1);
  }
  SECTION("an answer from another address does not") {
    sent[0].to = global_endpoint(2);
    engine.answer(sent[0], node.id);
    CHECK(engine.dht.stats().nodes == 0);
  }
  SECTION("an answer from another port does not") {
    ++sent[0].to.port;
    engine.answer(sent[0], node.id);
    CHECK(engine.dht.stats().nodes == 0);
  }
  SECTION("an answer with another id than it asked with does not") {
    engine.answer(sent[0], make_id(2));
    CHECK(engine.dht.stats().nodes == 0);
  }
  SECTION("an answer after three seconds does not") {
    engine.pass(3s);
    engine.answer(sent[0], node.id);
    CHECK(engine.dht.stats().nodes == 0);
  }
  SECTION("asking again does not, however often") {
    for (int i = 0; i < 5; ++i) engine.query(node.endpoint, node.id, Ping{});
    CHECK(engine.dht.stats().nodes == 0);
  }
}

TEST_CASE("a read-only node is answered and not pinged", "[dht]") {
  Engine engine;
  Query query;
  query.txid = as_bytes("aa");
  query.sender = make_id(1);
  query.is_read_only = true;
  engine.receive(local_endpoint(1), encode(query));
  CHECK(std::holds_alternative<Reply>(engine.only(local_endpoint(1)).message));
}

TEST_CASE("an engine that is read-only says so in its queries and answers none", "[dht]") {
  Engine engine({bootstrap_at(local_endpoint(1))});
  for (const Sent& sent : engine.sent()) {
    CHECK_FALSE(std::get<Query>(sent.message).is_read_only);
  }
  engine.dht.set_read_only(true);
  engine.query(local_endpoint(2), make_id(2), Ping{});
  engine.receive(local_endpoint(3), "d1:ade1:q4:ping1:t2:aa1:y1:qe");
  CHECK(engine.sent().empty());
  engine.pass(1s);
  const auto asked = engine.sent();
  REQUIRE_FALSE(asked.empty());
  for (const Sent& sent : asked) CHECK(std::get<Query>(sent.message).is_read_only);
  // It still learns from the answers it gets.
  engine.answer(asked[0], make_id(1));
  CHECK(engine.dht.stats().nodes == 1);
  engine.sent();
  engine.dht.set_read_only(false);
  engine.query(local_endpoint(2), make_id(2), Ping{});
  CHECK_FALSE(engine.sent().empty());
}

TEST_CASE("a known id does not move when it is heard of from another address", "[dht]") {
  Engine engine;
  const Contact node = contact(1);
  engine.list(node);
  engine.query(global_endpoint(2), node.id, Ping{});
  for (const Sent& sent : engine.sent()) {
    if (std::holds_alternative<Query>(sent.message)) engine.answer(sent, node.id);
  }
  CHECK(engine.dht.stats().nodes == 1);
  CHECK(engine.dht.snapshot().nodes.at(0).endpoint == node.endpoint);
}

TEST_CASE("bad queries are answered with the errors of BEP 5, junk with silence", "[dht]") {
  Engine engine;
  const Endpoint from = local_endpoint(1);
  const std::string id = "2:id20:aaaaaaaaaaaaaaaaaaaa";
  engine.receive(from, "d1:ade1:q4:ping1:t2:aa1:y1:qe");
  CHECK(error_of(engine.only(from)) == 203);
  engine.receive(from, "d1:ad" + id + "e1:q4:vote1:t2:aa1:y1:qe");
  CHECK(error_of(engine.only(from)) == 204);
  engine.query(from, engine.id, Ping{});
  CHECK(engine.sent().empty());
  for (const char* junk : {"", "x", "d1:t2:aae", "d1:t2:aa1:y1:re", "d1:t2:aa1:y1:ee"}) {
    engine.receive(from, junk);
    CHECK(engine.sent().empty());
  }
  CHECK(engine.dht.stats().dropped_in == 6);
  CHECK(engine.dht.stats().queries_in == 3);
}

TEST_CASE("queries are counted by kind and by what became of them", "[dht]") {
  Engine engine;
  const Endpoint from = local_endpoint(1);
  const auto kind = [&](const QueryBody& body) {
    return engine.dht.stats().by_kind.at(body.index());
  };
  engine.query(from, make_id(1), FindNode{make_id(2)});
  CHECK(kind(FindNode{}).in == 1);
  CHECK(kind(FindNode{}).answered == 1);
  const Bytes token = to_bytes(as_bytes("not from us 1234"));
  AnnouncePeer announce;
  announce.key = make_id(50);
  announce.port = 6000;
  announce.token = token;
  engine.query(from, make_id(1), announce);
  CHECK(kind(AnnouncePeer{}).in == 1);
  CHECK(kind(AnnouncePeer{}).refused == 1);
  engine.query(from, engine.id, Get{});  // under our own name
  CHECK(kind(Get{}).in == 1);
  CHECK(kind(Get{}).limited == 1);
  // The sender was asked in turn who it is.
  CHECK(kind(Ping{}).out + kind(FindNode{}).out >= 1);
  for (const Sent& sent : engine.sent()) {
    if (std::holds_alternative<Query>(sent.message)) engine.answer(sent, make_id(1));
  }
  CHECK(kind(Ping{}).replies_in + kind(FindNode{}).replies_in == 1);
  CHECK(kind(Put{}).in == 0);
}

TEST_CASE("an announce needs a token we gave to this address for this key", "[dht]") {
  Engine engine;
  const Endpoint from = local_endpoint(1);
  Query query;
  query.txid = as_bytes("aa");
  query.sender = make_id(1);
  query.is_read_only = true;
  query.body = GetPeers{make_id(50)};
  engine.receive(from, encode(query));
  const Sent given = engine.only(from);
  const auto& reply = std::get<Reply>(given.message);
  REQUIRE(reply.token.size() == 16);
  CHECK(reply.values.empty());

  AnnouncePeer announce;
  announce.key = make_id(50);
  announce.port = 6000;
  announce.token = reply.token;
  const auto put = [&](const Endpoint& source) {
    query.body = announce;
    engine.receive(source, encode(query));
    return engine.only(source);
  };
  SECTION("with it the peer is kept and told to others") {
    CHECK(std::holds_alternative<Reply>(put(from).message));
    query.body = GetPeers{make_id(50)};
    engine.receive(local_endpoint(2), encode(query));
    const Sent found = engine.only(local_endpoint(2));
    Endpoint peer = from;
    peer.port = 6000;
    CHECK(std::get<Reply>(found.message).values == std::vector{peer});
    CHECK(engine.dht.stats().stored_peers == 1);
    // Half an hour later it is gone.
    engine.pass(32min);
    CHECK(engine.dht.stats().stored_peers == 0);
  }
  SECTION("an implied port is the one the datagram came from") {
    announce.is_port_implied = true;
    CHECK(std::holds_alternative<Reply>(put(from).message));
    engine.dht.get_peers(engine.now, make_id(50), engine.out);
    const auto event = engine.dht.next_event();
    REQUIRE(event);
    CHECK(std::get<PeersFound>(*event).peers == std::vector{from});
  }
  SECTION("from another address it is worth nothing") {
    CHECK(error_of(put(local_endpoint(2))) == 203);
  }
  SECTION("for another key it is worth nothing") {
    announce.key = make_id(51);
    CHECK(error_of(put(from)) == 203);
  }
  SECTION("a port under 1024 is refused") {
    announce.port = 1023;
    CHECK(error_of(put(from)) == 203);
  }
  SECTION("it dies after ten minutes") {
    engine.pass(10min);
    engine.out.clear();
    CHECK(error_of(put(from)) == 203);
  }
}

TEST_CASE("a lookup with nobody to ask is done after ten seconds, with nothing", "[dht]") {
  Engine engine;
  engine.dht.get_peers(engine.now, make_id(1), engine.out);
  engine.pass(10s - 1us);
  CHECK_FALSE(engine.dht.next_event());
  engine.pass(1us);
  const auto event = engine.dht.next_event();
  REQUIRE(event);
  const auto& done = std::get<LookupDone>(*event);
  CHECK(done.key == make_id(1));
  CHECK(done.nodes_asked == 0);
  CHECK_FALSE(done.is_announce);
  CHECK(engine.dht.stats().lookups_active == 0);
}

TEST_CASE("a second lookup of a key joins the first, and an announce turns it into one", "[dht]") {
  Engine engine;
  engine.dht.get_peers(engine.now, make_id(1), engine.out);
  engine.dht.get_peers(engine.now, make_id(1), engine.out);
  engine.dht.announce(engine.now, make_id(1), 6000, false, engine.out);
  CHECK(engine.dht.stats().lookups_active == 1);
  engine.pass(10s);
  const auto event = engine.dht.next_event();
  REQUIRE(event);
  CHECK(std::get<LookupDone>(*event).is_announce);
  CHECK_FALSE(engine.dht.next_event());
}

TEST_CASE("a forgotten lookup says nothing more", "[dht]") {
  Engine engine;
  engine.dht.get_peers(engine.now, make_id(1), engine.out);
  engine.dht.forget(make_id(1));
  engine.dht.forget(make_id(2));
  engine.pass(20s);
  CHECK_FALSE(engine.dht.next_event());
}

TEST_CASE("lookups over the limit wait for their turn, and those over all are done at once",
          "[dht]") {
  Engine engine;
  for (unsigned i = 0; i < kSearchesMax; ++i) {
    engine.dht.get_peers(engine.now, make_id(i), engine.out);
  }
  CHECK_FALSE(engine.dht.next_event());
  engine.dht.get_peers(engine.now, make_id(kSearchesMax), engine.out);
  const auto event = engine.dht.next_event();
  REQUIRE(event);
  CHECK(std::get<LookupDone>(*event).key == make_id(kSearchesMax));
  // The first ones are done together, and the next ones take their place.
  engine.pass(10s);
  unsigned done = 0;
  while (engine.dht.next_event()) ++done;
  CHECK(done == kSearchesActiveMax);
  CHECK(engine.dht.stats().lookups_active == kSearchesMax - kSearchesActiveMax);
  // Also when those that run are forgotten.
  for (unsigned i = 0; i < kSearchesMax - 1; ++i) engine.dht.forget(make_id(i));
  engine.pass(10s);
  REQUIRE(engine.dht.next_event());
  CHECK(engine.dht.stats().lookups_active == 0);
}

TEST_CASE("each peer is told once in a lookup, and none that may not be learnt", "[dht]") {
  Engine engine;
  engine.list(contact(1));
  engine.list(contact(2));
  while (engine.dht.next_event()) {
  }
  engine.dht.get_peers(engine.now, make_id(50), engine.out);
  const Endpoint peer = Endpoint::v4(0x08080808, 6881);
  for (const Sent& sent : engine.sent()) {
    const DhtId who = sent.to == contact(1).endpoint ? make_id(1) : make_id(2);
    engine.answer(sent, who, {},
                  {peer, peer, Endpoint::v4(0x7f000001, 6881), Endpoint::v4(0xc0a80101, 6881),
                   Endpoint::v4(0x08080808, 80), Endpoint::v4(0xe0000001, 6881)});
  }
  unsigned found = 0;
  while (const auto event = engine.dht.next_event()) {
    if (const auto* peers = std::get_if<PeersFound>(&*event)) {
      ++found;
      CHECK(peers->peers == std::vector{peer});
    } else if (const auto* done = std::get_if<LookupDone>(&*event)) {
      CHECK(done->peers_found == 1);
      CHECK(done->nodes_answered == 2);
    }
  }
  CHECK(found == 1);
}

TEST_CASE("nodes more local than who mentions them are never contacted", "[dht]") {
  Engine engine;
  engine.list(contact(1));
  engine.dht.get_peers(engine.now, make_id(50), engine.out);
  const Sent asked = engine.only(contact(1).endpoint);
  const auto near = [&](std::uint32_t address, std::uint16_t port) {
    Rng rng(address);
    return Contact{random_id_sharing(make_id(50), 40, rng), Endpoint::v4(address, port)};
  };
  const Contact good = near(0x08080808, 6881);
  engine.answer(asked, make_id(1),
                {near(0x7f000001, 6881),
                 near(0xc0a80101, 6881),
                 near(0x0a000001, 6881),
                 near(0xa9fe0101, 6881),
                 near(0x08080809, 53),
                 near(0x08080807, 0),
                 near(0xe0000001, 6881),
                 near(0x00000000, 6881),
                 near(0xffffffff, 6881),
                 {engine.id, Endpoint::v4(0x08080806, 6881)},
                 good});
  CHECK(std::holds_alternative<Query>(engine.only(good.endpoint).message));
  engine.known.clear();
  engine.pass(10s);
  for (const Sent& sent : engine.sent()) {
    CHECK((sent.to == good.endpoint || sent.to == contact(1).endpoint));
  }
}

TEST_CASE("one datagram of an unproven source brings it at most 4.5 times its bytes", "[dht]") {
  const std::string ids = "2:id20:zzzzzzzzzzzzzzzzzzzz";
  const std::string key(20, 'k');
  const std::vector<std::string> datagrams{
      "d1:ad" + ids + "e1:q4:ping1:t0:1:y1:qe",
      "d1:ad" + ids + "6:target20:" + key + "e1:q9:find_node1:t0:1:y1:qe",
      "d1:ad" + ids + "9:info_hash20:" + key + "e1:q9:get_peers1:t0:1:y1:qe",
      "d1:ad" + ids + "9:info_hash20:" + key + "e1:q9:get_peers1:t32:" + std::string(32, 't') +
          "1:y1:qe",
      "d1:q1:x1:t0:1:y1:qe",
      "d1:t0:1:y1:qe",
      "d1:y1:q1:t0:e",
      "d1:ad" + ids + "e1:q1:x1:t0:1:y1:qe",
      "d1:ad" + ids + "e1:q13:announce_peer1:t0:1:y1:qe",
      "d1:ad" + ids + "9:info_hash20:" + key +
          "4:porti6881e5:token16:0123456789abcdefe1:q13:announce_peer1:t0:1:y1:qe",
      "x",
  };
  for (const std::string& datagram : datagrams) {
    Engine engine;
    for (unsigned i = 1; i <= 20; ++i) engine.list(spread(engine, i));
    // Sixty peers under the key, announced by proven nodes.
    const DhtId key_id = *DhtId::from(as_bytes(key));
    for (unsigned i = 0; i < 60; ++i) {
      const Endpoint peer = local_endpoint(i);
      engine.query(peer, make_id(100 + i), GetPeers{key_id});
      Bytes token;
      for (const Sent& sent : engine.sent()) {
        if (const auto* reply = std::get_if<Reply>(&sent.message)) token = to_bytes(reply->token);
      }
      AnnouncePeer announce;
      announce.key = key_id;
      announce.port = 6000;
      announce.token = token;
      engine.query(peer, make_id(100 + i), announce);
    }
    CHECK(engine.dht.stats().stored_peers == 60);
    engine.pass(10s);
    engine.out.clear();

    const Endpoint victim = global_endpoint(100);
    engine.receive(victim, datagram);
    engine.known.clear();
    engine.pass(20s);
    std::size_t bytes = 0;
    for (const Sent& sent : engine.sent()) {
      if (sent.to == victim) bytes += sent.bytes.size();
    }
    INFO(datagram << " " << bytes << " bytes");
    CHECK(bytes * 2 <= datagram.size() * 9);
    if (datagram.find("get_peers") != std::string::npos) CHECK(bytes > 300);
  }
}

TEST_CASE("a proven source gets a whole datagram of peers", "[dht]") {
  Engine engine;
  for (unsigned i = 1; i <= 20; ++i) engine.list(spread(engine, i));
  std::size_t values = 0;
  for (unsigned i = 0; i < 200; ++i) {
    const Endpoint peer = Endpoint::v4(0x14000001U + (i << 16U), 7000);
    Bytes token;
    engine.query(peer, make_id(1000 + i), GetPeers{make_id(50)});
    for (const Sent& sent : engine.sent()) {
      if (const auto* reply = std::get_if<Reply>(&sent.message)) token = to_bytes(reply->token);
    }
    AnnouncePeer announce;
    announce.key = make_id(50);
    announce.port = 6000;
    announce.token = token;
    engine.query(peer, make_id(1000 + i), announce);
    engine.pass(100ms);
    engine.out.clear();
  }
  CHECK(engine.dht.stats().stored_peers == 200);
  engine.query(global_endpoint(1), spread(engine, 1).id, GetPeers{make_id(50)});
  for (const Sent& sent : engine.sent()) {
    CHECK(sent.bytes.size() <= kDatagramOutMax);
    if (const auto* reply = std::get_if<Reply>(&sent.message)) {
      values = reply->values.size();
      CHECK(reply->nodes.size() == 8);
    }
  }
  CHECK(values >= 90);
}

}  // namespace peernet::dht::test
