#include <catch2/catch.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "daemon/uv/storage.h"
#include "test/daemon/storage_fixture.h"

namespace peernet::daemon {

// NOLINTNEXTLINE(google-build-using-namespace): the fixture and its helpers
using namespace test;

TEST_CASE("what was verified is read without hashing as long as nobody touched it", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(2 * kBlock + 5);
  auto storage = f.seed("file", content);

  CHECK(outcome<BlocksRead>(read(*storage, 0, 0, kBlock + kBlock, false)).data ==
        to_bytes(BytesView(content).first(2 * kBlock)));
  CHECK(outcome<BlocksRead>(read(*storage, 0, 2 * kBlock, 5, false, 2)).data.size() == 5);
  const auto again = outcome<BlocksRead>(read(*storage, 0, kBlock, kBlock, true));
  CHECK_FALSE(again.is_changed);
  CHECK(again.data == to_bytes(BytesView(content).subspan(kBlock, kBlock)));
}

TEST_CASE("a changed file gives no verified data until each block was hashed again", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(3 * kBlock);
  auto storage = f.seed("file", content);
  const std::string path = f.parent + "/file";
  REQUIRE(read(*storage, 0, 0, 3 * kBlock, false));

  SECTION("written in place, times put back") {
    struct stat before {};
    REQUIRE(stat(path.c_str(), &before) == 0);
    const int fd = open(path.c_str(), O_WRONLY);
    REQUIRE(pwrite(fd, "x", 1, 2 * kBlock) == 1);
    const timespec times[2] = {before.st_atim, before.st_mtim};
    REQUIRE(futimens(fd, times) == 0);
    close(fd);
  }
  SECTION("replaced by another file") {
    Bytes other = content;
    other[2 * kBlock] = static_cast<std::uint8_t>(other[2 * kBlock] + 1);
    write_file(path + ".new", other);
    std::filesystem::rename(path + ".new", path);
  }

  const auto first = outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true));
  CHECK(first.is_changed);
  CHECK(first.data.empty());
  // Good blocks are good again once hashed; the bad one never passes.
  CHECK(outcome<BlocksRead>(read(*storage, 0, 0, kBlock, false)).data ==
        to_bytes(BytesView(content).first(kBlock)));
  CHECK_FALSE(outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true)).is_changed);
  const auto bad = read(*storage, 0, 2 * kBlock, kBlock, false, 2);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == Errc::corrupt);
}

TEST_CASE("hashing one block again does not vouch for the others", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(2 * kBlock);
  auto storage = f.seed("file", content);
  REQUIRE(read(*storage, 0, 0, 2 * kBlock, false));
  const int fd = open((f.parent + "/file").c_str(), O_WRONLY);
  REQUIRE(pwrite(fd, "x", 1, kBlock) == 1);
  close(fd);

  // The first read after the change is an unverified one, of a block that is still good.
  REQUIRE(read(*storage, 0, 0, kBlock, false));

  CHECK(outcome<BlocksRead>(read(*storage, 0, kBlock, kBlock, true)).is_changed);
}

TEST_CASE("a late result from before a change counts as a change of its own", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(2 * kBlock);
  auto storage = f.seed("file", content);
  REQUIRE(read(*storage, 0, 0, kBlock, false));
  Generation late = 0;
  REQUIRE(storage->read_blocks({JobId{1}, kId, 0, kBlock, kBlock, 1, false}, 0, late));

  const int fd = open((f.parent + "/file").c_str(), O_WRONLY);
  REQUIRE(pwrite(fd, "x", 1, kBlock) == 1);
  close(fd);
  REQUIRE(outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true)).is_changed);
  REQUIRE(read(*storage, 0, 0, kBlock, false));
  // Only now the engine hears that the second block was good, and takes it for verified.
  storage->on_told(0, late, false);

  CHECK(outcome<BlocksRead>(read(*storage, 0, kBlock, kBlock, true)).is_changed);
}

TEST_CASE("a file that is changed again and again is never served wrong", "[daemon]") {
  StorageFixture f;
  const Bytes good = pattern(kBlock, 1);
  const Bytes bad = pattern(kBlock, 2);
  auto storage = f.seed("file", good);
  const int fd = open((f.parent + "/file").c_str(), O_WRONLY);
  bool is_known_good = false;
  for (int i = 0; i < 400; ++i) {
    const Bytes& now = i % 3 == 0 ? bad : good;
    REQUIRE(pwrite(fd, now.data(), now.size(), 0) == static_cast<ssize_t>(now.size()));
    if (is_known_good) {
      const auto served = outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true));
      if (!served.is_changed) CHECK(served.data == good);
      is_known_good = !served.is_changed;
    }
    if (!is_known_good && i % 20 == 1)
      is_known_good = read(*storage, 0, 0, kBlock, false).has_value();
  }
  close(fd);
}

TEST_CASE("our own writes are no change, those of others are", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(3 * kBlock);
  auto storage = f.make(f.wanted(".x.part", {{"", content.size(), false}}, true, true));
  REQUIRE(storage->open());
  REQUIRE(write(*storage, blocks(0, 0, BytesView(content).first(kBlock))));
  REQUIRE(write(*storage, blocks(0, kBlock, BytesView(content).subspan(kBlock, kBlock))));
  CHECK_FALSE(outcome<BlocksRead>(read(*storage, 0, 0, 2 * kBlock, true)).is_changed);

  const int fd = open((f.parent + "/.x.part").c_str(), O_WRONLY);
  REQUIRE(pwrite(fd, "x", 1, 3) == 1);
  REQUIRE(ftruncate(fd, 3 * kBlock) == 0);
  close(fd);
  // The next write is ours again, but it must not hide what happened before.
  REQUIRE(write(*storage, blocks(0, 2 * kBlock, BytesView(content).subspan(2 * kBlock))));
  CHECK(outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true)).is_changed);
}

TEST_CASE("what the page cache holds is read at once, when it is open and verified", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(2 * kBlock + 5);
  auto storage = f.seed("file", content);
  Generation seen = 0;
  const auto cached = [&](std::uint64_t offset, std::uint32_t size, bool is_verified = true) {
    return storage->read_cached({JobId{1}, kId, 0, offset, size, 0, is_verified}, storage->told(0),
                                seen);
  };
  CHECK_FALSE(cached(0, kBlock));  // nobody has opened it
  CHECK(read(*storage, 0, 0, 2 * kBlock, false));
  CHECK_FALSE(cached(0, kBlock, false));  // hashing is not done in passing
  auto got = cached(kBlock, kBlock + 5);
  REQUIRE(got.has_value());
  CHECK(outcome<BlocksRead>(*std::move(got)).data == to_bytes(BytesView(content).subspan(kBlock)));

  // Changed, and shorter than asked for: the slow way says what is the matter.
  write_file(f.parent + "/file", pattern(2 * kBlock + 5, 9));
  CHECK_FALSE(cached(0, kBlock));
  CHECK(outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true)).is_changed);
  write_file(f.parent + "/file", pattern(kBlock));
  CHECK_FALSE(cached(kBlock, kBlock));
}

}  // namespace peernet::daemon
