// The bencode reader against the naive one, with limits drawn from the first byte.

#include "core/bencode.h"
#include "test/core/bencode_walk.h"
#include "test/core/naive_bencode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using peernet::bencode::Limits;
  if (size == 0) return 0;
  const bool canonical = (data[0] & 1U) != 0;
  const std::size_t depth_max = data[0] >> 1U & 15U;
  const bool has_few_tokens = (data[0] & 32U) != 0;
  const peernet::BytesView input{data + 1, size - 1};

  // Every value takes a byte or more, so that the input's size is no limit.
  const Limits limits{depth_max, has_few_tokens ? 8 : size, canonical};
  const auto decoded = peernet::bencode::decode(input, limits);
  const auto expected =
      peernet::test::NaiveBencode(peernet::as_text(input), canonical, depth_max).read_all();
  if (!has_few_tokens) PN_CHECK(decoded.has_value() == expected.has_value());
  if (!decoded) return 0;
  PN_CHECK(expected.has_value());
  PN_CHECK(peernet::test::written_again(*decoded) == *expected);
  if (canonical) PN_CHECK(peernet::as_text(input) == *expected);
  return 0;
}
