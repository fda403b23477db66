#include "transfer/glob.h"

#include <catch2/catch.hpp>

#include <string>

namespace peernet::transfer {
namespace {

TEST_CASE("a pattern without a slash names files and directories at any depth", "[transfer]") {
  CHECK(glob_matches("*.tmp", "a.tmp"));
  CHECK(glob_matches("*.tmp", "x/y/a.tmp"));
  CHECK_FALSE(glob_matches("*.tmp", "a.tmp.gz"));
  CHECK(glob_matches(".git", "x/.git/objects/00/1"));
  CHECK(glob_prefix(".git", "x/.git/objects/00/1") == std::string("x/.git").size());
  CHECK_FALSE(glob_matches(".git", "x/.github/a"));
  CHECK(glob_matches("?", "x/y"));
  CHECK_FALSE(glob_matches("", "x"));
}

TEST_CASE("a pattern with a slash begins at the top of the share", "[transfer]") {
  CHECK(glob_matches("build/*.o", "build/a.o"));
  CHECK_FALSE(glob_matches("build/*.o", "x/build/a.o"));
  CHECK_FALSE(glob_matches("build/*.o", "build/x/a.o"));
  CHECK(glob_matches("build/**/*.o", "build/x/y/a.o"));
  CHECK(glob_matches("build/**/*.o", "build/a.o"));
  CHECK(glob_matches("**/cache", "x/y/cache/deep"));
  CHECK(glob_prefix("/x/y", "x/y/z") == 3);
  CHECK(glob_matches("x/", "x/y"));
  CHECK_FALSE(glob_matches("/", "x"));
}

TEST_CASE("sets, escapes and what is no set", "[transfer]") {
  CHECK(glob_matches("[a-c]1", "b1"));
  CHECK_FALSE(glob_matches("[!a-c]1", "b1"));
  CHECK(glob_matches("[!a-c]1", "d1"));
  CHECK(glob_matches("[]x]", "]"));
  CHECK(glob_matches("[a", "[a"));
  CHECK(glob_matches("\\*", "*"));
  CHECK_FALSE(glob_matches("\\*", "x"));
}

TEST_CASE("many stars take no more time than few", "[transfer]") {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "*a";
  CHECK_FALSE(glob_matches(pattern + "b", std::string(255, 'a')));
}

}  // namespace
}  // namespace peernet::transfer
