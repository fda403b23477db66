#include "transfer/dialer.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <vector>

#include "test/support/support.h"

namespace peernet::transfer {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::tagged;
using Source = Dialer::Source;

constexpr Time kStart{minutes(1)};
const ShareId kShare = tagged<ShareId>(1);
const ShareId kOther = tagged<ShareId>(2);

Endpoint at(std::string_view text) {
  return *Endpoint::parse(text);
}

// The `number`-th global address.
Endpoint host(std::uint32_t number, std::uint16_t port = 5000) {
  return Endpoint::v4(0x08000000U + number, port);
}

class DialerTest {
 public:
  explicit DialerTest(bool special_use_is_global = false) : dialer(special_use_is_global, Rng(1)) {}

  void add(const Endpoint& endpoint, Source source = Source::dht, const ShareId& share = kShare) {
    dialer.add(now, endpoint, share, source);
  }
  std::vector<Endpoint> all_due() {
    std::vector<Endpoint> dialled;
    while (const auto next = dialer.next(now)) dialled.push_back(*next);
    // Whoever waits for the deadline does not spin.
    CHECK(dialer.deadline() > now);
    return dialled;
  }
  // Dials what is due at each deadline up to `end` and lets it fail; gives how often and when.
  std::vector<Time> fail_until(Time end) {
    std::vector<Time> dials;
    while (dialer.deadline() <= end) {
      now = std::max(now, dialer.deadline());
      while (const auto next = dialer.next(now)) {
        dials.push_back(now);
        dialer.on_failed(now, *next, "refused");
      }
    }
    now = end;
    return dials;
  }
  void prove(const Endpoint& endpoint) {
    add(endpoint);
    REQUIRE(all_due() == std::vector{endpoint});
    dialer.on_proven(now, endpoint);
  }

