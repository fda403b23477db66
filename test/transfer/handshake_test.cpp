#include "transfer/handshake.h"

#include <catch2/catch.hpp>

#include <functional>
#include <utility>

#include "core/channel.h"
#include "core/codec.h"
#include "core/hash.h"

namespace peernet::transfer {
namespace {

constexpr WallTime kNow{1'800'000'000'000};
constexpr WallTime kStarted{kNow.unix_ms - 600'000};

Key key_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(byte);
  return Key(bytes);
}

DhKeyPair pair_of(std::uint8_t byte) {
  return {key_of(byte), dh_public(key_of(byte))};
}

// One side: an identity, a process, and a handshake in it.
struct Side {
  Side(Role role, std::uint8_t number, const std::optional<Key>& network_key = std::nullopt,
       std::optional<PeerId> expected = std::nullopt)
      : identity(key_of(number)), guard(kStarted), rng(number) {
    config = {&identity, pair_of(static_cast<std::uint8_t>(number + 100)), network_key,
              static_cast<std::uint16_t>(7000 + number), 0x0102030405060700ULL + number};
    handshake.emplace(config, role, rng, expected);
  }

  Bytes start() {
    Bytes out;
    handshake->start(kNow, out);
    return out;
  }
  // What it answers; nullopt for an error.
  std::optional<Bytes> give(BytesView input, WallTime now = kNow) {
    Bytes out;
    const auto taken = handshake->on_bytes(input, now, guard, out);
    rest = to_bytes(input);
    if (!taken) {
      CHECK(out.empty());
      return std::nullopt;
    }
    return out;
  }

