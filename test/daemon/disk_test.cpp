#include "daemon/uv/disk.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/merkle.h"
#include "test/daemon/temp.h"
#include "test/support/support.h"

namespace peernet::daemon {
namespace {

using test::pattern;
using test::TempDirectory;
using test::TestLoop;

constexpr std::uint32_t kBlock = merkle::kBlockSize;
constexpr StorageId kId{7};

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
struct Fixture final : Disk::Inputs {
  Fixture() {
    std::filesystem::create_directory(dir / "leaves");
    disk = std::make_unique<Disk>(loop.get(), StoragePlace{dir / "leaves", 022}, *this);
  }
  ~Fixture() {
    REQUIRE(loop.run_until([this] { return disk->is_idle(); }));
    disk->close();
    disk.reset();
  }

  void on_file(JobId job, FileResult result) override {
    CHECK_FALSE(is_starting);
    const bool is_first = results.emplace(job, std::move(result)).second;
    CHECK(is_first);
  }
  void carry_out() override { ++carry_outs; }

  template <class Effect>
  JobId start(Effect effect) {
    effect.job = JobId{++last_job};
    const JobId job = effect.job;
    is_starting = true;
    disk->start(std::move(effect));
    is_starting = false;
    disk->report_done();
    return job;
  }
  const FileResult& wait(JobId job) {
    REQUIRE(loop.run_until([&] { return results.contains(job); }));
    return results.at(job);
  }
  OpenStorage open_of(std::uint64_t size) const {
    OpenStorage open;
    open.storage = kId;
    open.parent = dir.path();
    open.top = ".x.part";
    open.is_single_file = true;
    open.is_writable = true;
    open.files = {{"", size, false}};
    open.leaves_count = (size + kBlock - 1) / kBlock;
    return open;
  }
  static WriteBlocks block(std::uint64_t offset, std::uint8_t seed) {
    BlockToWrite one;
    one.offset = offset;
    one.record = pattern(kBlock, seed);
    one.size = kBlock;
    one.leaf = sha256(one.record);
    WriteBlocks write{JobId{}, kId, 0, {}};
    write.blocks.push_back(std::move(one));
    return write;
  }

  TempDirectory dir;
  TestLoop loop;
  std::unique_ptr<Disk> disk;
  std::map<JobId, FileResult> results;
  std::uint64_t last_job = 0;
  int carry_outs = 0;
  bool is_starting = false;
};

}  // namespace

TEST_CASE("a share is written, synced, finished, read and deleted by jobs", "[daemon]") {
  Fixture f;
  REQUIRE(f.wait(f.start(f.open_of(2 * kBlock))));
  const JobId one = f.start(Fixture::block(0, 1));
  const JobId two = f.start(Fixture::block(kBlock, 2));
  REQUIRE(f.wait(one));
  REQUIRE(f.wait(two));
  REQUIRE(f.wait(f.start(Sync{JobId{}, kId})));
  REQUIRE(f.wait(f.start(FinishStorage{JobId{}, kId, "final"})));

  const auto& read = f.wait(f.start(ReadBlocks{JobId{}, kId, 0, kBlock, kBlock, 1, true}));
  REQUIRE(read);
  CHECK(std::get<BlocksRead>(*read).data == pattern(kBlock, 2));
  CHECK(f.carry_outs > 0);

  REQUIRE(f.wait(f.start(DeleteStorage{JobId{}, kId, true})));
  CHECK_FALSE(test::exists(f.dir / "final"));
  CHECK_FALSE(f.wait(f.start(Sync{JobId{}, kId})));
}

TEST_CASE("every job is answered once, also when its storage is not open", "[daemon]") {
  Fixture f;
  const std::vector<JobId> jobs{
      f.start(Fixture::block(0, 1)),
      f.start(ReadBlocks{JobId{}, kId, 0, 0, kBlock, 0, true}),
      f.start(ReadLeaves{JobId{}, kId, 0, 1}),
      f.start(WriteLeaves{JobId{}, kId, 0, {}}),
      f.start(HashRange{JobId{}, kId, {{0, 0, kBlock, true}}, 0, 1}),
      f.start(Sync{JobId{}, kId}),
      f.start(FinishStorage{JobId{}, kId, "x"}),
      f.start(DeleteStorage{JobId{}, kId, true}),
  };
  for (const JobId job : jobs) CHECK(f.wait(job).error().code == Errc::not_found);
}

TEST_CASE("a storage that could not be opened is not known", "[daemon]") {
  Fixture f;
  OpenStorage open = f.open_of(kBlock);
  open.parent = f.dir / "nowhere";
  CHECK(f.wait(f.start(open)).error().code == Errc::not_found);
  CHECK(f.wait(f.start(Sync{JobId{}, kId})).error().what == "no such storage is open");
}

TEST_CASE("closing a storage lets running jobs report", "[daemon]") {
  Fixture f;
  REQUIRE(f.wait(f.start(f.open_of(64 * kBlock))));
  std::vector<JobId> jobs;
  for (std::uint8_t i = 0; i < 64; ++i) jobs.push_back(f.start(Fixture::block(i * kBlock, i)));
  f.disk->start(CloseStorage{kId});
  for (const JobId job : jobs) CHECK(f.wait(job));
  CHECK_FALSE(f.wait(f.start(Fixture::block(0, 1))));
}

TEST_CASE("deleting waits for the jobs that run", "[daemon]") {
  Fixture f;
  REQUIRE(f.wait(f.start(f.open_of(64 * kBlock))));
  std::vector<JobId> jobs;
  for (std::uint8_t i = 0; i < 64; ++i) jobs.push_back(f.start(Fixture::block(i * kBlock, i)));
  const JobId removal = f.start(DeleteStorage{JobId{}, kId, true});
  REQUIRE(f.wait(removal));
  for (const JobId job : jobs) CHECK(f.results.contains(job));
  CHECK_FALSE(test::exists(f.dir / ".x.part"));
}

TEST_CASE("writes, reads and syncs of many threads leave the right bytes", "[daemon]") {
  Fixture f;
  constexpr std::uint32_t count = 200;
  REQUIRE(f.wait(f.start(f.open_of(count * kBlock))));
  std::vector<JobId> jobs;
  for (std::uint32_t i = 0; i < count; ++i) {
    jobs.push_back(f.start(Fixture::block(i * kBlock, static_cast<std::uint8_t>(i))));
    if (i % 10 == 0) jobs.push_back(f.start(Sync{JobId{}, kId}));
  }
  for (const JobId job : jobs) REQUIRE(f.wait(job));
  const JobId finished = f.start(FinishStorage{JobId{}, kId, "final"});
  std::vector<JobId> reads;
  for (std::uint32_t i = 0; i < count; ++i) {
    reads.push_back(f.start(ReadBlocks{JobId{}, kId, 0, i * kBlock, kBlock, i, true}));
  }
  REQUIRE(f.wait(finished));
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& read = f.wait(reads[i]);
    REQUIRE(read);
    CHECK_FALSE(std::get<BlocksRead>(*read).is_changed);
    CHECK(std::get<BlocksRead>(*read).data == pattern(kBlock, static_cast<std::uint8_t>(i)));
  }
}

TEST_CASE("a listing needs no storage", "[daemon]") {
  Fixture f;
  test::write_file(f.dir / "file", "abc");
  const auto& listed = f.wait(f.start(ListTree{JobId{}, f.dir.path(), "file", 10}));
  REQUIRE(listed);
  CHECK(std::get<TreeListed>(*listed).is_single_file);
}

}  // namespace peernet::daemon
