#include "daemon/store.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "core/check.h"

namespace peernet::daemon {
namespace {

constexpr int kBusyTimeoutMs = 5000;

constexpr const char* kCreate = R"(
  CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE shares(
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they were added
    id BLOB NOT NULL UNIQUE, storage TEXT NOT NULL, stage TEXT NOT NULL, is_paused INTEGER NOT NULL,
    parent BLOB NOT NULL, name BLOB NOT NULL, added_ms INTEGER NOT NULL, completed_ms INTEGER NOT NULL,
    limit_up INTEGER, limit_down INTEGER);
  CREATE TABLE manifests(
    share BLOB PRIMARY KEY REFERENCES shares(id) ON DELETE CASCADE,
    manifest BLOB NOT NULL, piece_layers BLOB NOT NULL);
  CREATE TABLE hints(
    share BLOB NOT NULL REFERENCES shares(id) ON DELETE CASCADE,
    position INTEGER NOT NULL, endpoint TEXT NOT NULL, PRIMARY KEY(share, position)) WITHOUT ROWID;
  CREATE TABLE selections(  -- what is wanted of a share, if not everything
    share BLOB NOT NULL REFERENCES shares(id) ON DELETE CASCADE,
    selection INTEGER NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL, glob BLOB NOT NULL,
    PRIMARY KEY(share, selection, position)) WITHOUT ROWID;
  CREATE TABLE progress(
    share BLOB PRIMARY KEY, durable BLOB NOT NULL,
    downloaded INTEGER NOT NULL, uploaded INTEGER NOT NULL);
  CREATE TABLE dht_nodes(
    position INTEGER PRIMARY KEY, id BLOB NOT NULL, endpoint TEXT NOT NULL);
  CREATE TABLE peers(
    id BLOB PRIMARY KEY, endpoint TEXT NOT NULL, downloaded INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL, uploaded INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX peers_by_seen ON peers(seen_ms);
  CREATE TABLE bans(id BLOB PRIMARY KEY, until_ms INTEGER NOT NULL);
  INSERT INTO meta VALUES('schema_version', 4);
)";

// kMigrations[n - 1] makes version n + 1 of version n.
constexpr const char* kMigrations[] = {
    "ALTER TABLE peers ADD COLUMN uploaded INTEGER NOT NULL DEFAULT 0;"
    "UPDATE meta SET value = 2 WHERE key = 'schema_version';",
    "ALTER TABLE shares ADD COLUMN limit_up INTEGER;"
    "ALTER TABLE shares ADD COLUMN limit_down INTEGER;"
    "CREATE TABLE bans(id BLOB PRIMARY KEY, until_ms INTEGER NOT NULL);"
    "UPDATE meta SET value = 3 WHERE key = 'schema_version';",
    "CREATE TABLE selections(share BLOB NOT NULL REFERENCES shares(id) ON DELETE CASCADE,"
    "selection INTEGER NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL, glob BLOB NOT NULL,"
    "PRIMARY KEY(share, selection, position)) WITHOUT ROWID;"
    "UPDATE meta SET value = 4 WHERE key = 'schema_version';",
};
static_assert(std::size(kMigrations) == Store::kVersion - 1);

// SQLite's integers are signed: a count beyond them is kept as the largest.
std::int64_t to_signed(std::uint64_t value) {
  constexpr auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(value, max));
}
std::uint64_t to_unsigned(std::int64_t value) {
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

// A StorageId as in the names of the leaf files: 16 hex digits.
std::string storage_text(StorageId id) {
  const auto number = static_cast<std::uint64_t>(id);
  Bytes bytes;
  for (unsigned shift = 64; shift > 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(number >> (shift - 8)));
  }
  return to_hex(bytes);
}
std::optional<StorageId> parse_storage(std::string_view text) {
  auto bytes = from_hex(text);
  if (!bytes || bytes->size() != sizeof(std::uint64_t)) return std::nullopt;
  std::uint64_t number = 0;
  for (const std::uint8_t byte : *bytes) number = number << 8U | byte;
  return StorageId{number};
}

std::string_view stage_text(ShareStage stage) {
  switch (stage) {
    case ShareStage::fetching: return "fetching";
    case ShareStage::finishing: return "finishing";
    case ShareStage::complete: return "complete";
    case ShareStage::extending: return "extending";
  }
  return "";
}
std::optional<ShareStage> parse_stage(std::string_view text) {
  for (auto stage :
       {ShareStage::fetching, ShareStage::finishing, ShareStage::complete, ShareStage::extending}) {
    if (stage_text(stage) == text) return stage;
  }
  return std::nullopt;
}

Errc errc_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT: return Errc::corrupt;
    case SQLITE_FULL: return Errc::no_space;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN: return Errc::denied;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Errc::timed_out;
    default: return Errc::io;
  }
}