  Identity identity;
  HandshakeGuard guard;
  Rng rng;
  HandshakeConfig config;
  std::optional<Handshake> handshake;
  Bytes rest;
};

struct Messages {
  Bytes first;
  Bytes second;
  Bytes third;
};

Messages exchange(Side& initiator, Side& responder) {
  Messages messages;
  CHECK(responder.start().empty());
  messages.first = initiator.start();
  messages.second = responder.give(messages.first).value();
  messages.third = initiator.give(messages.second).value();
  CHECK(responder.give(messages.third).value().empty());
  return messages;
}

void check_agreement(const Side& initiator, const Side& responder) {
  REQUIRE(initiator.handshake->is_done());
  REQUIRE(responder.handshake->is_done());
  const HandshakeOutcome& a = initiator.handshake->result();
  const HandshakeOutcome& b = responder.handshake->result();
  CHECK(a.peer == responder.identity.id());
  CHECK(b.peer == initiator.identity.id());
  CHECK(a.peer_static == responder.config.process_static.shared);
  CHECK(b.peer_static == initiator.config.process_static.shared);
  CHECK(a.listen_port == responder.config.listen_port);
  CHECK(b.capabilities == initiator.config.capabilities);
  CHECK(a.version == kProtocolVersion);
  CHECK(a.handshake_hash == b.handshake_hash);
  CHECK(secure_equal(a.send.view(), b.receive.view()));
  CHECK(secure_equal(a.receive.view(), b.send.view()));
  CHECK_FALSE(secure_equal(a.send.view(), a.receive.view()));
}

TEST_CASE("two peers come to know each other and share keys", "[transfer]") {
  for (const auto& network_key : {std::optional<Key>{}, std::optional<Key>{key_of(9)}}) {
    Side initiator(Role::initiator, 1, network_key);
    Side responder(Role::responder, 2, network_key);
    exchange(initiator, responder);
    check_agreement(initiator, responder);
  }
}

TEST_CASE("a handshake may come in any cuts, and what follows it stays in the input",
          "[transfer]") {
  Side whole_initiator(Role::initiator, 1);
  Side whole_responder(Role::responder, 2);
  const Messages messages = exchange(whole_initiator, whole_responder);

  Side initiator(Role::initiator, 1);
  Side responder(Role::responder, 2);
  const Bytes first = initiator.start();
  CHECK(first == messages.first);
  Bytes second;
  for (const std::uint8_t byte : first) append(second, responder.give(BytesView(&byte, 1)).value());
  CHECK(second == messages.second);
  Bytes third;
  for (const std::uint8_t byte : second) append(third, initiator.give(BytesView(&byte, 1)).value());
  append(third, as_bytes("records"));
  CHECK(responder.give(third).value().empty());
  CHECK(as_text(responder.rest) == "records");
  check_agreement(initiator, responder);
  CHECK(responder.give(responder.rest).value().empty());
  CHECK(as_text(responder.rest) == "records");
}

TEST_CASE("the keys of a handshake open each other's records", "[transfer]") {
  Side initiator(Role::initiator, 1);
  Side responder(Role::responder, 2);
  exchange(initiator, responder);
  Channel from(initiator.handshake->result().send, initiator.handshake->result().receive);
  Channel to(responder.handshake->result().send, responder.handshake->result().receive);
  Bytes wire;
  from.seal({as_bytes("hello")}, wire);
  BytesView input(wire);
  const auto record = to.next_record(input);
  REQUIRE(record);
  REQUIRE(record->has_value());
  CHECK(as_text(**record) == "hello");
}

TEST_CASE("no bit of a handshake can be changed", "[transfer]") {
  for (const auto& network_key : {std::optional<Key>{}, std::optional<Key>{key_of(9)}}) {
    Side initiator_of_record(Role::initiator, 1, network_key);
    Side responder_of_record(Role::responder, 2, network_key);
    const Messages messages = exchange(initiator_of_record, responder_of_record);
    const auto flipped = [](Bytes bytes, std::size_t bit) {
      bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      return bytes;
    };

    // A changed first message is refused at once, or (public: an ephemeral key proves nothing yet)
    // answered with what the initiator then refuses.
    for (std::size_t bit = 0; bit < messages.first.size() * 8; ++bit) {
      Side dialler(Role::initiator, 1, network_key);
      Side listener(Role::responder, 2, network_key);
      const auto second = listener.give(flipped(dialler.start(), bit));
      if (network_key) CHECK((!second || second->empty()));
      if (second && !second->empty()) CHECK_FALSE(dialler.give(*second));
      CHECK_FALSE(dialler.handshake->is_done());
    }
    Side initiator(Role::initiator, 1, network_key);
    initiator.start();
    for (std::size_t bit = 0; bit < messages.second.size() * 8; ++bit) {
      Handshake handshake = *initiator.handshake;
      const Bytes second = flipped(messages.second, bit);
      BytesView input(second);
      Bytes out;
      // Nothing is said in answer; a longer length only waits for more.
      CHECK((!handshake.on_bytes(input, kNow, initiator.guard, out) || bit < 16));
      CHECK(out.empty());
      CHECK_FALSE(handshake.is_done());
    }
    Side responder(Role::responder, 2, network_key);
    REQUIRE(responder.give(messages.first));
    for (std::size_t bit = 0; bit < messages.third.size() * 8; ++bit) {
      Handshake handshake = *responder.handshake;
      const Bytes third = flipped(messages.third, bit);
      BytesView input(third);
      Bytes out;
      CHECK((!handshake.on_bytes(input, kNow, responder.guard, out) || bit < 16));
      CHECK_FALSE(handshake.is_done());
    }
  }
}

TEST_CASE("a stranger to a private network is not answered", "[transfer]") {
  const Key network_key = key_of(9);
  Side open(Role::initiator, 1);
  Side other_network(Role::initiator, 1, key_of(8));
  const std::vector<Bytes> strangers{open.start(),
                                     other_network.start(),
                                     Bytes(200, 0),
                                     Bytes(200, 0xff),
                                     to_bytes(as_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
                                     Bytes{0x16, 0x03, 0x01, 0x02, 0x00}};
  for (const Bytes& hello : strangers) {
    Side responder(Role::responder, 2, network_key);
    CHECK_FALSE(responder.give(hello));
    CHECK(responder.guard.size() == 0);
    // It stays dead.
    CHECK_FALSE(responder.give(Side(Role::initiator, 1, network_key).start()));
  }
  // And a member is not understood by an open node.
  Side responder(Role::responder, 2);
  CHECK_FALSE(responder.give(Side(Role::initiator, 1, network_key).start()));
}

TEST_CASE("a recorded first message is refused the second time", "[transfer]") {
  const Key network_key = key_of(9);
  Side initiator(Role::initiator, 1, network_key);
  const Bytes first = initiator.start();
  HandshakeGuard guard(kStarted);
  const auto give = [&](WallTime now) {
    Side responder(Role::responder, 2, network_key);
    Bytes out;
    BytesView input(first);
    const bool is_taken = responder.handshake->on_bytes(input, now, guard, out).has_value();
    CHECK(is_taken != out.empty());
    return is_taken;
  };
  CHECK(give(kNow));
  CHECK_FALSE(give(kNow));
  CHECK_FALSE(give({kNow.unix_ms + kHandshakeWindowMs}));
  CHECK_FALSE(give({kNow.unix_ms + kHandshakeWindowMs + 1}));
  // Also when the clock is set back after it was forgotten.
  CHECK(guard.size() == 0);
  CHECK_FALSE(give(kNow));
}

TEST_CASE("a first message from another time, or from before this process, is refused",
          "[transfer]") {
  HandshakeGuard guard(kStarted);
  const auto admit = [&](std::int64_t sent_ms, std::uint8_t number) {
    DhPublic ephemeral;
    ephemeral.bytes.fill(number);
    return guard.admit(ephemeral, {sent_ms}, kNow).has_value();
  };
  CHECK(admit(kNow.unix_ms - kHandshakeWindowMs, 1));
  CHECK_FALSE(admit(kNow.unix_ms - kHandshakeWindowMs - 1, 2));
  CHECK(admit(kNow.unix_ms + kHandshakeWindowMs, 3));
  CHECK_FALSE(admit(kNow.unix_ms + kHandshakeWindowMs + 1, 4));
  CHECK_FALSE(admit(INT64_MAX, 5));
  CHECK_FALSE(admit(0, 6));

  HandshakeGuard young({kNow.unix_ms - 1000});
  const DhPublic ephemeral = pair_of(5).shared;
  CHECK_FALSE(young.admit(ephemeral, {kNow.unix_ms - 1001}, kNow));
  CHECK(young.admit(ephemeral, {kNow.unix_ms - 1000}, kNow));
}

TEST_CASE("the memory of first messages is full at its limit and empties with time", "[transfer]") {
  HandshakeGuard guard(kStarted);
  Rng rng(1);
  for (std::size_t i = 0; i < kHandshakesSeenMax; ++i) {
    REQUIRE(guard.admit(rng.tagged<DhPublic>(), kNow, kNow));
  }
  CHECK(guard.size() == kHandshakesSeenMax);
  const auto refused = guard.admit(rng.tagged<DhPublic>(), kNow, kNow);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::refused);
  const WallTime later{kNow.unix_ms + kHandshakeWindowMs + 1};
  CHECK(guard.admit(rng.tagged<DhPublic>(), later, later));
  CHECK(guard.size() == 1);
}

TEST_CASE("whoever dials an identity talks to that identity or to nobody", "[transfer]") {
  const Side wanted(Role::responder, 3);
  Side initiator(Role::initiator, 1, std::nullopt, wanted.identity.id());
  Side responder(Role::responder, 2);
  CHECK_FALSE(initiator.give(responder.give(initiator.start()).value()));

  Side right(Role::initiator, 1, std::nullopt, responder.identity.id());
  Side answering(Role::responder, 2);
  exchange(right, answering);
  check_agreement(right, answering);
}

TEST_CASE("a peer that is ourselves is refused", "[transfer]") {
  Side initiator(Role::initiator, 1);
  Side responder(Role::responder, 1);
  CHECK_FALSE(initiator.give(responder.give(initiator.start()).value()));
  // Also a first message that comes straight back.
  Side mirrored(Role::initiator, 1);
  CHECK_FALSE(mirrored.give(mirrored.start()));
}

// A peer driven by hand, so that it can lie: it is right about Noise and says what it is told.
class RudePeer {
 public:
  using Payload = std::function<Bytes(const Hash& transcript)>;

