// The examples of transfer/README.md, byte for byte: what an outsider writes a peer from.

#include <catch2/catch.hpp>

#include <fstream>
#include <map>
#include <string>

#include "core/channel.h"
#include "test/support/support.h"
#include "transfer/handshake.h"
#include "transfer/lan.h"
#include "transfer/share_key.h"
#include "transfer/wire.h"

namespace peernet::transfer {
namespace {

using Examples = std::map<std::string, std::string>;

// Lines "name = hex" of the README; spaces in the hex mean nothing, and a line that begins with
// white space goes on with the one before.
Examples read_examples() {
  std::ifstream file(PEERNET_SOURCE_DIR "/transfer/README.md");
  REQUIRE(file.is_open());
  Examples examples;
  std::string line;
  std::string name;
  bool is_example = false;
  while (std::getline(file, line)) {
    if (line.rfind("```", 0) == 0) {
      is_example = line == "```example";
      continue;
    }
    if (!is_example) continue;
    std::string hex = line;
    const std::size_t equals = line.find(" =");
    if (equals != std::string::npos) {
      name = line.substr(0, equals);
      CHECK_FALSE(examples.contains(name));
      hex = line.substr(equals + 2);
    }
    for (const char c : hex) {
      if (c != ' ') examples[name] += c;
    }
  }
  return examples;
}

// Both must name the same examples and give the same bytes.
void check(const Examples& examples, const Examples& expected) {
  for (const auto& [name, hex] : expected) {
    INFO(name << " = " << hex);
    const auto found = examples.find(name);
    CHECK((found != examples.end() && found->second == hex));
  }
}

Key key_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(byte);
  return Key(bytes);
}

// The ephemeral secrets of the worked handshake are the first bytes of these two streams.
constexpr std::uint64_t kInitiatorSeed = 1;
constexpr std::uint64_t kResponderSeed = 2;

std::string first_key_of(std::uint64_t seed) {
  Rng rng(seed);
  Bytes bytes(32);
  rng.fill(bytes);
  return to_hex(bytes);
}

Examples handshake_examples() {
  const Identity identity_a(key_of(0x01));
  const Identity identity_b(key_of(0x02));
  const HandshakeConfig config_a{
      &identity_a, {key_of(0x03), dh_public(key_of(0x03))}, std::nullopt, 7341, 0};
  const HandshakeConfig config_b{
      &identity_b, {key_of(0x04), dh_public(key_of(0x04))}, std::nullopt, 7342, 0};
  Rng rng_a(kInitiatorSeed);
  Rng rng_b(kResponderSeed);
  Handshake a(config_a, Role::initiator, rng_a);
  Handshake b(config_b, Role::responder, rng_b);
  HandshakeGuard guard(WallTime{});
  const auto give = [&guard](Handshake& to, const Bytes& bytes) {
    Bytes out;
    BytesView input(bytes);
    REQUIRE(to.on_bytes(input, WallTime{}, guard, out));
    return out;
  };
  Bytes first;
  a.start(WallTime{}, first);
  const Bytes second = give(b, first);
  const Bytes third = give(a, second);
  CHECK(give(b, third).empty());
  REQUIRE(b.is_done());

  Channel channel(a.result().send, a.result().receive);
  Bytes record;
  channel.seal({wire::encoded(wire::Ping{0x0102030405060708})}, record);
  ShareId share;
  for (std::size_t i = 0; i < 32; ++i) share.bytes[i] = static_cast<std::uint8_t>(i);
  return {{"initiator.ephemeral_secret", first_key_of(kInitiatorSeed)},
          {"responder.ephemeral_secret", first_key_of(kResponderSeed)},
          {"initiator.peer_id", to_hex(identity_a.id().view())},
          {"responder.peer_id", to_hex(identity_b.id().view())},
          {"prologue", to_hex(handshake_prologue(std::nullopt))},
          {"message_1", to_hex(first)},
          {"message_2", to_hex(second)},
          {"message_3", to_hex(third)},
          {"handshake_hash", to_hex(a.result().handshake_hash.view())},
          {"initiator.send_key", to_hex(a.result().send.view())},
          {"responder.send_key", to_hex(b.result().send.view())},
          {"record", to_hex(record)},
          {"share_id", to_hex(share.view())},
          {"dht_key", to_hex(dht_key(share).view())},
          {"initiator.proof",
           to_hex(share_proof(share, Role::initiator, a.result().handshake_hash).view())},
          {"responder.proof",
           to_hex(share_proof(share, Role::responder, a.result().handshake_hash).view())}};
}

Examples private_examples() {
  const Identity identity(key_of(0x01));
  const HandshakeConfig config{
      &identity, {key_of(0x03), dh_public(key_of(0x03))}, key_of(0x09), 7341, 0};
  Rng rng(kInitiatorSeed);
  Handshake handshake(config, Role::initiator, rng);
  Bytes first;
  handshake.start(WallTime{1'800'000'000'000}, first);
  return {{"private.prologue", to_hex(handshake_prologue(key_of(0x09)))},
          {"private.psk", to_hex(derive_key(key_of(0x09), 1, "pn-noise").view())},
          {"private.message_1", to_hex(first)}};
}

Examples message_examples() {
  const wire::BlockRun run{7, 16, 4};
  const Bytes bits = test::hex("f780");
  const Bytes text = test::hex("64393a66");
  const Bytes data = test::hex("68656c6c6f");
  const auto header = wire::piece_header(1, 7, 3);
  Bytes piece(header.begin(), header.end());
  append(piece, data);
  const Endpoint v4 = *Endpoint::parse("192.0.2.1:7341");
  const Endpoint v6 = *Endpoint::parse("[2001:db8::1]:7341");
  Hash proof;
  proof.bytes.fill(0xbb);
  DhtId key;
  key.bytes.fill(0xaa);
  Hash hash;
  hash.bytes.fill(0xcc);
  const auto hex = [](const auto& message) { return to_hex(wire::encoded(message)); };
  return {{"choke", hex(wire::Choke{})},
          {"unchoke", hex(wire::Unchoke{})},
          {"interested", hex(wire::Interested{1})},
          {"not_interested", hex(wire::NotInterested{1})},
          {"have", hex(wire::Have{1, 7})},
          {"bitfield", hex(wire::BitfieldPart{1, 0, bits})},
          {"request", hex(wire::Request{1, run})},
          {"piece", to_hex(piece)},
          {"cancel", hex(wire::Cancel{1, run})},
          {"suggest", hex(wire::Suggest{1, 7})},
          {"have_all", hex(wire::HaveAll{1})},
          {"have_none", hex(wire::HaveNone{1})},
          {"reject", hex(wire::Reject{1, run})},
          {"hash_request", hex(wire::HashRequest{1, {wire::HashKind::leaves, 7, 4}})},
          {"hashes", hex(wire::Hashes{1, {wire::HashKind::piece_layers, 7, 1}, {hash}})},
          {"hash_reject", hex(wire::HashReject{1, {wire::HashKind::leaves, 7, 4}})},
          {"share_open", hex(wire::ShareOpen{1, key, proof, wire::kShareHasManifest})},
          {"share_close", hex(wire::ShareClose{key, wire::ShareCloseReason::unknown})},
          {"manifest_have", hex(wire::ManifestHave{1})},
          {"manifest_request", hex(wire::ManifestRequest{1, 0, wire::kManifestPartMax})},
          {"manifest_data", hex(wire::ManifestData{1, 20'000, 16'384, text})},
          {"have_blocks", hex(wire::HaveBlocks{1, run})},
          {"pex", hex(wire::Pex{1, {v4, v6}, {v4}})},
          {"ping", hex(wire::Ping{0x0102030405060708})},
          {"pong", hex(wire::Pong{0x0102030405060708})},
          {"close", hex(wire::Close{wire::CloseReason::duplicate})}};
}

Examples lan_examples() {
  ShareId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(i);
  return {{"lan", to_hex(encode(LanMessage{0x0102030405060708, 7341, {lan_key(id)}, {}}))}};
}

TEST_CASE("the README's datagram of the local network is the one we send", "[transfer]") {
  check(read_examples(), lan_examples());
}

TEST_CASE("the README's handshake is the one we speak", "[transfer]") {
  check(read_examples(), handshake_examples());
  check(read_examples(), private_examples());
}

TEST_CASE("the README has one right example for each message", "[transfer]") {
  const Examples expected = message_examples();
  check(read_examples(), expected);
  CHECK(expected.size() + 1 == std::variant_size_v<wire::Message>);  // all but Ignored
}

TEST_CASE("the README has no example that is not checked", "[transfer]") {
  // Given there, and used above.
  Examples expected{{"initiator.identity_seed", to_hex(key_of(0x01).view())},
                    {"responder.identity_seed", to_hex(key_of(0x02).view())},
                    {"initiator.static_secret", to_hex(key_of(0x03).view())},
                    {"responder.static_secret", to_hex(key_of(0x04).view())},
                    {"private.network_key", to_hex(key_of(0x09).view())}};
  expected.merge(handshake_examples());
  expected.merge(private_examples());
  expected.merge(message_examples());
  expected.merge(lan_examples());
  CHECK(read_examples() == expected);
}

}  // namespace
}  // namespace peernet::transfer
