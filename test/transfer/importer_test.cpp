#include "transfer/importer.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/merkle.h"
#include "core/rng.h"
#include "test/support/support.h"

namespace peernet::transfer {
namespace {

using Stage = Importer::Stage;

constexpr Time kStart{std::chrono::minutes(1)};

// A disk of files in memory: keeps the effects it was given and carries one out when told to.
class ScriptedDisk {
 public:
  std::map<std::string, Bytes> files;  // below the top; "" for a single file
  std::set<std::string> executable;
  std::vector<LeftOut> left_out;
  std::vector<Hash> leaves;  // as written by HashRange
  std::optional<Error> open_error;
  std::map<std::uint32_t, Error> hash_errors;  // by file index
  bool is_open = false;
  bool is_deleted = false;
  bool is_synced = false;

  FileResult carry_out(const Effect& effect) {
    return std::visit(Overloaded{[this](const ListTree& list) { return this->list(list); },
                                 [this](const OpenStorage& open) { return this->open(open); },
                                 [this](const HashRange& range) { return this->hash(range); },
                                 [this](const Sync&) -> FileResult {
                                   PN_CHECK(is_open);
                                   is_synced = true;
                                   return FileOutcome(FileDone{});
                                 },
                                 [this](const DeleteStorage& drop) -> FileResult {
                                   PN_CHECK(is_open && !drop.is_data_deleted);
                                   is_open = false;
                                   is_deleted = true;
                                   return FileOutcome(FileDone{});
                                 },
                                 [](const auto&) -> FileResult {
                                   FAIL("an importer asks for nothing else");
                                   return Error{};
                                 }},
                      effect);
  }

 private:
  FileResult list(const ListTree& list) {
    CHECK(list.parent == "/home/ada");
    CHECK(list.entries_max == ManifestLimits{}.entries_max);
    TreeListed listed{.is_single_file = files.size() == 1 && files.contains(""),
                      .entries = {},
                      .left_out = left_out};
    for (const auto& [path, bytes] : files) {
      listed.entries.push_back({path, bytes.size(), executable.contains(path)});
    }
    return FileOutcome(std::move(listed));
  }

  FileResult open(const OpenStorage& open) {
    CHECK_FALSE(open.is_writable);
    CHECK(open.must_be_free.empty());
    CHECK(open.storage == StorageId{77});
    if (open_error) return *open_error;
    is_open = true;
    opened_ = open;
    leaves.resize(open.leaves_count);
    return FileOutcome(StorageOpened{});
  }

  FileResult hash(const HashRange& range) {
    PN_CHECK(is_open && range.parts.size() <= Importer::kPartsMax);
    const std::uint64_t piece_length = std::uint64_t{range.blocks_per_piece} * kBlockSize;
    RangeHashed hashed;
    std::uint64_t leaf_index = range.first_leaf;
    for (const FilePart& part : range.parts) {
      const auto error = hash_errors.find(part.file_index);
      if (error != hash_errors.end()) return error->second;
      const BytesView all = files.at(opened_.files.at(part.file_index).path);
      PN_CHECK(part.offset % piece_length == 0 && part.offset + part.size <= all.size());
      BytesView left = all.subspan(part.offset, part.size);
      while (!left.empty()) {
        BytesView piece = left.first(std::min<std::size_t>(piece_length, left.size()));
        left = left.subspan(piece.size());
        std::vector<Hash> piece_leaves;
        while (!piece.empty()) {
          const auto block = piece.first(std::min<std::size_t>(kBlockSize, piece.size()));
          piece = piece.subspan(block.size());
          piece_leaves.push_back(sha256(block));
          leaves.at(leaf_index++) = piece_leaves.back();
        }
        hashed.piece_nodes.push_back(
            merkle::piece_node(piece_leaves, range.blocks_per_piece, part.is_only_piece));
      }
    }
    return FileOutcome(std::move(hashed));
  }

