// Any bytes: decode() takes them or leaves them, and what it took survives being written and read
// once more.

#include <cstddef>
#include <cstdint>

#include "core/check.h"
#include "core/effects.h"
#include "dht/krpc.h"

namespace peernet::dht {
namespace {

Bytes encoded(const Message& message) {
  return std::visit(Overloaded{
                        [](const BadQuery& bad) { return encode(bad.error); },
                        [](const auto& other) { return encode(other); },
                    },
                    message);
}

void run(BytesView bytes) {
  const auto message = decode(bytes);
  if (!message) return;
  const Bytes once = encoded(*message);
  if (once.size() > kDatagramInMax) return;
  const auto again = decode(once);
  PN_CHECK(again.has_value());
  PN_CHECK(encoded(*again) == once);
}

}  // namespace
}  // namespace peernet::dht

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  peernet::dht::run({data, size});
  return 0;
}
