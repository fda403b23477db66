#include "daemon/store.h"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <string>
#include <vector>

#include "test/daemon/temp.h"
#include "test/support/support.h"

namespace peernet::daemon {
namespace {

using test::pattern;
using test::tagged;
using test::TempDirectory;

ShareRecord share(std::uint64_t number) {
  ShareRecord record;
  record.id = tagged<ShareId>(number);
  record.storage = StorageId{0xfedcba9876543210 + number};
  record.stage = ShareStage::finishing;
  record.is_paused = true;
  record.parent = "/home/someone";
  record.name = "odd \xff name";
  record.manifest = pattern(1000);
  record.piece_layers = pattern(640, 2);
  record.hints = {Endpoint::v4(0x01020304, 5), *Endpoint::parse("[2001:db8::1]:7341")};
  record.added.unix_ms = 1'700'000'000'123;
  record.completed.unix_ms = 4;
  return record;
}

PeerRecord peer(std::uint64_t number) {
  PeerRecord record;
  record.id = tagged<PeerId>(number);
  record.endpoint = Endpoint::v4(static_cast<std::uint32_t>(number), 7341);
  record.downloaded = 10;
  record.uploaded = UINT64_MAX;
  record.seen.unix_ms = static_cast<std::int64_t>(number);
  return record;
}

Saved load(const std::string& path) {
  auto store = Store::open(path);
  INFO((store ? std::string() : store.error().what));
  REQUIRE(store);
  auto saved = store->load();
  INFO((saved ? std::string() : saved.error().what));
  REQUIRE(saved);
  return *std::move(saved);
}

void save(const std::string& path, const std::vector<Record>& records) {
  auto store = Store::open(path);
  REQUIRE(store);
  const auto saved = store->save(records);
  INFO((saved ? std::string() : saved.error().what));
  REQUIRE(saved);
}

void run_sql(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  char* words = nullptr;
  sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &words);
  INFO((words == nullptr ? "" : words));
  CHECK(words == nullptr);
  sqlite3_free(words);
  sqlite3_close(database);
}

}  // namespace

TEST_CASE("a new store is empty and stays so", "[daemon]") {
  TempDirectory dir;
  for (int i = 0; i < 2; ++i) {
    const Saved saved = load(dir / "state.db");
    CHECK(saved.shares.empty());
    CHECK(saved.progress.empty());
    CHECK(saved.dht.nodes.empty());
    CHECK(saved.peers.empty());
  }
}

TEST_CASE("every record comes back as it was saved", "[daemon]") {
  TempDirectory dir;
  DhtRecord dht{tagged<DhtId>(9), {{tagged<DhtId>(1), Endpoint::v4(7, 8)}}};
  save(dir / "state.db",
       {share(2), share(1),
        ProgressRecord{tagged<ShareId>(1), pattern(5), pattern(9), 7, UINT64_MAX}, dht, peer(3)});

  const Saved saved = load(dir / "state.db");

  REQUIRE(saved.shares.size() == 2);  // in the order they were added
  const ShareRecord expected = share(2);
  const ShareRecord& first = saved.shares[0];
  CHECK(first.id == expected.id);
  CHECK(first.storage == expected.storage);
  CHECK(first.stage == expected.stage);
  CHECK(first.is_paused);
  CHECK(first.parent == expected.parent);
  CHECK(first.name == expected.name);
  CHECK(first.manifest == expected.manifest);
  CHECK(first.piece_layers == expected.piece_layers);
  CHECK(first.hints == expected.hints);
  CHECK(first.added == expected.added);
  CHECK(first.completed == expected.completed);
  REQUIRE(saved.progress.size() == 1);
  CHECK(saved.progress[0].durable == pattern(5));
  CHECK(saved.progress[0].parts == pattern(9));
  CHECK(saved.progress[0].downloaded == 7);
  CHECK(saved.progress[0].uploaded == static_cast<std::uint64_t>(INT64_MAX));
  CHECK(saved.dht.id == dht.id);
  REQUIRE(saved.dht.nodes.size() == 1);
  CHECK(saved.dht.nodes[0].endpoint == Endpoint::v4(7, 8));
  REQUIRE(saved.peers.size() == 1);
  CHECK(saved.peers[0].id == peer(3).id);
  CHECK(saved.peers[0].endpoint == peer(3).endpoint);
}

TEST_CASE("the newest record of a key counts, and the order of shares stays", "[daemon]") {
  TempDirectory dir;
  save(dir / "state.db", {share(1), share(2)});
  ShareRecord changed = share(1);
  changed.stage = ShareStage::complete;
  changed.is_paused = false;
  changed.manifest = pattern(10, 9);
  changed.hints.clear();
  save(dir / "state.db", {changed, ProgressRecord{changed.id, pattern(1), {}, 1, 1},
                          ProgressRecord{changed.id, pattern(2), {}, 2, 2}});

  const Saved saved = load(dir / "state.db");
  REQUIRE(saved.shares.size() == 2);
  CHECK(saved.shares[0].id == changed.id);
  CHECK(saved.shares[0].stage == ShareStage::complete);
  CHECK_FALSE(saved.shares[0].is_paused);
  CHECK(saved.shares[0].manifest == changed.manifest);
  CHECK(saved.shares[0].hints.empty());
  CHECK(saved.shares[1].hints.size() == 2);
  REQUIRE(saved.progress.size() == 1);
  CHECK(saved.progress[0].downloaded == 2);
}

