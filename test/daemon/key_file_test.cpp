#include "daemon/key_file.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include "test/daemon/temp.h"
#include "test/support/support.h"

namespace peernet::daemon {
namespace {

using test::pattern;
using test::TempDirectory;

void write_key(const std::string& path, std::size_t size = 32, mode_t mode = 0600) {
  test::write_file(path, pattern(size));
  REQUIRE(chmod(path.c_str(), mode) == 0);
}

Key key_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(byte);
  return Key(bytes);
}

}  // namespace

TEST_CASE("an identity is made once and is the same ever after", "[daemon]") {
  TempDirectory dir;
  Rng rng(1);
  auto first = load_or_make_identity(dir / "identity", rng);
  auto second = load_or_make_identity(dir / "identity", rng);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->id() == second->id());
  CHECK(test::mode_of(dir / "identity") == 0600);
  CHECK(test::read_file(dir / "identity").size() == 32);
  CHECK_FALSE(test::exists(dir / "identity.new"));
}

TEST_CASE("what a crash left while a key was made is no obstacle", "[daemon]") {
  TempDirectory dir;
  test::write_file(dir / "identity.new", "half");
  Rng rng(1);
  CHECK(load_or_make_identity(dir / "identity", rng));
}

TEST_CASE("a key of 32 bytes for its owner alone is taken", "[daemon]") {
  TempDirectory dir;
  const mode_t mode = GENERATE(0600U, 0400U);
  write_key(dir / "key", 32, mode);
  auto key = load_key(dir / "key");
  REQUIRE(key);
  CHECK(to_bytes(key->view()) == pattern(32));
}

TEST_CASE("a key that others can reach is refused, and never replaced", "[daemon]") {
  TempDirectory dir;
  const mode_t mode = GENERATE(0640U, 0604U, 0644U, 0620U, 0700U, 0601U);
  write_key(dir / "key", 32, mode);
  const auto key = load_key(dir / "key");
  REQUIRE_FALSE(key);
  CHECK(key.error().code == Errc::denied);
  CHECK_FALSE(key.error().hint.empty());
  Rng rng(1);
  CHECK_FALSE(load_or_make_identity(dir / "key", rng));
  CHECK(test::read_file(dir / "key").size() == 32);
}

TEST_CASE("a key of another size is refused", "[daemon]") {
  TempDirectory dir;
  const std::size_t size = GENERATE(0U, 31U, 33U, 64U);
  write_key(dir / "key", size);
  CHECK(load_key(dir / "key").error().code == Errc::malformed);
}

TEST_CASE("a key under a link, a second name or no file is refused", "[daemon]") {
  TempDirectory dir;
  write_key(dir / "real");
  SECTION("a symbolic link") {
    std::filesystem::create_symlink("real", dir / "key");
    CHECK(load_key(dir / "key").error().code == Errc::denied);
  }
  SECTION("a hard link") {
    std::filesystem::create_hard_link(dir / "real", dir / "key");
    CHECK(load_key(dir / "key").error().code == Errc::denied);
  }
  SECTION("a pipe does not hang") {
    REQUIRE(mkfifo((dir / "key").c_str(), 0600) == 0);
    CHECK(load_key(dir / "key").error().code == Errc::denied);
  }
  SECTION("a directory") {
    std::filesystem::create_directory(dir / "key");
    CHECK_FALSE(load_key(dir / "key"));
  }
  SECTION("nothing") {
    CHECK(load_key(dir / "key").error().code == Errc::not_found);
  }
}

TEST_CASE("a new key file is its owner's alone, and never takes the place of anything",
          "[daemon]") {
  TempDirectory dir;
  const Key key = key_of(9);
  REQUIRE(make_key_file(dir / "key", key));
  CHECK(test::mode_of(dir / "key") == 0600);
  const auto read = load_key(dir / "key");
  REQUIRE(read);
  CHECK(secure_equal(read->view(), key.view()));
  for (const char* what : {"key", "directory", "link"}) {
    CAPTURE(what);
    if (what == std::string("directory")) std::filesystem::create_directory(dir / what);
    if (what == std::string("link")) std::filesystem::create_symlink("nowhere", dir / what);
    const auto again = make_key_file(dir / what, key_of(8));
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Errc::exists);
    CHECK_FALSE(again.error().hint.empty());
  }
  CHECK(test::read_file(dir / "key") == std::string(32, '\x09'));
  CHECK_FALSE(test::exists(dir / "nowhere"));
  CHECK(make_key_file(dir / "missing/key", key).error().code == Errc::not_found);
}

TEST_CASE("another user's key is refused", "[daemon]") {
  if (geteuid() != 0) {
    WARN("needs root to give a file away: not tested");
    return;
  }
  TempDirectory dir;
  write_key(dir / "key");
  REQUIRE(chown((dir / "key").c_str(), 65534, 65534) == 0);
  CHECK(load_key(dir / "key").error().code == Errc::denied);
}

}  // namespace peernet::daemon
