#include "daemon/uv/storage.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "test/daemon/storage_fixture.h"

namespace peernet::daemon {

// NOLINTNEXTLINE(google-build-using-namespace): the fixture and its helpers
using namespace test;

TEST_CASE("nothing stands on the disk before the first write", "[daemon]") {
  StorageFixture f;
  auto storage = f.make(f.wanted(".x.part", {{"a/b", 10, false}, {"c", 0, false}}, false, true));

  const auto opened = outcome<StorageOpened>(storage->open());

  CHECK(opened.free_bytes > 0);
  CHECK(opened.allocated_bytes == 0);
  CHECK(opened.file_sizes == std::vector<std::uint64_t>{0, 0});
  CHECK_FALSE(exists(f.parent + "/.x.part"));
}

TEST_CASE("good blocks are written from inside their records and bad ones are not", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(3 * kBlock + 100);
  auto storage = f.make(f.wanted(".x.part", {{"d/e/f", content.size(), false}}, false, true));
  REQUIRE(storage->open());
  auto wanted = blocks(0, 0, content);
  wanted.blocks[1].leaf.bytes[0] ^= 1U;

  const auto written = outcome<BlocksWritten>(write(*storage, wanted));

  CHECK(written.mismatched == std::vector<std::uint32_t>{1});
  const std::string path = f.parent + "/.x.part/d/e/f";
  std::string expected = text(content);
  expected.replace(kBlock, kBlock, std::string(kBlock, '\0'));
  CHECK(read_file(path) == expected);
  CHECK(mode_of(f.parent + "/.x.part") == 0700);
  CHECK(mode_of(f.parent + "/.x.part/d/e") == 0700);
  CHECK(mode_of(path) == 0600);
}

TEST_CASE("a job of bad blocks only makes no file", "[daemon]") {
  StorageFixture f;
  auto storage = f.make(f.wanted(".x.part", {{"", kBlock, false}}, true, true));
  REQUIRE(storage->open());
  auto wanted = blocks(0, 0, pattern(kBlock));
  wanted.blocks[0].leaf = {};

  CHECK(outcome<BlocksWritten>(write(*storage, wanted)).mismatched.size() == 1);
  CHECK_FALSE(exists(f.parent + "/.x.part"));
}

TEST_CASE("an unfinished storage that is opened again says what it holds", "[daemon]") {
  StorageFixture f;
  const std::vector<FileSpec> files{{"a", 2 * kBlock, false}, {"b", kBlock, false}};
  {
    auto storage = f.make(f.wanted(".x.part", files, false, true));
    REQUIRE(storage->open());
    REQUIRE(write(*storage, blocks(0, 0, pattern(kBlock))));
  }
  auto storage = f.make(f.wanted(".x.part", files, false, true));

  const auto opened = outcome<StorageOpened>(storage->open());

  CHECK(opened.file_sizes == std::vector<std::uint64_t>{kBlock, 0});
  CHECK(opened.allocated_bytes >= kBlock);
}

TEST_CASE("opening fails where it cannot mean what was saved", "[daemon]") {
  StorageFixture f;
  SECTION("the parent is gone") {
    auto wanted = f.wanted("x", {{"", 1, false}}, true, true);
    wanted.parent = f.dir / "nowhere";
    CHECK(f.make(wanted)->open().error().code == Errc::not_found);
  }
  SECTION("the top of a finished share is gone") {
    CHECK(f.make(f.wanted("x", {{"", 1, false}}, true, false))->open().error().code ==
          Errc::not_found);
  }
  SECTION("a file of a finished share is gone") {
    std::filesystem::create_directory(f.parent + "/x");
    CHECK(f.make(f.wanted("x", {{"a", 1, false}}, false, false))->open().error().code ==
          Errc::corrupt);
  }
  SECTION("a file of a finished share has another size") {
    write_file(f.parent + "/x", "four");
    CHECK(f.make(f.wanted("x", {{"", 3, false}}, true, false))->open().error().code ==
          Errc::corrupt);
  }
  SECTION("a directory stands where a file should") {
    std::filesystem::create_directory(f.parent + "/x");
    CHECK(f.make(f.wanted("x", {{"", 3, false}}, true, true))->open().error().code == Errc::denied);
  }
  SECTION("a link stands at the top") {
    write_file(f.parent + "/real", "abc");
    std::filesystem::create_symlink("real", f.parent + "/x");
    CHECK(f.make(f.wanted("x", {{"", 3, false}}, true, false))->open().error().code ==
          Errc::denied);
  }
  SECTION("the name of the finished download is taken") {
    write_file(f.parent + "/final", "abc");
    auto wanted = f.wanted(".x.part", {{"", 3, false}}, true, true);
    wanted.must_be_free = "final";
    CHECK(f.make(wanted)->open().error().code == Errc::exists);
  }
}

TEST_CASE("a link that is put into the tree is never followed", "[daemon]") {
  StorageFixture f;
  std::filesystem::create_directory(f.dir / "outside");
  write_file(f.dir / "outside/victim", "precious");
  const Bytes content = pattern(kBlock);
  auto storage = f.make(f.wanted(".x.part", {{"d/victim", content.size(), false}}, false, true));
  REQUIRE(storage->open());

  SECTION("in place of a directory") {
    std::filesystem::create_directory(f.parent + "/.x.part");
    std::filesystem::create_directory_symlink(f.dir / "outside", f.parent + "/.x.part/d");
  }
  SECTION("in place of the file") {
    std::filesystem::create_directories(f.parent + "/.x.part/d");
    std::filesystem::create_symlink(f.dir / "outside/victim", f.parent + "/.x.part/d/victim");
  }
  SECTION("in place of the top") {
    std::filesystem::create_directory(f.dir / "outside/d");
    std::filesystem::create_directory_symlink(f.dir / "outside", f.parent + "/.x.part");
  }
  SECTION("as a second name of a file elsewhere") {
    std::filesystem::create_directories(f.parent + "/.x.part/d");
    std::filesystem::create_hard_link(f.dir / "outside/victim", f.parent + "/.x.part/d/victim");
  }
  SECTION("as a pipe that would hang the writer") {
    std::filesystem::create_directories(f.parent + "/.x.part/d");
    REQUIRE(mkfifo((f.parent + "/.x.part/d/victim").c_str(), 0600) == 0);
  }

  const auto result = write(*storage, blocks(0, 0, content));
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::denied);
  CHECK(read_file(f.dir / "outside/victim") == "precious");
  CHECK_FALSE(exists(f.dir / "outside/d/victim"));
  // Nor is it deleted through.
  static_cast<void>(storage->remove(true));
  CHECK(read_file(f.dir / "outside/victim") == "precious");
}

