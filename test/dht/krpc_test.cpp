#include "dht/krpc.h"

#include <catch2/catch.hpp>

#include <fstream>
#include <map>
#include <string>

#include "dht/item.h"

namespace peernet::dht::test {

namespace {

// The examples of dht/README.md: a line "example: NAME", then lines of hex.
std::map<std::string, Bytes> read_examples() {
  std::ifstream file(std::string(PEERNET_SOURCE_DIR) + "/dht/README.md");
  REQUIRE(file.good());
  std::map<std::string, Bytes> examples;
  std::string name;
  for (std::string line; std::getline(file, line);) {
    const std::string mark = "example: ";
    if (line.rfind(mark, 0) == 0) {
      name = line.substr(mark.size());
    } else if (!name.empty()) {
      const auto bytes = from_hex(line);
      if (bytes && !line.empty()) {
        append(examples[name], *bytes);
      } else {
        name.clear();
      }
    }
  }
  return examples;
}

DhtId id_of(char letter) {
  DhtId id;
  id.bytes.fill(static_cast<std::uint8_t>(letter));
  return id;
}

const Bytes kTxid = to_bytes(as_bytes("01234567"));
const Bytes kToken = to_bytes(as_bytes("tokentokentoken!"));
const Endpoint kAsker = Endpoint::v4(0xc6336401, 7341);  // 198.51.100.1:7341

Query query(const QueryBody& body) {
  Query result;
  result.txid = kTxid;
  result.sender = id_of('a');
  result.body = body;
  return result;
}

AnnouncePeer announce(bool is_port_implied) {
  AnnouncePeer body;
  body.key = id_of('k');
  body.port = 7341;
  body.is_port_implied = is_port_implied;
  body.token = kToken;
  return body;
}

Reply reply() {
  Reply result;
  result.txid = kTxid;
  result.sender = id_of('b');
  result.seen_as = kAsker;
  return result;
}

// What each example of the README says.
std::map<std::string, Bytes> make_examples() {
  const std::vector<Contact> nodes{{id_of('c'), Endpoint::v4(0xcb007107, 6881)},
                                   {id_of('d'), Endpoint::v4(0xcb007108, 6882)}};
  Reply found_nodes = reply();
  found_nodes.nodes = nodes;
  Reply found_peers = reply();
  found_peers.nodes = nodes;
  found_peers.token = kToken;
  found_peers.values = {Endpoint::v4(0xc0000205, 7341), Endpoint::v4(0xc0000206, 7342)};
  const Item item = mutable_item(Key{}, as_bytes("salt"), 7, as_bytes("5:hello"));
  Reply found_item = reply();
  found_item.nodes = nodes;
  found_item.token = kToken;
  found_item.value = item.value;
  found_item.key = item.key;
  found_item.seq = item.seq;
  found_item.signature = item.signature;
  const Bytes answer = encode(found_item);
  Put put;
  put.value = item.value;
  put.token = kToken;
  put.key = item.key;
  put.salt = item.salt;
  put.seq = item.seq;
  put.signature = item.signature;
  put.cas = 6;
  Reply found_both = reply();
  found_both.nodes = nodes;
  found_both.nodes6 = {{id_of('e'), *Endpoint::parse("[2001:db8::7]:6883")}};
  Query find_both = query(FindNode{id_of('t')});
  find_both.want = {true, true};
  Reply samples = reply();
  samples.nodes = nodes;
  const Bytes keys = to_bytes(as_bytes("kkkkkkkkkkkkkkkkkkkkllllllllllllllllllll"));
  samples.samples = {keys, 2, 600};
  return {
      {"find_node query for both families", encode(find_both)},
      {"find_node reply with both families", encode(found_both)},
      {"sample_infohashes query", encode(query(SampleInfohashes{id_of('t')}))},
      {"sample_infohashes reply", encode(samples)},
      {"get query", encode(query(Get{id_of('t'), std::nullopt}))},
      {"get reply", answer},
      {"put query", encode(query(put))},
      {"ping query", encode(query(Ping{}))},
      {"ping reply, announce_peer reply", encode(reply())},
      {"find_node query", encode(query(FindNode{id_of('t')}))},
      {"find_node reply", encode(found_nodes)},
      {"get_peers query", encode(query(GetPeers{id_of('k')}))},
      {"get_peers reply", encode(found_peers)},
      {"announce_peer query", encode(query(announce(false)))},
      {"announce_peer query with implied_port", encode(query(announce(true)))},
      {"error", encode(ErrorReply{kTxid, ErrorReply::kProtocol, "bad token"})},
  };
}

Message decoded(BytesView bytes) {
  auto message = decode(bytes);
  REQUIRE(message);
  return *message;
}

template <class T>
T as(const Message& message) {
  const T* found = std::get_if<T>(&message);
  REQUIRE(found != nullptr);
  return *found;
}

std::int64_t error_code(std::string_view text) {
  return as<BadQuery>(decoded(as_bytes(text))).error.code;
}

}  // namespace

TEST_CASE("each message is encoded as its example in the README", "[dht]") {
  const auto examples = read_examples();
  for (const auto& [name, bytes] : make_examples()) {
    INFO(name << "\n" << to_hex(bytes));
    CHECK(examples.contains(name));
    if (!examples.contains(name)) continue;
    CHECK(to_hex(examples.at(name)) == to_hex(bytes));
  }
  CHECK(examples.size() == make_examples().size());
}

TEST_CASE("what was encoded is decoded to the same", "[dht]") {
  for (const auto& [name, bytes] : make_examples()) {
    INFO(name);
    const Message message = decoded(bytes);
    Bytes again;
    if (const auto* q = std::get_if<Query>(&message)) again = encode(*q);
    if (const auto* r = std::get_if<Reply>(&message)) again = encode(*r);
    if (const auto* e = std::get_if<ErrorReply>(&message)) again = encode(*e);
    // Whoever implies the port has none that counts.
    if (name != "announce_peer query with implied_port") CHECK(to_hex(again) == to_hex(bytes));
  }
}

TEST_CASE("queries are decoded with every field", "[dht]") {
  const Bytes bytes = encode(query(announce(false)));
  const auto message = as<Query>(decoded(bytes));
  CHECK(message.sender == id_of('a'));
  CHECK(as_text(message.txid) == "01234567");
  CHECK_FALSE(message.is_read_only);
  const auto* body = std::get_if<AnnouncePeer>(&message.body);
  REQUIRE(body != nullptr);
  CHECK(body->key == id_of('k'));
  CHECK(body->port == 7341);
  CHECK_FALSE(body->is_port_implied);
  CHECK(as_text(body->token) == "tokentokentoken!");
}

TEST_CASE("unsorted dictionaries and unknown keys are tolerated", "[dht]") {
  const auto message = as<Query>(decoded(as_bytes(
      "d1:y1:q1:v4:xy121:t2:aa1:q4:ping2:roi1e1:ad2:id20:aaaaaaaaaaaaaaaaaaaa4:moreleee")));
  CHECK(message.sender == id_of('a'));
  CHECK(message.is_read_only);
  CHECK(as_text(message.txid) == "aa");
}

TEST_CASE("transaction ids of 0 to 32 bytes are kept, longer ones dropped", "[dht]") {
  for (std::size_t size = 0; size <= kTxidSizeMax + 1; ++size) {
    const Bytes txid(size, 0xff);
    Query ping = query(Ping{});
    ping.txid = txid;
    const Bytes bytes = encode(ping);
    const auto message = decode(bytes);
    REQUIRE(message.has_value() == (size <= kTxidSizeMax));
    if (message) CHECK(to_bytes(as<Query>(*message).txid) == txid);
  }
}

TEST_CASE("a query that cannot be served says which error to answer with", "[dht]") {
  const std::string id = "2:id20:aaaaaaaaaaaaaaaaaaaa";
  CHECK(error_code("d1:q4:ping1:t2:aa1:y1:qe") == 203);
  CHECK(error_code("d1:ade1:q4:ping1:t2:aa1:y1:qe") == 203);
  CHECK(error_code("d1:ad2:id19:aaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe") == 203);
  CHECK(error_code("d1:ad" + id + "e1:t2:aa1:y1:qe") == 203);
  CHECK(error_code("d1:ad" + id + "e1:q9:find_node1:t2:aa1:y1:qe") == 203);
  CHECK(error_code("d1:ad" + id + "e1:q9:get_peers1:t2:aa1:y1:qe") == 203);
  CHECK(error_code("d1:ad" + id + "e1:q13:announce_peer1:t2:aa1:y1:qe") == 203);
  CHECK(error_code("d1:ad" + id + "6:target20:aaaaaaaaaaaaaaaaaaaae1:q4:vote1:t2:aa1:y1:qe") ==
        204);
  for (const char* port : {"0", "-1", "65536", "9223372036854775807"}) {
    CHECK(error_code("d1:ad" + id + "9:info_hash20:aaaaaaaaaaaaaaaaaaaa4:porti" + port +
                     "e5:token2:xxe1:q13:announce_peer1:t2:aa1:y1:qe") == 203);
  }
}

TEST_CASE("what is no KRPC message gets no answer", "[dht]") {
  for (const char* text : {"", "x", "de", "le", "i1e", "d1:t2:aae", "d1:y1:qe", "d1:t2:aa1:y1:xe",
                           "d1:t2:aa1:yi1ee", "d1:ti1e1:y1:qe", "d1:rde1:t2:aa1:y1:re",
                           "d1:rd2:id3:abce1:t2:aa1:y1:re", "d1:t2:aa1:y1:q", "d1:t2:aa1:y1:qee"}) {
    INFO(text);
    CHECK_FALSE(decode(as_bytes(text)));
  }
}

TEST_CASE("a datagram is at most 1500 bytes, six levels deep, and 512 tokens long", "[dht]") {
  const auto padded = [](std::size_t size) {
    const std::string head = "d1:p";
    const std::string tail = "1:t2:aa1:y1:ee";
    const std::size_t rest = size - head.size() - tail.size() - 5;
    return head + std::to_string(rest) + ":" + std::string(rest, 'x') + tail;
  };
  REQUIRE(padded(kDatagramInMax).size() == kDatagramInMax);
  CHECK(decode(as_bytes(padded(kDatagramInMax))));
  CHECK_FALSE(decode(as_bytes(padded(kDatagramInMax + 1))));

  const auto nested = [](std::size_t depth) {
    return "d1:p" + std::string(depth - 1, 'l') + std::string(depth - 1, 'e') + "1:t2:aa1:y1:ee";
  };
  CHECK(decode(as_bytes(nested(kBencodeDepthMax))));
  CHECK_FALSE(decode(as_bytes(nested(kBencodeDepthMax + 1))));

  // The dictionary, its six strings, the list: what is left for items of the list.
  const auto long_list = [](std::size_t items) {
    std::string text = "d1:pl";
    for (std::size_t i = 0; i < items; ++i) text += "0:";
    return text + "e1:t2:aa1:y1:ee";
  };
  const std::size_t items = kBencodeTokensMax - 7;
  CHECK(decode(as_bytes(long_list(items))));
  CHECK_FALSE(decode(as_bytes(long_list(items + 1))));
}

TEST_CASE("of a reply only so many contacts, peers and token bytes are taken", "[dht]") {
  Reply many = reply();
  for (std::size_t i = 0; i < kReplyContactsMax + 1; ++i) {
    many.nodes.push_back({id_of('c'), Endpoint::v4(0x01010101, 6881)});
  }
  many.token = kToken;
  const Bytes bytes = encode(many);
  CHECK(as<Reply>(decoded(bytes)).nodes.size() == kReplyContactsMax);

  Reply peers = reply();
  for (std::size_t i = 0; i < kReplyPeersMax; ++i) {
    peers.values.push_back(Endpoint::v4(0x01010101, static_cast<std::uint16_t>(2000 + i)));
  }
  const Bytes at_limit = encode(peers);
  CHECK(as<Reply>(decoded(at_limit)).values.size() == kReplyPeersMax);
  peers.values.push_back(Endpoint::v4(0x01010101, 1999));
  const Bytes over_limit = encode(peers);
  CHECK(as<Reply>(decoded(over_limit)).values.size() == kReplyPeersMax);

  for (const std::size_t size : {kTokenSizeMax, kTokenSizeMax + 1}) {
    const Bytes token(size, 1);
    Reply with_token = reply();
    with_token.token = token;
    const Bytes encoded = encode(with_token);
    CHECK(as<Reply>(decoded(encoded)).token.size() == (size <= kTokenSizeMax ? size : 0));
  }
}

TEST_CASE("garbage in the lists of a reply is passed over", "[dht]") {
  const auto message = as<Reply>(decoded(
      as_bytes("d1:rd2:id20:bbbbbbbbbbbbbbbbbbbb5:nodes30:cccccccccccccccccccc\x01\x02\x03\x04"
               "\x1a\xe1tail6:valuesl6:\x01\x02\x03\x04\x1a\xe1"
               "5:shorti7elede7:toolong"
               "ee1:t2:aa1:y1:re")));
  REQUIRE(message.nodes.size() == 1);
  CHECK(message.nodes[0] == Contact{id_of('c'), Endpoint::v4(0x01020304, 6881)});
  CHECK(message.values == std::vector{Endpoint::v4(0x01020304, 6881)});
}

TEST_CASE("errors are decoded also when they say little", "[dht]") {
  const auto full = as<ErrorReply>(decoded(as_bytes("d1:eli203e3:bade1:t2:aa1:y1:ee")));
  CHECK(full.code == 203);
  CHECK(full.text == "bad");
  CHECK(as<ErrorReply>(decoded(as_bytes("d1:t2:aa1:y1:ee"))).code == 201);
  CHECK(as<ErrorReply>(decoded(as_bytes("d1:e3:foo1:t2:aa1:y1:ee"))).text.empty());
}

TEST_CASE("of a wish for families the known ones count", "[dht]") {
  const auto want = [](std::string_view list) {
    const std::string text = "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa6:target20:tttttttttttttttttttt" +
                             std::string(list) + "e1:q9:find_node1:t2:aa1:y1:qe";
    return as<Query>(decoded(as_bytes(text))).want;
  };
  CHECK_FALSE(want("").v4);
  CHECK_FALSE(want("").v6);
  CHECK(want("4:wantl2:n6e").v6);
  CHECK_FALSE(want("4:wantl2:n6e").v4);
  CHECK(want("4:wantl2:n6i7e2:n42:n9e").v4);
  CHECK_FALSE(want("4:want2:n6").v6);
}

TEST_CASE("of contacts and samples so many are read as are allowed", "[dht]") {
  const auto text_of = [](std::string_view key, std::size_t size) {
    return "d1:rd2:id20:aaaaaaaaaaaaaaaaaaaa" + std::to_string(key.size()) + ":" +
           std::string(key) + std::to_string(size) + ":" + std::string(size, 'x') +
           "e1:t2:aa1:y1:re";
  };
  const auto contacts = [&](std::size_t count) {
    const std::string text = text_of("nodes6", count * kContactSizeV6 + 1);
    return as<Reply>(decoded(as_bytes(text))).nodes6.size();
  };
  CHECK(contacts(kReplyContactsMax) == kReplyContactsMax);
  CHECK(contacts(kReplyContactsMax + 1) == kReplyContactsMax);
  const auto samples = [&](std::size_t count) {
    const std::string text = text_of("samples", count * DhtId::kSize + 1);
    return as<Reply>(decoded(as_bytes(text))).samples->keys.size() / DhtId::kSize;
  };
  CHECK(samples(kSamplesOfReplyMax) == kSamplesOfReplyMax);
  CHECK(samples(kSamplesOfReplyMax + 1) == kSamplesOfReplyMax);
}

}  // namespace peernet::dht::test
