#include "transfer/lan.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "test/support/support.h"

namespace peernet::transfer {
namespace {

using test::tagged;

constexpr Time kNow{std::chrono::hours(1)};
constexpr WallTime kWall{1'800'000'000'000};

Key key_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(byte);
  return Key(bytes);
}

ShareId share(std::uint64_t number) {
  return tagged<ShareId>(number);
}

// One node on the local network.
struct Member {
  explicit Member(std::uint8_t number, const std::optional<Key>& key = std::nullopt)
      : address(Endpoint::v4(0x0a000000U + number, 7340)),
        lan(key, static_cast<std::uint16_t>(7000 + number), Rng(number)) {}

  // What it says until `end`, with when.
  std::vector<std::pair<Time, Bytes>> until(Time end) {
    std::vector<std::pair<Time, Bytes>> said;
    while (lan.deadline() <= end) {
      const Time at = lan.deadline();
      Effects out;
      lan.on_time(at, wall, out);
      REQUIRE(out.size() == 1);
      said.emplace_back(at, std::get<SendMulticast>(out[0]).bytes);
    }
    return said;
  }
  std::optional<Lan::Heard> hear(Time now, const Member& from, BytesView bytes) {
    return lan.on_datagram(now, wall, from.address, bytes);
  }

  Endpoint address;
  Lan lan;
  WallTime wall = kWall;
};

}  // namespace

TEST_CASE("a message of the local network comes back as it was", "[transfer]") {
  LanMessage message;
  message.sender = 0x0102030405060708;
  message.port = 7341;
  message.sought = {lan_key(share(1))};
  message.held = {lan_key(share(2)), lan_key(share(3))};
  const Bytes bytes = encode(message);
  const auto again = decode_lan(bytes);
  REQUIRE(again);
  CHECK(encode(*again) == bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_lan(BytesView(bytes).first(size)));
  }
  Bytes longer = bytes;
  longer.push_back(0);
  CHECK_FALSE(decode_lan(longer));
}

TEST_CASE("a message carries 50 keys and no more, and stays under 1,200 bytes sealed",
          "[transfer]") {
  LanMessage message;
  for (std::uint64_t i = 0; i < kLanKeysMax; ++i) message.held.push_back(lan_key(share(i)));
  Bytes bytes = encode(message);
  CHECK(decode_lan(bytes));
  CHECK(bytes.size() + 24 + 8 + 16 <= 1200);
  append(bytes, lan_key(share(99)).view());
  bytes[15] = kLanKeysMax + 1;
  CHECK_FALSE(decode_lan(bytes));
}

TEST_CASE("the share id is in nothing that is said, nor its key of the DHT", "[transfer]") {
  Member member(1);
  member.lan.set(kNow, share(1), true);
  const auto said = member.until(kNow + std::chrono::seconds(1));
  REQUIRE(said.size() == 1);
  const auto contains = [&](BytesView part) {
    return std::search(said[0].second.begin(), said[0].second.end(), part.begin(), part.end()) !=
           said[0].second.end();
  };
  CHECK(contains(lan_key(share(1)).view()));
  CHECK_FALSE(contains(share(1).view()));
  CHECK_FALSE(contains(dht_key(share(1)).view()));
}

TEST_CASE("a newcomer hears of a holder at once, and the holder of the newcomer", "[transfer]") {
  Member holder(1);
  Member newcomer(2);
  holder.lan.set(kNow, share(1), false);
  holder.until(kNow + std::chrono::minutes(1));
  const Time later = kNow + std::chrono::minutes(1);
  newcomer.lan.set(later, share(1), true);
  const auto asked = newcomer.until(later + kLanFirst);
  REQUIRE(asked.size() == 1);
  const auto heard = holder.hear(asked[0].first, newcomer, asked[0].second);
  REQUIRE(heard);
  CHECK(heard->peer == Endpoint::v4(0x0a000002U, 7002));
  CHECK(heard->shares == std::vector{share(1)});
  const auto answers = holder.until(asked[0].first + kLanAnswerSpread);
  REQUIRE(answers.size() == 1);
  const auto found = newcomer.hear(answers[0].first, holder, answers[0].second);
  REQUIRE(found);
  CHECK(found->peer == Endpoint::v4(0x0a000001U, 7001));
  CHECK(found->shares == std::vector{share(1)});
}