  OpenStorage opened_;
};

JobId job_of(const Effect& effect) {
  return std::visit(
      [](const auto& one) -> JobId {
        if constexpr (requires { one.job; }) {
          return one.job;
        } else {
          return {};
        }
      },
      effect);
}

class ImporterTest {
 public:
  void begin() {
    importer.emplace(ImportId{1}, request, StorageId{77});
    importer->start(kStart, jobs, out);
  }
  // Carries out one of the effects that wait, the `index`-th.
  void answer(std::size_t index = 0) {
    PN_CHECK(index < out.size());
    const Effect effect = out[index];
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(index));
    auto result = disk.carry_out(effect);
    const bool is_own = importer->on_file(kStart, job_of(effect), std::move(result), jobs, out);
    REQUIRE(is_own);
  }
  void run() {
    begin();
    while (!out.empty()) answer();
    REQUIRE(importer->is_idle());
  }
  void make_files(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) disk.files[std::to_string(i)] = test::pattern(10);
  }
  void run_to(Stage stage) {
    begin();
    while (importer->stage() != stage) answer();
  }
  void fails(Errc code, const std::string& what) {
    run();
    REQUIRE(importer->stage() == Stage::failed);
    CHECK(importer->error().code == code);
    CHECK_THAT(importer->error().what, Catch::Contains(what));
    CHECK_FALSE(importer->error().hint.empty());
    CHECK_FALSE(disk.is_open);
  }

  AddRequest request{.parent = "/home/ada",
                     .name = "survey",
                     .piece_length = std::nullopt,
                     .allow_unportable = false,
                     .exclude = {}};
  ScriptedDisk disk;
  JobIds jobs{JobOwner::transfer};
  Effects out;
  std::optional<Importer> importer;
};

TEST_CASE_METHOD(ImporterTest, "a directory becomes a share whose hashes are those of its files",
                 "[transfer]") {
  disk.files["z"] = test::pattern(100, 1);
  disk.files["dir/large"] = test::pattern(5 * 65536 + 7, 2);
  disk.files["dir/empty"] = {};
  disk.files["dir.txt"] = test::pattern(65536, 3);
  disk.executable = {"z"};
  disk.left_out = {{"link", "symlink"}};
  run();

  REQUIRE(importer->stage() == Stage::done);
  CHECK(disk.is_synced);
  CHECK(disk.is_open);
  CHECK(importer->bytes_total() == 100 + 5 * 65536 + 7 + 65536);
  CHECK(importer->bytes_done() == importer->bytes_total());
  const auto outcome = importer->take_outcome();
  CHECK(outcome.storage == StorageId{77});
  CHECK_FALSE(outcome.is_single_file);
  REQUIRE(outcome.left_out.size() == 1);
  CHECK(outcome.left_out[0].path == "link");
  CHECK(outcome.manifest.name() == "survey");
  CHECK(outcome.manifest.piece_length() == 65536);

  // Everybody else finds the same: the manifest decodes, the layers belong to it, and the leaves
  // on disk belong to the layers.
  REQUIRE(Manifest::decode(outcome.manifest.encoded(), {}).has_value());
  const auto& files = outcome.manifest.files();
  REQUIRE(files.size() == 4);
  CHECK(files[0].path == "dir/empty");
  CHECK(files[1].path == "dir/large");
  CHECK(files[2].path == "dir.txt");
  CHECK((files[3].path == "z" && files[3].is_executable));
  const auto layers = PieceLayers::check(outcome.manifest, outcome.piece_layers);
  REQUIRE(layers.has_value());
  const Layout& layout = outcome.manifest.layout();
  CHECK(disk.leaves.size() == layout.leaves_count());
  for (std::uint32_t i = 0; i < layout.pieces_count(); ++i) {
    const Piece piece = layout.piece(i);
    const std::span<const Hash> leaves(disk.leaves);
    CHECK(layers->check_leaves(outcome.manifest, i,
                               leaves.subspan(piece.first_leaf, piece.blocks_count)));
  }
}