  explicit RudePeer(Role role)
      : noise_(role, {.fixed = pair_of(50), .ephemeral = pair_of(51), .psk = std::nullopt},
               handshake_prologue(std::nullopt)) {}

  Bytes write(const Payload& payload) {
    Bytes message;
    noise_.begin_write(message);
    noise_.finish_write(payload(noise_.hash()), message);
    Bytes framed;
    Writer writer(framed);
    writer.u16(static_cast<std::uint16_t>(message.size()));
    writer.bytes(message);
    return framed;
  }
  Bytes read(BytesView framed) {
    BytesView message = framed.subspan(2);
    REQUIRE(noise_.begin_read(message));
    auto payload = noise_.finish_read(message);
    REQUIRE(payload);
    return *payload;
  }

 private:
  NoiseHandshake noise_;
};

Bytes identity_payload(const Identity& identity, std::uint8_t role, const Hash& transcript,
                       BytesView rest) {
  Bytes text = to_bytes(as_bytes("PeerNet noise identity v1"));
  text.push_back(role);
  append(text, transcript.view());
  append(text, sha256(rest).view());
  Bytes payload;
  append(payload, identity.id().view());
  append(payload, identity.sign(text).view());
  append(payload, rest);
  return payload;
}

const Bytes& fields() {
  static const Bytes bytes = *from_hex(
      "00010000000000000000"
      "1cad");
  return bytes;
}

// Does an initiator accept this payload in the second message?
bool is_accepted(const RudePeer::Payload& payload) {
  Side initiator(Role::initiator, 1);
  RudePeer responder(Role::responder);
  responder.read(initiator.start());
  const auto third = initiator.give(responder.write(payload));
  CHECK(third.has_value() == initiator.handshake->is_done());
  return third.has_value();
}

TEST_CASE("an identity signs its own role in this handshake and nothing else", "[transfer]") {
  const Identity identity(key_of(77));
  const Identity other(key_of(78));
  const auto with = [&](std::uint8_t role, std::function<void(Bytes&)> change = {}) {
    return is_accepted([&](const Hash& transcript) {
      Bytes payload = identity_payload(identity, role, transcript, fields());
      if (change) change(payload);
      return payload;
    });
  };
  CHECK(with(1));
  CHECK_FALSE(with(0));  // the initiator's role: a reflection
  CHECK_FALSE(with(2));
  CHECK_FALSE(with(1, [&](Bytes& payload) {
    std::copy(other.id().bytes.begin(), other.id().bytes.end(), payload.begin());
  }));
  CHECK_FALSE(with(1, [](Bytes& payload) { payload.back() ^= 1U; }));  // port: signed
  CHECK_FALSE(with(1, [](Bytes& payload) { payload[40] ^= 1U; }));     // signature
  CHECK_FALSE(with(1, [](Bytes& payload) { payload.push_back(0); }));  // not signed
  CHECK_FALSE(with(1, [](Bytes& payload) { payload.resize(95); }));
  CHECK_FALSE(with(1, [](Bytes& payload) { payload.clear(); }));
  // Another transcript: what was signed for another handshake.
  CHECK_FALSE(is_accepted(
      [&](const Hash& /*transcript*/) { return identity_payload(identity, 1, Hash{}, fields()); }));
}

TEST_CASE("fields that a later version adds are signed and ignored", "[transfer]") {
  const Identity identity(key_of(77));
  const auto with = [&](const Bytes& rest) {
    return is_accepted(
        [&](const Hash& transcript) { return identity_payload(identity, 1, transcript, rest); });
  };
  Bytes rest = fields();
  rest.resize(rest.size() + 500, 0x55);
  CHECK(with(rest));
  rest[1] = 7;
  CHECK(with(rest));
  rest[1] = 0;
  CHECK_FALSE(with(rest));  // version 0
  CHECK_FALSE(with(Bytes(fields().begin(), fields().end() - 1)));
  CHECK_FALSE(with({}));
}

TEST_CASE("the identity of another in the middle is of no use to him", "[transfer]") {
  // A relay that takes the second message's payload of an honest responder and gives it as its own.
  Side honest(Role::responder, 2);
  RudePeer towards_honest(Role::initiator);
  const Bytes stolen = towards_honest.read(
      honest.give(towards_honest.write([](const Hash&) { return Bytes{}; })).value());
  CHECK_FALSE(is_accepted([&](const Hash&) { return to_bytes(stolen); }));
}

TEST_CASE("lengths are refused before anything is stored", "[transfer]") {
  Side initiator(Role::initiator, 1);
  initiator.start();
  CHECK_FALSE(initiator.give(Bytes{0x04, 0x01}));  // 1025
  Side patient(Role::initiator, 1);
  patient.start();
  CHECK(patient.give(Bytes{0x04, 0x00}));  // 1024
  for (const Bytes& length : {Bytes{0, 0}, Bytes{0, 31}, Bytes{0, 33}, Bytes{0xff, 0xff}}) {
    Side responder(Role::responder, 2);
    CHECK_FALSE(responder.give(length));
  }
  Side responder(Role::responder, 2);
  CHECK(responder.give(Bytes{0, 32}));
  Side member(Role::responder, 2, key_of(9));
  CHECK_FALSE(member.give(Bytes{0, 32}));
  Side other_member(Role::responder, 2, key_of(9));
  CHECK(other_member.give(Bytes{0, 56}));
}

TEST_CASE("a weak ephemeral key is refused", "[transfer]") {
  Side responder(Role::responder, 2);
  Bytes first{0, 32};
  first.resize(34, 0);
  CHECK_FALSE(responder.give(first));
}

TEST_CASE("a handshake of another wire version or network does not complete", "[transfer]") {
  CHECK(handshake_prologue(std::nullopt) ==
        *from_hex("506565724e65742f31"
                  "0001"
                  "0000000000000000000000000000000000000000000000000000000000000000"));
  CHECK(handshake_prologue(key_of(9)) != handshake_prologue(key_of(8)));
  CHECK(handshake_prologue(key_of(9)).size() == handshake_prologue(std::nullopt).size());
}

}  // namespace
}  // namespace peernet::transfer
