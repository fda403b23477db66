#include "core/hash.h"

#include <catch2/catch.hpp>
#include <sodium.h>

#include "test/support/support.h"

namespace peernet::test {

TEST_CASE("SHA-256 and SHA-1 have the values of FIPS 180", "[core]") {
  CHECK(to_hex(sha256(BytesView{}).view()) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha256(as_bytes("abc")).view()) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha1({as_bytes("abc")}).view()) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(sha1({as_bytes("a"), as_bytes(""), as_bytes("bc")}) == sha1({as_bytes("abc")}));
}

TEST_CASE("SHA-256 by libcrypto is SHA-256 by libsodium at every size", "[core]") {
  const Bytes bytes = pattern(16'384 + 200);
  for (std::size_t size = 0; size < bytes.size(); size += size < 300 ? 1 : 1021) {
    const BytesView part = BytesView(bytes).first(size);
    Hash expected;
    crypto_hash_sha256(expected.bytes.data(), part.data(), part.size());
    CHECK(sha256(part) == expected);
    CHECK(sha256({part.first(size / 3), part.subspan(size / 3)}) == expected);
  }
}

TEST_CASE("many inputs hashed together have the hashes they have alone", "[core]") {
  const Bytes bytes = pattern(40 * 16'384);
  const auto check_each = [](const std::vector<BytesView>& inputs) {
    const std::vector<Hash> hashes = sha256_each(inputs);
    REQUIRE(hashes.size() == inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) CHECK(hashes[i] == sha256(inputs[i]));
  };
  // All sizes around the ends of a chunk of SHA-256, and a block; more lanes than one, and fewer.
  for (const std::size_t size : {0U, 1U, 3U, 55U, 56U, 63U, 64U, 65U, 119U, 120U, 128U, 16'384U}) {
    for (const std::size_t count : {0U, 1U, 7U, 8U, 15U, 16U, 17U, 39U}) {
      std::vector<BytesView> inputs;
      for (std::size_t i = 0; i < count; ++i) {
        inputs.push_back(BytesView(bytes).subspan(i * (size + 1), size));
      }
      check_each(inputs);
    }
  }
  // Files of one length after another.
  std::vector<BytesView> inputs;
  for (std::size_t i = 0; i < 60; ++i) {
    inputs.push_back(BytesView(bytes).subspan(i * 7, i < 20 ? 100 : i < 21 ? 0 : i < 40 ? 64 : i));
  }
  check_each(inputs);
}

TEST_CASE("HMAC-SHA-256 has the values of RFC 4231", "[core]") {
  CHECK(to_hex(hmac_sha256(Bytes(20, 0x0b), {as_bytes("Hi There")}).view()) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(
      to_hex(hmac_sha256(as_bytes("Jefe"), {as_bytes("what do ya want "), as_bytes("for nothing?")})
                 .view()) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  // A key longer than a block is hashed first.
  CHECK(to_hex(hmac_sha256(Bytes(131, 0xaa),
                           {as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")})
                   .view()) == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("HMAC-SHA-256 is libsodium's for keys around the block size", "[core]") {
  for (const std::size_t size : {1U, 63U, 64U, 65U, 200U}) {
    const Bytes key = pattern(size);
    const Bytes message = pattern(77, 9);
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key.data(), key.size());
    crypto_auth_hmacsha256_update(&state, message.data(), message.size());
    Hash expected;
    crypto_auth_hmacsha256_final(&state, expected.bytes.data());
    CHECK(hmac_sha256(key, {message}) == expected);
  }
}

TEST_CASE("CRC32C has its check value", "[core]") {
  CHECK(crc32c(as_bytes("123456789")) == 0xe3069283);
  CHECK(crc32c({}) == 0);
  // RFC 3720, B.4.
  CHECK(crc32c(Bytes(32, 0)) == 0x8a9136aa);
  CHECK(crc32c(Bytes(32, 0xff)) == 0x62a8ab43);
}

}  // namespace peernet::test
