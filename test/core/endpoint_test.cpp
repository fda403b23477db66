#include "core/endpoint.h"

#include <catch2/catch.hpp>

#include <arpa/inet.h>

#include <algorithm>

#include "core/rng.h"
#include "test/support/support.h"

namespace peernet::test {
namespace {

Endpoint at(std::string_view text) {
  const auto endpoint = Endpoint::parse(text);
  INFO(text);
  REQUIRE(endpoint);
  return *endpoint;
}

std::string system_text(const Endpoint& endpoint) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(endpoint.is_v6 ? AF_INET6 : AF_INET, endpoint.address.data(), text.data(), text.size());
  return text.data();
}

// An address with runs of zeros, so that every form of "::" occurs.
std::array<std::uint8_t, 16> random_address(Rng& rng) {
  std::array<std::uint8_t, 16> address{};
  for (std::size_t group = 0; group < 8; ++group) {
    const auto kind = rng.below(4);
    if (kind < 2) continue;
    address[2 * group + 1] = static_cast<std::uint8_t>(rng.below(256));
    if (kind == 3) address[2 * group] = static_cast<std::uint8_t>(rng.below(256));
  }
  return address;
}

}  // namespace

TEST_CASE("IPv4 endpoints are read and printed", "[core]") {
  const Endpoint endpoint = at("1.2.3.4:80");
  CHECK(endpoint == Endpoint::v4(0x01020304, 80));
  CHECK(endpoint.to_string() == "1.2.3.4:80");
  CHECK(endpoint.address_to_string() == "1.2.3.4");
  CHECK(at("255.255.255.255:65535").to_string() == "255.255.255.255:65535");
  CHECK(at("0.0.0.0:0").port == 0);
}