TEST_CASE("a swapper beside a download never gets a byte outside", "[daemon]") {
  StorageFixture f;
  std::filesystem::create_directory(f.dir / "outside");
  std::vector<FileSpec> files;
  files.reserve(300);
  for (int i = 0; i < 300; ++i) files.push_back({"d/" + std::to_string(i), 1, false});
  auto storage = f.make(f.wanted(".x.part", files, false, true));
  REQUIRE(storage->open());
  REQUIRE(write(*storage, blocks(0, 0, pattern(1))));
  std::atomic<bool> is_over = false;
  std::thread swapper([&] {
    const std::string here = f.parent + "/.x.part/d";
    const std::string there = f.parent + "/.x.part/away";
    while (!is_over) {
      rename(here.c_str(), there.c_str());
      if (symlink((f.dir / "outside").c_str(), here.c_str()) == 0) unlink(here.c_str());
      rename(there.c_str(), here.c_str());
    }
  });
  for (std::uint32_t i = 0; i < files.size(); ++i) {
    static_cast<void>(write(*storage, blocks(i, 0, pattern(1))));
  }
  is_over = true;
  swapper.join();

  CHECK(std::filesystem::is_empty(f.dir / "outside"));
}

TEST_CASE("a file deleted under a download is an error and not a loss", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(2 * kBlock);
  auto storage = f.make(f.wanted(".x.part", {{"", content.size(), false}}, true, true));
  REQUIRE(storage->open());
  REQUIRE(write(*storage, blocks(0, 0, BytesView(content).first(kBlock))));
  std::filesystem::remove(f.parent + "/.x.part");

  const auto result = write(*storage, blocks(0, kBlock, BytesView(content).subspan(kBlock)));
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::not_found);
  // It was closed by that; what opens it by its name makes no other file with a hole in it.
  CHECK_FALSE(write(*storage, blocks(0, kBlock, BytesView(content).subspan(kBlock))));
  CHECK_FALSE(exists(f.parent + "/.x.part"));
  // Opened anew it is known to be gone.
  auto again = f.make(f.wanted(".x.part", {{"", content.size(), false}}, true, true));
  REQUIRE(again->open());
  CHECK(write(*again, blocks(0, 0, content)));
}