TEST_CASE_METHOD(ImporterTest, "a single file becomes a share of that name", "[transfer]") {
  request.name = "survey.tar";
  request.piece_length = kPieceLengthMin;
  disk.files[""] = test::pattern(3 * kPieceLengthMin, 9);
  run();

  REQUIRE(importer->stage() == Stage::done);
  const auto outcome = importer->take_outcome();
  CHECK(outcome.is_single_file);
  CHECK(outcome.manifest.is_single_file());
  CHECK(outcome.manifest.name() == "survey.tar");
  CHECK(outcome.piece_layers.size() == 3 * Hash::kSize);
  CHECK(PieceLayers::check(outcome.manifest, outcome.piece_layers).has_value());
}

TEST_CASE_METHOD(ImporterTest, "the share is the same in whatever order the hashes come back",
                 "[transfer]") {
  request.piece_length = 1U << 20U;
  disk.files["a"] = test::pattern(70U << 20U, 1);
  disk.files["b"] = test::pattern(1000, 2);
  run();
  REQUIRE(importer->stage() == Stage::done);
  const auto first = importer->take_outcome();
  const auto first_leaves = disk.leaves;

  Rng rng(5);
  disk.leaves.clear();
  begin();
  std::size_t running_most = 0;
  while (!out.empty()) {
    running_most = std::max(running_most, out.size());
    answer(rng.below(out.size()));
  }
  CHECK(running_most == Importer::kJobsMax);
  REQUIRE(importer->stage() == Stage::done);
  const auto second = importer->take_outcome();
  CHECK(second.manifest.id() == first.manifest.id());
  CHECK(second.piece_layers == first.piece_layers);
  CHECK(disk.leaves == first_leaves);
}

TEST_CASE_METHOD(ImporterTest, "ranges are whole pieces of up to 8 MiB, and eight run at a time",
                 "[transfer]") {
  request.piece_length = 1U << 20U;
  disk.files["a"] = Bytes((70U << 20U) + 5);
  run_to(Stage::hashing);
  REQUIRE(out.size() == Importer::kJobsMax);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto& range = std::get<HashRange>(out[i]);
    REQUIRE(range.parts.size() == 1);
    CHECK(range.parts[0].offset == i * Importer::kRangeSize);
    CHECK(range.parts[0].size == Importer::kRangeSize);
    CHECK_FALSE(range.parts[0].is_only_piece);
    CHECK(range.first_leaf == i * Importer::kRangeSize / kBlockSize);
    CHECK(range.blocks_per_piece == 64);
  }
  answer();
  CHECK(out.size() == Importer::kJobsMax);  // the ninth and last
  CHECK(std::get<HashRange>(out.back()).parts.at(0).size == (6U << 20U) + 5);
  CHECK(importer->bytes_done() == Importer::kRangeSize);
  answer();
  CHECK(out.size() == Importer::kJobsMax - 1);
}

TEST_CASE_METHOD(ImporterTest, "a piece longer than a range is hashed in one", "[transfer]") {
  request.piece_length = kPieceLengthMax;
  disk.files["a"] = Bytes(std::size_t{kPieceLengthMax} + 1);
  run_to(Stage::hashing);
  REQUIRE(out.size() == 2);
  CHECK(std::get<HashRange>(out[0]).parts.at(0).size == kPieceLengthMax);
  CHECK(std::get<HashRange>(out[1]).parts.at(0).size == 1);
}

