#include "daemon/uv/journal.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>

#include "test/daemon/rpc_fixture.h"
#include "test/daemon/temp.h"

namespace peernet::daemon {
namespace {

using namespace std::chrono_literals;

std::size_t lines_of(const std::string& path) {
  const std::string text = test::read_file(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

transfer::PeerBanned ban_of(std::uint32_t number) {
  transfer::PeerBanned ban;
  ban.reason = "it sent \x1b[31m nonsense\nand a line";
  ban.peer.bytes[0] = static_cast<std::uint8_t>(number & 0xffU);
  ban.peer.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
  return ban;
}

TEST_CASE("what one peer causes is a line a second, and a count of the rest", "[daemon]") {
  test::TempDirectory dir;
  const test::RpcFixture fixture;
  Journal journal({}, "text", dir / "log", 1U << 20U);
  const Time start{};
  for (int i = 0; i < 100; ++i) journal.tell(start, ban_of(1), fixture.node);
  CHECK(lines_of(dir / "log") == 1);
  journal.tell(start, ban_of(2), fixture.node);
  CHECK(lines_of(dir / "log") == 2);
  journal.tell(start + 1s, ban_of(1), fixture.node);
  const std::string text = test::read_file(dir / "log");
  CHECK(lines_of(dir / "log") == 3);
  CHECK(text.find("(suppressed 99)") != std::string::npos);
  CHECK(text.find("\\x1b[31m nonsense\\x0a") != std::string::npos);
}

TEST_CASE("peers beyond the limit of those remembered are counted, not told", "[daemon]") {
  test::TempDirectory dir;
  const test::RpcFixture fixture;
  Journal journal({}, "text", dir / "log", 10U << 20U);
  const Time start{};
  for (std::uint32_t i = 0; i < kPeerLinesMax + 50; ++i)
    journal.tell(start, ban_of(i), fixture.node);
  CHECK(lines_of(dir / "log") == kPeerLinesMax);
  journal.tell(start + 1s, ban_of(60'000), fixture.node);
  CHECK(test::read_file(dir / "log").find("(suppressed 50)") != std::string::npos);
}

TEST_CASE("lines about peers have a level of their own, which changes at run time", "[daemon]") {
  test::TempDirectory dir;
  const test::RpcFixture fixture;
  Journal journal({"info", std::nullopt, "error"}, "text", dir / "log", 1U << 20U);
  journal.tell(Time{}, ban_of(1), fixture.node);
  CHECK(lines_of(dir / "log") == 0);
  journal.set_levels({"error", std::nullopt, "info"});
  journal.tell(Time{} + 1s, ban_of(1), fixture.node);
  CHECK(lines_of(dir / "log") == 1);
}

TEST_CASE("all log files together stay within their size", "[daemon]") {
  test::TempDirectory dir;
  constexpr std::uint64_t kSize = 64U << 10U;
  {
    Journal journal({}, "json", dir / "log", kSize);
    for (int i = 0; i < 4000; ++i) journal.log().info("a line of some length, number {}", i);
  }
  std::uintmax_t size = 0;
  std::size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
    size += file.file_size();
    ++count;
  }
  CHECK(count == kLogFilesMax);
  CHECK(size <= kSize);
}

}  // namespace
}  // namespace peernet::daemon