TEST_CASE("a read of what was never written is corrupt and makes no file", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(kBlock);
  auto storage = f.make(f.wanted(".x.part", {{"", content.size(), false}}, true, true));
  REQUIRE(storage->open());
  REQUIRE(storage->write_leaves({JobId{1}, kId, 0, leaves_of(content)}));

  CHECK(read(*storage, 0, 0, kBlock, false).error().code == Errc::not_found);
  CHECK_FALSE(exists(f.parent + "/.x.part"));
}

TEST_CASE("leaf hashes come back as they were written, and only whole", "[daemon]") {
  StorageFixture f;
  auto storage = f.make(f.wanted("x", {{"", 4 * kBlock, false}}, true, true));
  REQUIRE(storage->open());
  CHECK(storage->read_leaves({JobId{1}, kId, 0, 1}).error().code == Errc::not_found);
  const std::vector<Hash> leaves{test::tagged<Hash>(1), test::tagged<Hash>(2)};
  REQUIRE(storage->write_leaves({JobId{1}, kId, 1, leaves}));

  CHECK(outcome<LeavesRead>(storage->read_leaves({JobId{1}, kId, 1, 2})).leaves == leaves);
  CHECK(storage->read_leaves({JobId{1}, kId, 2, 2}).error().code == Errc::corrupt);
  CHECK(mode_of(f.dir / "leaves/0123456789abcdef") == 0600);
}

TEST_CASE("hashing a range gives its leaves and piece nodes", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(5 * kBlock + 1);  // pieces of 2 blocks: the last has both
  write_file(f.parent + "/file", content);
  auto storage = f.make(f.wanted("file", {{"", content.size(), false}}, true, false));
  REQUIRE(storage->open());
  const auto leaves = leaves_of(content);

  const HashRange range{JobId{1}, kId, {{0, 2 * kBlock, 3 * kBlock + 1, false}}, 2, 2};
  const auto nodes = outcome<RangeHashed>(storage->hash_range(range)).piece_nodes;

  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0] == merkle::piece_node({leaves.data() + 2, 2}, 2, false));
  CHECK(nodes[1] == merkle::piece_node({leaves.data() + 4, 2}, 2, false));
  const auto kept = outcome<LeavesRead>(storage->read_leaves({JobId{1}, kId, 2, 4})).leaves;
  CHECK(kept == std::vector<Hash>(leaves.begin() + 2, leaves.end()));
  CHECK_FALSE(outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true)).is_changed);
}