TEST_CASE_METHOD(ImporterTest,
                 "small files go to the disk many in a job, up to 64 of them or 8 MiB",
                 "[transfer]") {
  for (std::size_t i = 0; i < 100; ++i) {
    disk.files["small/" + std::to_string(1000 + i)] =
        test::pattern(i % 3 * 100, static_cast<std::uint8_t>(i));
  }
  disk.files["tall"] = test::pattern((16U << 20U) + 5, 7);
  disk.files["top"] = test::pattern(1, 8);
  run_to(Stage::hashing);
  std::vector<std::size_t> counts;
  std::vector<std::uint64_t> sizes;
  for (const Effect& effect : out) {
    const auto& parts = std::get<HashRange>(effect).parts;
    counts.push_back(parts.size());
    sizes.push_back(0);
    for (const FilePart& part : parts) sizes.back() += part.size;
  }
  // Empty files have nothing to read: 66 of the 100 do. A part is whole pieces or ends its file.
  CHECK(counts == std::vector<std::size_t>{64, 3, 1, 2});
  CHECK(sizes[1] == 300 + (8U << 20U) - 65536);
  CHECK(sizes[2] == Importer::kRangeSize);
  while (!out.empty()) answer();
  REQUIRE(importer->stage() == Stage::done);
  CHECK(importer->bytes_done() == importer->bytes_total());
  const auto outcome = importer->take_outcome();
  const auto& files = outcome.manifest.files();
  for (std::size_t i = 1; i < 100; ++i) {
    if (files[i].size > 0) CHECK(files[i].pieces_root == sha256(disk.files[files[i].path]));
  }
  CHECK(PieceLayers::check(outcome.manifest, outcome.piece_layers).has_value());
}

TEST_CASE_METHOD(ImporterTest, "a name that is not safe or portable refuses the whole path",
                 "[transfer]") {
  disk.files["good"] = test::pattern(10);
  SECTION("unportable in a directory") {
    disk.files["dir/what?.txt"] = test::pattern(10);
    fails(Errc::refused, "dir/what?.txt");
    CHECK(std::get_if<OpenStorage>(out.data()) == nullptr);
  }
  SECTION("control characters") {
    disk.files["dir/\x1b[2J"] = test::pattern(10);
    fails(Errc::refused, "dir/\x1b[2J");
  }
  SECTION("not UTF-8") {
    disk.files["\xff"] = test::pattern(10);
    fails(Errc::refused, "UTF-8");
  }
  SECTION("two names that are one where case is folded") {
    disk.files["GOOD"] = test::pattern(10);
    fails(Errc::refused, "one name");
  }
  SECTION("the top itself") {
    request.name = "aux";
    fails(Errc::refused, "aux");
  }
  SECTION("too deep") {
    std::string path = "x";
    for (std::size_t i = 0; i < kPathDepthMax; ++i) path += "/x";
    disk.files[path] = test::pattern(10);
    fails(Errc::too_large, "64");
  }
}

TEST_CASE_METHOD(ImporterTest, "unportable names are taken when they are allowed", "[transfer]") {
  request.allow_unportable = true;
  request.name = "survey?";
  disk.files["dir/what?.txt"] = test::pattern(10);
  disk.files["a"] = test::pattern(10);
  disk.files["A"] = test::pattern(10);
  run();
  CHECK(importer->stage() == Stage::done);
}

TEST_CASE_METHOD(ImporterTest,
                 "what is excluded is not in the share, and is told: a directory once",
                 "[transfer]") {
  request.exclude = {".git", "*.tmp"};
  for (const char* path :
       {".git/HEAD", ".git/objects/00", "a", "b.tmp", "sub/.git/HEAD", "sub/c"}) {
    disk.files[path] = test::pattern(10);
  }
  disk.left_out = {{"link", "symlink"}};
  run();
  REQUIRE(importer->stage() == Stage::done);
  const auto outcome = importer->take_outcome();
  std::vector<std::string> names;
  for (const auto& file : outcome.manifest.files()) names.push_back(file.path);
  CHECK(names == std::vector<std::string>{"a", "sub/c"});
  std::vector<std::string> told;
  for (const LeftOut& left : outcome.left_out) told.push_back(left.path + ": " + left.reason);
  CHECK(told == std::vector<std::string>{"link: symlink", ".git: excluded by .git",
                                         "b.tmp: excluded by *.tmp", "sub/.git: excluded by .git"});
}

TEST_CASE_METHOD(ImporterTest, "to exclude everything is to share nothing", "[transfer]") {
  request.exclude = {"*"};
  disk.files["a"] = test::pattern(10);
  disk.files["b"] = test::pattern(10);
  fails(Errc::refused, "no byte");
  CHECK_THAT(importer->error().hint, Catch::Contains("excluded"));
}

