#include "transfer/path.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "test/support/support.h"

namespace peernet::transfer {
namespace {

const PathRules kStrict{};
const PathRules kLoose{.allow_unportable = true};

// For what would mislead the reader of this file.
std::string text_of(std::string_view hex) {
  return std::string(as_text(test::hex(hex)));
}

bool takes(const std::string& path, const PathRules& rules = kStrict) {
  return ValidatedPath::parse(path, rules).has_value();
}

bool takes_tree(const std::vector<std::string_view>& paths, const PathRules& rules = kStrict) {
  return check_tree(paths, rules).has_value();
}

TEST_CASE("ordinary names are taken as they are", "[transfer]") {
  for (const char* path : {"a",
                           "a/b/c",
                           ".hidden",
                           "..a",
                           "a..b",
                           "...a",
                           "caf\xc3\xa9.txt",
                           "cafe\xcc\x81",
                           "\xe6\x97\xa5\xe6\x9c\xac/\xe8\xaa\x9e",
                           "\xf0\x9f\x8e\x89",
                           "a b/c d",
                           "-rf",
                           "~",
                           "com",
                           "com0",
                           "console",
                           "nul_",
                           "aux1.txt",
                           "lpt10",
                           "'",
                           "$(x)",
                           "%41",
                           "a;b&c"}) {
    INFO(path);
    const auto parsed = ValidatedPath::parse(path, kStrict);
    REQUIRE(parsed);
    CHECK(parsed->str() == path);
  }
  CHECK(ValidatedPath::parse("a/b/c", kStrict)->components() ==
        std::vector<std::string_view>{"a", "b", "c"});
}

TEST_CASE("dangerous names are always refused", "[transfer]") {
  for (const std::string& path :
       std::vector<std::string>{"",
                                "/",
                                "/a",
                                "a/",
                                "a//b",
                                ".",
                                "..",
                                "./a",
                                "a/.",
                                "a/..",
                                "../a",
                                "a/../b",
                                std::string("a\0b", 3),
                                "a\nb",
                                "a\tb",
                                "\x01",
                                "\x1b[31m",
                                "\x7f",
                                "\xc2\x80",             // U+0080, C1
                                "\xc2\x9b",             // CSI
                                text_of("e280ae61"),    // right-to-left override
                                text_of("e281a6"),      // left-to-right isolate
                                "a\xe2\x80\x8b",        // zero-width space
                                text_of("61e2808d62"),  // zero-width joiner
                                text_of("efbbbf61"),    // byte order mark
                                "\xe2\x80\xa8",         // line separator
                                "\xff",
                                "a\xc3",
                                "\xc0\xaf",
                                "\xc0\xae\xc0\xae",
                                "\xed\xa0\x80",
                                "\xf4\x90\x80\x80"}) {
    INFO(path);
    CHECK_FALSE(takes(path));
    CHECK_FALSE(takes(path, kLoose));
  }
}

TEST_CASE("unportable names are refused unless they are asked for", "[transfer]") {
  for (const std::string& path : std::vector<std::string>{
           "con",  "CON",    "Nul",     "aux.txt",  "prn.tar.gz",  "com1", "COM9.x",
           "lpt1", "conin$", "a/nul/b", "nul .txt", "com\xc2\xb9", "a:b",  "a*",
           "?",    "\"",     "<",       ">",        "|",           "a\\b", "..\\a",
           "a.",   "a ",     "a./b",    " /a",      "c:/x"}) {
    INFO(path);
    const auto refused = ValidatedPath::parse(path, kStrict);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::refused);
    CHECK_FALSE(refused.error().hint.empty());
    CHECK(takes(path, kLoose));
  }
}

TEST_CASE("a name is one component", "[transfer]") {
  CHECK(ValidatedPath::parse_name("a.txt", kStrict));
  for (const char* name : {"", "a/b", "/", "..", "a/"}) {
    CHECK_FALSE(ValidatedPath::parse_name(name, kLoose));
  }
}

TEST_CASE("a name has at most 255 bytes, a path 1024 bytes and 64 components", "[transfer]") {
  CHECK(takes(std::string(kComponentSizeMax, 'a')));
  CHECK_FALSE(takes(std::string(kComponentSizeMax + 1, 'a')));

  const std::string fits = std::string(255, 'a') + '/' + std::string(255, 'b') + '/' +
                           std::string(255, 'c') + '/' + std::string(253, 'd') + "/x";
  CHECK(fits.size() == 1023);
  CHECK(takes(fits + "y"));
  CHECK_FALSE(takes(fits + "yz"));

  std::string deep = "a";
  for (std::size_t i = 1; i < kPathDepthMax; ++i) deep += "/a";
  CHECK(takes(deep));
  CHECK_FALSE(takes(deep + "/a"));
  CHECK(ValidatedPath::parse(std::string(1U << 20U, '/'), kStrict).error().code == Errc::too_large);
}

TEST_CASE("an error has a hostile name as it is: who shows it escapes it once", "[transfer]") {
  const auto refused = ValidatedPath::parse("a\x1b[2J", kStrict);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().what.find("\"a\x1b[2J\"") != std::string::npos);
}

