#include "daemon/units.h"

#include <catch2/catch.hpp>

#include <chrono>

namespace peernet::daemon {
namespace {

TEST_CASE("sizes are binary or decimal, exact, and never wrap", "[daemon]") {
  CHECK(parse_size("0B") == 0U);
  CHECK(parse_size("512B") == 512U);
  CHECK(parse_size("1KiB") == 1024U);
  CHECK(parse_size("1kB") == 1000U);
  CHECK(parse_size("1.5 GB") == 1'500'000'000U);
  CHECK(parse_size("0.5MiB") == 524'288U);
  CHECK(parse_size("16777215TiB") == 16'777'215ULL << 40U);
  for (const char* text :
       {"", "8", "MiB", "8 mib", "-1MiB", "1.MiB", "1.5B", "16777216TiB", "8MiB ", "1e3B", "0x10B",
        "1.12345678MiB", "99999999999999999999B", "8  MiB"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
  CHECK(parse_rate("10MB/s") == 10'000'000U);
  CHECK_FALSE(parse_rate("10MB"));
  CHECK_FALSE(parse_rate("/s"));
}

TEST_CASE("a size is written in the largest unit that divides it", "[daemon]") {
  CHECK(format_size(0) == "0B");
  CHECK(format_size(1) == "1B");
  CHECK(format_size(1024) == "1KiB");
  CHECK(format_size(10'000'000) == "10MB");
  CHECK(format_size(256ULL << 20U) == "256MiB");
  for (const std::uint64_t bytes : {1ULL, 1'000ULL, 1'025ULL, 123'456'789ULL, 1ULL << 40U}) {
    CHECK(parse_size(format_size(bytes)) == bytes);
  }
}

TEST_CASE("durations are whole hours, minutes or seconds, and written in the largest", "[daemon]") {
  CHECK(parse_duration("10m") == std::chrono::minutes(10));
  for (const char* text : {"99999999999s", "", "10", "1.5h", "-1s", "1d", "1 h"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
  CHECK(format_duration(std::chrono::minutes(120)) == "2h");
  CHECK(format_duration(std::chrono::seconds(90)) == "90s");
}

}  // namespace
}  // namespace peernet::daemon