// One statement with its values, bound and read in order.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) {
    code_ = sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  Statement& bind(std::int64_t value) {
    return note(sqlite3_bind_int64(statement_, ++bound_, value));
  }
  // Nothing is NULL.
  Statement& bind(std::optional<std::uint64_t> value) {
    if (value) return bind(to_signed(*value));
    return note(sqlite3_bind_null(statement_, ++bound_));
  }
  Statement& bind(std::string_view text) {
    return note(
        sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), nullptr, SQLITE_UTF8));
  }
  // The value lives until the statement has run. An empty one is an empty blob and not NULL.
  Statement& bind(BytesView bytes) {
    const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
    return note(sqlite3_bind_blob64(statement_, ++bound_, data, bytes.size(), nullptr));
  }

  // True while there is a row.
  bool next() {
    read_ = 0;
    if (code_ != SQLITE_OK) return false;
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) code_ = code;
    return false;
  }
  bool run() {
    while (next()) {
    }
    return is_ok();
  }
  bool is_ok() const { return code_ == SQLITE_OK; }

  std::int64_t read_integer() { return sqlite3_column_int64(statement_, read_++); }
  std::optional<std::uint64_t> read_count() {
    const int column = read_++;
    if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
    return to_unsigned(sqlite3_column_int64(statement_, column));
  }
  BytesView read_bytes() {
    const int column = read_++;
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return data == nullptr ? BytesView() : BytesView(data, size);
  }
  std::string read_text() { return std::string(as_text(read_bytes())); }

 private:
  Statement& note(int code) {
    if (code_ == SQLITE_OK) code_ = code;
    return *this;
  }

  sqlite3_stmt* statement_ = nullptr;
  int code_ = SQLITE_OK;
  int bound_ = 0;
  int read_ = 0;
};

}  // namespace

void Store::Closer::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

// ---- Opening
// ------------------------------------------------------------------------------------

Result<Store> Store::open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Store store(Database(raw), path);
  if (raw == nullptr) return Error{Errc::io, "cannot open " + path + ": out of memory", ""};
  if (code != SQLITE_OK) return store.last_error("cannot open");
  auto prepared = store.prepare();
  if (!prepared) return prepared.error();
  return store;
}

Result<void> Store::prepare() {
  sqlite3_extended_result_codes(database_.get(), 1);
  sqlite3_busy_timeout(database_.get(), kBusyTimeoutMs);
  // Nothing here writes to the file until its version is known and good.
  auto set = run("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA foreign_keys=ON;");
  if (!set) return set;
  auto version = read_version();
  if (!version) return version.error();
  if (*version > kVersion) {
    return Error{Errc::refused,
                 path_ + " was written by a newer peernetd (version " + std::to_string(*version) +
                     ", this one knows " + std::to_string(kVersion) + ")",
                 "run the newer peernetd, or use another state directory"};
  }
  set = run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
  if (!set) return set;
  if (*version == 0) {
    auto created = run((std::string("BEGIN IMMEDIATE;") + kCreate + "COMMIT;").c_str());
    if (!created) sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    return created;
  }
  if (*version < kVersion) return migrate(*version);
  return {};
}