TEST_CASE("a tree has no path twice and no file that is a directory", "[transfer]") {
  for (const PathRules& rules : {kStrict, kLoose}) {
    CHECK(takes_tree({"a", "b/a", "b/c"}, rules));
    CHECK(takes_tree({"a.b", "a/b", "a-b"}, rules));
    CHECK_FALSE(takes_tree({"a", "b", "a"}, rules));
    CHECK_FALSE(takes_tree({"a/b", "z", "a/b"}, rules));
    CHECK_FALSE(takes_tree({"a", "a/b"}, rules));
    CHECK_FALSE(takes_tree({"a/b/c", "a.b", "a/b"}, rules));
    CHECK_FALSE(takes_tree({"x/y/z", "x"}, rules));
  }
}

TEST_CASE("names that differ only by case or composition clash", "[transfer]") {
  const auto clash = [](std::string_view a, std::string_view b) {
    INFO(a << " " << b);
    CHECK_FALSE(takes_tree({a, b}));
    CHECK(takes_tree({a, b}, kLoose));
    // Also as directories, with different names below.
    const std::string below_a = std::string(a) + "/x";
    const std::string below_b = std::string(b) + "/y";
    CHECK_FALSE(takes_tree({below_a, below_b}));
    CHECK_FALSE(takes_tree({below_a, b}));
    CHECK(takes_tree({below_a, below_b}, kLoose));
  };
  clash("README", "readme");
  clash("a", "A");
  clash("\xc3\xa9", "\xc3\x89");                // é É
  clash("\xc3\xa9", "e\xcc\x81");               // é composed and taken apart
  clash("\xc3\x89", "e\xcc\x81");               // É
  clash("\xc5\xbd", "z\xcc\x8c");               // Ž
  clash("\xc3\xbf", "\xc5\xb8");                // ÿ Ÿ
  clash("\xce\xa3", "\xcf\x83");                // Σ σ
  clash("\xcf\x82", "\xcf\x83");                // ς σ
  clash("\xd0\x96", "\xd0\xb6");                // Ж ж
  clash("\xd0\x81", "\xd1\x91");                // Ё ё
  clash("\xce\x86", "\xce\xac");                // Ά ά
  CHECK(takes_tree({"\xc3\x97", "\xc3\xb7"}));  // × and ÷ are no pair
  CHECK(takes_tree({"e", "\xc3\xa9"}));
  CHECK(takes_tree({"A/x", "b", "A/y"}));
}

TEST_CASE("a clash is found among many", "[transfer]") {
  std::vector<std::string> names;
  names.reserve(2000);
  for (int i = 0; i < 2000; ++i)
    names.push_back("dir" + std::to_string(i % 50) + "/f" + std::to_string(i));
  std::vector<std::string_view> paths(names.begin(), names.end());
  CHECK(takes_tree(paths));
  paths.push_back("Dir7/other");
  CHECK_FALSE(takes_tree(paths));
}

TEST_CASE("a tree is ordered by component and not by whole path", "[transfer]") {
  CHECK(is_before_in_tree("a/z", "a.b"));
  CHECK(is_before_in_tree("a", "a/b"));
  CHECK(is_before_in_tree("a!", "a\xff"));
  CHECK_FALSE(is_before_in_tree("a.b", "a/z"));
  CHECK_FALSE(is_before_in_tree("a", "a"));
}

}  // namespace
}  // namespace peernet::transfer
