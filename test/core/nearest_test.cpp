#include "core/nearest.h"

#include <catch2/catch.hpp>

#include <array>
#include <string>

namespace peernet {
namespace {

TEST_CASE("the edit distance counts insertions, removals, replacements and swaps", "[core]") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("status", "status") == 0);
  CHECK(edit_distance("statsu", "status") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("ab", "ba") == 1);
}

TEST_CASE("the nearest name is the one with the fewest edits", "[core]") {
  const std::array<std::string_view, 4> names{"limits.up", "limits.down", "log.level", "bootstrap"};
  CHECK(nearest("limits.dwon", names) == "limits.down");
  CHECK(nearest("bootstraps", names) == "bootstrap");
  CHECK(nearest("anything", {}).empty());
}

TEST_CASE("a name without its section is found by its last part", "[core]") {
  const std::array<std::string_view, 3> names{"limits.up", "log.level", "paths.downloads"};
  CHECK(nearest("level", names) == "log.level");
  CHECK(nearest("download", names) == "paths.downloads");
}

TEST_CASE("very long names are compared by their beginning only", "[core]") {
  const std::string at_limit(kNearestSizeMax, 'a');
  const std::string longer = at_limit + std::string(100'000, 'b');
  CHECK(edit_distance(at_limit, longer) == 0);
  CHECK(edit_distance(longer, "") == kNearestSizeMax);
}

}  // namespace
}  // namespace peernet
