// Bytes of a stranger into either side of a handshake; or a real exchange in which the input says
// how it is cut and which byte is changed: then it never completes on both sides.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/check.h"
#include "transfer/handshake.h"

namespace {

using peernet::Bytes;
using peernet::BytesView;
using peernet::dh_public;
using peernet::Identity;
using peernet::Key;
using peernet::Rng;
using peernet::Role;
using peernet::WallTime;
using peernet::transfer::Handshake;
using peernet::transfer::HandshakeConfig;
using peernet::transfer::HandshakeGuard;

constexpr WallTime kNow{1'800'000'000'000};

Key key_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(byte);
  return Key(bytes);
}

const HandshakeConfig& config_of(bool is_first, bool is_private) {
  static const Identity identities[]{Identity(key_of(1)), Identity(key_of(2))};
  static const auto make = [](int index, bool with_key) {
    const Key secret = key_of(static_cast<std::uint8_t>(3 + index));
    return HandshakeConfig{&identities[index],
                           {secret, dh_public(secret)},
                           with_key ? std::optional(key_of(9)) : std::nullopt,
                           7341,
                           0};
  };
  static const HandshakeConfig configs[]{make(0, false), make(1, false), make(0, true),
                                         make(1, true)};
  return configs[(is_private ? 2 : 0) + (is_first ? 0 : 1)];
}

bool give(Handshake& to, BytesView bytes, HandshakeGuard& guard, Bytes& answer) {
  const std::size_t before = answer.size();
  const bool is_taken = to.on_bytes(bytes, kNow, guard, answer).has_value();
  PN_CHECK(is_taken || answer.size() == before);
  return is_taken;
}

void run_stranger(BytesView input, bool is_private, bool is_initiator) {
  Rng rng(std::uint64_t{1});
  HandshakeGuard guard(WallTime{});
  Handshake side(config_of(true, is_private), is_initiator ? Role::initiator : Role::responder,
                 rng);
  Bytes out;
  side.start(kNow, out);
  out.clear();
  const bool is_taken = give(side, input, guard, out);
  // No stranger completes a handshake by bytes alone, and none is answered in a private network.
  PN_CHECK(!side.is_done());
  PN_CHECK(!is_private || out.empty());
  if (!is_taken) PN_CHECK(!give(side, input, guard, out));
}

void run_exchange(BytesView input, bool is_private) {
  if (input.size() < 4) return;
  const std::size_t cut = 1 + input[0];
  const std::size_t changed_at = input[1] * 2U + (input[2] & 1U);
  const std::uint8_t change = input[3];
  Rng rng(std::uint64_t{2});
  HandshakeGuard guard(WallTime{});
  Handshake initiator(config_of(true, is_private), Role::initiator, rng);
  Handshake responder(config_of(false, is_private), Role::responder, rng);
  Bytes to_responder;
  Bytes to_initiator;
  initiator.start(kNow, to_responder);
  std::size_t position = 0;
  bool is_changed = false;
  while (!to_responder.empty() || !to_initiator.empty()) {
    const bool is_first = !to_responder.empty();
    Bytes& from = is_first ? to_responder : to_initiator;
    Bytes part(from.begin(),
               from.begin() + static_cast<std::ptrdiff_t>(std::min(cut, from.size())));
    from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(part.size()));
    if (changed_at >= position && changed_at < position + part.size() && change != 0) {
      part[changed_at - position] ^= change;
      is_changed = true;
    }
    position += part.size();
    if (!give(is_first ? responder : initiator, part, guard,
              is_first ? to_initiator : to_responder)) {
      break;
    }
  }
  const bool is_done = initiator.is_done() && responder.is_done();
  PN_CHECK(is_done == !is_changed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const BytesView input(data + 1, size - 1);
  const bool is_private = (data[0] & 1U) != 0;
  if ((data[0] & 2U) != 0) {
    run_exchange(input, is_private);
  } else {
    run_stranger(input, is_private, (data[0] & 4U) != 0);
  }
  return 0;
}
