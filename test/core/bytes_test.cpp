#include "core/bytes.h"

#include <catch2/catch.hpp>

#include "core/codec.h"
#include "core/crypto.h"
#include "test/support/support.h"

namespace peernet::test {

TEST_CASE("hex reads what it wrote and takes either case", "[core]") {
  const Bytes bytes = pattern(33);
  CHECK(from_hex(to_hex(bytes)) == bytes);
  CHECK(to_hex(hex("00ff10")) == "00ff10");
  CHECK(from_hex("ABcd") == hex("abcd"));
  CHECK(from_hex("")->empty());
  CHECK_FALSE(from_hex("abc"));
  CHECK_FALSE(from_hex("0g"));
  CHECK_FALSE(from_hex("0 "));
}

TEST_CASE("base32 has the values of RFC 4648, in lower case and unpadded", "[core]") {
  const std::array<std::pair<std::string_view, std::string_view>, 7> facts{{
      {"", ""},
      {"f", "my"},
      {"fo", "mzxq"},
      {"foo", "mzxw6"},
      {"foob", "mzxw6yq"},
      {"fooba", "mzxw6ytb"},
      {"foobar", "mzxw6ytboi"},
  }};
  for (const auto& [plain, text] : facts) {
    CHECK(to_base32(as_bytes(plain)) == text);
    CHECK(from_base32(text) == to_bytes(as_bytes(plain)));
  }
  for (std::size_t size = 0; size < 70; ++size) {
    const Bytes bytes = pattern(size);
    CHECK(from_base32(to_base32(bytes)) == bytes);
  }
}

TEST_CASE("a value has one base32 text only", "[core]") {
  CHECK_FALSE(from_base32("MY"));      // upper case
  CHECK_FALSE(from_base32("mz"));      // a spare bit is set
  CHECK_FALSE(from_base32("m"));       // no byte is that short
  CHECK_FALSE(from_base32("mzx"));     // nor that long
  CHECK_FALSE(from_base32("mzxw6y"));  // nor that
  CHECK_FALSE(from_base32("my======"));
  CHECK_FALSE(from_base32("m1"));
  CHECK_FALSE(from_base32("m8"));
  CHECK_FALSE(from_base32("m "));
}

TEST_CASE("an id is made from exactly its size", "[core]") {
  CHECK(ShareId::from(Bytes(32)));
  CHECK_FALSE(ShareId::from(Bytes(31)));
  CHECK_FALSE(ShareId::from(Bytes(33)));
  CHECK(tagged<ShareId>(258).bytes[30] == 1);
  CHECK(tagged<ShareId>(1) < tagged<ShareId>(2));
}

TEST_CASE("secure_equal compares size and every byte", "[core]") {
  const Bytes bytes = pattern(40);
  CHECK(secure_equal(bytes, Bytes(bytes)));
  CHECK(secure_equal({}, {}));
  CHECK_FALSE(secure_equal(bytes, BytesView(bytes).first(39)));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes other = bytes;
    other[i] ^= 1U;
    CHECK_FALSE(secure_equal(bytes, other));
  }
}

TEST_CASE("a reader reads back what a writer wrote", "[core]") {
  Bytes bytes;
  Writer writer(bytes);
  writer.u8(0xfe);
  writer.u16(0xfedc);
  writer.u32(0xfedcba98);
  writer.u64(0xfedcba9876543210);
  writer.bytes(as_bytes("tail"));
  CHECK(bytes == hex("fe fedc fedcba98 fedcba9876543210 7461696c"));

  Reader reader(bytes);
  CHECK(reader.u8() == 0xfe);
  CHECK(reader.u16() == 0xfedc);
  CHECK(reader.u32() == 0xfedcba98);
  CHECK(reader.u64() == 0xfedcba9876543210);
  CHECK(reader.remaining() == 4);
  CHECK_FALSE(reader.done());
  CHECK(as_text(reader.rest()) == "tail");
  CHECK(reader.done());
}

TEST_CASE("a reader fails for good at the first read that does not fit", "[core]") {
  const Bytes bytes = hex("01020304");
  for (const std::uint64_t count : {std::uint64_t{5}, std::uint64_t{1} << 31U, ~std::uint64_t{0}}) {
    Reader reader(bytes);
    CHECK(reader.bytes(count).empty());
    CHECK_FALSE(reader.ok());
    CHECK(reader.remaining() == 0);
    CHECK(reader.u8() == 0);
    CHECK(reader.rest().empty());
    CHECK_FALSE(reader.done());
  }
  Reader exact(bytes);
  CHECK(exact.bytes(4).size() == 4);
  CHECK(exact.done());
  Reader short_id(bytes);
  CHECK(short_id.tagged<ShareId>() == ShareId{});
  CHECK_FALSE(short_id.ok());
}

}  // namespace peernet::test

TEST_CASE("a growing buffer keeps its bytes and gets room for what was asked", "[core]") {
  peernet::Bytes bytes;
  for (std::size_t i = 0; i < 5000; ++i) {
    peernet::make_room(bytes, i % 7);
    REQUIRE(bytes.capacity() - bytes.size() >= i % 7);
    bytes.push_back(static_cast<std::uint8_t>(i));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    REQUIRE(bytes[i] == static_cast<std::uint8_t>(i));
  }
}