// 0 for an empty file. Errors: corrupt, for a damaged file or one that is not ours.
Result<int> Store::read_version() {
  Statement check(database_.get(), "PRAGMA quick_check(1)");
  while (check.next()) {
    const std::string word = check.read_text();
    if (word != "ok") return damaged(word);
  }
  if (!check.is_ok()) return last_error("cannot read");
  Statement tables(database_.get(), "SELECT count(*), sum(name = 'meta') FROM sqlite_schema");
  if (!tables.next()) return last_error("cannot read");
  if (tables.read_integer() == 0) return 0;
  if (tables.read_integer() == 0) return damaged("it is not a state file of peernetd");
  Statement version(database_.get(), "SELECT value FROM meta WHERE key = 'schema_version'");
  if (!version.next()) {
    return version.is_ok() ? damaged("it says no version") : last_error("cannot read");
  }
  const std::int64_t number = version.read_integer();
  if (number < 1 || number > std::numeric_limits<int>::max()) {
    return damaged("it says no version");
  }
  return static_cast<int>(number);
}

Result<void> Store::migrate(int from) {
  auto kept = keep_copy(from);
  if (!kept) return kept;
  std::string sql = "BEGIN IMMEDIATE;";
  for (int version = from; version < kVersion; ++version) {
    sql += kMigrations[static_cast<std::size_t>(version - 1)];
  }
  sql += "COMMIT;";
  auto migrated = run(sql.c_str());
  if (!migrated) sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  return migrated;
}

Result<void> Store::keep_copy(int version) {
  const std::string copy = path_ + ".bak-v" + std::to_string(version);
  const std::string fresh = copy + ".new";
  unlink(fresh.c_str());
  Statement vacuum(database_.get(), "VACUUM INTO ?");
  if (!vacuum.bind(std::string_view(fresh)).run()) return last_error("cannot copy before a change");
  if (chmod(fresh.c_str(), S_IRUSR | S_IWUSR) != 0 || rename(fresh.c_str(), copy.c_str()) != 0) {
    return Error{Errc::io, "cannot name the copy " + copy, ""};
  }
  return {};
}

Result<void> Store::run(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return last_error("cannot use");
}

Error Store::last_error(const std::string& what) const {
  const int code = sqlite3_extended_errcode(database_.get());
  const std::string words = sqlite3_errmsg(database_.get());
  if (errc_of(code) == Errc::corrupt) return damaged(words);
  return {errc_of(code), what + " " + path_ + ": " + words, ""};
}

Error Store::damaged(const std::string& what) const {
  return {Errc::corrupt, path_ + " is damaged: " + what,
          "it was left as it is; move it away (or put a copy of it back) and start again: shares "
          "can be added again in place"};
}

// ---- Saving
// -------------------------------------------------------------------------------------

Result<void> Store::save(std::span<const Record> records) {
  auto result = run("BEGIN IMMEDIATE");
  if (!result) return result;
  for (const Record& record : records) {
    result = save_one(record);
    if (!result) break;
  }
  const bool is_peer_saved = std::any_of(records.begin(), records.end(), [](const Record& record) {
    return std::holds_alternative<PeerRecord>(record);
  });
  if (result && is_peer_saved) result = forget_old_peers();
  if (result) result = run("COMMIT");
  if (!result) sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  return result;
}

Result<void> Store::save_one(const Record& record) {
  if (const auto* share = std::get_if<ShareRecord>(&record)) return save_share(*share);
  if (const auto* progress = std::get_if<ProgressRecord>(&record)) return save_progress(*progress);
  if (const auto* removed = std::get_if<ShareRemoved>(&record)) return save_removal(*removed);
  if (const auto* dht = std::get_if<DhtRecord>(&record)) return save_dht(*dht);
  if (const auto* ban = std::get_if<BanRecord>(&record)) return save_ban(*ban);
  return save_peer(std::get<PeerRecord>(record));
}

