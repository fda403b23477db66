// A handshake of two honest sides over a wire that belongs to the input: it cuts, changes and adds
// bytes of each message. Whoever completes must agree with the other side on h and on the keys.
//
// Byte 0: bit 0 psk. Then for each message one byte of kind (0 deliver, 1 flip, 2 cut, 3 replace)
// and what that kind takes.

#include "core/check.h"
#include "core/codec.h"
#include "core/noise.h"
#include "test/support/support.h"

namespace {

using peernet::Bytes;
using peernet::BytesView;
using peernet::DhKeyPair;
using peernet::NoiseHandshake;
using peernet::Reader;
using peernet::Role;

// Whether the message is still what was sent.
bool meddle(Reader& wire, Bytes& message) {
  const Bytes before = message;
  switch (wire.u8() % 4) {
    case 1: {
      const std::size_t place = wire.u16() % message.size();
      message[place] ^= wire.u8();
      break;
    }
    case 2: message.resize(wire.u16() % message.size()); break;
    case 3: message = peernet::to_bytes(wire.bytes(wire.u16() % 256)); break;
    default: break;
  }
  return message == before;
}

bool deliver(NoiseHandshake& writer, NoiseHandshake& reader, Reader& wire, bool& is_genuine) {
  Bytes message;
  writer.begin_write(message);
  writer.finish_write(peernet::as_bytes("payload"), message);
  is_genuine = meddle(wire, message) && is_genuine;
  BytesView view = message;
  if (!reader.begin_read(view)) return false;
  return reader.finish_read(view).has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader wire(BytesView{data, size});
  const bool has_psk = (wire.u8() & 1U) != 0;
  static const auto keys = [] {
    peernet::crypto_start();
    peernet::Rng rng(1);
    std::array<DhKeyPair, 4> made;
    for (DhKeyPair& pair : made) pair = DhKeyPair::make(rng);
    return made;
  }();
  NoiseHandshake::Keys keys_i{keys[0], keys[1], std::nullopt};
  NoiseHandshake::Keys keys_r{keys[2], keys[3], std::nullopt};
  if (has_psk) {
    keys_i.psk = peernet::Key(peernet::test::tagged<peernet::Hash>(9).bytes);
    keys_r.psk = keys_i.psk;
  }
  NoiseHandshake initiator(Role::initiator, keys_i, {});
  NoiseHandshake responder(Role::responder, keys_r, {});

  bool is_genuine = true;
  if (!deliver(initiator, responder, wire, is_genuine)) return 0;
  if (has_psk) PN_CHECK(is_genuine);
  if (!deliver(responder, initiator, wire, is_genuine)) return 0;
  PN_CHECK(is_genuine);
  if (!deliver(initiator, responder, wire, is_genuine)) return 0;
  PN_CHECK(is_genuine && initiator.is_done() && responder.is_done());
  PN_CHECK(initiator.hash() == responder.hash());
  PN_CHECK(peernet::secure_equal(initiator.split().send.view(), responder.split().receive.view()));
  return 0;
}