  Dialer dialer;
  Time now = kStart;
};

TEST_CASE_METHOD(DialerTest,
                 "an address of a stranger is dialled once in ten minutes, whoever names it",
                 "[transfer]") {
  for (std::uint64_t liar = 0; liar < 200; ++liar) {
    add(host(1), liar % 2 == 0 ? Source::dht : Source::remembered, tagged<ShareId>(liar % 60));
  }
  CHECK(all_due() == std::vector{host(1)});
  dialer.on_failed(now, host(1), "timed out");

  const auto dials = fail_until(kStart + minutes(30));
  REQUIRE((dials.size() == 2 || dials.size() == 3));
  CHECK(dials[0] - kStart >= minutes(10));
  CHECK(dials[1] - dials[0] >= minutes(10));
}

TEST_CASE_METHOD(DialerTest, "many ports of one IPv4 address are one address", "[transfer]") {
  for (std::uint16_t port = 2000; port < 2100; ++port) add(host(1, port));
  CHECK(all_due().size() == 1);
  CHECK(fail_until(kStart + minutes(10) - seconds(1)).empty());
  CHECK(fail_until(kStart + minutes(10)).size() == 1);
}

TEST_CASE_METHOD(DialerTest, "forgetting a share does not forget that its addresses were tried",
                 "[transfer]") {
  add(host(1));
  REQUIRE(all_due().size() == 1);
  dialer.on_failed(now, host(1), "refused");
  dialer.remove_share(kShare);
  CHECK(dialer.known() == 0);

  add(host(1), Source::dht, kOther);
  CHECK(all_due().empty());
  CHECK(dialer.deadline() == kStart + minutes(10));
}

TEST_CASE_METHOD(DialerTest, "an address that answers lets its other ports be tried at once",
                 "[transfer]") {
  for (std::uint16_t port = 2000; port < 2003; ++port) add(host(1, port));
  for (int i = 0; i < 3; ++i) {
    const auto dialled = all_due();
    REQUIRE(dialled.size() == 1);
    dialer.on_proven(now, dialled.front());
  }
  CHECK(all_due().empty());
}

TEST_CASE_METHOD(DialerTest, "an IPv6 /64 is one address", "[transfer]") {
  // An IPv4 address with the same bytes stands between them in memory and is another.
  const auto in_between = at("32.1.13.184:5000");
  for (const char* text : {"[2001:db8::]:2000", "[2001:db8::1]:3000", "[2001:db8::2]:2000"}) {
    add(at(text));
  }
  add(in_between);
  add(at("[2001:db8:0:1::2]:2000"));
  const auto dialled = all_due();
  CHECK(dialled.size() == 3);
  for (const Endpoint& endpoint : dialled) {
    if (endpoint.prefix(64) == at("[2001:db8::]:0")) dialer.on_proven(now, endpoint);
  }
  CHECK(all_due().size() == 1);
}

TEST_CASE("loopback and private addresses are told apart by port unless they count as global",
          "[transfer]") {
  DialerTest open;
  DialerTest strict(true);
  for (const char* text : {"127.0.0.1:2000", "127.0.0.1:2001", "10.0.0.1:2000", "10.0.0.1:2001"}) {
    open.add(at(text));
    strict.add(at(text));
  }
  CHECK(open.all_due().size() == 4);
  CHECK(strict.all_due().size() == 2);
  open.dialer.on_failed(open.now, at("127.0.0.1:2000"), "refused");
  CHECK(open.fail_until(kStart + minutes(9)).empty());
}

TEST_CASE_METHOD(DialerTest,
                 "low ports and unusable addresses are not taken, except low ports of a link",
                 "[transfer]") {
  for (const char* text : {"8.8.8.8:1023", "8.8.8.8:22", "8.8.8.8:0", "224.0.0.1:5000",
                           "255.255.255.255:5000", "0.0.0.0:5000"}) {
    add(at(text));
    add(at(text), Source::remembered);
  }
  CHECK(dialer.known() == 0);
  add(at("8.8.8.8:443"), Source::link);
  add(at("224.0.0.1:443"), Source::link);
  add(at("9.8.8.8:1024"));
  CHECK(dialer.known(kShare) == 2);
}

TEST_CASE_METHOD(DialerTest,
                 "an address of a link comes back after 1, 2, 4 s and so on to ten minutes",
                 "[transfer]") {
  add(host(1), Source::link);
  const auto dials = fail_until(kStart + minutes(90));
  REQUIRE(dials.size() > 12);
  CHECK(dials[0] == kStart);
  Duration wait = seconds(1);
  for (std::size_t i = 1; i < dials.size(); ++i) {
    const Duration gap = dials[i] - dials[i - 1];
    CHECK(gap >= wait);
    CHECK(gap <= wait + wait / 4);
    wait = std::min<Duration>(wait * 2, minutes(10));
  }
}

TEST_CASE_METHOD(DialerTest, "an address named by a link after it had failed is dialled at once",
                 "[transfer]") {
  add(host(1));
  REQUIRE(all_due().size() == 1);
  dialer.on_failed(now, host(1), "refused");
  add(host(1), Source::link);
  CHECK(all_due() == std::vector{host(1)});
  dialer.on_failed(now, host(1), "refused");
  add(host(1), Source::link);  // named again: its wait stands
  CHECK(all_due().empty());
  CHECK(dialer.deadline() <= now + seconds(2));
}

TEST_CASE_METHOD(DialerTest,
                 "a connection that ended is made again after a second, flapping ever later",
                 "[transfer]") {
  prove(host(1));
  now += minutes(3);
  dialer.on_closed(now, host(1));
  CHECK(dialer.deadline() - now >= seconds(1));
  CHECK(dialer.deadline() - now <= Duration(1'250'000));

  Duration before{};
  for (int i = 0; i < 5; ++i) {
    now = dialer.deadline();
    REQUIRE(all_due() == std::vector{host(1)});
    dialer.on_proven(now, host(1));
    now += seconds(1);  // shorter than kSettled
    dialer.on_closed(now, host(1));
    CHECK(dialer.deadline() - now > before);
    before = dialer.deadline() - now;
  }
  CHECK(before >= seconds(32));

  now = dialer.deadline();
  REQUIRE(all_due().size() == 1);
  dialer.on_proven(now, host(1));
  now += Dialer::kSettled;
  dialer.on_closed(now, host(1));
  CHECK(dialer.deadline() - now <= seconds(2));
}

TEST_CASE_METHOD(DialerTest, "a proof is forgotten after so many failures", "[transfer]") {
  prove(host(1));
  dialer.on_closed(now, host(1));
  const auto dials = fail_until(kStart + minutes(60));
  // Waits of 1 to 64 s, and from then on ten minutes like any other.
  REQUIRE(dials.size() >= Dialer::kProofForgottenAfter + 3);
  CHECK(dials[Dialer::kProofForgottenAfter - 2] - kStart < minutes(3));
  for (std::size_t i = Dialer::kProofForgottenAfter - 1; i < dials.size(); ++i) {
    CHECK(dials[i] - dials[i - 1] >= minutes(10));
  }
}

TEST_CASE_METHOD(DialerTest,
                 "proven addresses are dialled first, then those of links, then the rest",
                 "[transfer]") {
  prove(host(1));
  dialer.on_closed(now, host(1));
  now += seconds(5);
  for (std::uint32_t i = 10; i < 14; ++i) add(host(i));
  add(host(20), Source::link);
  const auto dialled = all_due();
  REQUIRE(dialled.size() == 6);
  CHECK(dialled[0] == host(1));
  CHECK(dialled[1] == host(20));
}

TEST_CASE("the order of equals is random, and the same for the same seed", "[transfer]") {
  const auto order = [](std::uint64_t seed) {
    Dialer dialer(false, Rng(seed));
    for (std::uint32_t i = 0; i < 16; ++i) dialer.add(kStart, host(i), kShare, Source::dht);
    std::vector<Endpoint> dialled;
    while (const auto next = dialer.next(kStart)) dialled.push_back(*next);
    return dialled;
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) != order(2));
  CHECK_FALSE(std::is_sorted(order(1).begin(), order(1).end()));
}

