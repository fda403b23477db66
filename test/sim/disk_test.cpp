#include "test/sim/disk.h"

#include <catch2/catch.hpp>

#include "core/hash.h"
#include "core/merkle.h"
#include "test/sim/store.h"

namespace peernet::sim {
namespace {

using std::chrono::seconds;

constexpr std::uint32_t kBlock = merkle::kBlockSize;
constexpr StorageId kStorage{42};

Bytes block_of(std::uint8_t value) {
  return Bytes(kBlock, value);
}

struct Fixture {
  Timeline timeline;
  std::vector<std::pair<JobId, FileResult>> reports;
  Disk disk{timeline, Rng(1),
            [this](JobId job, FileResult result) { reports.emplace_back(job, std::move(result)); }};
  std::uint64_t jobs = 0;

  void run() {
    while (timeline.step()) {
    }
  }
  JobId next() { return JobId{++jobs}; }
  const FileResult& last() {
    run();
    REQUIRE_FALSE(reports.empty());
    return reports.back().second;
  }
  template <class T>
  T outcome() {
    const FileResult& result = last();
    REQUIRE(result.has_value());
    return std::get<T>(*result);
  }

  void open(bool is_writable = true) {
    OpenStorage job;
    job.job = next();
    job.storage = kStorage;
    job.parent = "/d";
    job.top = ".part";
    job.is_single_file = true;
    job.is_writable = is_writable;
    job.files = {{"", 4 * kBlock, false}};
    job.leaves_count = 4;
    disk.open(job);
  }
  JobId write(std::uint64_t index, std::uint8_t value, std::optional<std::uint8_t> truth = {}) {
    WriteBlocks job;
    job.job = next();
    job.storage = kStorage;
    BlockToWrite block;
    block.offset = index * kBlock;
    block.record = block_of(value);
    block.size = kBlock;
    block.leaf = sha256(block_of(truth.value_or(value)));
    job.blocks.push_back(block);
    disk.write(job);
    return job.job;
  }
  void sync() { disk.sync({next(), kStorage}); }
  std::optional<std::uint8_t> at(std::uint64_t index) const {
    const auto bytes = disk.bytes("/d/.part");
    if (!bytes || bytes->size() < (index + 1) * kBlock) return std::nullopt;
    return (*bytes)[index * kBlock];
  }
};

TEST_CASE_METHOD(Fixture, "a block that differs from its leaf is named and not written", "[sim]") {
  open();
  run();
  write(0, 7, 8);
  CHECK(outcome<BlocksWritten>().mismatched == std::vector<std::uint32_t>{0});
  CHECK_FALSE(disk.exists("/d/.part"));
  write(0, 7);
  CHECK(outcome<BlocksWritten>().mismatched.empty());
  CHECK(at(0) == 7);
}

TEST_CASE_METHOD(Fixture, "a power cut forgets some of what was not synced, and nothing that was",
                 "[sim]") {
  open();
  write(0, 1);
  run();
  sync();
  run();
  CHECK(disk.is_durable("/d/.part", 0, kBlock));
  int lost = 0;
  for (int i = 0; i < 40; ++i) {
    open();
    write(1, 2);
    run();
    CHECK_FALSE(disk.is_durable("/d/.part", kBlock, kBlock));
    disk.cut_power();
    CHECK(at(0) == 1);
    if (at(1) != 2) ++lost;
    // For the next round the block is wiped.
    open();
    write(1, 0);
    run();
    sync();
    run();
  }
  CHECK(lost > 5);
  CHECK(lost < 35);
}

TEST_CASE_METHOD(Fixture, "a sync covers only what had reported before it was asked for", "[sim]") {
  open();
  run();
  write(0, 1);
  run();
  write(1, 2);  // still under way
  sync();
  run();
  CHECK(disk.is_durable("/d/.part", 0, kBlock));
  CHECK_FALSE(disk.is_durable("/d/.part", kBlock, kBlock));
}

TEST_CASE_METHOD(Fixture, "what a failed sync covered is not saved by a later one", "[sim]") {
  open();
  write(0, 1);
  run();
  disk.options.sync_errors = 1;
  sync();
  CHECK_FALSE(last().has_value());
  disk.options.sync_errors = 0;
  sync();
  CHECK(last().has_value());
  CHECK_FALSE(disk.is_durable("/d/.part", 0, kBlock));
  // Writing it again does.
  write(0, 1);
  run();
  sync();
  run();
  CHECK(disk.is_durable("/d/.part", 0, kBlock));
  disk.cut_power();
  CHECK(at(0) == 1);
}

TEST_CASE_METHOD(Fixture, "what is durable of a wider write that was lost stays", "[sim]") {
  const auto leaf = [](std::uint8_t value) { return sha256(block_of(value)); };
  for (int i = 0; i < 20; ++i) {
    open();
    disk.write_leaves({next(), kStorage, 0, {leaf(1), leaf(2), leaf(3)}});
    run();
    disk.options.sync_errors = 1;
    sync();
    run();
    disk.options.sync_errors = 0;
    disk.write_leaves({next(), kStorage, 1, {leaf(2)}});
    run();
    sync();
    run();
    const std::string path = Disk::leaf_path(kStorage);
    CHECK_FALSE(disk.is_durable(path, 0, Hash::kSize));
    CHECK(disk.is_durable(path, Hash::kSize, Hash::kSize));
    CHECK_FALSE(disk.is_durable(path, 2 * Hash::kSize, Hash::kSize));
    disk.cut_power();
    const Bytes there = to_bytes(disk.bytes(path).value());
    CHECK(Hash::from(BytesView(there).subspan(Hash::kSize, Hash::kSize)) == leaf(2));
    CHECK(Hash::from(BytesView(there).first(Hash::kSize)) != leaf(1));
  }
}

TEST_CASE_METHOD(Fixture, "a full disk says so", "[sim]") {
  disk.options.quota = 2 * kBlock;
  open();
  CHECK(outcome<StorageOpened>().free_bytes == 2 * kBlock);
  write(0, 1);
  CHECK(last().has_value());
  write(2, 1);
  CHECK(last().error().code == Errc::no_space);
}

TEST_CASE_METHOD(Fixture, "a verified read tells of a change and gives no data", "[sim]") {
  open();
  write(0, 1);
  run();
  disk.write_leaves({next(), kStorage, 0, {sha256(block_of(1))}});
  run();
  disk.read({next(), kStorage, 0, 0, kBlock, 0, true});
  CHECK(outcome<BlocksRead>().data == block_of(1));
  disk.tamper("/d/.part", 5);
  disk.read({next(), kStorage, 0, 0, kBlock, 0, true});
  CHECK(outcome<BlocksRead>().is_changed);
  disk.read({next(), kStorage, 0, 0, kBlock, 0, false});
  CHECK(last().error().code == Errc::corrupt);
  disk.tamper("/d/.part", 5);  // and back
  disk.read({next(), kStorage, 0, 0, kBlock, 0, false});
  CHECK(outcome<BlocksRead>().data == block_of(1));
  disk.read({next(), kStorage, 0, 0, kBlock, 0, true});
  CHECK_FALSE(outcome<BlocksRead>().is_changed);
}

TEST_CASE_METHOD(Fixture, "finishing renames once, and not over anything", "[sim]") {
  open();
  for (std::uint8_t i = 0; i < 4; ++i) write(i, i);
  run();
  disk.put("/d/film", Bytes(3));
  disk.finish({next(), kStorage, "film"});
  CHECK(last().error().code == Errc::exists);
  disk.erase("/d/film");
  disk.finish({next(), kStorage, "film"});
  CHECK(last().has_value());
  CHECK_FALSE(disk.exists("/d/.part"));
  CHECK(disk.is_durable("/d/film", 0, 4 * kBlock));
  disk.cut_power();
  CHECK(disk.bytes("/d/film")->size() == 4 * kBlock);
}

TEST_CASE_METHOD(Fixture, "hashing a range gives the piece nodes and keeps the leaves", "[sim]") {
  Bytes bytes = block_of(1);
  append(bytes, block_of(2));
  bytes.resize(bytes.size() + 2 * kBlock);
  std::fill(bytes.begin() + 2 * kBlock, bytes.end(), std::uint8_t{3});
  disk.put("/d/.part", bytes);
  open(false);
  CHECK(outcome<StorageOpened>().allocated_bytes == 4 * kBlock);
  HashRange job;
  job.job = next();
  job.storage = kStorage;
  job.parts = {{0, 0, 4 * kBlock, false}};
  job.blocks_per_piece = 2;
  disk.hash(job);
  const auto hashed = outcome<RangeHashed>();
  const std::vector<Hash> leaves = {sha256(block_of(1)), sha256(block_of(2))};
  REQUIRE(hashed.piece_nodes.size() == 2);
  CHECK(hashed.piece_nodes[0] == merkle::piece_node(leaves, 2, false));
  disk.read_leaves({next(), kStorage, 0, 2});
  CHECK(outcome<LeavesRead>().leaves == leaves);
}

TEST_CASE_METHOD(Fixture, "a job of a process that ended is never reported", "[sim]") {
  open();
  write(0, 1);
  disk.kill();
  run();
  CHECK(reports.empty());
  CHECK(disk.jobs_count() == 0);
}

TEST_CASE("a crash of the store keeps the order of commits", "[sim]") {
  Timeline timeline;
  std::uint64_t reported = 0;
  Store store(timeline, Rng(3), [&](JobId, const Result<void>&) { ++reported; });
  const ShareId share{{1}};
  for (std::uint64_t i = 1; i <= 5; ++i) {
    store.save({JobId{i}, ProgressRecord{share, {}, {}, i, 0}});
  }
  store.crash();
  CHECK(reported == 0);
  const auto progress = store.saved().progress;
  CHECK(progress.size() <= 1);
  store.save({JobId{9}, ProgressRecord{share, {}, {}, 9, 0}});
  while (timeline.step()) {
  }
  CHECK(reported == 1);
  CHECK(store.saved().progress.at(0).downloaded == 9);
  store.save({JobId{10}, ShareRemoved{share}});
  while (timeline.step()) {
  }
  CHECK(store.saved().progress.empty());
}

}  // namespace
}  // namespace peernet::sim
