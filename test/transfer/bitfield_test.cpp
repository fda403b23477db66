#include "transfer/bitfield.h"

#include <catch2/catch.hpp>

#include <set>

#include "core/rng.h"

namespace peernet::transfer {
namespace {

TEST_CASE("a bitfield is packed with piece 0 as the high bit of the first byte", "[transfer]") {
  Bitfield bits(11);
  bits.set(0);
  bits.set(7);
  bits.set(10);
  CHECK(to_hex(bits.pack()) == "8120");
  CHECK(Bitfield::unpack(bits.pack(), 11) == bits);
}

TEST_CASE("a packed bitfield has exactly the bytes it needs and its spare bits are zero",
          "[transfer]") {
  const auto unpack = [](const char* hex, std::uint32_t size) {
    return Bitfield::unpack(*from_hex(hex), size);
  };
  CHECK(unpack("80", 1).has_value());
  CHECK_FALSE(unpack("c0", 1).has_value());
  CHECK_FALSE(unpack("8000", 1).has_value());
  CHECK_FALSE(unpack("", 1).has_value());
  CHECK(unpack("", 0).has_value());
  CHECK_FALSE(unpack("00", 0).has_value());
  CHECK(unpack("ffff", 16)->all());
  CHECK_FALSE(unpack("ffff", 15).has_value());
  CHECK(unpack("ffffffffffffffff", 64)->all());
  CHECK_FALSE(unpack("ffffffffffffffff80", 64).has_value());
  CHECK(unpack("ffffffffffffffff80", 65)->all());
  CHECK_FALSE(unpack("ffffffffffffffff81", 65).has_value());
}

TEST_CASE("a bitfield agrees with a set of numbers", "[transfer]") {
  Rng rng(1);
  for (const std::uint32_t size : {1U, 63U, 64U, 65U, 200U}) {
    Bitfield bits(size);
    std::set<std::uint32_t> model;
    for (int i = 0; i < 400; ++i) {
      const auto index = static_cast<std::uint32_t>(rng.below(size));
      if (rng.below(2) == 0) {
        CHECK(bits.set(index) == model.insert(index).second);
      } else {
        CHECK(bits.reset(index) == (model.erase(index) > 0));
      }
      CHECK(bits.count_set() == model.size());
      CHECK(bits.test(index) == model.contains(index));
      const auto from = static_cast<std::uint32_t>(rng.below(size + 1));
      const auto expected = model.lower_bound(from);
      const auto found = bits.next_set(from);
      CHECK(found.has_value() == (expected != model.end()));
      if (found) CHECK(*found == *expected);
      std::uint32_t unset = from;
      while (unset < size && model.contains(unset)) ++unset;
      CHECK(bits.next_unset(from).value_or(size) == unset);
    }
    CHECK(Bitfield::unpack(bits.pack(), size) == bits);
  }
}

TEST_CASE("all and none go by the count", "[transfer]") {
  Bitfield bits(70);
  CHECK(bits.none());
  bits.set_all();
  CHECK(bits.all());
  CHECK(bits.count_set() == 70);
  CHECK_FALSE(bits.next_unset(0).has_value());
  bits.reset(69);
  CHECK_FALSE(bits.all());
  CHECK(bits.next_unset(0) == 69U);
  bits.reset_all();
  CHECK(bits.none());
  CHECK_FALSE(bits.next_set(0).has_value());
}

TEST_CASE("a bitfield is wanted if it has a piece that we lack", "[transfer]") {
  Bitfield mine(100);
  Bitfield theirs(100);
  CHECK_FALSE(mine.has_wanted(theirs));
  theirs.set(99);
  CHECK(mine.has_wanted(theirs));
  CHECK_FALSE(theirs.has_wanted(mine));
  mine.set(99);
  mine.set(3);
  CHECK_FALSE(mine.has_wanted(theirs));
  CHECK(mine.next_common(theirs, 0) == 99U);
  CHECK_FALSE(mine.next_common(theirs, 100).has_value());
}

}  // namespace
}  // namespace peernet::transfer