TEST_CASE_METHOD(DialerTest, "twenty dials a second, and no more than 64 half-open", "[transfer]") {
  for (std::uint32_t i = 0; i < 150; ++i) add(host(i));
  CHECK(all_due().size() == Dialer::kDialBurst);
  CHECK(dialer.deadline() == kStart + Duration(50'000));
  now += seconds(1);
  CHECK(all_due().size() == Dialer::kDialsPerSecond);
  now += seconds(2);
  CHECK(all_due().size() == Dialer::kDialBurst);  // what is not used is not saved up
  now += seconds(1);
  CHECK(all_due().size() == 4);
  CHECK(dialer.half_open() == Dialer::kHalfOpenMax);
  CHECK(dialer.deadline() == kNever);

  now += seconds(5);
  CHECK(all_due().empty());
  std::size_t still = 0;
  for (std::uint32_t i = 0; i < 150; ++i) {
    const std::size_t before = dialer.half_open();
    if (still < 2) dialer.on_failed(now, host(i), "refused");
    still += before - dialer.half_open();
  }
  CHECK(dialer.half_open() == Dialer::kHalfOpenMax - 2);
  CHECK(all_due().size() == 2);
}

TEST_CASE_METHOD(DialerTest, "a share holds so many addresses, and failed ones make room",
                 "[transfer]") {
  for (std::uint32_t i = 0; i < Dialer::kAddressesPerShareMax; ++i) add(host(i));
  CHECK(dialer.known(kShare) == Dialer::kAddressesPerShareMax);
  add(host(1000));
  CHECK(dialer.shares(host(1000)).empty());
  CHECK(dialer.known(kShare) == Dialer::kAddressesPerShareMax);

  const auto dialled = all_due();
  dialer.on_failed(now, dialled.front(), "refused");
  add(host(1000));
  CHECK(dialer.shares(host(1000)) == std::vector{kShare});
  CHECK(dialer.shares(dialled.front()).empty());
  add(host(1001));
  CHECK(dialer.shares(host(1001)).empty());

  // What the user named comes in, though nothing has failed; what is being dialled stays.
  add(host(1002), Source::link);
  CHECK(dialer.shares(host(1002)) == std::vector{kShare});
  CHECK(dialer.known(kShare) == Dialer::kAddressesPerShareMax);
  for (std::size_t i = 1; i < dialled.size(); ++i) CHECK(dialer.shares(dialled[i]).size() == 1);
}

TEST_CASE_METHOD(DialerTest, "what failed for another share makes room in a full one",
                 "[transfer]") {
  add(host(2000), Source::dht, kOther);
  REQUIRE(all_due().size() == 1);
  dialer.on_failed(now, host(2000), "refused");
  for (std::uint32_t i = 0; i < Dialer::kAddressesPerShareMax; ++i) add(host(i));
  add(host(1000));
  CHECK(dialer.shares(host(1000)).empty());
  dialer.on_self(host(0));
  add(host(2000));
  CHECK(dialer.known(kShare) == Dialer::kAddressesPerShareMax);
  add(host(1000));
  CHECK(dialer.shares(host(1000)) == std::vector{kShare});
  CHECK(dialer.shares(host(2000)).empty());
}

TEST_CASE_METHOD(DialerTest, "all shares together hold 4,096 addresses", "[transfer]") {
  std::uint32_t number = 0;
  for (std::uint64_t share = 0; share < 21; ++share) {
    for (std::size_t i = 0; i < Dialer::kAddressesPerShareMax; ++i) {
      add(host(number++), Source::dht, tagged<ShareId>(share));
    }
  }
  CHECK(number > Dialer::kAddressesMax);
  CHECK(dialer.known() == Dialer::kAddressesMax);
  CHECK(dialer.known(tagged<ShareId>(20)) == Dialer::kAddressesMax % Dialer::kAddressesPerShareMax);
  add(host(number), Source::link, tagged<ShareId>(99));
  CHECK(dialer.known(tagged<ShareId>(99)) == 1);
  CHECK(dialer.known() == Dialer::kAddressesMax);
}

TEST_CASE_METHOD(DialerTest, "an address belongs to 64 shares at most", "[transfer]") {
  for (std::uint64_t i = 0; i <= Dialer::kSharesPerAddressMax; ++i) {
    add(host(1), Source::link, tagged<ShareId>(i));
  }
  CHECK(dialer.shares(host(1)).size() == Dialer::kSharesPerAddressMax);
  CHECK(dialer.known(tagged<ShareId>(Dialer::kSharesPerAddressMax)) == 0);
}

TEST_CASE_METHOD(DialerTest, "an address without a share goes, one in use when it ends",
                 "[transfer]") {
  add(host(1));
  add(host(2));
  add(host(2), Source::dht, kOther);
  CHECK(all_due().size() == 2);
  add(host(3));
  dialer.remove_share(kShare);
  CHECK(dialer.known() == 2);
  CHECK(dialer.known(kShare) == 0);
  CHECK(dialer.shares(host(2)) == std::vector{kOther});
  CHECK(dialer.half_open() == 2);
  dialer.on_failed(now, host(1), "refused");
  dialer.on_proven(now, host(2));
  CHECK(dialer.known() == 1);
  dialer.remove_share(kOther);
  CHECK(dialer.known() == 1);
  dialer.on_closed(now, host(2));
  CHECK(dialer.known() == 0);
  CHECK(dialer.half_open() == 0);
  CHECK(dialer.deadline() == kNever);
}

TEST_CASE_METHOD(DialerTest, "a share that a peer refused is not dialled for there for ten minutes",
                 "[transfer]") {
  prove(host(1));
  add(host(1), Source::dht, kOther);
  dialer.on_refused_share(now, host(1), kShare);
  CHECK(dialer.shares(host(1)) == std::vector{kOther});

  now += minutes(2);
  dialer.on_closed(now, host(1));
  now += seconds(2);
  REQUIRE(all_due() == std::vector{host(1)});  // for the other share
  dialer.on_proven(now, host(1));
  dialer.on_refused_share(now, host(1), kOther);
  CHECK(dialer.shares(host(1)).empty());
  add(host(1));  // naming it again changes nothing
  CHECK(dialer.shares(host(1)).empty());
  now += minutes(1);
  dialer.on_closed(now, host(1));
  CHECK(dialer.deadline() == kStart + minutes(10));
  now = dialer.deadline();
  REQUIRE(all_due() == std::vector{host(1)});
  CHECK(dialer.shares(host(1)) == std::vector{kShare});
}

TEST_CASE_METHOD(DialerTest, "our own address is never dialled again", "[transfer]") {
  add(host(1));
  REQUIRE(all_due().size() == 1);
  dialer.on_self(host(1));
  CHECK(dialer.half_open() == 0);
  CHECK(dialer.known() == 0);
  dialer.on_failed(now, host(1), "closed");  // too late to mean anything
  add(host(1), Source::link);
  CHECK(dialer.known() == 0);
  CHECK(dialer.failures(kShare).empty());

  for (std::uint32_t i = 2; i < 2 + Dialer::kSelvesMax; ++i) dialer.on_self(host(i));
  add(host(1));
  CHECK(dialer.known() == 1);  // the oldest of so many was forgotten
  add(host(2));
  CHECK(dialer.known() == 1);
}

TEST_CASE_METHOD(DialerTest, "the last failures of a share are kept for the user", "[transfer]") {
  for (std::uint32_t i = 0; i < Dialer::kFailuresPerShareMax + 1; ++i) {
    add(host(i), Source::link);
    REQUIRE(all_due().size() == 1);
    dialer.on_failed(now, host(i), std::string(1000, 'x'));
    now += Duration(1000);
  }
  const auto failures = dialer.failures(kShare);
  REQUIRE(failures.size() == Dialer::kFailuresPerShareMax);
  CHECK(failures.front().endpoint == host(1));
  CHECK(failures.front().at == kStart + Duration(1000));
  CHECK(failures.back().endpoint == host(Dialer::kFailuresPerShareMax));
  CHECK(failures.back().what.size() == Dialer::kWhatMax);
  CHECK(dialer.failures(kOther).empty());
  dialer.remove_share(kShare);
  CHECK(dialer.failures(kShare).empty());
}

TEST_CASE_METHOD(DialerTest, "any happenings keep the limits, and no address is dialled too often",
                 "[transfer]") {
  Rng rng(3);
  std::map<Endpoint, Time> last_dial;  // of addresses that proved nothing
  std::vector<Endpoint> in_use;
  for (int step = 0; step < 60'000; ++step) {
    now += Duration(rng.below(200'000));
    const auto endpoint = host(static_cast<std::uint32_t>(rng.below(3000)),
                               static_cast<std::uint16_t>(1020 + rng.below(100)));
    const auto share = tagged<ShareId>(rng.below(30));
    const auto what = rng.below(100);
    if (what < 50) {
      add(endpoint, rng.below(2) == 0 ? Source::dht : Source::remembered, share);
    } else if (what < 51) {
      dialer.remove_share(share);
    } else if (what < 75) {
      while (const auto next = dialer.next(now)) {
        Endpoint key = *next;
        key.port = 0;
        const auto before = last_dial.find(key);
        REQUIRE((before == last_dial.end() || now - before->second >= minutes(10)));
        last_dial[key] = now;
        in_use.push_back(*next);
      }
      REQUIRE(dialer.deadline() > now);
    } else if (!in_use.empty()) {
      const std::size_t pick = rng.below(in_use.size());
      const auto done = in_use[pick];
      in_use.erase(in_use.begin() + static_cast<std::ptrdiff_t>(pick));
      dialer.on_failed(now, done, "refused");
    }
    REQUIRE(dialer.half_open() == in_use.size());
    REQUIRE(dialer.half_open() <= Dialer::kHalfOpenMax);
    REQUIRE(dialer.known() <= Dialer::kAddressesMax);
    REQUIRE(dialer.known(share) <= Dialer::kAddressesPerShareMax);
  }
  CHECK(last_dial.size() > 500);
}

TEST_CASE_METHOD(DialerTest, "what came of each address of a share is told", "[transfer]") {
  CHECK(dialer.attempts(kShare).empty());
  add(host(1), Source::link);
  add(host(2), Source::link);
  REQUIRE(dialer.attempts(kShare).size() == 2);
  CHECK_FALSE(dialer.attempts(kShare)[0].last.has_value());
  REQUIRE(all_due().size() == 2);
  CHECK(dialer.attempts(kShare)[0].is_dialling);

  dialer.on_failed(now, host(1), "refused", Dialer::Outcome::refused);
  dialer.on_proven(now, host(2));
  auto attempts = dialer.attempts(kShare);
  CHECK(attempts[0].endpoint == host(1));
  CHECK(attempts[0].last == Dialer::Outcome::refused);
  CHECK(attempts[0].last_at == now);
  CHECK(attempts[0].due > now);
  CHECK(attempts[1].is_connected);
  CHECK(dialer.failures(kShare).back().outcome == Dialer::Outcome::refused);

  dialer.on_refused_share(now, host(2), kShare);
  CHECK(dialer.attempts(kShare)[1].last == Dialer::Outcome::share_unknown);
  CHECK(dialer.attempts(kShare)[1].due >= now + Dialer::kRefusedWait);
  dialer.remove_share(kShare);
  CHECK(dialer.attempts(kShare).empty());
}

TEST_CASE_METHOD(DialerTest, "who named an address first is told, or else the user", "[transfer]") {
  CHECK_FALSE(dialer.source(host(1)));
  add(host(1), Source::pex);
  add(host(1), Source::dht);
  add(host(2), Source::lan);
  CHECK(dialer.source(host(1)) == Source::pex);
  CHECK(dialer.attempts(kShare)[1].source == Source::lan);
  add(host(1), Source::link);
  CHECK(dialer.source(host(1)) == Source::link);
}

TEST_CASE_METHOD(DialerTest,
                 "liars of every kind together have an address dialled once in ten minutes",
                 "[transfer]") {
  std::vector<Time> dials;
  const Time begun = now;
  while (now < begun + Dialer::kUnprovenWait - std::chrono::seconds(1)) {
    for (const Source source : {Source::dht, Source::pex, Source::lan, Source::remembered}) {
      add(host(1), source, tagged<ShareId>(dials.size() + 10));
      while (const auto next = dialer.next(now)) {
        dials.push_back(now);
        dialer.on_failed(now, *next, "refused");
      }
    }
    now += std::chrono::seconds(20);
  }
  CHECK(dials.size() == 1);
}

TEST_CASE("no more is dialled in a second than the dialer was told", "[transfer]") {
  Dialer dialer(false, Rng(1), 2);
  for (std::uint32_t i = 1; i <= 50; ++i) dialer.add(kStart, host(i), kShare, Source::dht);
  std::size_t dials = 0;
  for (Time now = kStart; now < kStart + seconds(10); now += std::chrono::milliseconds(50)) {
    while (const auto next = dialer.next(now)) {
      ++dials;
      dialer.on_failed(now, *next, "refused");
    }
  }
  CHECK(dials >= 19);
  CHECK(dials <= 22);
}

TEST_CASE_METHOD(DialerTest, "a connection that ended by a ban says so", "[transfer]") {
  prove(host(1));
  dialer.on_closed(now, host(1), Dialer::Outcome::banned);
  CHECK(dialer.attempts(kShare)[0].last == Dialer::Outcome::banned);
}

}  // namespace
TEST_CASE_METHOD(DialerTest, "nothing is dialled for a share that has enough", "[transfer]") {
  add(host(1));
  add(host(2));
  add(host(2), Source::dht, kOther);
  dialer.set_enough(kShare, true);
  // The second is of use to another share.
  CHECK(all_due() == std::vector{host(2)});
  CHECK(dialer.deadline() == kNever);
  // The user asked for this one.
  add(host(3), Source::link);
  CHECK(all_due() == std::vector{host(3)});
  dialer.set_enough(kShare, false);
  CHECK(all_due() == std::vector{host(1)});
}

}  // namespace peernet::transfer
