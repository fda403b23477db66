#include "core/identity.h"

#include <catch2/catch.hpp>

#include "core/hash.h"
#include "test/support/support.h"

namespace peernet::test {

TEST_CASE("an id as text is a letter and 56 characters, and reads back", "[core]") {
  Rng rng(1);
  for (int i = 0; i < 50; ++i) {
    const auto share = rng.tagged<ShareId>();
    const std::string text = to_text(share);
    CHECK(text.size() == kIdTextSize);
    CHECK(text.front() == 's');
    REQUIRE(parse_share_id(text));
    CHECK(*parse_share_id(text) == share);
    CHECK(text.substr(0, kIdShortSize) == to_short_text(share));
    const auto peer = rng.tagged<PeerId>();
    CHECK(to_text(peer).front() == 'p');
    CHECK(*parse_peer_id(to_text(peer)) == peer);
    CHECK(to_short_text(peer).size() == kIdShortSize);
  }
}

TEST_CASE("the check is SHA-256 of the letter and the id", "[core]") {
  const auto id = tagged<ShareId>(5);
  const Hash hash = sha256({as_bytes("s"), id.view()});
  Bytes all = to_bytes(id.view());
  append(all, hash.view().first(3));
  CHECK(to_text(id) == 's' + to_base32(all));
  CHECK(to_text(tagged<PeerId>(5)).substr(1) != to_text(id).substr(1));
}

TEST_CASE("every single typo is found", "[core]") {
  const std::string text = to_text(tagged<ShareId>(77));
  int misses_count = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    for (const char digit : std::string_view("abcdefghijklmnopqrstuvwxyz234567")) {
      std::string typo = text;
      typo[i] = digit;
      if (typo != text && parse_share_id(typo)) ++misses_count;
    }
  }
  CHECK(misses_count == 0);
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    std::string swapped = text;
    std::swap(swapped[i], swapped[i + 1]);
    if (swapped != text) CHECK_FALSE(parse_share_id(swapped));
  }
}

TEST_CASE("an error says what is wrong with an id", "[core]") {
  const std::string text = to_text(tagged<ShareId>(77));
  const auto what = [](std::string_view wrong) {
    const auto parsed = parse_share_id(wrong);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::malformed);
    return parsed.error().what;
  };
  CHECK(what("").find("empty") != std::string::npos);
  CHECK(what(to_text(tagged<PeerId>(1))).find("letter") != std::string::npos);
  CHECK(what("s" + std::string(56, '1')).find("character other") != std::string::npos);
  CHECK(what(text.substr(0, 56)).find("56 characters") != std::string::npos);
  CHECK(what(text + "a").find("58 characters") != std::string::npos);
  std::string typo = text;
  typo[9] = typo[9] == 'a' ? 'b' : 'a';
  CHECK(what(typo).find("typo") != std::string::npos);
  std::string upper = text;
  for (char& letter : upper) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  }
  CHECK_FALSE(parse_share_id(upper));
  CHECK_FALSE(parse_peer_id(text));
}

TEST_CASE("identities of different draws differ and rise again from their seed", "[core]") {
  Rng rng(2);
  const Identity a = Identity::make(rng);
  const Identity b = Identity::make(rng);
  CHECK(a.id() != b.id());
  CHECK(Identity(a.seed()).id() == a.id());
  CHECK(verify(a.id(), as_bytes("m"), a.sign(as_bytes("m"))));
  CHECK_FALSE(verify(b.id(), as_bytes("m"), a.sign(as_bytes("m"))));
}

}  // namespace peernet::test