Result<void> Store::save_share(const ShareRecord& record) {
  const std::string storage = storage_text(record.storage);
  Statement share(database_.get(),
                  "INSERT INTO shares(id, storage, stage, is_paused, parent, name, added_ms, "
                  "completed_ms, limit_up, limit_down) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON "
                  "CONFLICT(id) DO UPDATE SET "
                  "storage = excluded.storage, stage = excluded.stage, is_paused = "
                  "excluded.is_paused, parent = excluded.parent, name = excluded.name, added_ms = "
                  "excluded.added_ms, completed_ms = excluded.completed_ms, limit_up = "
                  "excluded.limit_up, limit_down = excluded.limit_down");
  share.bind(record.id.view()).bind(std::string_view(storage)).bind(stage_text(record.stage));
  share.bind(std::int64_t{record.is_paused}).bind(as_bytes(record.parent));
  share.bind(as_bytes(record.name)).bind(record.added.unix_ms).bind(record.completed.unix_ms);
  share.bind(record.limit_up).bind(record.limit_down);
  if (!share.run()) return last_error("cannot save a share in");

  // Large and almost never changed: written only when it differs.
  Statement manifest(database_.get(),
                     "INSERT INTO manifests VALUES(?, ?, ?) ON CONFLICT(share) DO UPDATE SET "
                     "manifest = excluded.manifest, piece_layers = excluded.piece_layers WHERE "
                     "manifest <> excluded.manifest OR piece_layers <> excluded.piece_layers");
  manifest.bind(record.id.view()).bind(BytesView(record.manifest));
  if (!manifest.bind(BytesView(record.piece_layers)).run()) {
    return last_error("cannot save a manifest in");
  }

  Statement old(database_.get(), "DELETE FROM hints WHERE share = ?");
  if (!old.bind(record.id.view()).run()) return last_error("cannot save hints in");
  for (std::size_t i = 0; i < record.hints.size(); ++i) {
    const std::string endpoint = record.hints[i].to_string();
    Statement hint(database_.get(), "INSERT INTO hints VALUES(?, ?, ?)");
    hint.bind(record.id.view()).bind(static_cast<std::int64_t>(i));
    if (!hint.bind(std::string_view(endpoint)).run()) return last_error("cannot save hints in");
  }
  return save_selections(record);
}

Result<void> Store::save_selections(const ShareRecord& record) {
  Statement old(database_.get(), "DELETE FROM selections WHERE share = ?");
  bool is_good = old.bind(record.id.view()).run();
  for (std::size_t i = 0; i < record.selections.size(); ++i) {
    std::int64_t position = 0;
    const auto save_globs = [&](const std::vector<std::string>& globs, std::string_view kind) {
      for (const std::string& glob : globs) {
        Statement row(database_.get(), "INSERT INTO selections VALUES(?, ?, ?, ?, ?)");
        row.bind(record.id.view()).bind(static_cast<std::int64_t>(i)).bind(position++);
        is_good = row.bind(kind).bind(as_bytes(glob)).run() && is_good;
      }
    };
    save_globs(record.selections[i].only, "only");
    save_globs(record.selections[i].skip, "skip");
  }
  if (!is_good) return last_error("cannot save what is wanted of a share in");
  return {};
}

Result<void> Store::save_progress(const ProgressRecord& record) {
  Statement progress(database_.get(), "INSERT OR REPLACE INTO progress VALUES(?, ?, ?, ?)");
  progress.bind(record.id.view()).bind(BytesView(record.durable));
  progress.bind(to_signed(record.downloaded)).bind(to_signed(record.uploaded));
  if (!progress.run()) return last_error("cannot save progress in");
  return {};
}

Result<void> Store::save_removal(const ShareRemoved& record) {
  Statement share(database_.get(), "DELETE FROM shares WHERE id = ?");
  Statement progress(database_.get(), "DELETE FROM progress WHERE share = ?");
  if (!share.bind(record.id.view()).run() || !progress.bind(record.id.view()).run()) {
    return last_error("cannot remove a share from");
  }
  return {};
}

Result<void> Store::save_dht(const DhtRecord& record) {
  Statement id(database_.get(), "INSERT OR REPLACE INTO meta VALUES('dht_id', ?)");
  if (!id.bind(record.id.view()).run()) return last_error("cannot save the DHT id in");
  auto cleared = run("DELETE FROM dht_nodes");
  if (!cleared) return cleared;
  const std::size_t count = std::min(record.nodes.size(), kDhtNodesKeptMax);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string endpoint = record.nodes[i].endpoint.to_string();
    Statement node(database_.get(), "INSERT INTO dht_nodes VALUES(?, ?, ?)");
    node.bind(static_cast<std::int64_t>(i)).bind(record.nodes[i].id.view());
    if (!node.bind(std::string_view(endpoint)).run()) return last_error("cannot save a node in");
  }
  return {};
}