TEST_CASE_METHOD(ImporterTest, "a path without a byte is refused", "[transfer]") {
  SECTION("nothing at all") {}
  SECTION("empty files") {
    disk.files["a"] = {};
  }
  SECTION("only what cannot be shared") {
    disk.left_out = {{"a", "symlink"}};
    fails(Errc::refused, "no byte");
    CHECK_THAT(importer->error().hint, Catch::Contains("symlinks"));
    return;
  }
  fails(Errc::refused, "no byte");
}

TEST_CASE_METHOD(ImporterTest, "a directory that holds only a file of its own name is refused",
                 "[transfer]") {
  disk.files["survey"] = test::pattern(10);
  fails(Errc::refused, "own name");
}

TEST_CASE_METHOD(ImporterTest, "a directory with one file of another name is a directory share",
                 "[transfer]") {
  disk.files["x"] = test::pattern(10);
  run();
  REQUIRE(importer->stage() == Stage::done);
  CHECK_FALSE(importer->take_outcome().is_single_file);
}

TEST_CASE_METHOD(ImporterTest, "a piece length is a power of two from 16 KiB to 16 MiB",
                 "[transfer]") {
  disk.files["x"] = test::pattern(10);
  for (const std::uint32_t length : {0U, 1U, 8192U, 16383U, 16385U, 49152U, (16U << 20U) + 1,
                                     32U << 20U, 1U << 31U, 0xffffffffU}) {
    request.piece_length = length;
    fails(Errc::refused, "piece length");
  }
  for (const std::uint32_t length : {kPieceLengthMin, 1U << 20U, kPieceLengthMax}) {
    request.piece_length = length;
    run();
    REQUIRE(importer->stage() == Stage::done);
    CHECK(importer->take_outcome().manifest.piece_length() == length);
  }
}

TEST_CASE("more than 2^53 bytes, or more files than a manifest may have, are refused",
          "[transfer]") {
  const auto listed_as = [](std::vector<TreeEntry> entries) {
    JobIds jobs(JobOwner::transfer);
    Effects out;
    Importer importer(
        ImportId{1},
        {.parent = "/", .name = "x", .piece_length = {}, .allow_unportable = false, .exclude = {}},
        StorageId{1});
    importer.start(kStart, jobs, out);
    const JobId job = std::get<ListTree>(out.front()).job;
    out.clear();
    importer.on_file(kStart, job,
                     FileOutcome(TreeListed{
                         .is_single_file = false, .entries = std::move(entries), .left_out = {}}),
                     jobs, out);
    return importer.stage() == Stage::failed ? importer.error().code : Errc::io;
  };
  CHECK(listed_as({{"a", kShareSizeMax, false}, {"b", 1, false}}) == Errc::too_large);
  CHECK(listed_as({{"a", ~std::uint64_t{0}, false}, {"b", 2, false}}) == Errc::too_large);
  CHECK(listed_as({{"a", 1U << 31U, false}, {"b", 2, false}}) == Errc::io);

  std::vector<TreeEntry> many;
  for (std::uint32_t i = 0; i < ManifestLimits{}.entries_max; ++i) {
    many.push_back({std::to_string(i), 1, false});
  }
  CHECK(listed_as(many) == Errc::io);
  many.push_back({"one more", 1, false});
  CHECK(listed_as(many) == Errc::too_large);
}

TEST_CASE_METHOD(ImporterTest, "a file that changes while it is read is named", "[transfer]") {
  disk.files["a"] = test::pattern(10);
  disk.files["dir/b"] = test::pattern(10);
  SECTION("while it is hashed") {
    disk.hash_errors[1] = {Errc::corrupt, "dir/b is not what it was", ""};
    fails(Errc::corrupt, "\"survey\" changed while it was read: dir/b is not what it was");
    CHECK(disk.is_deleted);
  }
  SECTION("between list and open") {
    disk.open_error = {Errc::corrupt, "dir/b has another size", ""};
    fails(Errc::corrupt, "changed while it was read: dir/b has another size");
    CHECK_FALSE(disk.is_deleted);  // there was nothing to delete
  }
}

