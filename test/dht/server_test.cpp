// What the server answers, bytes in and bytes out.

#include "dht/server.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <string>

#include "core/codec.h"
#include "test/dht/network.h"

namespace peernet::dht::test {

using namespace std::chrono_literals;

namespace {

struct Asked {
  DhtId own_id = make_id(1);
  Time now{1000s};
  Rng rng{7};
  Server server{own_id, config(), Rng(8)};
  RoutingTable table{own_id, true};
  const RoutingTable* other = nullptr;
  Outlet outlet;
  Want want;
  Bytes bytes;  // of the last answer

  static Config config() {
    Config result;
    result.special_use_is_global = true;
    return result;
  }
  // The answer; views in it live until the next question.
  Message ask(const Endpoint& from, const QueryBody& body) {
    Query query;
    query.txid = as_bytes("aa");
    query.sender = make_id(2);
    query.body = body;
    query.want = want;
    const Bytes datagram = encode(query);
    const auto decoded = decode(datagram);
    REQUIRE(decoded);
    Effects out;
    if (const auto* bad = std::get_if<BadQuery>(&*decoded)) {
      server.on_bad_query(now, from, *bad, datagram.size(), outlet, out);
    } else {
      server.on_query(now, from, std::get<Query>(*decoded), datagram.size(), 0, {table, other},
                      outlet, out);
    }
    REQUIRE(out.size() == 1);
    bytes = std::get<SendDatagram>(out[0]).bytes;
    CHECK(bytes.size() <= kDatagramOutMax);
    auto answer = decode(bytes);
    REQUIRE(answer);
    return *answer;
  }
  Reply reply(const Endpoint& from, const QueryBody& body) {
    const Message message = ask(from, body);
    REQUIRE(std::holds_alternative<Reply>(message));
    return std::get<Reply>(message);
  }
  std::int64_t error(const Endpoint& from, const QueryBody& body) {
    const Message message = ask(from, body);
    REQUIRE(std::holds_alternative<ErrorReply>(message));
    return std::get<ErrorReply>(message).code;
  }
  Bytes token(const Endpoint& from, const DhtId& target) {
    return to_bytes(reply(from, Get{target, std::nullopt}).token);
  }
  void list_nodes(unsigned count) {
    for (unsigned n = 10; n < 10 + count; ++n) {
      table.on_answer(now, {make_id(n), global_endpoint(n)}, 50ms);
    }
  }
};

Put put_of(const Item& item, BytesView token, std::optional<std::int64_t> cas = std::nullopt) {
  return {item.value, token, item.key, item.salt, item.seq, item.signature, cas};
}

Item version(std::int64_t seq, BytesView value = as_bytes("1:a"), BytesView salt = {}) {
  return mutable_item(Key{}, salt, seq, value);
}

Bytes text_of(std::size_t encoded_size) {
  const std::string text(encoded_size - 4, 'x');
  return to_bytes(as_bytes(std::to_string(text.size()) + ":" + text));
}

const Endpoint kAsker = Endpoint::v4(0x50010101, 7000);

}  // namespace

TEST_CASE("an item that was put is got, an immutable and a mutable one", "[dht]") {
  Asked asked;
  for (const Item& item :
       {immutable_item(as_bytes("5:hello")), version(3, as_bytes("5:hello"), as_bytes("salt"))}) {
    const DhtId target = item_target(item);
    CHECK(asked.reply(kAsker, Get{target, std::nullopt}).value.empty());
    const Bytes token = asked.token(kAsker, target);
    CHECK(asked.reply(kAsker, put_of(item, token)).sender == asked.own_id);
    const Reply got = asked.reply(kAsker, Get{target, std::nullopt});
    CHECK(as_text(got.value) == "5:hello");
    CHECK(got.key == item.key);
    CHECK(got.seq.has_value() == item.key.has_value());
    CHECK_FALSE(got.token.empty());
  }
  CHECK(asked.server.items().size() == 2);
}

TEST_CASE("an item that is not newer than what the asker has is not sent again", "[dht]") {
  Asked asked;
  const Item item = version(3);
  const DhtId target = item_target(item);
  asked.ask(kAsker, put_of(item, asked.token(kAsker, target)));
  const Reply newer = asked.reply(kAsker, Get{target, 2});
  CHECK_FALSE(newer.value.empty());
  const Reply same = asked.reply(kAsker, Get{target, 3});
  CHECK(same.value.empty());
  CHECK_FALSE(same.key);
  CHECK(same.seq == 3);
}

TEST_CASE("a put is refused with the errors of BEP 44", "[dht]") {
  Asked asked;
  const Item item = version(5);
  const Bytes token = asked.token(kAsker, item_target(item));
  asked.ask(kAsker, put_of(item, token));

  CHECK(asked.error(kAsker, put_of(item, as_bytes("0123456789abcdef"))) == ErrorReply::kProtocol);
  CHECK(asked.error(Endpoint::v4(0x50010102, 7000), put_of(item, token)) == ErrorReply::kProtocol);
  CHECK(asked.error(kAsker, put_of(version(4), token)) == ErrorReply::kSeqTooLow);
  CHECK(asked.error(kAsker, put_of(version(6), token, 4)) == ErrorReply::kCasMismatch);
  Item forged = version(6);
  forged.signature.bytes[3] ^= 1U;
  CHECK(asked.error(kAsker, put_of(forged, token)) == ErrorReply::kBadSignature);
  const Item big = immutable_item(text_of(kItemValueMax + 1));
  CHECK(asked.error(kAsker, put_of(big, token)) == ErrorReply::kValueTooBig);
  const Bytes salt(kSaltMax + 1, 's');
  CHECK(asked.error(kAsker, put_of(version(6, as_bytes("1:a"), salt), token)) ==
        ErrorReply::kSaltTooBig);
  CHECK(asked.reply(kAsker, put_of(version(6), token, 5)).sender == asked.own_id);
}

TEST_CASE("a token for one item is none for another", "[dht]") {
  Asked asked;
  const Bytes token = asked.token(kAsker, make_id(5));
  CHECK(asked.error(kAsker, put_of(version(1), token)) == ErrorReply::kProtocol);
  CHECK(asked.server.items().size() == 0);
}

TEST_CASE("the greatest item fits an answer, whose contacts make room for it", "[dht]") {
  Asked asked;
  asked.list_nodes(16);
  const Bytes salt(kSaltMax, 's');
  for (const Item& item :
       {immutable_item(text_of(kItemValueMax)), version(5, text_of(kItemValueMax), salt)}) {
    const DhtId target = item_target(item);
    const Bytes token = asked.token(kAsker, target);
    asked.ask(kAsker, put_of(item, token));
    const Reply got = asked.reply(kAsker, Get{target, std::nullopt});
    CHECK(got.value.size() == kItemValueMax);
    CHECK(got.nodes.size() < kAnswerContactsMax);
  }
}

TEST_CASE("an unproven source gets a small item within 4.5 times its query, a great one not",
          "[dht]") {
  const Endpoint stranger = Endpoint::v4(0x51010101, 7000);
  for (const std::size_t size : {104U, 900U}) {
    Asked asked;
    asked.list_nodes(16);
    const Item item = immutable_item(text_of(size));
    const DhtId target = item_target(item);
    asked.ask(kAsker, put_of(item, asked.token(kAsker, target)));
    Query query;
    query.txid = as_bytes("aa");
    query.sender = make_id(2);
    query.body = Get{target, std::nullopt};
    const Reply got = asked.reply(stranger, Get{target, std::nullopt});
    CHECK(asked.bytes.size() * 2 <= encode(query).size() * 9);
    CHECK(got.value.empty() == (size == 900));
    CHECK(got.nodes.size() >= kAnswerContactsMin);
    CHECK_FALSE(got.token.empty());
    // When it has proved its address, it gets it.
    asked.server.prove(asked.now, stranger);
    CHECK(asked.reply(stranger, Get{target, std::nullopt}).value.size() == size);
  }
}

TEST_CASE("a full item store gives no token for what it would not keep", "[dht]") {
  Asked asked;
  for (unsigned n = 0; n < kItemsMax; ++n) {
    const Item item = immutable_item(as_bytes("i" + std::to_string(n) + "e"));
    const Endpoint from = global_endpoint(n);
    asked.ask(from, put_of(item, asked.token(from, item_target(item))));
  }
  CHECK(asked.server.items().size() == kItemsMax);
  DhtId far = asked.own_id;
  for (auto& byte : far.bytes) byte ^= 0xffU;
  CHECK(asked.token(kAsker, far).empty());
  CHECK_FALSE(asked.token(kAsker, asked.own_id).empty());
}

namespace {

// Announces `keys_count` keys, each from a host of its own.
void announce_keys(Asked& asked, unsigned keys_count) {
  for (unsigned n = 0; n < keys_count; ++n) {
    const Endpoint from = global_endpoint(n);
    const DhtId key = make_id(10'000 + n);
    const Bytes token = to_bytes(asked.reply(from, GetPeers{key}).token);
    asked.ask(from, AnnouncePeer{key, 7000, false, token});
  }
}

std::set<DhtId> keys_of(const Reply& reply) {
  std::set<DhtId> keys;
  Reader reader(reply.samples->keys);
  while (reader.remaining() > 0) keys.insert(reader.tagged<DhtId>());
  return keys;
}

}  // namespace

TEST_CASE("a proven asker gets a sample of the keys, the same for ten minutes", "[dht]") {
  Asked asked;
  asked.list_nodes(16);
  announce_keys(asked, 100);
  asked.server.prove(asked.now, kAsker);
  const Reply first = asked.reply(kAsker, SampleInfohashes{make_id(3)});
  REQUIRE(first.samples);
  CHECK(first.samples->keys_count == 100);
  CHECK(first.samples->interval == 600);
  CHECK(first.nodes.size() == kAnswerContactsMax);
  const auto keys = keys_of(first);
  CHECK(keys.size() == kSamplesMax);
  std::set<DhtId> known;
  for (unsigned n = 0; n < 100; ++n) known.insert(make_id(10'000 + n));
  CHECK(std::includes(known.begin(), known.end(), keys.begin(), keys.end()));

  asked.now += 9min;
  const Reply same = asked.reply(kAsker, SampleInfohashes{make_id(4)});
  CHECK(keys_of(same) == keys);
  CHECK(same.samples->interval == 60);
  asked.now += 1min;
  asked.server.prove(asked.now, kAsker);
  CHECK(keys_of(asked.reply(kAsker, SampleInfohashes{make_id(4)})) != keys);
}

TEST_CASE("the keys of a private network are told to nobody", "[dht]") {
  Asked asked;
  Config config = Asked::config();
  config.network_key = Key{};
  asked.server = Server(asked.own_id, config, Rng(8));
  CHECK(asked.error(kAsker, SampleInfohashes{make_id(3)}) == ErrorReply::kMethodUnknown);
}

TEST_CASE("a sample to an unproven asker is at most 4.5 times its query", "[dht]") {
  Asked asked;
  asked.list_nodes(16);
  announce_keys(asked, 100);
  Query query;
  query.txid = as_bytes("aa");
  query.body = SampleInfohashes{make_id(3)};
  const Reply reply = asked.reply(kAsker, SampleInfohashes{make_id(3)});
  CHECK(asked.bytes.size() * 2 <= encode(query).size() * 9);
  CHECK(reply.samples->keys_count == 100);
}

TEST_CASE("contacts of the families that are wanted are told, or of the asker's own", "[dht]") {
  Asked asked;
  asked.list_nodes(16);
  RoutingTable v6(asked.own_id, true);
  for (unsigned n = 100; n < 116; ++n) v6.on_answer(asked.now, {make_id(n), v6_endpoint(n)}, 50ms);
  asked.other = &v6;
  asked.server.prove(asked.now, kAsker);
  const auto told = [&](bool wants_v4, bool wants_v6) {
    asked.want = {wants_v4, wants_v6};
    const Reply reply = asked.reply(kAsker, FindNode{make_id(3)});
    return std::pair(reply.nodes.size(), reply.nodes6.size());
  };
  CHECK(told(false, false) == std::pair<std::size_t, std::size_t>(8, 0));
  CHECK(told(true, false) == std::pair<std::size_t, std::size_t>(8, 0));
  CHECK(told(false, true) == std::pair<std::size_t, std::size_t>(0, 8));
  CHECK(told(true, true) == std::pair<std::size_t, std::size_t>(8, 8));
  // We are in one family only: of the other there is nothing to tell.
  asked.other = nullptr;
  CHECK(told(true, true) == std::pair<std::size_t, std::size_t>(8, 0));
  CHECK(told(false, true) == std::pair<std::size_t, std::size_t>(0, 0));
  // An unproven asker gets of both what 4.5 times its query has room for.
  asked.other = &v6;
  asked.want = {true, true};
  const Reply reply = asked.reply(Endpoint::v4(0x51010101, 7000), FindNode{make_id(3)});
  CHECK(reply.nodes.size() == 8);
  CHECK(reply.nodes6.size() < 8);
}

}  // namespace peernet::dht::test