TEST_CASE("one range takes many files, and its leaves follow one another", "[daemon]") {
  StorageFixture f;
  const std::vector<std::string> names{"a/one", "a/two", "b/one", "three"};
  std::vector<FileSpec> files;
  std::vector<FilePart> parts;
  std::vector<Hash> leaves;
  std::vector<Hash> nodes;
  std::filesystem::create_directories(f.parent + "/tree/a");
  std::filesystem::create_directories(f.parent + "/tree/b");
  for (std::uint32_t i = 0; i < 40; ++i) {
    // Of all lengths round a block; the last is longer than what is read at a time.
    const std::uint64_t size = i == 39 ? 20 * kBlock + 1 : kBlock - 20 + i;
    const Bytes content = pattern(size, static_cast<std::uint8_t>(i));
    const std::string name = names[i % names.size()] + std::to_string(i);
    write_file(f.parent + "/tree/" + name, content);
    files.push_back({name, size, false});
    parts.push_back({i, 0, size, size <= 2 * kBlock});
    const auto own = leaves_of(content);
    leaves.insert(leaves.end(), own.begin(), own.end());
    for (std::size_t at = 0; at < own.size(); at += 2) {
      const auto count = std::min<std::size_t>(2, own.size() - at);
      nodes.push_back(merkle::piece_node({own.data() + at, count}, 2, size <= 2 * kBlock));
    }
  }
  auto storage = f.make(f.wanted("tree", files, false, false));
  REQUIRE(storage->open());

  CHECK(outcome<RangeHashed>(storage->hash_range({JobId{1}, kId, parts, 0, 2})).piece_nodes ==
        nodes);
  const auto count = static_cast<std::uint32_t>(leaves.size());
  CHECK(outcome<LeavesRead>(storage->read_leaves({JobId{1}, kId, 0, count})).leaves == leaves);

  // A file that became another meanwhile is named, wherever it stands in the range.
  write_file(f.parent + "/tree/" + files[21].path, pattern(files[21].size, 77));
  const auto again = storage->hash_range({JobId{1}, kId, parts, 0, 2});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Errc::corrupt);
  CHECK_THAT(again.error().what, Catch::Contains(files[21].path));
}

TEST_CASE("a file that is changed between two ranges is refused", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(2 * kBlock);
  write_file(f.parent + "/file", content);
  auto storage = f.make(f.wanted("file", {{"", content.size(), false}}, true, false));
  REQUIRE(storage->open());
  REQUIRE(storage->hash_range({JobId{1}, kId, {{0, 0, kBlock, false}}, 0, 1}));
  const int fd = open((f.parent + "/file").c_str(), O_WRONLY);
  REQUIRE(pwrite(fd, "x", 1, 0) == 1);
  close(fd);

  const auto second = storage->hash_range({JobId{1}, kId, {{0, kBlock, kBlock, false}}, 1, 1});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::corrupt);
}

TEST_CASE("a finished tree stands under its name with the user's modes", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(kBlock + 3);
  auto storage = f.make(f.wanted(".x.part",
                                 {{"bin/run", content.size(), true},
                                  {"empty/none", 0, false},
                                  {"read", content.size(), false}},
                                 false, true),
                        027);
  REQUIRE(storage->open());
  REQUIRE(write(*storage, blocks(0, 0, content)));
  REQUIRE(write(*storage, blocks(2, 0, content)));
  REQUIRE(storage->sync());

  outcome<FileDone>(storage->finish({{}, {}, "final"}));

  CHECK_FALSE(exists(f.parent + "/.x.part"));
  CHECK(read_file(f.parent + "/final/bin/run") == text(content));
  CHECK(read_file(f.parent + "/final/empty/none").empty());
  CHECK(mode_of(f.parent + "/final") == 0750);
  CHECK(mode_of(f.parent + "/final/bin") == 0750);
  CHECK(mode_of(f.parent + "/final/bin/run") == 0750);
  CHECK(mode_of(f.parent + "/final/read") == 0640);
  CHECK(mode_of(f.parent + "/final/empty/none") == 0640);
  // What was verified stays verified: the change of modes was ours.
  CHECK_FALSE(outcome<BlocksRead>(read(*storage, 2, 0, kBlock, true, 2)).is_changed);
}

