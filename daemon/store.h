#pragma once

// Store keeps the records of core/records.h in one SQLite file with tables that people can read.
// What save() has returned for is durable (WAL, synchronous=FULL). A file of a newer version, a
// damaged one, or one of something else is refused and left as it is; an older one is migrated in
// one transaction, after a copy of it was kept. One thread at a time may use it.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/records.h"
#include "core/result.h"

struct sqlite3;

namespace peernet::daemon {

// Peers we remember, newest first; what does not fit is the oldest.
inline constexpr std::size_t kPeersKeptMax = 4096;
// Nodes of the DHT in its record; more are not kept.
inline constexpr std::size_t kDhtNodesKeptMax = 1024;

class Store {
 public:
  // Version 1 had no peers.uploaded; version 2 no bans, and no limits of a share.
  static constexpr int kVersion = 4;

  // Opens or creates. Errors: corrupt, refused (a newer version), denied, no_space, io.
  static Result<Store> open(const std::string& path);
  Store(Store&&) noexcept = default;
  Store& operator=(Store&&) noexcept = default;

  Result<Saved> load();
  // All of them, in order, or none.
  Result<void> save(std::span<const Record> records);

 private:
  struct Closer {
    void operator()(sqlite3* database) const;
  };
  using Database = std::unique_ptr<sqlite3, Closer>;

  Store(Database database, std::string path)
      : database_(std::move(database)), path_(std::move(path)) {}

  Result<void> prepare();
  Result<int> read_version();
  Result<void> migrate(int from);
  Result<void> keep_copy(int version);
  Result<void> run(const char* sql);
  Result<void> save_one(const Record& record);
  Result<void> save_share(const ShareRecord& record);
  Result<void> save_selections(const ShareRecord& record);
  Result<void> save_progress(const ProgressRecord& record);
  Result<void> save_removal(const ShareRemoved& record);
  Result<void> save_dht(const DhtRecord& record);
  Result<void> save_peer(const PeerRecord& record);
  Result<void> save_ban(const BanRecord& record);
  Result<void> forget_old_peers();
  Result<void> load_shares(Saved& saved);
  Result<void> load_hints(Saved& saved);
  Result<void> load_selections(Saved& saved);
  Result<void> load_progress(Saved& saved);
  Result<void> load_dht(Saved& saved);
  Result<void> load_peers(Saved& saved);
  Result<void> load_bans(Saved& saved);
  Error last_error(const std::string& what) const;
  Error damaged(const std::string& what) const;

  Database database_;
  std::string path_;
};

}  // namespace peernet::daemon
