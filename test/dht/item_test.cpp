#include "dht/item.h"

#include <catch2/catch.hpp>

#include <string>

#include "test/support/support.h"

namespace peernet::dht::test {

using peernet::test::hex;
using peernet::test::tagged;

namespace {

const char* const kSigner = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";

// The mutable vectors of BEP 44.
Item vector(std::string_view salt, std::string_view signature) {
  Item item;
  item.value = to_bytes(as_bytes("12:Hello World!"));
  item.key = tagged<PeerId>(kSigner);
  item.salt = to_bytes(as_bytes(salt));
  item.seq = 1;
  item.signature = tagged<Signature>(signature);
  return item;
}

Item plain() {
  return vector("",
                "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
                "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01");
}

Item salted() {
  return vector("foobar",
                "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
                "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08");
}

Bytes text_of(std::size_t encoded_size) {
  const std::string text(encoded_size - 4, 'x');  // the length has three digits
  return to_bytes(as_bytes(std::to_string(text.size()) + ":" + text));
}

Errc errc(const Item& item) {
  const auto checked = check(item);
  REQUIRE_FALSE(checked);
  return checked.error().code;
}

}  // namespace

TEST_CASE("targets and signed bytes are those of BEP 44's vectors", "[dht]") {
  CHECK(to_hex(item_target(plain()).view()) == "4a533d47ec9c7d95b1ad75f576cffc641853b750");
  CHECK(to_hex(item_target(salted()).view()) == "411eba73b6f087ca51a3795d9c8c938d365e32c1");
  const Item immutable = immutable_item(as_bytes("12:Hello World!"));
  CHECK(to_hex(item_target(immutable).view()) == "e5f96f6f38320f0f33959cb4d3d656452117aadb");
  CHECK(as_text(signed_bytes({}, 1, plain().value)) == "3:seqi1e1:v12:Hello World!");
  CHECK(as_text(signed_bytes(as_bytes("foobar"), 1, plain().value)) ==
        "4:salt6:foobar3:seqi1e1:v12:Hello World!");
}

TEST_CASE("the signatures of BEP 44's vectors are good, and no other is", "[dht]") {
  for (const Item& item : {plain(), salted()}) {
    CHECK(check(item));
    Item changed = item;
    changed.seq = 2;
    CHECK(errc(changed) == Errc::refused);
    changed = item;
    changed.value = to_bytes(as_bytes("12:Hello world!"));
    CHECK(errc(changed) == Errc::refused);
    changed = item;
    changed.salt.push_back('x');
    CHECK(errc(changed) == Errc::refused);
    changed = item;
    changed.signature.bytes[0] ^= 1U;
    CHECK(errc(changed) == Errc::refused);
    changed = item;
    changed.key->bytes[31] ^= 1U;
    CHECK(errc(changed) == Errc::refused);
  }
}

TEST_CASE("a signature with S beyond the group order is refused", "[dht]") {
  // S + L signs the same bytes to whoever does not look.
  const Bytes order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  Item item = plain();
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const unsigned sum = item.signature.bytes[32 + i] + unsigned{order[i]} + carry;
    item.signature.bytes[32 + i] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8U;
  }
  REQUIRE(carry == 0);
  CHECK(errc(item) == Errc::refused);
}

TEST_CASE("a key of small order signs nothing", "[dht]") {
  // With the neutral element as key and R, and S zero, the bare equation holds for every message.
  Item item = plain();
  item.key = PeerId{};
  item.key->bytes[0] = 1;
  item.signature = Signature{};
  item.signature.bytes[0] = 1;
  CHECK(errc(item) == Errc::refused);
}

TEST_CASE("an item of ours is good", "[dht]") {
  Key seed;
  seed.mutable_view()[0] = 9;
  CHECK(check(mutable_item(seed, as_bytes("s"), 7, as_bytes("i1e"))));
  CHECK(check(immutable_item(as_bytes("d1:ai1ee"))));
}

TEST_CASE("a value has at most 1,000 bytes, and a salt 64", "[dht]") {
  CHECK(check(immutable_item(text_of(kItemValueMax))));
  CHECK(errc(immutable_item(text_of(kItemValueMax + 1))) == Errc::too_large);
  const Key seed;
  const Bytes salt(kSaltMax, 's');
  CHECK(check(mutable_item(seed, salt, 0, as_bytes("i1e"))));
  const Bytes long_salt(kSaltMax + 1, 's');
  CHECK(errc(mutable_item(seed, long_salt, 0, as_bytes("i1e"))) == Errc::too_large);
}

TEST_CASE("a value is one bencoded value that does not nest too deep", "[dht]") {
  CHECK(errc(immutable_item(as_bytes(""))) == Errc::malformed);
  CHECK(errc(immutable_item(as_bytes("i1ei2e"))) == Errc::malformed);
  CHECK(errc(immutable_item(as_bytes("hello"))) == Errc::malformed);
  const auto nested = [](std::size_t depth) {
    return std::string(depth, 'l') + std::string(depth, 'e');
  };
  CHECK(check(immutable_item(as_bytes(nested(kItemDepthMax)))));
  CHECK(errc(immutable_item(as_bytes(nested(kItemDepthMax + 1)))) == Errc::too_large);
  std::string many;
  for (std::size_t i = 1; i < kItemTokensMax; ++i) many += "0:";
  CHECK(check(immutable_item(as_bytes("l" + many + "e"))));
  CHECK(errc(immutable_item(as_bytes("l" + many + "0:e"))) == Errc::too_large);
  CHECK(errc(mutable_item(Key{}, {}, -1, as_bytes("i1e"))) == Errc::malformed);
}

}  // namespace peernet::dht::test