TEST_CASE("a removed share leaves nothing", "[daemon]") {
  TempDirectory dir;
  save(dir / "state.db", {share(1), ProgressRecord{share(1).id, pattern(1), {}, 1, 1}});
  save(dir / "state.db", {ShareRemoved{share(1).id}});
  const Saved saved = load(dir / "state.db");
  CHECK(saved.shares.empty());
  CHECK(saved.progress.empty());
}

TEST_CASE("the newest peers are kept and the oldest forgotten", "[daemon]") {
  TempDirectory dir;
  std::vector<Record> records;
  for (std::uint64_t i = 1; i <= kPeersKeptMax; ++i) records.push_back(peer(i));
  save(dir / "state.db", records);
  CHECK(load(dir / "state.db").peers.size() == kPeersKeptMax);
  save(dir / "state.db", {peer(kPeersKeptMax + 1)});

  const Saved saved = load(dir / "state.db");
  REQUIRE(saved.peers.size() == kPeersKeptMax);
  CHECK(saved.peers.front().id == peer(kPeersKeptMax + 1).id);
  CHECK(saved.peers.back().id == peer(2).id);
}

TEST_CASE("no more DHT nodes are kept than are allowed", "[daemon]") {
  TempDirectory dir;
  DhtRecord record;
  for (std::uint64_t i = 0; i <= kDhtNodesKeptMax; ++i) {
    record.nodes.push_back({tagged<DhtId>(i), Endpoint::v4(1, 1)});
  }
  save(dir / "state.db", {record});
  const Saved saved = load(dir / "state.db");
  REQUIRE(saved.dht.nodes.size() == kDhtNodesKeptMax);
  CHECK(saved.dht.nodes.front().id == tagged<DhtId>(0));
}

TEST_CASE("bans by hand and the limits of a share are kept, and lifted bans are not", "[daemon]") {
  TempDirectory dir;
  const std::string path = dir / "state.db";
  ShareRecord limited = share(1);
  limited.limit_down = 1'000'000;
  const BanRecord for_good{tagged<PeerId>(1), {}, false};
  const BanRecord for_a_time{tagged<PeerId>(2), {1'700'000'000'000}, false};
  save(path, {limited, for_good, for_a_time});

  Saved saved = load(path);
  REQUIRE(saved.shares.size() == 1);
  CHECK(saved.shares[0].limit_down == 1'000'000U);
  CHECK_FALSE(saved.shares[0].limit_up.has_value());
  REQUIRE(saved.bans.size() == 2);
  CHECK(saved.bans[0].until.unix_ms + saved.bans[1].until.unix_ms == 1'700'000'000'000);

  save(path, {BanRecord{tagged<PeerId>(1), {}, true}});
  saved = load(path);
  REQUIRE(saved.bans.size() == 1);
  CHECK(saved.bans[0].id == tagged<PeerId>(2));
}

TEST_CASE("a store of version 1 becomes one of today, and a copy of it stays", "[daemon]") {
  TempDirectory dir;
  const std::string path = dir / "state.db";
  save(path, {share(1), peer(1)});
  run_sql(
      path,
      "ALTER TABLE peers DROP COLUMN uploaded; DROP TABLE bans; DROP TABLE selections; ALTER TABLE "
      "shares DROP COLUMN "
      "limit_up; ALTER TABLE shares DROP COLUMN limit_down; ALTER TABLE progress DROP COLUMN "
      "parts; UPDATE meta SET value = 1 WHERE key "
      "= 'schema_version'");

  const Saved saved = load(path);
  CHECK(saved.shares.size() == 1);
  REQUIRE(saved.peers.size() == 1);
  CHECK(saved.peers[0].downloaded == 10);
  CHECK(saved.peers[0].uploaded == 0);

  const std::string copy = path + ".bak-v1";
  CHECK(test::mode_of(copy) == 0600);
  run_sql(copy, "UPDATE meta SET value = value WHERE key = 'schema_version' AND value = 1");
  save(path, {peer(1)});
  CHECK(load(path).peers[0].uploaded == static_cast<std::uint64_t>(INT64_MAX));
}

TEST_CASE("a store of version 3 wants everything of its shares, and can want less", "[daemon]") {
  TempDirectory dir;
  const std::string path = dir / "state.db";
  save(path, {share(1)});
  run_sql(path,
          "DROP TABLE selections; ALTER TABLE progress DROP COLUMN parts; "
          "UPDATE meta SET value = 3 WHERE key = 'schema_version'");
  CHECK(load(path).shares.at(0).selections.empty());
  CHECK(test::mode_of(path + ".bak-v3") == 0600);

  ShareRecord some = share(2);
  some.stage = ShareStage::extending;
  some.selections = {{{"docs", "*.pdf"}, {}}, {{}, {"odd \xff name"}}, {{"a"}, {"b"}}};
  save(path, {some});
  CHECK(load(path).shares.at(1).selections == some.selections);
  CHECK(load(path).shares.at(1).stage == ShareStage::extending);
  some.selections.clear();
  save(path, {some});
  CHECK(load(path).shares.at(1).selections.empty());
}

