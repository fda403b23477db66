// A message of the local network that was decoded is encoded as the same bytes; the part that hears
// it stays well, sealed or not.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/check.h"
#include "transfer/lan.h"

using peernet::BytesView;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView datagram(data, size);
  const auto message = peernet::transfer::decode_lan(datagram);
  if (message) {
    const auto again = peernet::transfer::encode(*message);
    PN_CHECK(std::equal(again.begin(), again.end(), datagram.begin(), datagram.end()));
  }
  peernet::transfer::Lan open(std::nullopt, 7341, peernet::Rng(1));
  peernet::transfer::Lan sealed(peernet::Key{}, 7341, peernet::Rng(1));
  const peernet::Time now{std::chrono::hours(1)};
  const auto from = peernet::Endpoint::v4(0x0a000001, 7340);
  open.set(now, peernet::ShareId{}, true);
  // Unless it bears our own mark, what can be decoded is heard.
  if (!message) PN_CHECK(!open.on_datagram(now, {}, from, datagram));
  if (message) static_cast<void>(open.on_datagram(now, {}, from, datagram));
  PN_CHECK(!sealed.on_datagram(now, {}, from, datagram));
  return 0;
}