TEST_CASE("a finished single file is known under its new name", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(kBlock);
  auto storage = f.make(f.wanted(".x.part", {{"", content.size(), false}}, true, true));
  REQUIRE(storage->open());
  REQUIRE(write(*storage, blocks(0, 0, content)));
  REQUIRE(storage->write_leaves({JobId{1}, kId, 0, leaves_of(content)}));

  outcome<FileDone>(storage->finish({{}, {}, "final"}));

  CHECK_FALSE(exists(f.parent + "/.x.part"));
  CHECK(mode_of(f.parent + "/final") == 0644);
  CHECK_FALSE(outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true)).is_changed);
  // And a later change of it is seen.
  const int fd = open((f.parent + "/final").c_str(), O_WRONLY);
  REQUIRE(pwrite(fd, "x", 1, 0) == 1);
  close(fd);
  CHECK(outcome<BlocksRead>(read(*storage, 0, 0, kBlock, true)).is_changed);
  CHECK(read(*storage, 0, 0, kBlock, false).error().code == Errc::corrupt);
}

TEST_CASE("what is added to a tree at its place stands apart until it is whole", "[daemon]") {
  using enum FileSpec::Standing;
  StorageFixture f;
  const Bytes content = pattern(kBlock + 3);
  std::filesystem::create_directory(f.parent + "/tree");
  write_file(f.parent + "/tree/here", content);
  write_file(f.parent + "/tree/mine", "not the share's");
  std::vector<FileSpec> files = {{"here", content.size(), false, moved, ".x.0.part"},
                                 {"mine", content.size(), false, left_out, ""},
                                 {"sub/new", content.size(), true, apart, "sub/.x.2.part"}};
  auto storage = f.make(f.wanted("tree", files, false, true));
  const auto opened = outcome<StorageOpened>(storage->open());
  CHECK(opened.file_sizes == std::vector<std::uint64_t>{content.size(), 0, 0});
  REQUIRE(write(*storage, blocks(2, 0, content)));
  REQUIRE(storage->sync());
  CHECK(exists(f.parent + "/tree/sub/.x.2.part"));
  CHECK_FALSE(exists(f.parent + "/tree/sub/new"));

  SECTION("finishing moves it") {
    outcome<FileDone>(storage->finish({{}, {}, "tree"}));
    CHECK(read_file(f.parent + "/tree/sub/new") == text(content));
    CHECK(mode_of(f.parent + "/tree/sub/new") == 0755);
    CHECK(mode_of(f.parent + "/tree/sub") == 0755);
    CHECK_FALSE(exists(f.parent + "/tree/sub/.x.2.part"));
    CHECK_FALSE(outcome<BlocksRead>(read(*storage, 2, 0, kBlock, true, 2)).is_changed);
    // The process may have ended right after the move.
    files[2].standing = moved;
    auto again = f.make(f.wanted("tree", files, false, true));
    CHECK(outcome<StorageOpened>(again->open()).file_sizes.at(2) == content.size());
    outcome<FileDone>(again->finish({{}, {}, "tree"}));
  }
  SECTION("a file that has come to stand there is not replaced") {
    write_file(f.parent + "/tree/sub/new", "mine too");
    CHECK(storage->finish({{}, {}, "tree"}).error().code == Errc::exists);
    CHECK(f.make(f.wanted("tree", files, false, true))->open().error().code == Errc::exists);
    CHECK(read_file(f.parent + "/tree/sub/new") == "mine too");
  }
  SECTION("removal without the data takes away what is not whole, and nothing else") {
    outcome<FileDone>(storage->remove(false));
    CHECK_FALSE(exists(f.parent + "/tree/sub/.x.2.part"));
    CHECK(exists(f.parent + "/tree/here"));
  }
  SECTION("removal with the data leaves what is not the share's") {
    outcome<FileDone>(storage->remove(true));
    CHECK_FALSE(exists(f.parent + "/tree/here"));
    CHECK(read_file(f.parent + "/tree/mine") == "not the share's");
  }
}

TEST_CASE("finishing never replaces what stands there", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(kBlock);
  const bool is_single = GENERATE(true, false);
  auto storage =
      f.make(f.wanted(".x.part", {{is_single ? "" : "a", content.size(), false}}, is_single, true));
  REQUIRE(storage->open());
  REQUIRE(write(*storage, blocks(0, 0, content)));
  SECTION("a file") {
    write_file(f.parent + "/final", "mine");
  }
  SECTION("an empty directory") {
    std::filesystem::create_directory(f.parent + "/final");
  }
  SECTION("a dangling link") {
    std::filesystem::create_symlink("nowhere", f.parent + "/final");
  }

  const auto result = storage->finish({{}, {}, "final"});
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::exists);
  CHECK(exists(f.parent + "/.x.part"));

  // And it can be tried again.
  std::filesystem::remove(f.parent + "/final");
  outcome<FileDone>(storage->finish({{}, {}, "final"}));
}

