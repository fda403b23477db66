// Inputs hashed together against the same ones hashed alone: how long they are, and where one size
// ends and the next begins, comes from the first bytes.

#include "core/check.h"
#include "core/hash.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  peernet::BytesView bytes{data, size};
  std::vector<peernet::BytesView> inputs;
  while (bytes.size() >= 2) {
    const std::size_t count = 1 + bytes[0] % 40U;
    const std::size_t each = bytes[1];
    bytes = bytes.subspan(2);
    for (std::size_t i = 0; i < count && i + each <= bytes.size(); ++i) {
      inputs.push_back(bytes.subspan(i, each));
    }
  }
  const auto hashes = peernet::sha256_each(inputs);
  PN_CHECK(hashes.size() == inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    PN_CHECK(hashes[i] == peernet::sha256(inputs[i]));
  }
  return 0;
}