TEST_CASE("a store of version 4 keeps the pieces it had, and can keep parts of others",
          "[daemon]") {
  TempDirectory dir;
  const std::string path = dir / "state.db";
  const ProgressRecord progress{share(1).id, pattern(5), pattern(9), 7, 8};
  save(path, {share(1), progress});
  run_sql(path,
          "ALTER TABLE progress DROP COLUMN parts; "
          "UPDATE meta SET value = 4 WHERE key = 'schema_version'");
  const Saved saved = load(path);
  REQUIRE(saved.progress.size() == 1);
  CHECK(saved.progress[0].durable == pattern(5));
  CHECK(saved.progress[0].parts.empty());
  CHECK(saved.progress[0].downloaded == 7);
  CHECK(test::mode_of(path + ".bak-v4") == 0600);

  save(path, {progress});
  CHECK(load(path).progress.at(0).parts == pattern(9));
}

TEST_CASE("a migration that fails changes nothing", "[daemon]") {
  TempDirectory dir;
  const std::string path = dir / "state.db";
  save(path, {peer(1)});
  // It says version 1 but has the column already: the migration cannot run.
  run_sql(path, "UPDATE meta SET value = 1 WHERE key = 'schema_version'");
  CHECK_FALSE(Store::open(path));
  CHECK_FALSE(Store::open(path));
  run_sql(path, "UPDATE meta SET value = 5 WHERE key = 'schema_version' AND value = 1");
  CHECK(load(path).peers.size() == 1);
}

TEST_CASE("a store of a newer version is refused and not touched", "[daemon]") {
  TempDirectory dir;
  const std::string path = dir / "state.db";
  save(path, {share(1)});
  run_sql(path, "UPDATE meta SET value = 6 WHERE key = 'schema_version'");
  const std::string before = test::read_file(path);

  const auto store = Store::open(path);
  REQUIRE_FALSE(store);
  CHECK(store.error().code == Errc::refused);
  CHECK_FALSE(store.error().hint.empty());
  CHECK(test::read_file(path) == before);
}

TEST_CASE("a damaged or foreign file is refused with a hint and not touched", "[daemon]") {
  TempDirectory dir;
  const std::string path = dir / "state.db";
  SECTION("no database at all") {
    test::write_file(path, pattern(20'000));
  }
  SECTION("pages overwritten") {
    std::vector<Record> records;
    for (std::uint64_t i = 0; i < 50; ++i) records.push_back(share(i));
    save(path, records);
    std::string bytes = test::read_file(path);
    REQUIRE(bytes.size() > 30'000);
    bytes.replace(8192, 8192, std::string(8192, '\x55'));
    test::write_file(path, bytes);
  }
  SECTION("another program's database") {
    run_sql(path, "CREATE TABLE songs(name)");
  }
  SECTION("no version") {
    run_sql(path, "CREATE TABLE meta(key, value)");
  }
  const std::string before = test::read_file(path);

  const auto store = Store::open(path);
  REQUIRE_FALSE(store);
  CHECK(store.error().code == Errc::corrupt);
  CHECK_FALSE(store.error().hint.empty());
  CHECK(test::read_file(path) == before);
}

TEST_CASE("a value that cannot be is an error and not a share", "[daemon]") {
  TempDirectory dir;
  const std::string path = dir / "state.db";
  save(path, {share(1)});
  const std::string change = GENERATE("stage = 'flying'", "id = x'00'", "storage = 'zz'");
  run_sql(path, "PRAGMA foreign_keys=OFF; UPDATE shares SET " + change);
  auto store = Store::open(path);
  REQUIRE(store);
  CHECK(store->load().error().code == Errc::corrupt);
}

TEST_CASE("people can look inside while it is in use", "[daemon]") {
  TempDirectory dir;
  auto store = Store::open(dir / "state.db");
  REQUIRE(store);
  const std::vector<Record> records{share(1)};
  REQUIRE(store->save(records));
  sqlite3* reader = nullptr;
  REQUIRE(sqlite3_open_v2((dir / "state.db").c_str(), &reader, SQLITE_OPEN_READONLY, nullptr) ==
          SQLITE_OK);
  sqlite3_stmt* rows = nullptr;
  REQUIRE(sqlite3_prepare_v2(reader, "SELECT storage, stage FROM shares", -1, &rows, nullptr) ==
          SQLITE_OK);
  REQUIRE(sqlite3_step(rows) == SQLITE_ROW);
  CHECK(std::string(reinterpret_cast<const char*>(sqlite3_column_text(rows, 0))) ==
        "fedcba9876543211");
  sqlite3_finalize(rows);
  sqlite3_close(reader);
}

}  // namespace peernet::daemon
