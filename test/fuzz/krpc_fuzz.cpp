// Any bytes: decode() takes them or leaves them, and what it took survives being written and read
// once more.

#include <cstddef>
#include <cstdint>

#include "core/check.h"
#include "core/effects.h"
#include "dht/krpc.h"

using namespace peernet;
using namespace peernet::dht;

namespace {

Bytes encoded(const Message& message) {
  return std::visit(Overloaded{
                        [](const BadQuery& bad) { return encode(bad.error); },
                        [](const auto& other) { return encode(other); },
                    },
                    message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = decode({data, size});
  if (!message) return 0;
  const Bytes once = encoded(*message);
  // A reply we write may be longer than one we read: ports and lists are spelt out.
  if (once.size() > kDatagramInMax) return 0;
  const auto again = decode(once);
  PN_CHECK(again.has_value());
  PN_CHECK(encoded(*again) == once);
  return 0;
}