Result<void> Store::save_peer(const PeerRecord& record) {
  const std::string endpoint = record.endpoint.to_string();
  Statement peer(database_.get(),
                 "INSERT OR REPLACE INTO peers(id, endpoint, downloaded, seen_ms, uploaded) "
                 "VALUES(?, ?, ?, ?, ?)");
  peer.bind(record.id.view()).bind(std::string_view(endpoint)).bind(to_signed(record.downloaded));
  peer.bind(record.seen.unix_ms).bind(to_signed(record.uploaded));
  if (!peer.run()) return last_error("cannot save a peer in");
  return {};
}

Result<void> Store::save_ban(const BanRecord& record) {
  Statement ban(database_.get(), record.is_lifted ? "DELETE FROM bans WHERE id = ?"
                                                  : "INSERT OR REPLACE INTO bans VALUES(?, ?)");
  ban.bind(record.id.view());
  if (!record.is_lifted) ban.bind(record.until.unix_ms);
  if (!ban.run()) return last_error("cannot save a ban in");
  return {};
}

Result<void> Store::forget_old_peers() {
  Statement old(database_.get(),
                "DELETE FROM peers WHERE id IN (SELECT id FROM peers ORDER BY seen_ms DESC, id "
                "LIMIT -1 OFFSET ?)");
  if (!old.bind(static_cast<std::int64_t>(kPeersKeptMax)).run()) {
    return last_error("cannot forget old peers in");
  }
  return {};
}

// ---- Loading
// ------------------------------------------------------------------------------------

Result<Saved> Store::load() {
  Saved saved;
  for (auto load :
       {&Store::load_shares, &Store::load_hints, &Store::load_selections, &Store::load_progress,
        &Store::load_dht, &Store::load_peers, &Store::load_bans}) {
    auto loaded = (this->*load)(saved);
    if (!loaded) return loaded.error();
  }
  // All was read once, and little of it will be again.
  sqlite3_db_release_memory(database_.get());
  return saved;
}

Result<void> Store::load_shares(Saved& saved) {
  Statement rows(database_.get(),
                 "SELECT id, storage, stage, is_paused, parent, name, added_ms, completed_ms, "
                 "manifest, piece_layers, limit_up, limit_down FROM shares LEFT JOIN manifests ON "
                 "share = id "
                 "ORDER BY number");
  while (rows.next()) {
    ShareRecord record;
    const auto id = ShareId::from(rows.read_bytes());
    const auto storage = parse_storage(rows.read_text());
    const auto stage = parse_stage(rows.read_text());
    if (!id || !storage || !stage) return damaged("a share has values that cannot be");
    record.id = *id;
    record.storage = *storage;
    record.stage = *stage;
    record.is_paused = rows.read_integer() != 0;
    record.parent = rows.read_text();
    record.name = rows.read_text();
    record.added.unix_ms = rows.read_integer();
    record.completed.unix_ms = rows.read_integer();
    record.manifest = to_bytes(rows.read_bytes());
    record.piece_layers = to_bytes(rows.read_bytes());
    record.limit_up = rows.read_count();
    record.limit_down = rows.read_count();
    saved.shares.push_back(std::move(record));
  }
  if (!rows.is_ok()) return last_error("cannot read shares from");
  return {};
}

Result<void> Store::load_hints(Saved& saved) {
  std::map<ShareId, ShareRecord*> shares;
  for (ShareRecord& share : saved.shares) shares.emplace(share.id, &share);
  Statement rows(database_.get(), "SELECT share, endpoint FROM hints ORDER BY share, position");
  while (rows.next()) {
    const auto id = ShareId::from(rows.read_bytes());
    const auto endpoint = Endpoint::parse(rows.read_text());
    if (!id || !endpoint || !shares.contains(*id)) return damaged("a hint cannot be read");
    shares[*id]->hints.push_back(*endpoint);
  }
  if (!rows.is_ok()) return last_error("cannot read hints from");
  return {};
}

