#pragma once

// What tests of whole engines stand on: the engine with what it did, and a stranger who dials in.

#include <catch2/catch.hpp>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/channel.h"
#include "test/support/support.h"
#include "transfer/share_key.h"
#include "transfer/transfer.h"
#include "transfer/wire.h"

namespace peernet::transfer {

inline constexpr Time kNow{std::chrono::hours(1)};
inline constexpr WallTime kWall{1'800'000'000'000};

inline Key key_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(byte);
  return Key(bytes);
}

// The engine, and what it did.
struct Fixture {
  explicit Fixture(Config config = {}, const Saved& saved = {})
      : engine(std::move(config), identity, Rng(1), log) {
    engine.start(kNow, kWall, saved, out);
  }

  Result<ShareId> fetch(std::uint64_t number) {
    FetchRequest request;
    request.link.id = test::tagged<ShareId>(number);
    request.directory = "/downloads";
    return engine.fetch(kNow, request, out);
  }
  bool is_closed(ConnId conn) const {
    return std::any_of(out.begin(), out.end(), [conn](const Effect& effect) {
      const auto* close = std::get_if<Close>(&effect);
      return close != nullptr && close->conn == conn;
    });
  }
  // What was written to a connection since the last call.
  Bytes take_written(ConnId conn) {
    Bytes written;
    Effects kept;
    for (Effect& effect : out) {
      const auto* write = std::get_if<Write>(&effect);
      if (write != nullptr && write->conn == conn) {
        append(written, write->bytes);
      } else {
        kept.push_back(std::move(effect));
      }
    }
    out = std::move(kept);
    return written;
  }

  spdlog::logger log{"null", std::make_shared<spdlog::sinks::null_sink_st>()};
  Identity identity{key_of(1)};
  Effects out;
  Transfer engine;
};

// A stranger that dials in, or is dialled, completes the handshake, and then says what the test
// wants.
class Visitor {
 public:
  explicit Visitor(Fixture& fixture, const std::string& address = "192.0.2.7:4000",
                   std::uint8_t identity = 2)
      : f_(fixture),
        conn_(f_.engine.on_accepted(kNow, *Endpoint::parse(address), f_.out).value()),
        role_(Role::initiator),
        identity_(key_of(identity)) {
    shake_hands(kNow, identity);
  }
  Visitor(Fixture& fixture, Time now, ConnId dialled, std::uint8_t identity)
      : f_(fixture), conn_(dialled), role_(Role::responder), identity_(key_of(identity)) {
    f_.engine.on_connected(now, conn_, f_.out);
    shake_hands(now, identity);
  }

  template <class M>
  void add(const M& message) {
    channel_->seal({wire::encoded(message)}, waiting_);
  }
  void add_plain(BytesView plain) { channel_->seal({plain}, waiting_); }
  // All that was added arrives in one read.
  void deliver(Time now = kNow) {
    f_.engine.on_bytes(now, conn_, std::exchange(waiting_, {}), f_.out);
  }
  // What the engine has said since the last call, as plain records.
  std::vector<Bytes> hear() {
    std::vector<Bytes> records;
    Bytes heard = std::exchange(early_, {});
    append(heard, f_.take_written(conn_));
    BytesView input(heard);
    while (auto record = *channel_->next_record(input)) records.push_back(*std::move(record));
    return records;
  }

  wire::ShareOpen opening(wire::ShareChannel channel, const ShareId& id) const {
    return {channel, dht_key(id), share_proof(id, role_, session_.handshake_hash), 0};
  }
  wire::ShareOpen opening(wire::ShareChannel channel, std::uint64_t share) const {
    return opening(channel, test::tagged<ShareId>(share));
  }
  bool is_closed() const { return f_.is_closed(conn_); }
  ConnId conn() const { return conn_; }
  const PeerId& id() const { return identity_.id(); }

 private:
  void shake_hands(Time now, std::uint8_t identity) {
    HandshakeConfig config;
    config.identity = &identity_;
    const Key process_static = key_of(static_cast<std::uint8_t>(identity + 100));
    config.process_static = {process_static, dh_public(process_static)};
    config.capabilities = wire::kCapabilityHaveBlocks;
    Rng rng(identity);
    HandshakeGuard guard(WallTime{0});
    Handshake handshake(config, role_, rng);
    Bytes said;
    if (role_ == Role::initiator) handshake.start(kWall, said);
    while (true) {
      if (!said.empty()) f_.engine.on_bytes(now, conn_, std::exchange(said, {}), f_.out);
      if (handshake.is_done()) break;
      const Bytes heard = f_.take_written(conn_);
      BytesView input(heard);
      REQUIRE(handshake.on_bytes(input, kWall, guard, said));
      early_ = to_bytes(input);
    }
    session_ = handshake.result();
    channel_.emplace(session_.send, session_.receive);
  }

  Fixture& f_;
  ConnId conn_;
  Role role_;
  Identity identity_;
  HandshakeOutcome session_;
  std::optional<Channel> channel_;
  Bytes early_;  // records that came with the end of the handshake
  Bytes waiting_;
};

}  // namespace peernet::transfer