TEST_CASE("deleting removes what is listed and the directories it leaves empty", "[daemon]") {
  StorageFixture f;
  const Bytes content = pattern(10);
  auto storage = f.make(
      f.wanted(".x.part", {{"a/b/one", 10, false}, {"a/two", 10, false}, {"c/three", 10, false}},
               false, true));
  REQUIRE(storage->open());
  for (std::uint32_t i = 0; i < 3; ++i) REQUIRE(write(*storage, blocks(i, 0, content)));
  REQUIRE(storage->write_leaves({JobId{1}, kId, 0, leaves_of(content)}));
  write_file(f.parent + "/.x.part/c/stranger", "stays");

  SECTION("with its data") {
    outcome<FileDone>(storage->remove(true));
    CHECK_FALSE(exists(f.parent + "/.x.part/a"));
    CHECK(read_file(f.parent + "/.x.part/c/stranger") == "stays");
    CHECK_FALSE(exists(f.parent + "/.x.part/c/three"));
  }
  SECTION("without") {
    outcome<FileDone>(storage->remove(false));
    CHECK(exists(f.parent + "/.x.part/a/b/one"));
  }
  CHECK_FALSE(exists(f.dir / "leaves/0123456789abcdef"));
}

TEST_CASE("a full disk is said to be full and space makes it good again", "[daemon]") {
  StorageFixture f;
  if (geteuid() != 0 || mount("none", f.parent.c_str(), "tmpfs", 0, "size=128k") != 0) {
    WARN("no small file system can be mounted here: not tested");
    return;
  }
  {
    const Bytes content = pattern(16 * kBlock);
    auto storage = f.make(f.wanted(".x.part", {{"", content.size(), false}}, true, true));
    REQUIRE(storage->open());
    write_file(f.parent + "/ballast", pattern(4 * kBlock));

    const auto result = write(*storage, blocks(0, 0, content));
    CHECK_FALSE(result);
    if (!result) CHECK(result.error().code == Errc::no_space);

    std::filesystem::remove(f.parent + "/ballast");
    CHECK(write(*storage, blocks(0, 0, BytesView(content).first(kBlock))));
  }
  f.cache.drop(kId);
  CHECK(umount(f.parent.c_str()) == 0);
}

TEST_CASE("another directory in the place of the parent is not written to", "[daemon]") {
  StorageFixture f;
  auto storage = f.make(f.wanted(".x.part", {{"a", kBlock, false}}, false, true));
  REQUIRE(storage->open());
  std::filesystem::rename(f.parent, f.parent + ".old");
  std::filesystem::create_directory(f.parent);

  CHECK(write(*storage, blocks(0, 0, pattern(kBlock))).error().code == Errc::denied);
  CHECK(std::filesystem::is_empty(f.parent));
}

TEST_CASE("more files than may be open are served all the same", "[daemon]") {
  StorageFixture f;
  std::vector<FileSpec> files;
  files.reserve(40);
  for (int i = 0; i < 40; ++i) files.push_back({std::to_string(i), 1, false});
  auto storage = f.make(f.wanted(".x.part", files, false, true));
  REQUIRE(storage->open());
  for (std::uint32_t i = 0; i < files.size(); ++i) {
    REQUIRE(write(*storage, blocks(i, 0, pattern(1))));
    CHECK(f.cache.size() <= 8);
  }
  outcome<FileDone>(storage->sync());
  for (std::uint32_t i = 0; i < files.size(); ++i) {
    CHECK_FALSE(outcome<BlocksRead>(read(*storage, i, 0, 1, true, i)).is_changed);
  }
}