TEST_CASE("what is sought is said three times in ten seconds, then every five minutes",
          "[transfer]") {
  Member member(1);
  member.lan.set(kNow, share(1), true);
  CHECK(member.until(kNow + std::chrono::seconds(20)).size() == 3);
  CHECK(member.until(kNow + kLanInterval - kLanJitter).empty());
  CHECK(member.until(kNow + kLanInterval + kLanJitter + std::chrono::seconds(20)).size() == 1);
  member.lan.remove(share(1));
  CHECK(member.lan.deadline() == kNever);
}

TEST_CASE("many shares leave in full datagrams, four a second, and stay together", "[transfer]") {
  Member member(1);
  for (std::uint64_t i = 0; i < 200; ++i) member.lan.set(kNow, share(i), false);
  const auto first = member.until(kNow + std::chrono::seconds(10));
  for (std::size_t i = 1; i < first.size(); ++i) {
    CHECK(first[i].first - first[i - 1].first >= kLanGap);
  }
  std::size_t keys = 0;
  for (const auto& [at, bytes] : first) keys += decode_lan(bytes)->held.size();
  CHECK(keys == 200);
  const auto hour = member.until(kNow + std::chrono::hours(1));
  CHECK(hour.size() <= first.size() * 14);
}

TEST_CASE("a share is answered for at most every two seconds, and not when enough others do",
          "[transfer]") {
  Member holder(1);
  holder.lan.set(kNow, share(1), false);
  holder.until(kNow + std::chrono::minutes(1));
  Time now = kNow + std::chrono::minutes(1);
  LanMessage question;
  question.sought = {lan_key(share(1))};
  const Member other(9);
  std::size_t answers = 0;
  for (int i = 0; i < 1000; ++i, now += std::chrono::milliseconds(10)) {
    question.sender = static_cast<std::uint64_t>(i);
    holder.hear(now, other, encode(question));
    answers += holder.until(now).size();
  }
  CHECK(answers >= 4);
  CHECK(answers <= 6);
  now += std::chrono::minutes(1);
  holder.until(now);
  holder.hear(now, other, encode(question));
  LanMessage answer;
  answer.held = {lan_key(share(1))};
  for (std::uint32_t i = 0; i < kLanAnswersEnough; ++i) {
    answer.sender = 5000 + i;
    holder.hear(now, other, encode(answer));
  }
  CHECK(holder.until(now + std::chrono::seconds(10)).empty());
}

TEST_CASE("a node does not hear itself", "[transfer]") {
  Member member(1);
  member.lan.set(kNow, share(1), true);
  const auto said = member.until(kNow + kLanFirst);
  REQUIRE(said.size() == 1);
  CHECK_FALSE(member.hear(kNow, member, said[0].second));
}

TEST_CASE("in a private network only members read it, and only while it is fresh", "[transfer]") {
  Member speaker(1, key_of(1));
  speaker.lan.set(kNow, share(1), true);
  const auto said = speaker.until(kNow + kLanFirst);
  REQUIRE(said.size() == 1);
  const Bytes& bytes = said[0].second;
  const auto heard_by = [&](std::optional<Key> key, std::int64_t clock_ms, const Bytes& what) {
    Member listener(2, key);
    listener.wall.unix_ms += clock_ms;
    listener.lan.set(kNow, share(1), false);
    return listener.hear(kNow, speaker, what).has_value();
  };
  CHECK(heard_by(key_of(1), 0, bytes));
  CHECK(heard_by(key_of(1), kLanWindowMs, bytes));
  CHECK(heard_by(key_of(1), -kLanWindowMs, bytes));
  CHECK_FALSE(heard_by(key_of(1), kLanWindowMs + 1, bytes));
  CHECK_FALSE(heard_by(key_of(1), -kLanWindowMs - 1, bytes));
  CHECK_FALSE(heard_by(key_of(2), 0, bytes));
  CHECK_FALSE(heard_by(std::nullopt, 0, bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes flipped = bytes;
    flipped[i] ^= 1U;
    CHECK_FALSE(heard_by(key_of(1), 0, flipped));
    CHECK_FALSE(heard_by(key_of(1), 0,
                         Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(i))));
  }
  const LanMessage open{1, 7341, {lan_key(share(1))}, {}};
  CHECK_FALSE(heard_by(key_of(1), 0, encode(open)));
}

}  // namespace peernet::transfer