TEST_CASE("text that is no endpoint is refused", "[core]") {
  for (const std::string_view text : {"",
                                      ":",
                                      ":80",
                                      "1.2.3.4",
                                      "1.2.3.4:",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:080",
                                      "1.2.3.4:-1",
                                      "1.2.3.4:+1",
                                      "1.2.3.4: 1",
                                      "1.2.3:80",
                                      "1.2.3.4.5:80",
                                      "01.2.3.4:80",
                                      "256.1.1.1:80",
                                      "1..2.3:80",
                                      "1.2.3.4 :80",
                                      "host:80",
                                      "::1:80",
                                      "[::1]",
                                      "[::1]:",
                                      "[::1:80",
                                      "::1]:80",
                                      "[]:80",
                                      "[:]:80",
                                      "[:::]:80",
                                      "[1::2::3]:80",
                                      "[1:2:3:4:5:6:7]:80",
                                      "[1:2:3:4:5:6:7:8:9]:80",
                                      "[1:2:3:4:5:6:7:8::]:80",
                                      "[::1:2:3:4:5:6:7:8]:80",
                                      "[12345::]:80",
                                      "[g::]:80",
                                      "[1:]:80",
                                      "[:1]:80",
                                      "[1::2:]:80",
                                      "[::1.2.3]:80",
                                      "[1.2.3.4::]:80",
                                      "[::1.2.3.4:5]:80",
                                      "[1:2:3:4:5:6:7:1.2.3.4]:80",
                                      "[::256.1.1.1]:80",
                                      "[fe80::1%eth0]:80",
                                      "[[::1]]:80",
                                      "[::1]:99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(Endpoint::parse(text));
  }
}

TEST_CASE("IPv6 endpoints are read and printed as RFC 5952 says", "[core]") {
  const std::array<std::pair<std::string_view, std::string_view>, 12> facts{{
      {"[::]:1", "[::]:1"},
      {"[::1]:1", "[::1]:1"},
      {"[1::]:1", "[1::]:1"},
      {"[2001:DB8::1]:1", "[2001:db8::1]:1"},
      {"[2001:0db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"},
      {"[2001:db8:0:1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1"},
      {"[2001:db8:0:0:0:1:0:0]:1", "[2001:db8::1:0:0]:1"},
      {"[2001::8:0:0:0:1]:1", "[2001:0:0:8::1]:1"},
      {"[1:2:3:4:5:6:0:0]:1", "[1:2:3:4:5:6::]:1"},
      {"[0:0:3:4:5:6:7:8]:1", "[::3:4:5:6:7:8]:1"},
      {"[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1"},
      {"[64:ff9b::192.0.2.33]:1", "[64:ff9b::c000:221]:1"},
  }};
  for (const auto& [text, printed] : facts) CHECK(at(text).to_string() == printed);
}

TEST_CASE("addresses agree with the system's own reader and printer", "[core]") {
  Rng rng(1);
  for (int i = 0; i < 5000; ++i) {
    const auto address = random_address(rng);
    const Endpoint endpoint = Endpoint::v6(address, 7);
    INFO(endpoint.to_string());
    CHECK(Endpoint::parse(endpoint.to_string()) == endpoint);
    std::array<std::uint8_t, 16> system{};
    const int family = endpoint.is_v6 ? AF_INET6 : AF_INET;
    REQUIRE(inet_pton(family, endpoint.address_to_string().c_str(), system.data()) == 1);
    CHECK(std::equal(system.begin(), system.end(), endpoint.address.begin()));
    // The C library prints the outdated IPv4-compatible addresses with dots.
    const std::string printed = system_text(endpoint);
    if (endpoint.is_v6 && printed.find('.') == std::string::npos) {
      CHECK(endpoint.address_to_string() == printed);
    }
    if (endpoint.is_v6) CHECK(at('[' + printed + "]:7") == endpoint);
  }
}

TEST_CASE("an IPv4-mapped address is the IPv4 address however it comes in", "[core]") {
  const Endpoint plain = Endpoint::v4(0x0a000001, 99);
  CHECK(at("[::ffff:10.0.0.1]:99") == plain);
  CHECK(at("[::ffff:a00:1]:99") == plain);
  CHECK(Endpoint::unpack(hex("00000000000000000000ffff0a0000010063")) == plain);
  CHECK_FALSE(plain.is_v6);
  CHECK(at("[::fffe:10.0.0.1]:99").is_v6);
}

TEST_CASE("compact forms are 6 and 18 bytes and no other length", "[core]") {
  Bytes packed;
  at("1.2.3.4:258").pack(packed);
  CHECK(packed == hex("010203040102"));
  CHECK(Endpoint::unpack(packed) == at("1.2.3.4:258"));
  packed.clear();
  at("[2001:db8::5]:258").pack(packed);
  CHECK(packed == hex("20010db80000000000000000000000050102"));
  CHECK(Endpoint::unpack(packed) == at("[2001:db8::5]:258"));
  for (std::size_t size = 0; size < 40; ++size) {
    CHECK(Endpoint::unpack(Bytes(size)).has_value() == (size == 6 || size == 18));
  }
}

TEST_CASE("locality follows the special-use ranges to their edges", "[core]") {
  for (const auto* text : {"127.0.0.1:1", "127.255.255.255:1", "0.0.0.0:1", "[::1]:1", "[::]:1",
                           "[64:ff9b::127.0.0.1]:1", "[2002:7f00:1::]:1"}) {
    INFO(text);
    CHECK(at(text).locality() == Locality::loopback);
  }
  for (const auto* text :
       {"10.0.0.0:1", "10.255.255.255:1", "172.16.0.0:1", "172.31.255.255:1", "192.168.0.0:1",
        "192.168.255.255:1", "169.254.0.0:1", "169.254.255.255:1", "100.64.0.0:1",
        "100.127.255.255:1", "[fe80::1]:1", "[febf::1]:1", "[fc00::1]:1", "[fdff::1]:1",
        "[fec0::1]:1", "[64:ff9b::10.1.1.1]:1", "[2002:c0a8:101::]:1"}) {
    INFO(text);
    CHECK(at(text).locality() == Locality::local);
  }
  for (const auto* text :
       {"9.255.255.255:1", "11.0.0.0:1", "126.0.0.1:1", "128.0.0.1:1", "172.15.255.255:1",
        "172.32.0.0:1", "192.167.255.255:1", "192.169.0.0:1", "169.253.0.1:1", "169.255.0.1:1",
        "100.63.255.255:1", "100.128.0.0:1", "[2000::1]:1", "[fbff::1]:1", "[fe00::1]:1",
        "[64:ff9b::8.8.8.8]:1", "[2002:808:808::]:1"}) {
    INFO(text);
    CHECK(at(text).locality() == Locality::global);
  }
}

TEST_CASE("nothing is sent to what is no host", "[core]") {
  for (const auto* text :
       {"1.2.3.4:0", "0.0.0.0:1", "0.255.255.255:1", "224.0.0.1:1", "239.255.255.255:1",
        "240.0.0.1:1", "255.255.255.255:1", "[::]:1", "[ff02::1]:1", "[::1.2.3.4]:1", "[::2]:1"}) {
    INFO(text);
    CHECK_FALSE(at(text).is_usable());
  }
  for (const auto* text : {"1.0.0.0:1", "223.255.255.255:1", "127.0.0.1:1", "[::1]:1",
                           "[2001:db8::1]:65535", "[fe80::1]:1"}) {
    INFO(text);
    CHECK(at(text).is_usable());
  }
}

TEST_CASE("a prefix keeps its bits and drops the rest and the port", "[core]") {
  CHECK(at("10.11.12.13:5").prefix(24) == at("10.11.12.0:0"));
  CHECK(at("10.11.12.13:5").prefix(32) == at("10.11.12.13:0"));
  CHECK(at("10.11.12.13:5").prefix(0) == at("0.0.0.0:0"));
  CHECK(at("10.11.12.255:5").prefix(25) == at("10.11.12.128:0"));
  CHECK(at("[2001:db8:1:2:3:4:5:6]:5").prefix(64) == at("[2001:db8:1:2::]:0"));
  CHECK(at("[2001:db8:1:ffff::]:5").prefix(49) == at("[2001:db8:1:8000::]:0"));
  CHECK(at("[2001:db8::1]:5").prefix(128) == at("[2001:db8::1]:0"));
  CHECK(at("[::1]:5").prefix(0) != at("1.2.3.4:5").prefix(0));
}

TEST_CASE("an address is learnt only from somebody at least as local", "[core]") {
  const Endpoint loopback = at("127.0.0.1:2000");
  const Endpoint local = at("192.168.1.1:2000");
  const Endpoint global = at("8.8.8.8:2000");
  CHECK(may_learn(loopback, loopback, false));
  CHECK_FALSE(may_learn(loopback, local, false));
  CHECK_FALSE(may_learn(loopback, global, false));
  CHECK(may_learn(local, loopback, false));
  CHECK(may_learn(local, at("[fe80::1]:1"), false));
  CHECK_FALSE(may_learn(local, global, false));
  CHECK(may_learn(global, loopback, false));
  CHECK(may_learn(global, local, false));
  CHECK(may_learn(global, global, false));
  CHECK(may_learn(loopback, global, true));
}

TEST_CASE("a low port and an unusable address are learnt from nobody", "[core]") {
  const Endpoint source = at("127.0.0.1:2000");
  for (const bool is_testing : {false, true}) {
    CHECK_FALSE(may_learn(at("8.8.8.8:1023"), source, is_testing));
    CHECK(may_learn(at("8.8.8.8:1024"), source, is_testing));
    CHECK_FALSE(may_learn(at("8.8.8.8:0"), source, is_testing));
    CHECK_FALSE(may_learn(at("224.0.0.1:2000"), source, is_testing));
    CHECK_FALSE(may_learn(at("0.0.0.0:2000"), source, is_testing));
  }
}

}  // namespace peernet::test
