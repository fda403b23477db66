#include "transfer/link.h"

#include <catch2/catch.hpp>

#include <string>

#include "core/identity.h"
#include "core/rng.h"

namespace peernet::transfer {
namespace {

ShareId some_id() {
  return Rng(7).tagged<ShareId>();
}

std::string id_text() {
  return to_text(some_id());
}

TEST_CASE("a link is read back as it was written", "[transfer]") {
  Link link;
  link.id = some_id();
  link.name_hint = "r\xc3\xa9sum\xc3\xa9 & caf\xc3\xa9?.tar";
  link.size_hint = 5'261'334'528;
  link.peers = {{"192.0.2.7", 7341}, {"2001:db8::1", 1}, {"host-a.example.org", 65'535}};

  const std::string text = format_link(link);
  CHECK(text == "peernet:" + id_text() +
                    "?dn=r%C3%A9sum%C3%A9%20%26%20caf%C3%A9%3F.tar&xl=5261334528"
                    "&pe=192.0.2.7:7341&pe=[2001:db8::1]:1&pe=host-a.example.org:65535");
  const auto parsed = parse_link(text);
  REQUIRE(parsed);
  CHECK(*parsed == link);
}

TEST_CASE("a bare share id is a link, and white space around a link is ignored", "[transfer]") {
  const auto bare = parse_link("  " + id_text() + "\n");
  REQUIRE(bare);
  CHECK(bare->id == some_id());
  CHECK(bare->name_hint.empty());
  CHECK_FALSE(bare->size_hint.has_value());
  CHECK(parse_link("PeerNet:" + id_text()));
}

TEST_CASE("unknown parameters of a link are ignored", "[transfer]") {
  const auto link = parse_link("peernet:" + id_text() + "?xx=%zz&dn=a&&y&tr=http://x/");
  REQUIRE(link);
  CHECK(link->name_hint == "a");
}

TEST_CASE("a link of another kind is refused by its name", "[transfer]") {
  const auto peer = Rng(8).tagged<PeerId>();
  const auto peer_link = parse_link("peernet:" + to_text(peer));
  REQUIRE_FALSE(peer_link);
  CHECK(peer_link.error().what.find("peer") != std::string::npos);
  std::string feed = id_text();
  feed[0] = 'f';
  const auto feed_link = parse_link(feed);
  REQUIRE_FALSE(feed_link);
  CHECK(feed_link.error().what.find("feed") != std::string::npos);
  const auto magnet = parse_link("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567");
  REQUIRE_FALSE(magnet);
  CHECK(magnet.error().what.find("magnet") != std::string::npos);
  CHECK_FALSE(magnet.error().hint.empty());
}

TEST_CASE("a link that is not one is malformed", "[transfer]") {
  std::string typo = id_text();
  typo[20] = typo[20] == 'a' ? 'b' : 'a';
  for (const std::string& text :
       {std::string(), std::string("   "), std::string("peernet:"), "http://" + id_text(), typo,
        id_text() + "a", id_text().substr(0, 56), "peernet:" + id_text() + "?xl=-1",
        "peernet:" + id_text() + "?xl=1x", "peernet:" + id_text() + "?xl=",
        "peernet:" + id_text() + "?xl=18446744073709551616", "peernet:" + id_text() + "?dn=%4",
        "peernet:" + id_text() + "?dn=%", "peernet:" + id_text() + "?dn=%gg"}) {
    const auto link = parse_link(text);
    REQUIRE_FALSE(link);
    CHECK(link.error().code == Errc::malformed);
  }
}

TEST_CASE("a peer hint is HOST:PORT with a port from 1 to 65535", "[transfer]") {
  const auto parse = [](const std::string& peer) {
    return parse_link("peernet:" + id_text() + "?pe=" + peer);
  };
  CHECK(parse("[::1]:7341")->peers.front().host == "::1");
  CHECK(parse("a_b.example:80"));
  CHECK(parse("%5B2001:db8::1%5D:7341"));
  CHECK(parse(std::string(kLinkHostSizeMax, 'a') + ":1"));
  for (const std::string& wrong :
       {std::string("1.2.3.4"), std::string("1.2.3.4:0"), std::string("1.2.3.4:65536"),
        std::string(":80"), std::string("[::1:80"), std::string("[zz]:80"), std::string("::1:80"),
        std::string("a%20b:80"), std::string("a%00b:80"), std::string("-a:80"),
        std::string("a:80:"), std::string("a:+8"), std::string(kLinkHostSizeMax + 1, 'a') + ":1"}) {
    INFO(wrong);
    CHECK_FALSE(parse(wrong));
  }
}

TEST_CASE("a link names at most 16 peers and has at most 4096 characters", "[transfer]") {
  std::string text = "peernet:" + id_text() + "?dn=x";
  for (std::size_t i = 0; i < kLinkPeersMax; ++i) text += "&pe=192.0.2.1:7341";
  REQUIRE(parse_link(text));
  CHECK(parse_link(text)->peers.size() == kLinkPeersMax);
  const auto crowded = parse_link(text + "&pe=192.0.2.1:7341");
  REQUIRE_FALSE(crowded);
  CHECK(crowded.error().code == Errc::too_large);

  text += "&dn=";
  text.resize(kLinkSizeMax, 'y');
  CHECK(parse_link(text));
  const auto longer = parse_link(text + "y");
  REQUIRE_FALSE(longer);
  CHECK(longer.error().code == Errc::too_large);
}

TEST_CASE("what is formatted is never longer than what is read", "[transfer]") {
  Link link;
  link.id = some_id();
  link.name_hint = std::string(2000, '\xff');  // 6000 characters when encoded: left out
  for (int i = 0; i < 20; ++i) link.peers.push_back({std::string(250, 'h'), 7341});
  const std::string text = format_link(link);
  CHECK(text.size() <= kLinkSizeMax);
  const auto parsed = parse_link(text);
  REQUIRE(parsed);
  CHECK(parsed->name_hint.empty());
  CHECK(parsed->peers.size() == 15);
}

}  // namespace
}  // namespace peernet::transfer
