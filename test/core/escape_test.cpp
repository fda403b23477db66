#include "core/escape.h"

#include <catch2/catch.hpp>

#include <string>

namespace peernet::test {

TEST_CASE("plain text in any script passes unchanged", "[core]") {
  for (const std::string text :
       {"", "survey.tar", "Grüße aus Köln", "日本語", "שלום", "emoji 😀", "a b-c_d/e"}) {
    CHECK(escape({text}) == text);
    CHECK(is_valid_utf8(text));
  }
}

TEST_CASE("control characters become visible, the backslash two", "[core]") {
  CHECK(escape({"a\nb\r\t"}) == "a\\x0ab\\x0d\\x09");
  CHECK(escape({"\x1b[31mred"}) == "\\x1b[31mred");
  CHECK(escape({"\x7f"}) == "\\x7f");
  CHECK(escape({std::string_view("\0", 1)}) == "\\x00");
  CHECK(escape({"\xc2\x9b"
                "31m"}) == "\\u009b31m");  // C1: a terminal's second way to escape
  CHECK(escape({"C:\\dir"}) == "C:\\\\dir");
}

TEST_CASE("what reorders or hides text becomes visible", "[core]") {
  // NOLINTNEXTLINE(misc-misleading-bidirectional): that is what is tested
  CHECK(escape({"exe\xe2\x80\xaegpj"}) == "exe\\u202egpj");
  CHECK(escape({"a\u200bb\u200d\ufeff"}) == "a\\u200bb\\u200d\\ufeff");
  CHECK(escape({"\u2066x\u2069"}) == "\\u2066x\\u2069");
  CHECK(escape({"\u2028\u2029"}) == "\\u2028\\u2029");
  CHECK(escape({"\U000e0041"}) == "\\U000e0041");
}

TEST_CASE("escaped text of different inputs differs", "[core]") {
  CHECK(escape({"\n"}) != escape({"\\x0a"}));
  CHECK(escape({"\xff"}) != escape({"\\xff"}));
  CHECK(escape({"\xff"}) != escape({"\ufffd"}));
}

TEST_CASE("invalid UTF-8 is shown byte by byte", "[core]") {
  CHECK(escape({"\xff"}) == "\\xff");
  CHECK(escape({"a\x80z"}) == "a\\x80z");
  CHECK(escape({"\xe2\x82"}) == "\\xe2\\x82");                    // cut short
  CHECK(escape({"\xc0\xaf"}) == "\\xc0\\xaf");                    // overlong slash
  CHECK(escape({"\xed\xa0\x80"}) == "\\xed\\xa0\\x80");           // surrogate
  CHECK(escape({"\xe2\x28\xa1"}) == "\\xe2(\\xa1");               // wrong continuation
  CHECK(escape({"\xf4\x90\x80\x80"}) == "\\xf4\\x90\\x80\\x80");  // over U+10FFFF
}

TEST_CASE("UTF-8 is valid exactly as RFC 3629 has it", "[core]") {
  for (const auto* text :
       {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(is_valid_utf8(text));
  }
  for (const auto* text : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
                           "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff", "\xc2",
                           "\xe2\x82", "\xf0\x90\x80", "ok\xc3(", "\xe2\x82z"}) {
    CHECK_FALSE(is_valid_utf8(text));
  }
}

TEST_CASE("code points come off the front one by one", "[core]") {
  std::string_view text = "aé€😀\xff!";
  CHECK(next_code_point(text) == U'a');
  CHECK(next_code_point(text) == U'é');
  CHECK(next_code_point(text) == U'€');
  CHECK(next_code_point(text) == U'😀');
  CHECK(next_code_point(text) == 0xfffd);
  CHECK(next_code_point(text) == U'!');
  CHECK(text.empty());
  CHECK(next_code_point(text) == 0xfffd);
}

TEST_CASE("the dangerous classes reach to their edges and not beyond", "[core]") {
  for (const std::uint32_t point :
       {0x00U,   0x1fU,   0x7fU,   0x80U,    0x9fU,    0xadU,     0x61cU,     0x180eU, 0x200bU,
        0x200eU, 0x200fU, 0x2028U, 0x202aU,  0x202eU,  0x2060U,   0x2066U,    0x2069U, 0x206fU,
        0x3164U, 0xfeffU, 0xfff9U, 0xe0001U, 0xe007fU, 0x110000U, 0xffffffffU}) {
    INFO(point);
    CHECK(is_dangerous(static_cast<char32_t>(point)));
  }
  for (const std::uint32_t point :
       {0x20U,   0x7eU,   0xa0U,   0xacU,    0xaeU,    0x61bU,   0x61dU,
        0x200aU, 0x2010U, 0x2027U, 0x202fU,  0x205fU,  0x2070U,  0x3163U,
        0xfefeU, 0xff00U, 0xfffdU, 0x1f600U, 0xdffffU, 0x10ffffU}) {
    INFO(point);
    CHECK_FALSE(is_dangerous(static_cast<char32_t>(point)));
  }
}

}  // namespace peernet::test
