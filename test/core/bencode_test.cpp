#include "core/bencode.h"

#include <catch2/catch.hpp>

#include <limits>

#include "core/rng.h"
#include "test/core/bencode_walk.h"
#include "test/core/naive_bencode.h"
#include "test/support/support.h"

namespace peernet::test {
namespace {

using bencode::Limits;

constexpr Limits kTolerant{16, 1'000'000, false};

bool reads(std::string_view text, const Limits& limits = {}) {
  return bencode::decode(as_bytes(text), limits).has_value();
}

Errc error_of(std::string_view text, const Limits& limits) {
  const auto decoded = bencode::decode(as_bytes(text), limits);
  REQUIRE_FALSE(decoded);
  return decoded.error().code;
}

std::string lists(std::size_t depth) {
  return std::string(depth, 'l') + std::string(depth, 'e');
}

}  // namespace

TEST_CASE("a dictionary is looked up, walked and hashed by its own bytes", "[core]") {
  const std::string_view text = "d1:ai-42e1:bl4:spami7ee1:cd1:xi1eee";
  const auto document = bencode::decode(as_bytes(text), {});
  REQUIRE(document);
  const auto root = document->root();
  CHECK(root.is_dict());
  CHECK_FALSE(root.is_list());
  CHECK(root.find("a").integer() == -42);
  const auto list = root.find("b");
  CHECK(list.is_list());
  CHECK(as_text(list.encoded()) == "l4:spami7ee");
  CHECK(as_text(*list.first_child().string()) == "spam");
  CHECK(list.first_child().next_sibling().integer() == 7);
  CHECK_FALSE(list.first_child().next_sibling().next_sibling().exists());
  CHECK(root.find("c").find("x").integer() == 1);
  CHECK(as_text(root.encoded()) == text);
  CHECK_FALSE(root.next_sibling().exists());
}

TEST_CASE("what is absent or of another kind gives empty answers", "[core]") {
  const auto document = bencode::decode(as_bytes("d1:ai1e1:b0:1:cle1:ddee"), {});
  REQUIRE(document);
  const auto root = document->root();
  CHECK_FALSE(root.find("z").exists());
  CHECK_FALSE(root.find("z").find("y").first_child().next_sibling().integer());
  CHECK_FALSE(root.find("a").string());
  CHECK_FALSE(root.find("a").find("a").exists());
  CHECK_FALSE(root.find("a").first_child().exists());
  CHECK_FALSE(root.find("b").integer());
  CHECK(root.find("b").string()->empty());
  CHECK_FALSE(root.find("c").first_child().exists());
  CHECK_FALSE(root.find("d").first_child().exists());
  CHECK(root.find("z").encoded().empty());
  CHECK_FALSE(bencode::Document().root().exists());
}

TEST_CASE("integers have one form and the range of int64", "[core]") {
  const auto number = [](std::string_view text) {
    const auto document = bencode::decode(as_bytes(text), {});
    return document ? document->root().integer() : std::nullopt;
  };
  CHECK(number("i0e") == 0);
  CHECK(number("i-1e") == -1);
  CHECK(number("i9223372036854775807e") == std::numeric_limits<std::int64_t>::max());
  CHECK(number("i-9223372036854775808e") == std::numeric_limits<std::int64_t>::min());
  for (const std::string_view text :
       {"i9223372036854775808e", "i-9223372036854775809e", "i18446744073709551616e",
        "i99999999999999999999999999e", "i-0e", "i00e", "i01e", "i-01e", "ie", "i-e", "i--1e",
        "i+1e", "i 1e", "i1 e", "i1", "i", "i-", "i1.0e", "i0x1e"}) {
    INFO(text);
    CHECK_FALSE(reads(text));
    CHECK(error_of(text, kTolerant) == Errc::malformed);
  }
}

TEST_CASE("strings are as long as they say and fit the input", "[core]") {
  CHECK(reads("0:"));
  CHECK(reads("3:abc"));
  for (const std::string_view text :
       {"1:", "3:ab", "03:abc", "00:", "-1:a", "3abc", "3", ":", "4294967296:a",
        "18446744073709551615:a", "18446744073709551616:a", "99999999999999999999999999:a"}) {
    INFO(text);
    CHECK_FALSE(reads(text));
    CHECK(error_of(text, kTolerant) == Errc::malformed);
  }
}

TEST_CASE("the input is one whole value and nothing else", "[core]") {
  for (const std::string_view text :
       {"", "e", "i1ei2e", "i1e ", " i1e", "l", "d", "li1e", "d1:a", "d1:ae", "d1:ai1e", "di1ei2ee",
        "dlei1ee", "d1:ai1e1:be", "lee", "x", "l1:ax", "dde1:ae", "\n"}) {
    INFO(text);
    CHECK_FALSE(reads(text));
    CHECK_FALSE(reads(text, kTolerant));
  }
}

TEST_CASE("canonical keys are sorted and unique", "[core]") {
  CHECK(reads("d1:ai1e2:aai2e1:bi3ee"));
  CHECK_FALSE(reads("d1:bi1e1:ai2ee"));
  CHECK_FALSE(reads("d1:ai1e1:ai2ee"));
  CHECK_FALSE(reads("d2:aai1e1:ai2ee"));
  CHECK(reads("d1:\x7fi1e1:\x80i2ee"));  // bytes are compared unsigned
  CHECK_FALSE(reads("d1:\x80i1e1:\x7fi2ee"));
  CHECK(reads("d0:i1e1:ai2ee"));
  CHECK_FALSE(reads("d0:i1e0:i2ee"));
  CHECK_FALSE(reads("ld1:bi1e1:ai2eee"));          // also inside
  CHECK(reads("d1:bd1:ci1ee1:cd1:ai1e1:bi2eee"));  // each dictionary by itself
}

TEST_CASE("without canonical keys the first of two equal ones counts", "[core]") {
  const auto document = bencode::decode(as_bytes("d1:bi1e1:ai2e1:bi3ee"), kTolerant);
  REQUIRE(document);
  CHECK(document->root().find("b").integer() == 1);
  CHECK(document->root().find("a").integer() == 2);
}

TEST_CASE("nesting stops at its limit, whatever the input's length", "[core]") {
  for (const std::size_t depth : {1U, 6U, 16U}) {
    const Limits limits{depth, 1'000'000, true};
    CHECK(reads(lists(depth), limits));
    CHECK(error_of(lists(depth + 1), limits) == Errc::too_large);
    CHECK(error_of(std::string(1'000'000, 'l'), limits) == Errc::too_large);
    CHECK(error_of(std::string(depth, 'l') + "d", limits) == Errc::too_large);
  }
  CHECK(reads("i1e", {0, 1, true}));
  CHECK(error_of("le", {0, 1, true}) == Errc::too_large);
  CHECK(reads(lists(100'000), {100'000, 1'000'000, true}));
}

TEST_CASE("values stop at their limit, keys counted", "[core]") {
  const std::string text = "d1:ai1e1:bl0:ee";  // the dictionary, 2 keys, 2 values, 1 item
  CHECK(reads(text, {16, 6, true}));
  CHECK(error_of(text, {16, 5, true}) == Errc::too_large);
  std::string many = "l";
  for (int i = 0; i < 999; ++i) many += "0:";
  CHECK(reads(many + "e", {16, 1000, true}));
  CHECK(error_of(many + "0:e", {16, 1000, true}) == Errc::too_large);
}

TEST_CASE("the encoder writes what the decoder reads", "[core]") {
  Bytes out;
  bencode::Encoder encoder(out);
  encoder.begin_dict()
      .string("a")
      .integer(std::numeric_limits<std::int64_t>::min())
      .string("b")
      .begin_list()
      .integer(0)
      .string(hex("00ff"))
      .raw(as_bytes("le"))
      .end()
      .end();
  CHECK(as_text(out) == std::string_view("d1:ai-9223372036854775808e1:bli0e2:\x00\xff"
                                         "leee",
                                         41));
  const auto document = bencode::decode(out, {});
  REQUIRE(document);
  CHECK(written_again(*document) == as_text(out));
}

TEST_CASE("every mutation is judged as a naive reader judges it", "[core]") {
  const std::array<std::string_view, 5> seeds{
      "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:"
      "y1:qe",
      "d9:file treed1:fd0:d6:lengthi17e11:pieces root3:abceee12:meta versioni2e4:name1:fe",
      "lli1ei-2ei0eed0:0:1:a1:be4:spamle", "d1:ai1e1:bi2e1:ci3ee", "li10ei01ei-0ee"};
  const std::string_view alphabet = "ilde0123456789:-abz";
  Rng rng(1);
  int accepted_count = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string text(seeds[rng.below(seeds.size())]);
    for (auto changes = rng.below(4); changes > 0 && !text.empty(); --changes) {
      const std::size_t place = rng.below(text.size());
      const char letter = alphabet[rng.below(alphabet.size())];
      switch (rng.below(4)) {
        case 0: text[place] = letter; break;
        case 1: text.insert(place, 1, letter); break;
        case 2: text.erase(place, 1); break;
        default: text += text.substr(place, rng.below(20));
      }
    }
    const bool canonical = rng.below(2) == 0;
    const std::size_t depth_max = rng.below(5);
    const auto expected = NaiveBencode(text, canonical, depth_max).read_all();
    const auto decoded = bencode::decode(as_bytes(text), {depth_max, 1'000'000, canonical});
    if (decoded.has_value() != expected.has_value()) FAIL(text << " canonical " << canonical);
    if (!decoded) continue;
    ++accepted_count;
    if (written_again(*decoded) != *expected) FAIL(text);
    if (canonical && text != *expected) FAIL(text);
  }
  CHECK(accepted_count > 5000);
}

}  // namespace peernet::test