Result<void> Store::load_selections(Saved& saved) {
  std::map<ShareId, ShareRecord*> shares;
  for (ShareRecord& share : saved.shares) shares.emplace(share.id, &share);
  Statement rows(database_.get(),
                 "SELECT share, selection, kind, glob FROM selections ORDER BY share, selection, "
                 "position");
  while (rows.next()) {
    const auto id = ShareId::from(rows.read_bytes());
    const auto number = to_unsigned(rows.read_integer());
    const std::string kind = rows.read_text();
    if (!id || !shares.contains(*id) || (kind != "only" && kind != "skip")) {
      return damaged("what is wanted of a share cannot be read");
    }
    std::vector<Selection>& selections = shares[*id]->selections;
    if (number > selections.size()) return damaged("a selection is missing");
    if (number == selections.size()) selections.emplace_back();
    Selection& selection = selections[number];
    (kind == "only" ? selection.only : selection.skip).push_back(rows.read_text());
  }
  if (!rows.is_ok()) return last_error("cannot read what is wanted of shares from");
  return {};
}

Result<void> Store::load_progress(Saved& saved) {
  Statement rows(database_.get(),
                 "SELECT share, durable, downloaded, uploaded FROM progress ORDER BY share");
  while (rows.next()) {
    ProgressRecord record;
    const auto id = ShareId::from(rows.read_bytes());
    if (!id) return damaged("progress of no share");
    record.id = *id;
    record.durable = to_bytes(rows.read_bytes());
    record.downloaded = to_unsigned(rows.read_integer());
    record.uploaded = to_unsigned(rows.read_integer());
    saved.progress.push_back(std::move(record));
  }
  if (!rows.is_ok()) return last_error("cannot read progress from");
  return {};
}

Result<void> Store::load_dht(Saved& saved) {
  Statement own(database_.get(), "SELECT value FROM meta WHERE key = 'dht_id'");
  if (own.next()) {
    const auto id = DhtId::from(own.read_bytes());
    if (!id) return damaged("the DHT id cannot be read");
    saved.dht.id = *id;
  }
  if (!own.is_ok()) return last_error("cannot read the DHT id from");
  Statement rows(database_.get(), "SELECT id, endpoint FROM dht_nodes ORDER BY position");
  while (rows.next()) {
    const auto id = DhtId::from(rows.read_bytes());
    const auto endpoint = Endpoint::parse(rows.read_text());
    if (!id || !endpoint) return damaged("a DHT node cannot be read");
    saved.dht.nodes.push_back({*id, *endpoint});
  }
  if (!rows.is_ok()) return last_error("cannot read DHT nodes from");
  return {};
}

Result<void> Store::load_peers(Saved& saved) {
  Statement rows(database_.get(),
                 "SELECT id, endpoint, downloaded, seen_ms, uploaded FROM peers "
                 "ORDER BY seen_ms DESC, id");
  while (rows.next()) {
    PeerRecord record;
    const auto id = PeerId::from(rows.read_bytes());
    const auto endpoint = Endpoint::parse(rows.read_text());
    if (!id || !endpoint) return damaged("a peer cannot be read");
    record.id = *id;
    record.endpoint = *endpoint;
    record.downloaded = to_unsigned(rows.read_integer());
    record.seen.unix_ms = rows.read_integer();
    record.uploaded = to_unsigned(rows.read_integer());
    saved.peers.push_back(record);
  }
  if (!rows.is_ok()) return last_error("cannot read peers from");
  return {};
}

Result<void> Store::load_bans(Saved& saved) {
  Statement rows(database_.get(), "SELECT id, until_ms FROM bans ORDER BY id");
  while (rows.next()) {
    BanRecord record;
    const auto id = PeerId::from(rows.read_bytes());
    if (!id) return damaged("a ban cannot be read");
    record.id = *id;
    record.until.unix_ms = rows.read_integer();
    saved.bans.push_back(record);
  }
  if (!rows.is_ok()) return last_error("cannot read bans from");
  return {};
}

}  // namespace peernet::daemon
