#pragma once

// Database is the SQLite file that the state is in: opened, of a version that we know, and migrated
// to ours if it is older, in one transaction, after a copy of it was kept. A file of a newer
// version, a damaged one, or one of something else is refused and left as it is. Statement is one
// statement with its values, bound and read in order.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace peernet::daemon {

class Statement {
 public:
  Statement(sqlite3* database, const char* sql);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Values live until the statement has run.
  Statement& bind(std::int64_t value);
  Statement& bind(std::optional<std::uint64_t> value);  // nothing is NULL
  Statement& bind(std::string_view text);
  Statement& bind(BytesView bytes);  // an empty one is an empty blob and not NULL

  bool next();  // true while there is a row
  bool run();
  bool is_ok() const;

  std::int64_t read_integer();
  std::optional<std::uint64_t> read_count();
  BytesView read_bytes();
  std::string read_text();

 private:
  Statement& note(int code);

  sqlite3_stmt* statement_ = nullptr;
  int code_ = 0;
  int bound_ = 0;
  int read_ = 0;
};

// SQLite's integers are signed: a count beyond them is kept as the largest.
std::int64_t to_signed(std::uint64_t value);
std::uint64_t to_unsigned(std::int64_t value);

class Database {
 public:
  // Version 1 had no peers.uploaded; version 2 no bans, and no limits of a share; version 3 no
  // selections; version 4 no progress.parts.
  static constexpr int kVersion = 5;

  // Opens or creates. Errors: corrupt, refused (a newer version), denied, no_space, io.
  static Result<Database> open(const std::string& path);
  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  Statement statement(const char* sql) { return {handle_.get(), sql}; }
  Result<void> run(const char* sql);
  void roll_back();
  // The last call's. `what` was tried: "cannot save a share in".
  Error last_error(const std::string& what) const;
  // What stands in the file is not what we wrote.
  Error damaged(const std::string& what) const;

 private:
  struct Closer {
    void operator()(sqlite3* database) const;
  };
  using Handle = std::unique_ptr<sqlite3, Closer>;

  Database(Handle handle, std::string path) : handle_(std::move(handle)), path_(std::move(path)) {}

  Result<void> prepare();
  Result<int> read_version();
  Result<void> migrate(int from);
  Result<void> keep_copy(int version);

  Handle handle_;
  std::string path_;
};

}  // namespace peernet::daemon
