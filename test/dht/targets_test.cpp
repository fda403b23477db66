#include "dht/targets.h"

#include <catch2/catch.hpp>

#include <set>

#include "dht/krpc.h"
#include "dht/node_id.h"
#include "test/dht/engine.h"

namespace peernet::dht::test {

namespace {

using namespace std::chrono_literals;

constexpr Time kNow{1000s};

Lookup::Found found(unsigned n) {
  return {contact(n), to_bytes(as_bytes("token")), 1};
}

Transaction sent_to(const Contact& contact, Time sent = kNow) {
  Transaction transaction;
  transaction.to = contact.endpoint;
  transaction.sent = sent;
  return transaction;
}

// Whom something was stored at.
using Endpoints = std::set<Endpoint>;

// Everybody answers the lookup with tokens and sybils near the key, until nothing more is sent.
Endpoints stored_at(Engine& engine, const std::vector<Contact>& nodes,
                    const std::vector<Contact>& sybils) {
  Endpoints result;
  const auto id_of = [&](const Endpoint& endpoint) {
    for (const auto* known : {&nodes, &sybils}) {
      for (const Contact& contact : *known) {
        if (contact.endpoint == endpoint) return contact.id;
      }
    }
    return DhtId{};
  };
  for (int round = 0; round < 40; ++round) {
    for (const Sent& sent : engine.sent()) {
      const auto* query = std::get_if<Query>(&sent.message);
      if (query == nullptr) continue;
      Reply reply;
      reply.txid = query->txid;
      reply.sender = id_of(sent.to);
      if (std::holds_alternative<AnnouncePeer>(query->body) ||
          std::holds_alternative<Put>(query->body)) {
        result.insert(sent.to);
      } else {
        reply.token = as_bytes("token");
        reply.nodes = sybils;
      }
      engine.receive(sent.to, encode(reply));
    }
    engine.now += 10ms;
  }
  return result;
}

}  // namespace

TEST_CASE("a target is sent to once, and once more when it is slow", "[dht]") {
  Targets targets(kNow, false);
  targets.add(found(1));
  targets.add(found(2));
  while (Targets::Target* target = targets.next()) ++target->in_flight;
  CHECK_FALSE(targets.next());
  CHECK(targets.on_reply(sent_to(contact(1))));
  CHECK_FALSE(targets.on_reply(sent_to(contact(1))));
  CHECK_FALSE(targets.on_reply(sent_to(contact(3))));
  Transaction slow = sent_to(contact(1));
  slow.stage = Transaction::Stage::slow;
  targets.on_stage(slow);
  CHECK_FALSE(targets.next());
  slow.to = contact(2).endpoint;
  targets.on_stage(slow);
  Targets::Target* again = targets.next();
  REQUIRE(again != nullptr);
  CHECK(again->contact == contact(2));
  ++again->in_flight;
  targets.on_stage(slow);
  CHECK_FALSE(targets.next());
  CHECK(targets.is_awaited());
  // Nobody waits for what has lapsed, and what comes then counts.
  slow.stage = Transaction::Stage::lapsed;
  targets.on_stage(slow);
  CHECK(targets.is_awaited());
  targets.on_stage(slow);
  CHECK_FALSE(targets.is_awaited());
  CHECK(targets.acknowledged_count() == 1);
  CHECK(targets.on_reply(slow));
  CHECK(targets.acknowledged_count() == 2);
}

TEST_CASE("what was sent before targets were chosen anew concerns none of them", "[dht]") {
  Targets targets(kNow, false);
  targets.add(found(1));
  targets.restart(kNow + 1s);
  CHECK(targets.all().empty());
  targets.add(found(1));
  CHECK_FALSE(targets.contains(sent_to(contact(1))));
  CHECK(targets.contains(sent_to(contact(1), kNow + 1s)));
  CHECK(targets.on_refused(sent_to(contact(1), kNow + 1s)));
  CHECK(targets.acknowledged_count() == 0);
}

TEST_CASE("no more than its limit of nodes are stored at, and those of the nearest first",
          "[dht]") {
  Rng rng(3);
  const DhtId key = rng.tagged<DhtId>();
  // Of a thousand nodes these may all be among the 8 nearest.
  Lookup lookup(key, 1'000, false);
  std::vector<Contact> contacts;
  for (unsigned i = 0; i < 12; ++i) {
    contacts.push_back(
        {random_id_sharing(key, 7, rng), Endpoint::v4(0x3c000001U + (i << 16U), 7000)});
    lookup.add(contacts.back());
  }
  while (const auto contact = lookup.next()) {
    REQUIRE(lookup.on_answer(*contact, contact->id, as_bytes("token")));
  }
  Targets targets(kNow, false);
  targets.add_stores(lookup, true);
  CHECK(targets.all().size() == kLookupWidth);
  // Nobody twice.
  targets.add_stores(lookup, true);
  CHECK(targets.all().size() == kLookupWidth);
  for (unsigned i = 0; i < kStoresEnough; ++i) {
    CHECK_FALSE(targets.is_stored_enough(lookup, true));
    targets.on_reply(sent_to(targets.all()[i].contact));
  }
  CHECK(targets.is_stored_enough(lookup, true));
}

TEST_CASE("a put into a crowd goes to the whole region over the same paths as an announce",
          "[dht]") {
  const Item item = immutable_item(as_bytes("5:value"));
  const DhtId key = item_target(item);
  std::vector<Contact> nodes;
  std::vector<Contact> sybils;
  for (unsigned n = 1; n <= 40; ++n) nodes.push_back(contact(n));
  Rng rng(5);
  for (unsigned n = 101; n <= 110; ++n) {
    sybils.push_back({random_id_sharing(key, 30, rng), global_endpoint(n)});
  }
  const auto store = [&](bool is_put, const std::vector<Contact>& told) {
    Engine engine;
    for (const Contact& node : nodes) engine.list(node);
    engine.sent();
    if (is_put) {
      REQUIRE(engine.dht.put_item(engine.now, item, std::nullopt, engine.out));
    } else {
      engine.dht.announce(engine.now, key, 7000, false, engine.out);
    }
    return stored_at(engine, nodes, told);
  };
  const Endpoints announced = store(false, sybils);
  CHECK(announced.size() > kLookupWidth);
  CHECK(store(true, sybils) == announced);
  // Without sybils both go to the nearest.
  CHECK(store(true, {}) == store(false, {}));
  CHECK(store(true, {}).size() == kLookupWidth);
}

}  // namespace peernet::dht::test
