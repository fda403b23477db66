#include "cli/text.h"

#include <catch2/catch.hpp>

#include "cli/table.h"

namespace peernet::cli {
namespace {

TEST_CASE("sizes have binary units and one decimal", "[cli]") {
  CHECK(size_text(0) == "0 B");
  CHECK(size_text(1023) == "1023 B");
  CHECK(size_text(1024) == "1.0 KiB");
  CHECK(size_text(5'261'334'528) == "4.9 GiB");
  CHECK(size_text(1'048'575) == "1.0 MiB");
  CHECK(size_text(UINT64_MAX) == "16384.0 PiB");
  CHECK(rate_text(43'201'331) == "41.2 MiB/s");
  CHECK(done_text(3'006'477'107, 5'261'334'528) == "2.8/4.9 GiB");
  CHECK(done_text(0, 100) == "0/100 B");
}

TEST_CASE("times are as long as they need to be", "[cli]") {
  CHECK(countdown_text(0) == "0:00");
  CHECK(countdown_text(52) == "0:52");
  CHECK(countdown_text(3599) == "59:59");
  CHECK(countdown_text(3723) == "1:02:03");
  CHECK(countdown_text(5 * 86'400) == "5 d");
  CHECK(age_text(5) == "5 s");
  CHECK(age_text(119) == "1 m");
  CHECK(age_text(8'040) == "2 h 14 m");
  CHECK(age_text(3 * 86'400 + 5) == "3 d");
}

TEST_CASE("only all of it is a hundred percent", "[cli]") {
  CHECK(percent(999'999, 1'000'000) == 99U);
  CHECK(percent(1'000'000, 1'000'000) == 100U);
  CHECK(percent((std::uint64_t{1} << 53U) - 1, std::uint64_t{1} << 53U) == 99U);
  CHECK(percent(0, 7) == 0U);
  CHECK_FALSE(percent(7, std::nullopt));
  CHECK_FALSE(percent(0, 0));
}

TEST_CASE("durations and piece lengths are read exactly or not at all", "[cli]") {
  CHECK(parse_seconds("30") == 30U);
  CHECK(parse_seconds("30s") == 30U);
  CHECK(parse_seconds("10m") == 600U);
  CHECK(parse_seconds("2h") == 7200U);
  CHECK(parse_bytes("65536") == 65'536U);
  CHECK(parse_bytes("1MiB") == 1'048'576U);
  CHECK(parse_bytes("8MB") == 8'000'000U);
  for (const char* text : {"", "s", "-1s", "1 s", "1w", "99999999999999999999", "1000000000d"}) {
    CHECK_FALSE(parse_seconds(text));
  }
  for (const char* text : {"", "KiB", "1mb", "1 MiB", "99999999999GiB"}) {
    CHECK_FALSE(parse_bytes(text));
  }
}

TEST_CASE("nothing that moves a cursor or turns text around is shown", "[cli]") {
  // NOLINTNEXTLINE(misc-misleading-bidirectional): that is what is tested
  const std::string hostile = "a\x1b[2J\r\n\x7f\xc2\x9b\xe2\x80\xae\xe2\x80\x8b\xff";
  for (const char c : shown(hostile)) CHECK((c >= ' ' && c <= '~'));
  CHECK(shown("Grüße 世界") == "Grüße 世界");
}

TEST_CASE("widths count columns: none for marks, two for wide characters", "[cli]") {
  CHECK(width_of("") == 0);
  CHECK(width_of("abc") == 3);
  CHECK(width_of("Grüße") == 5);
  CHECK(width_of("e\xcc\x81") == 1);
  CHECK(width_of("世界") == 4);
  CHECK(width_of("😀") == 2);
}

TEST_CASE("a cut text is never wider than asked for and ends with a mark", "[cli]") {
  CHECK(cut("survey.tar", 10) == "survey.tar");
  CHECK(cut("survey.tar", 9) == "survey.t…");
  CHECK(cut("世界世界", 8) == "世界世界");
  CHECK(cut("世界世界", 7) == "世界世…");
  CHECK(cut("世界世界", 6) == "世界…");
  CHECK(cut("x", 0).empty());
  CHECK(width_of(cut("世界世界", 6)) <= 6);
  CHECK(pad_left("世", 4) == "  世");
  CHECK(pad_right("ab", 4) == "ab  ");
}

TEST_CASE("a command line to copy is quoted where a shell would need it", "[cli]") {
  CHECK(shell_quoted("/srv/node-1") == "/srv/node-1");
  CHECK(shell_quoted("/a b") == "'/a b'");
  CHECK(shell_quoted("it's") == R"('it'"'"'s')");
  CHECK(shell_quoted("") == "''");
}

TEST_CASE("a command that is named carries the node, and a path that looks like one does not",
          "[cli]") {
  const std::string node = "--home '/srv/peernet data'";
  CHECK(called("peernet why s1; or peernet doctor", node) ==
        "peernet " + node + " why s1; or peernet " + node + " doctor");
  CHECK(called("peernetd --home '/srv/peernet data' --detach", node) ==
        "peernetd --home '/srv/peernet data' --detach");
  CHECK(called("(peernet doctor)", node) == "(peernet " + node + " doctor)");
  CHECK(called("peernet -h", node) == "peernet -h");
  CHECK(called("peernet why", "") == "peernet why");
}

TEST_CASE("a table aligns numbers right and words left", "[cli]") {
  Table table({{"ID"}, {"SIZE", true}, {"NAME"}});
  table.add({{"a"}, {"5 B"}, {"x"}});
  table.add({{"bcd"}, {"1024 B"}, {"longer"}});

  CHECK(table.render({}) ==
        "ID     SIZE  NAME\n"
        "a       5 B  x\n"
        "bcd  1024 B  longer\n");
}

TEST_CASE("a table that is too wide loses columns by rank, then cuts the last", "[cli]") {
  Table table({{"ID"}, {"SOME", true, 1}, {"MORE", true, 2}, {"NAME"}});
  table.add({{"a"}, {"12345678"}, {"87654321"}, {"a-very-long-name-indeed"}});

  CHECK(table.render({30, false}) ==
        "ID      SOME  NAME\n"
        "a   12345678  a-very-long-nam…\n");
  CHECK(table.render({18, false}) ==
        "ID  NAME\n"
        "a   a-very-long-n…\n");
}

TEST_CASE("colours are given only where they are wanted", "[cli]") {
  Table table({{"STATE"}, {"NAME"}});
  table.add({{"failed", Color::red}, {"x"}});
  CHECK(table.render({0, false}).find('\x1b') == std::string::npos);
  CHECK(table.render({0, true}).find("\x1b[31mfailed\x1b[0m") != std::string::npos);
}

}  // namespace
}  // namespace peernet::cli