TEST_CASE("a tree is listed in the order of its paths, with what was left out", "[daemon]") {
  StorageFixture f;
  const std::string top = f.parent + "/tree";
  std::filesystem::create_directories(top + "/b/deep");
  std::filesystem::create_directories(top + "/hollow/inner");
  std::filesystem::create_directories(top + "/links");
  write_file(top + "/b/deep/file", "1");
  write_file(top + "/b.txt", "22");
  write_file(top + "/a", "");
  chmod((top + "/a").c_str(), 0755);
  std::filesystem::create_symlink("../a", top + "/links/a");
  REQUIRE(mkfifo((top + "/pipe").c_str(), 0600) == 0);
  const std::string part = ".s" + std::string(56, 'a') + ".part";
  std::filesystem::create_directory(top + "/" + part);

  const auto listed = outcome<TreeListed>(list_tree({JobId{1}, f.parent, "tree", 100}));

  CHECK_FALSE(listed.is_single_file);
  REQUIRE(listed.entries.size() == 3);
  CHECK(listed.entries[0].path == "a");
  CHECK(listed.entries[0].is_executable);
  CHECK(listed.entries[1].path == "b.txt");
  CHECK(listed.entries[1].size == 2);
  CHECK(listed.entries[2].path == "b/deep/file");
  std::vector<std::string> left_out;
  for (const LeftOut& one : listed.left_out) left_out.push_back(one.path + ": " + one.reason);
  CHECK(left_out ==
        std::vector<std::string>{part + ": unfinished download", "hollow: empty directory",
                                 "hollow/inner: empty directory", "links: empty directory",
                                 "links/a: symlink", "pipe: fifo"});
}

TEST_CASE("listing keeps to its limit and refuses what is no file", "[daemon]") {
  StorageFixture f;
  const std::string top = f.parent + "/tree";
  std::filesystem::create_directory(top);
  for (int i = 0; i < 5; ++i) write_file(top + "/" + std::to_string(i), "x");

  CHECK(list_tree({JobId{1}, f.parent, "tree", 5}));
  CHECK(list_tree({JobId{1}, f.parent, "tree", 4}).error().code == Errc::too_large);
  CHECK(list_tree({JobId{1}, f.parent, "none", 5}).error().code == Errc::not_found);
  REQUIRE(mkfifo((f.parent + "/pipe").c_str(), 0600) == 0);
  CHECK(list_tree({JobId{1}, f.parent, "pipe", 5}).error().code == Errc::refused);
  std::filesystem::create_symlink("tree", f.parent + "/link");
  CHECK(list_tree({JobId{1}, f.parent, "link", 5}).error().code == Errc::refused);
  const auto single = outcome<TreeListed>(list_tree({JobId{1}, top, "3", 5}));
  CHECK(single.is_single_file);
  REQUIRE(single.entries.size() == 1);
  CHECK(single.entries[0].path.empty());
}

TEST_CASE("paths that lead outside are refused by both ways of opening", "[daemon]") {
  StorageFixture f;
  write_file(f.dir / "secret", "s");
  write_file(f.parent + "/plain", "p");
  std::filesystem::create_symlink("../secret", f.parent + "/link");
  std::filesystem::create_directory_symlink(f.dir.path(), f.parent + "/up");
  auto parent = open_directory(f.parent);
  REQUIRE(parent);

  for (auto open_it : {open_beneath, walk_beneath}) {
    CHECK(open_it(parent->get(), "plain", O_RDONLY, 0));
    for (const char* path : {"../secret", "link", "up/secret", "/etc/passwd", "a/../../secret"}) {
      INFO(path);
      const auto opened = open_it(parent->get(), path, O_RDONLY, 0);
      REQUIRE_FALSE(opened);
      CHECK((opened.error().code == Errc::denied || opened.error().code == Errc::not_found));
    }
    CHECK(open_it(parent->get(), "link", O_PATH, 0).error().code == Errc::denied);
    CHECK(open_it(parent->get(), "none", O_RDONLY, 0).error().code == Errc::not_found);
  }
}

}  // namespace peernet::daemon
