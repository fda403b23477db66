#include "core/channel.h"

#include <catch2/catch.hpp>
#include <sodium.h>

#include <algorithm>
#include <vector>

#include "core/rng.h"
#include "test/support/support.h"

namespace peernet::test {
namespace {

struct Pair {
  Channel a;
  Channel b;
};

Pair make_pair(std::size_t record_size_max = kRecordSizeMax) {
  const Key one(tagged<Hash>(1).bytes);
  const Key two(tagged<Hash>(2).bytes);
  return {Channel(one, two, record_size_max), Channel(two, one, record_size_max)};
}

Bytes sealed(Channel& channel, BytesView plain) {
  Bytes out;
  channel.seal({plain}, out);
  return out;
}

// The record that a whole input holds.
Result<std::optional<Bytes>> open(Channel& channel, BytesView record) {
  return channel.next_record(record);
}

void must_open(Channel& channel, BytesView record, BytesView plain) {
  auto opened = open(channel, record);
  REQUIRE(opened);
  REQUIRE(*opened);
  REQUIRE(**opened == to_bytes(plain));
}

}  // namespace

TEST_CASE("a record is a length, the ciphertext and its tag", "[core]") {
  auto [a, b] = make_pair();
  Bytes out = hex("aa");
  a.seal({as_bytes("he"), {}, as_bytes("llo")}, out);
  CHECK(out.size() == 1 + 2 + 5 + kTagSize);
  CHECK(out[1] == 0);
  CHECK(out[2] == 5 + kTagSize);
  must_open(b, BytesView(out).subspan(1), as_bytes("hello"));
  must_open(b, sealed(a, {}), {});
  CHECK(a.records_sent() == 2);
  CHECK(b.records_received() == 2);
  CHECK(b.records_sent() == 0);
  must_open(a, sealed(b, as_bytes("back")), as_bytes("back"));
}

TEST_CASE("the longest record goes through and is 65535 bytes", "[core]") {
  auto [a, b] = make_pair();
  const Bytes plain = pattern(kRecordPlainMax);
  const Bytes record = sealed(a, plain);
  CHECK(record.size() == kRecordLengthSize + kRecordSizeMax);
  must_open(b, record, plain);
}

TEST_CASE("equal plain texts make different records, and order matters", "[core]") {
  auto [a, b] = make_pair();
  const Bytes first = sealed(a, as_bytes("same"));
  const Bytes second = sealed(a, as_bytes("same"));
  CHECK(first != second);
  const auto opened = open(b, second);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Errc::corrupt);
  CHECK_FALSE(open(b, first));  // dead for good
}

TEST_CASE("a record played twice does not open", "[core]") {
  auto [a, b] = make_pair();
  const Bytes record = sealed(a, as_bytes("once"));
  must_open(b, record, as_bytes("once"));
  CHECK_FALSE(open(b, record));
}

TEST_CASE("a record sent back to its sender does not open", "[core]") {
  auto [a, b] = make_pair();
  CHECK_FALSE(open(a, sealed(a, as_bytes("echo"))));
}

TEST_CASE("a record cut at every byte opens once the rest has come", "[core]") {
  const Bytes plain = pattern(100);
  const std::size_t size = kRecordLengthSize + plain.size() + kTagSize;
  for (std::size_t cut = 0; cut <= size; ++cut) {
    auto [a, b] = make_pair();
    const Bytes record = sealed(a, plain);
    BytesView front = BytesView(record).first(cut);
    const auto early = b.next_record(front);
    REQUIRE(early);
    CHECK(front.empty());
    CHECK(early->has_value() == (cut == size));
    if (cut < size) must_open(b, BytesView(record).subspan(cut), plain);
  }
}