TEST_CASE_METHOD(ImporterTest, "what the disk says is what the import says", "[transfer]") {
  disk.files["a"] = test::pattern(10);
  SECTION("at the list") {
    begin();
    const JobId job = job_of(out.front());
    out.clear();
    CHECK(importer->on_file(kStart, job, Error{Errc::not_found, "no such path", "look again"}, jobs,
                            out));
    CHECK(out.empty());
    CHECK(importer->error().code == Errc::not_found);
    CHECK(importer->error().what == "no such path");
    CHECK(importer->is_idle());
  }
  SECTION("at a hash") {
    disk.hash_errors[0] = {Errc::io, "cannot read", "check the disk"};
    run();
    CHECK(importer->error().code == Errc::io);
    CHECK(disk.is_deleted);
  }
}

TEST_CASE_METHOD(ImporterTest, "after a failure the storage goes when the last job has reported",
                 "[transfer]") {
  make_files(2 * Importer::kPartsMax + 1);  // three jobs
  disk.hash_errors[0] = {Errc::io, "cannot read", ""};
  run_to(Stage::hashing);
  REQUIRE(out.size() == 3);
  answer();
  CHECK(importer->stage() == Stage::failed);
  CHECK_FALSE(importer->is_idle());
  REQUIRE(out.size() == 2);  // nothing new was begun
  answer();
  answer();
  REQUIRE(out.size() == 1);
  CHECK(std::get<DeleteStorage>(out.front()).storage == StorageId{77});
  CHECK_FALSE(std::get<DeleteStorage>(out.front()).is_data_deleted);
  CHECK_FALSE(importer->is_idle());
  answer();
  CHECK(importer->is_idle());
  CHECK(disk.is_deleted);
}

TEST_CASE_METHOD(ImporterTest, "an import can be cancelled at every step", "[transfer]") {
  make_files(2 * Importer::kPartsMax + 1);  // three jobs
  bool was_done = false;
  for (int steps = 0; !was_done; ++steps) {
    disk.is_open = false;
    out.clear();
    begin();
    for (int i = 0; i < steps; ++i) answer();
    was_done = importer->stage() == Stage::done;
    importer->cancel(jobs, out);
    if (was_done) break;
    CHECK(importer->stage() == Stage::cancelled);
    CHECK(importer->error().code == Errc::cancelled);
    while (!out.empty()) answer();
    CHECK(importer->is_idle());
    CHECK_FALSE(disk.is_open);
    CHECK(importer->stage() == Stage::cancelled);
  }
  CHECK(importer->stage() == Stage::done);
  CHECK(disk.is_open);
}

TEST_CASE_METHOD(ImporterTest, "jobs of others are not taken", "[transfer]") {
  disk.files["a"] = test::pattern(10);
  begin();
  const auto before = out.size();
  CHECK_FALSE(importer->on_file(kStart, JobId{12345}, FileOutcome(FileDone{}), jobs, out));
  CHECK(out.size() == before);
  CHECK(importer->stage() == Stage::listing);
}

TEST_CASE_METHOD(ImporterTest,
                 "a hundred thousand small files are imported with few jobs at a time",
                 "[transfer]") {
  const std::uint32_t count = 100'000;
  for (std::uint32_t i = 0; i < count; ++i) {
    disk.files["d" + std::to_string(i % 100) + "/" + std::to_string(i)] = test::pattern(20);
  }
  begin();
  std::size_t running_most = 0;
  // The oldest first, without moving all the others each time.
  while (!out.empty()) {
    running_most = std::max(running_most, out.size());
    std::swap(out.front(), out.back());
    answer(out.size() - 1);
  }
  REQUIRE(importer->stage() == Stage::done);
  CHECK(running_most == Importer::kJobsMax);
  const auto outcome = importer->take_outcome();
  CHECK(outcome.manifest.files().size() == count);
  CHECK(outcome.piece_layers.empty());
}

}  // namespace
}  // namespace peernet::transfer
