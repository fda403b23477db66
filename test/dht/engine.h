#pragma once

// The DHT engine under test, alone: the test sees what it sends and plays everybody else.

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dht/dht.h"
#include "dht/krpc.h"
#include "dht/node_id.h"
#include "test/dht/network.h"

namespace peernet::dht::test {

struct Sent {
  Endpoint to;
  Bytes bytes;
  Message message;  // borrows bytes
};

// The engine under test, at the same time always unless the test moves it.
struct Engine {
  Dht dht;
  Time now{std::chrono::seconds(1000)};
  Effects out;
  DhtId id = make_id(999);

  explicit Engine(std::vector<BootstrapName> bootstrap = {}, bool special_use_is_global = false,
                  std::vector<DhtRecord::Node> nodes = {})
      : dht({std::move(bootstrap), special_use_is_global}, Rng(7), test::quiet_log()) {
    dht.start(now, {id, std::move(nodes)}, out);
  }

  std::vector<Sent> sent() {
    std::vector<Sent> result;
    result.reserve(out.size());
    for (Effect& effect : out) {
      auto* datagram = std::get_if<SendDatagram>(&effect);
      if (datagram == nullptr) continue;
      result.push_back({datagram->to, std::move(datagram->bytes), {}});
      auto message = decode(result.back().bytes);
      REQUIRE(message);
      result.back().message = *message;
    }
    out.clear();
    return result;
  }
  // Exactly one datagram went out, to this endpoint.
  Sent only(const Endpoint& to) {
    auto all = sent();
    REQUIRE(all.size() == 1);
    CHECK(all[0].to == to);
    Sent result{to, all[0].bytes, {}};
    result.message = *decode(result.bytes);
    return result;
  }
  void receive(const Endpoint& from, BytesView bytes) { dht.on_datagram(now, from, bytes, out); }
  void receive(const Endpoint& from, std::string_view text) { receive(from, as_bytes(text)); }
  void query(const Endpoint& from, const DhtId& sender, const QueryBody& body,
             std::string_view txid = "aa") {
    Query q;
    q.txid = as_bytes(txid);
    q.sender = sender;
    q.body = body;
    receive(from, encode(q));
  }
  // `who` answers a query of ours.
  void answer(const Sent& asked, const DhtId& who, const std::vector<Contact>& nodes = {},
              const std::vector<Endpoint>& values = {}) {
    Reply reply;
    reply.txid = std::get<Query>(asked.message).txid;
    reply.sender = who;
    reply.nodes = nodes;
    reply.values = values;
    receive(asked.to, encode(reply));
  }
  // Lists a node, which from now on answers while time passes.
  void list(const Contact& contact) {
    const std::uint32_t before = dht.stats().nodes;
    known[contact.endpoint] = contact.id;
    query(contact.endpoint, contact.id, Ping{});
    serve();
    REQUIRE(dht.stats().nodes == before + 1);
    pass(std::chrono::milliseconds(200));
  }
  // The listed nodes answer what they are asked.
  void serve() {
    while (!out.empty()) {
      for (const Sent& sent : sent()) {
        const auto node = known.find(sent.to);
        if (node == known.end() || !std::holds_alternative<Query>(sent.message)) continue;
        answer(sent, node->second);
      }
    }
  }
  // With nodes listed, all else that was sent meanwhile is lost.
  void pass(Duration duration) {
    const Time end = now + duration;
    while (dht.deadline() <= end) {
      now = std::max(now, dht.deadline());
      dht.on_time(now, out);
      REQUIRE(dht.deadline() > now);
      if (!known.empty()) serve();
    }
    now = end;
  }
  std::map<Endpoint, DhtId> known;
};

inline Contact contact(unsigned n) {
  return {make_id(n), global_endpoint(n)};
}

// Seven nodes to a bucket.
inline Contact spread(const Engine& engine, unsigned n) {
  Rng rng(n);
  return {random_id_sharing(engine.id, n / 7, rng), global_endpoint(n)};
}

inline std::int64_t error_of(const Sent& sent) {
  const auto* error = std::get_if<ErrorReply>(&sent.message);
  REQUIRE(error != nullptr);
  return error->code;
}

}  // namespace peernet::dht::test
