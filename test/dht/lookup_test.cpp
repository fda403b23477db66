#include "dht/lookup.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "dht/node_id.h"

namespace peernet::dht::test {

namespace {

// So large that nobody here is probably among the nearest, nor too near.
constexpr double kHuge = 1e18;

struct Fixture {
  explicit Fixture(double network_size = kHuge) : lookup(target, network_size, false) {}

  Rng rng{1};
  DhtId target = rng.tagged<DhtId>();
  Lookup lookup;
  unsigned count = 0;

  // The more bits, the nearer.
  Contact contact(unsigned bits) {
    ++count;
    return {random_id_sharing(target, bits, rng), Endpoint::v4(0x3c000001U + (count << 16U), 7000)};
  }
  Contact added(unsigned bits) {
    const Contact result = contact(bits);
    lookup.add(result);
    return result;
  }
  void answer(const Contact& asked) { CHECK(lookup.on_answer(asked, asked.id, {})); }
};

}  // namespace

TEST_CASE("a lookup asks the nearest first, four at a time", "[dht]") {
  Fixture f;
  std::vector<Contact> contacts;
  for (unsigned bits = 0; bits < 10; ++bits) contacts.push_back(f.added(bits));
  for (unsigned i = 0; i < kLookupParallelism; ++i) CHECK(f.lookup.next() == contacts[9 - i]);
  CHECK_FALSE(f.lookup.next());
  f.answer(contacts[9]);
  CHECK(f.lookup.next() == contacts[5]);
  CHECK_FALSE(f.lookup.next());
}

TEST_CASE("each slow query lets one more go, up to eight in flight", "[dht]") {
  Fixture f;
  for (unsigned bits = 0; bits < 20; ++bits) f.added(bits);
  std::vector<Contact> asked;
  while (const auto contact = f.lookup.next()) asked.push_back(*contact);
  CHECK(asked.size() == 4);
  for (std::size_t i = 0; i < 12; ++i) {
    f.lookup.on_slow(asked[i < asked.size() ? i : asked.size() - 1]);
    while (const auto contact = f.lookup.next()) asked.push_back(*contact);
  }
  CHECK(asked.size() == kLookupInFlightMax);
  // What has lapsed is no longer waited for.
  f.lookup.on_lapsed(asked[0]);
  CHECK(f.lookup.next());
}

TEST_CASE("a lookup is over when the eight nearest that answer are known", "[dht]") {
  Fixture f;
  for (unsigned bits = 0; bits < 12; ++bits) f.added(bits);
  std::size_t asked = 0;
  while (!f.lookup.is_over()) {
    const auto contact = f.lookup.next();
    REQUIRE(contact);
    ++asked;
    f.answer(*contact);
  }
  CHECK(asked == kLookupWidth);
  CHECK(f.lookup.nearest().size() == 8);
  // Somebody nearer makes it go on.
  const Contact nearer = f.added(30);
  CHECK_FALSE(f.lookup.is_over());
  CHECK(f.lookup.next() == nearer);
  SECTION("it is waited for, also when slow") {
    f.lookup.on_slow(nearer);
    CHECK_FALSE(f.lookup.is_over());
    SECTION("until its query lapses; a late answer still counts") {
      f.lookup.on_lapsed(nearer);
      CHECK(f.lookup.is_over());
      f.answer(nearer);
      CHECK(f.lookup.nearest().at(0).contact == nearer);
    }
  }
  SECTION("a failed one is not") {
    f.lookup.on_failed(nearer);
    CHECK(f.lookup.is_over());
  }
}

TEST_CASE("a lookup with fewer than eight nodes asks all and is over", "[dht]") {
  Fixture f;
  CHECK(f.lookup.is_over());
  const Contact a = f.added(1);
  const Contact b = f.added(2);
  CHECK(f.lookup.next() == b);
  CHECK(f.lookup.next() == a);
  f.answer(a);
  CHECK_FALSE(f.lookup.is_over());
  f.lookup.on_failed(b);
  CHECK(f.lookup.is_over());
  CHECK(f.lookup.answered_count() == 1);
}

TEST_CASE("an answer under another id than the expected counts only if that id was told of",
          "[dht]") {
  Fixture f;
  const Contact real = f.contact(3);
  const Contact invented{random_id_sharing(f.target, 40, f.rng), real.endpoint};
  f.lookup.add(invented);
  CHECK(f.lookup.next() == invented);
  CHECK_FALSE(f.lookup.on_answer(invented, real.id, {}));
  CHECK(f.lookup.is_over());
  // An honest node tells of it under its own id: it is asked once more.
  f.lookup.add(real);
  CHECK(f.lookup.next() == real);
  f.answer(real);
  CHECK(f.lookup.nearest().size() == 1);
  // And no third time.
  f.lookup.add({random_id_sharing(f.target, 41, f.rng), real.endpoint});
  CHECK_FALSE(f.lookup.next());
  CHECK(f.lookup.is_over());
}

TEST_CASE("a global host is asked once and a network twice, whatever ids they are said to have",
          "[dht]") {
  Fixture f;
  const auto id = [&] { return random_id_sharing(f.target, 20, f.rng); };
  for (std::uint16_t port = 7000; port < 7005; ++port) {
    f.lookup.add({id(), Endpoint::v4(0x3c010101, port)});
  }
  CHECK(f.lookup.next());
  CHECK_FALSE(f.lookup.next());
  f.lookup.add({id(), Endpoint::v4(0x3c010102, 7000)});
  f.lookup.add({id(), Endpoint::v4(0x3c010103, 7000)});
  CHECK(f.lookup.next());
  CHECK_FALSE(f.lookup.next());
  // On loopback every port is a node.
  for (std::uint16_t port = 7000; port < 7002; ++port) {
    f.lookup.add({id(), Endpoint::v4(0x7f000001, port)});
    CHECK(f.lookup.next());
  }
}

TEST_CASE("a lookup remembers no more candidates than its limit, the nearest", "[dht]") {
  Fixture f;
  for (std::size_t i = 0; i < kLookupCandidatesMax; ++i) f.added(10);
  CHECK(f.lookup.candidates_count() == kLookupCandidatesMax);
  f.added(9);
  const Contact nearer = f.added(20);
  CHECK(f.lookup.candidates_count() == kLookupCandidatesMax);
  CHECK(f.lookup.next() == nearer);
}

TEST_CASE("a lookup that is led on by invented nearer nodes ends at its limit", "[dht]") {
  Fixture f(0);  // the size of the network is not known yet
  f.added(0);
  std::size_t asked = 0;
  for (unsigned bits = 1; bits < 150 && !f.lookup.is_over(); ++bits) {
    while (const auto contact = f.lookup.next()) {
      ++asked;
      f.answer(*contact);
    }
    for (int i = 0; i < 8; ++i) f.added(bits);
  }
  CHECK(asked == kLookupQueriesMax);
  CHECK(f.lookup.is_over());
}

TEST_CASE("the nodes found carry their tokens, nearest first", "[dht]") {
  Fixture f;
  const Contact a = f.added(1);
  const Contact b = f.added(2);
  f.lookup.next();
  f.lookup.next();
  CHECK(f.lookup.on_answer(a, a.id, as_bytes("token a")));
  CHECK(f.lookup.on_answer(b, b.id, {}));
  const auto found = f.lookup.nearest();
  REQUIRE(found.size() == 2);
  CHECK(found[0].contact == b);
  CHECK(found[0].token.empty());
  CHECK(as_text(found[1].token) == "token a");
}

TEST_CASE("those that are probably among the nearest are asked at once, up to eight", "[dht]") {
  Fixture f(100);
  for (unsigned i = 0; i < 12; ++i) f.added(4);  // where 3 to 6 of 100 are expected
  std::size_t asked = 0;
  while (f.lookup.next()) ++asked;
  CHECK(asked == kLookupInFlightMax);
  Fixture far(100'000);
  for (unsigned i = 0; i < 12; ++i) far.added(4);
  asked = 0;
  while (far.lookup.next()) ++asked;
  CHECK(asked == kLookupParallelism);
}

TEST_CASE("where more nodes are than there should be only as many count as chance allows",
          "[dht]") {
  Fixture f(100);
  std::vector<Contact> sybils;
  for (unsigned i = 0; i < 20; ++i) sybils.push_back(f.added(30));
  std::vector<Contact> honest;
  for (unsigned i = 0; i < 6; ++i) honest.push_back(f.added(4));
  for (unsigned i = 0; i < 10; ++i) honest.push_back(f.added(3));
  std::size_t sybils_asked = 0;
  std::size_t asked = 0;
  while (!f.lookup.is_over()) {
    const auto contact = f.lookup.next();
    REQUIRE(contact);
    ++asked;
    sybils_asked += std::count(sybils.begin(), sybils.end(), *contact) > 0 ? 1U : 0U;
    f.answer(*contact);
  }
  CHECK(f.lookup.is_crowded());
  CHECK(sybils_asked == 2);
  CHECK(asked == kLookupWidthCrowded);
  std::size_t among = 0;
  for (const auto& found : f.lookup.nearest()) {
    among += std::count(sybils.begin(), sybils.end(), found.contact) > 0 ? 1U : 0U;
  }
  CHECK(among == 2);
  // An announce goes on to everybody who should be among the 20 nearest.
  f.lookup.be_thorough();
  CHECK_FALSE(f.lookup.is_over());
  while (const auto contact = f.lookup.next()) f.answer(*contact);
  CHECK(f.lookup.nearest().size() == 2 + honest.size());
}

TEST_CASE("without an estimate nobody is too near", "[dht]") {
  Fixture f(0);
  for (unsigned i = 0; i < 8; ++i) f.added(30);
  while (const auto contact = f.lookup.next()) f.answer(*contact);
  CHECK(f.lookup.is_over());
  CHECK_FALSE(f.lookup.is_crowded());
  CHECK(f.lookup.nearest().size() == 8);
}

TEST_CASE("of the places that end a lookup a network has two and a region three", "[dht]") {
  for (const bool is_global : {true, false}) {
    Fixture f;
    const auto add = [&](std::uint32_t address) {
      const Endpoint endpoint =
          Endpoint::v4(is_global ? address : (address & 0xffffffU) | 0x0a000000U, 7000);
      f.lookup.add({random_id_sharing(f.target, 20, f.rng), endpoint});
    };
    for (std::uint32_t i = 0; i < 6; ++i) add(0x3c010001U + (i << 8U));  // one /16
    for (std::uint32_t i = 0; i < 6; ++i) add(0x3c020101U + i);          // one /24
    std::size_t asked = 0;
    while (const auto contact = f.lookup.next()) {
      ++asked;
      f.answer(*contact);
    }
    CHECK(f.lookup.is_over());
    CHECK(asked == (is_global ? kLookupRegionPlacesMax + kLookupNetworkPlacesMax : kLookupWidth));
  }
}

TEST_CASE("those one source alone vouches for go last once its others have failed", "[dht]") {
  Fixture f;
  const Contact liar = f.added(5);
  for (unsigned i = 0; i < 9; ++i) f.added(4);
  REQUIRE(f.lookup.next() == liar);
  f.answer(liar);
  std::vector<Contact> invented;
  for (unsigned i = 0; i < 6; ++i) {
    invented.push_back(f.contact(40));
    f.lookup.add(invented.back(), liar);
  }
  const auto first = f.lookup.next();
  REQUIRE(first);
  CHECK(std::count(invented.begin(), invented.end(), *first) == 1);
  f.lookup.on_lapsed(*first);
  SECTION("after all others") {
    std::size_t asked = 0;
    while (const auto contact = f.lookup.next()) {
      CHECK(std::count(invented.begin(), invented.end(), *contact) == 0);
      f.answer(*contact);
      ++asked;
    }
    CHECK(f.lookup.is_over());
    CHECK(asked == kLookupWidth - 1);
  }
  SECTION("unless somebody else tells of them too") {
    const Contact other = *f.lookup.next();
    f.answer(other);
    const Contact real = *std::find_if(invented.begin(), invented.end(),
                                       [&](const Contact& c) { return c != *first; });
    f.lookup.add(real, other);
    CHECK(f.lookup.next() == real);
  }
}

TEST_CASE("a lookup counts the queries in a row that led to the nearest", "[dht]") {
  Fixture f;
  Contact teller = f.added(1);
  for (unsigned bits = 2; bits < 5; ++bits) {
    REQUIRE(f.lookup.next() == teller);
    f.answer(teller);
    const Contact next = f.contact(bits);
    f.lookup.add(next, teller);
    teller = next;
  }
  CHECK(f.lookup.hops() == 3);
  REQUIRE(f.lookup.next() == teller);
  f.answer(teller);
  CHECK(f.lookup.hops() == 4);
}

TEST_CASE("a node that answered before the search began is not asked again", "[dht]") {
  Fixture f;
  const Contact by = f.contact(3);
  f.lookup.add_answered(by);
  f.lookup.add_answered(by);
  CHECK(f.lookup.asked_count() == 1);
  CHECK(f.lookup.is_over());
  const Contact told = f.contact(4);
  f.lookup.add(told, by);
  CHECK(f.lookup.next() == told);
  CHECK_FALSE(f.lookup.next());
}

TEST_CASE("nobody makes a lookup ask for ever new nodes that are not there", "[dht]") {
  Fixture f(100);
  const Contact teller = f.added(1);
  const Contact witness = f.added(2);
  while (const auto contact = f.lookup.next()) f.answer(*contact);
  std::vector<Contact> invented;
  for (unsigned i = 0; i < 12; ++i) invented.push_back(f.contact(24 + i));
  for (const Contact& contact : invented) f.lookup.add(contact, teller);
  std::size_t asked = 0;
  for (; const auto contact = f.lookup.next(); ++asked) f.lookup.on_failed(*contact);
  CHECK(asked == 2);
  CHECK(f.lookup.is_over());
  // What several tell of is asked all the same.
  f.lookup.add(invented[0], witness);
  CHECK(f.lookup.next() == invented[0]);
}

TEST_CASE("nobody makes a lookup ask for ever nearer nodes that answer", "[dht]") {
  for (const bool are_told_by_several : {false, true}) {
    Fixture f(100);
    const Contact teller = f.added(1);
    const Contact witness = f.added(2);
    while (const auto contact = f.lookup.next()) f.answer(*contact);
    std::size_t asked = 0;
    for (unsigned bits = 24; bits < 60; ++bits) {
      const Contact invented = f.contact(bits);
      f.lookup.add(invented, teller);
      if (are_told_by_several) f.lookup.add(invented, witness);
      while (const auto contact = f.lookup.next()) {
        f.answer(*contact);
        ++asked;
      }
    }
    CHECK(asked == 2);
    CHECK(f.lookup.is_crowded());
    CHECK(f.lookup.is_over());
    // What our own table knows is asked all the same.
    const Contact known = f.added(3);
    CHECK(f.lookup.next() == known);
  }
}

TEST_CASE("an announce into a crowd is over when the twenty nearest that answer are known",
          "[dht]") {
  Fixture f(100);
  f.lookup.be_thorough();
  for (unsigned i = 0; i < 10; ++i) f.added(30);
  for (unsigned i = 0; i < 25; ++i) f.added(3);  // where 12 of 100 are expected, 25 are possible
  std::size_t asked = 0;
  while (const auto contact = f.lookup.next()) {
    f.answer(*contact);
    ++asked;
  }
  CHECK(f.lookup.is_over());
  CHECK(asked == 20);
}

TEST_CASE("in a crowd no path of an announce leads to more than four places", "[dht]") {
  Fixture f(64);
  f.lookup.be_thorough();
  const Contact teller = f.added(1);
  const Contact other = f.added(1);
  for (unsigned i = 0; i < kLookupPaths; ++i) f.added(0);
  while (const auto contact = f.lookup.next()) f.answer(*contact);
  std::vector<Contact> told;
  for (unsigned i = 0; i < 4; ++i) told.push_back(f.contact(24 + i));
  for (unsigned i = 0; i < 8; ++i) told.push_back(f.contact(3));
  for (const Contact& contact : told) f.lookup.add(contact, teller);
  const Contact honest = f.contact(3);
  f.lookup.add(honest, other);
  std::vector<Contact> asked;
  while (const auto contact = f.lookup.next()) {
    asked.push_back(*contact);
    f.answer(*contact);
  }
  CHECK(f.lookup.is_crowded());
  CHECK(std::find(asked.begin(), asked.end(), honest) != asked.end());
  std::size_t of_teller = 0;
  for (const Lookup::Found& found : f.lookup.nearest()) {
    of_teller += std::find(told.begin(), told.end(), found.contact) != told.end() ? 1U : 0U;
  }
  CHECK(of_teller <= kLookupPathPlacesMax);
  CHECK(of_teller >= 2);
}

}  // namespace peernet::dht::test