TEST_CASE("records come out whole however the stream is cut", "[core]") {
  Rng rng(1);
  for (int round = 0; round < 30; ++round) {
    auto [a, b] = make_pair();
    std::vector<Bytes> plains;
    Bytes stream;
    for (int i = 0; i < 40; ++i) {
      plains.push_back(
          pattern(rng.below(rng.below(4) == 0 ? 20'000 : 50), static_cast<std::uint8_t>(i)));
      a.seal({plains.back()}, stream);
    }
    std::vector<Bytes> opened;
    BytesView rest = stream;
    while (!rest.empty()) {
      const std::size_t size =
          std::min<std::size_t>(rest.size(), 1 + rng.below(rng.below(2) == 0 ? 5 : 40'000));
      // A copy, so that a view kept after the call would be found by the address sanitizer.
      const Bytes chunk = to_bytes(rest.first(size));
      rest = rest.subspan(size);
      BytesView input = chunk;
      while (true) {
        auto record = b.next_record(input);
        REQUIRE(record);
        if (!*record) break;
        opened.push_back(**record);
      }
      REQUIRE(input.empty());
    }
    CHECK(opened == plains);
  }
}

TEST_CASE("every single-bit flip of a record ends the channel", "[core]") {
  const Bytes plain = pattern(20);
  const std::size_t size = kRecordLengthSize + plain.size() + kTagSize;
  for (std::size_t bit = 0; bit < 8 * size; ++bit) {
    auto [a, b] = make_pair();
    Bytes record = sealed(a, plain);
    record[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    append(record, sealed(a, plain));
    append(record, Bytes(70'000));  // so that a longer length finds its bytes
    const auto opened = open(b, record);
    CHECK_FALSE(opened);
  }
}

TEST_CASE("a length below the tag is malformed and one above the limit too large", "[core]") {
  for (const std::size_t limit : {std::size_t{1000}, kRecordSizeMax}) {
    for (std::size_t size = 0; size <= kRecordSizeMax; size += size < 20 || size == 999 ? 1 : 979) {
      Bytes length{static_cast<std::uint8_t>(size >> 8U), static_cast<std::uint8_t>(size)};
      for (const bool is_split : {false, true}) {
        auto [a, b] = make_pair(limit);
        BytesView input = length;
        Result<std::optional<Bytes>> answer = std::optional<Bytes>();
        if (is_split) {
          BytesView first = input.first(1);
          REQUIRE(b.next_record(first));
          input = input.subspan(1);
        }
        answer = b.next_record(input);
        INFO(size << " " << limit);
        CHECK(answer.has_value() == (size >= kTagSize && size <= limit));
        if (!answer) {
          CHECK(answer.error().code == (size < kTagSize ? Errc::malformed : Errc::too_large));
        }
      }
    }
  }
}

TEST_CASE("a record at the channel's own limit opens, one byte more is refused", "[core]") {
  auto [a, b] = make_pair(100);
  must_open(b, sealed(a, pattern(100 - kTagSize)), pattern(100 - kTagSize));
  const auto longer = open(b, sealed(a, pattern(101 - kTagSize)));
  REQUIRE_FALSE(longer);
  CHECK(longer.error().code == Errc::too_large);
}

TEST_CASE("records go on across the rekey border in both directions", "[core]") {
  auto [a, b] = make_pair();
  Bytes record;
  for (std::uint64_t i = 0; i < 2 * kRekeyInterval + 3; ++i) {
    record.clear();
    a.seal({as_bytes("x")}, record);
    BytesView input = record;
    const auto opened = b.next_record(input);
    if (!opened || !*opened) FAIL("record " << i);
  }
  CHECK(a.records_sent() == 2 * kRekeyInterval + 3);
  CHECK(b.records_received() == a.records_sent());
  must_open(a, sealed(b, as_bytes("other direction")), as_bytes("other direction"));
}

TEST_CASE("the key after the border is REKEY of the key before, and the number goes on", "[core]") {
  auto [a, b] = make_pair();
  Bytes record;
  for (std::uint64_t i = 0; i < kRekeyInterval; ++i) {
    record.clear();
    a.seal({}, record);
  }
  const auto encrypt = [](const std::array<std::uint8_t, 32>& key, std::uint64_t number,
                          BytesView plain) {
    std::array<std::uint8_t, 12> iv{};
    for (std::size_t i = 0; i < 8; ++i) iv[4 + i] = static_cast<std::uint8_t>(number >> (8 * i));
    Bytes out(plain.size() + kTagSize);
    crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plain.data(), plain.size(),
                                              nullptr, 0, nullptr, iv.data(), key.data());
    return out;
  };
  const auto first_key = tagged<Hash>(1).bytes;
  CHECK(to_hex(BytesView(record).subspan(2)) == to_hex(encrypt(first_key, kRekeyInterval - 1, {})));

  const Bytes made = encrypt(first_key, ~std::uint64_t{0}, Bytes(32, 0));
  std::array<std::uint8_t, 32> second_key{};
  std::copy_n(made.begin(), 32, second_key.begin());
  record.clear();
  a.seal({as_bytes("next")}, record);
  CHECK(to_hex(BytesView(record).subspan(2)) ==
        to_hex(encrypt(second_key, kRekeyInterval, as_bytes("next"))));
}

}  // namespace peernet::test
