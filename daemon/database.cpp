#include "daemon/database.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

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
    downloaded INTEGER NOT NULL, uploaded INTEGER NOT NULL, parts BLOB NOT NULL DEFAULT x'');
  CREATE TABLE dht_nodes(
    position INTEGER PRIMARY KEY, id BLOB NOT NULL, endpoint TEXT NOT NULL);
  CREATE TABLE peers(
    id BLOB PRIMARY KEY, endpoint TEXT NOT NULL, downloaded INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL, uploaded INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX peers_by_seen ON peers(seen_ms);
  CREATE TABLE bans(id BLOB PRIMARY KEY, until_ms INTEGER NOT NULL);
  INSERT INTO meta VALUES('schema_version', 5);
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
    "ALTER TABLE progress ADD COLUMN parts BLOB NOT NULL DEFAULT x'';"
    "UPDATE meta SET value = 5 WHERE key = 'schema_version';",
};
static_assert(std::size(kMigrations) == Database::kVersion - 1);

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

}  // namespace

void Database::Closer::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

Result<Database> Database::open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Database database(Handle(raw), path);
  if (raw == nullptr) return Error{Errc::io, "cannot open " + path + ": out of memory", ""};
  if (code != SQLITE_OK) return database.last_error("cannot open");
  auto prepared = database.prepare();
  if (!prepared) return prepared.error();
  return database;
}

Result<void> Database::prepare() {
  sqlite3_extended_result_codes(handle_.get(), 1);
  sqlite3_busy_timeout(handle_.get(), kBusyTimeoutMs);
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
    if (!created) roll_back();
    return created;
  }
  if (*version < kVersion) return migrate(*version);
  return {};
}

// 0 for an empty file. Errors: corrupt, for a damaged file or one that is not ours.
Result<int> Database::read_version() {
  Statement check = statement("PRAGMA quick_check(1)");
  while (check.next()) {
    const std::string word = check.read_text();
    if (word != "ok") return damaged(word);
  }
  if (!check.is_ok()) return last_error("cannot read");
  Statement tables = statement("SELECT count(*), sum(name = 'meta') FROM sqlite_schema");
  if (!tables.next()) return last_error("cannot read");
  if (tables.read_integer() == 0) return 0;
  if (tables.read_integer() == 0) return damaged("it is not a state file of peernetd");
  Statement version = statement("SELECT value FROM meta WHERE key = 'schema_version'");
  if (!version.next()) {
    return version.is_ok() ? damaged("it says no version") : last_error("cannot read");
  }
  const std::int64_t number = version.read_integer();
  if (number < 1 || number > std::numeric_limits<int>::max()) {
    return damaged("it says no version");
  }
  return static_cast<int>(number);
}

Result<void> Database::migrate(int from) {
  auto kept = keep_copy(from);
  if (!kept) return kept;
  std::string sql = "BEGIN IMMEDIATE;";
  for (int version = from; version < kVersion; ++version) {
    sql += kMigrations[static_cast<std::size_t>(version - 1)];
  }
  sql += "COMMIT;";
  auto migrated = run(sql.c_str());
  if (!migrated) roll_back();
  return migrated;
}

Result<void> Database::keep_copy(int version) {
  const std::string copy = path_ + ".bak-v" + std::to_string(version);
  const std::string fresh = copy + ".new";
  unlink(fresh.c_str());
  Statement vacuum = statement("VACUUM INTO ?");
  if (!vacuum.bind(std::string_view(fresh)).run()) return last_error("cannot copy before a change");
  if (chmod(fresh.c_str(), S_IRUSR | S_IWUSR) != 0 || rename(fresh.c_str(), copy.c_str()) != 0) {
    return Error{Errc::io, "cannot name the copy " + copy, ""};
  }
  return {};
}

Result<void> Database::run(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return last_error("cannot use");
}

Error Database::last_error(const std::string& what) const {
  const int code = sqlite3_extended_errcode(handle_.get());
  const std::string words = sqlite3_errmsg(handle_.get());
  if (errc_of(code) == Errc::corrupt) return damaged(words);
  return {errc_of(code), what + " " + path_ + ": " + words, ""};
}

Error Database::damaged(const std::string& what) const {
  return {Errc::corrupt, path_ + " is damaged: " + what,
          "it was left as it is; move it away (or put a copy of it back) and start again: shares "
          "can be added again in place"};
}

void Database::roll_back() {
  sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

// ---- Statements
// -------------------------------------------------------------------------------------

std::int64_t to_signed(std::uint64_t value) {
  constexpr auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(value, max));
}

std::uint64_t to_unsigned(std::int64_t value) {
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

Statement::Statement(sqlite3* database, const char* sql) {
  code_ = sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

Statement& Statement::bind(std::int64_t value) {
  return note(sqlite3_bind_int64(statement_, ++bound_, value));
}

Statement& Statement::bind(std::optional<std::uint64_t> value) {
  if (value) return bind(to_signed(*value));
  return note(sqlite3_bind_null(statement_, ++bound_));
}

Statement& Statement::bind(std::string_view text) {
  return note(
      sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), nullptr, SQLITE_UTF8));
}

Statement& Statement::bind(BytesView bytes) {
  const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
  return note(sqlite3_bind_blob64(statement_, ++bound_, data, bytes.size(), nullptr));
}

bool Statement::next() {
  read_ = 0;
  if (code_ != SQLITE_OK) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) code_ = code;
  return false;
}

bool Statement::run() {
  while (next()) {
  }
  return is_ok();
}

bool Statement::is_ok() const {
  return code_ == SQLITE_OK;
}

std::int64_t Statement::read_integer() {
  return sqlite3_column_int64(statement_, read_++);
}

std::optional<std::uint64_t> Statement::read_count() {
  const int column = read_++;
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return to_unsigned(sqlite3_column_int64(statement_, column));
}

BytesView Statement::read_bytes() {
  const int column = read_++;
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? BytesView() : BytesView(data, size);
}

std::string Statement::read_text() {
  return std::string(as_text(read_bytes()));
}

Statement& Statement::note(int code) {
  if (code_ == SQLITE_OK) code_ = code;
  return *this;
}

}  // namespace peernet::daemon
