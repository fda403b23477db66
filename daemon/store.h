#pragma once

// Store keeps the records of core/records.h in one SQLite file with tables that people can read.
// What save() has returned for is durable (WAL, synchronous=FULL). One thread at a time may use it.

#include <cstdint>
#include <span>
#include <string>

#include "core/records.h"
#include "core/result.h"
#include "daemon/database.h"

namespace peernet::daemon {

// Peers we remember, newest first; what does not fit is the oldest.
inline constexpr std::size_t kPeersKeptMax = 4096;
// Nodes of the DHT in its record; more are not kept.
inline constexpr std::size_t kDhtNodesKeptMax = 1024;

class Store {
 public:
  // As Database::open().
  static Result<Store> open(const std::string& path);
  Store(Store&&) noexcept = default;
  Store& operator=(Store&&) noexcept = default;

  Result<Saved> load();
  // All of them, in order, or none.
  Result<void> save(std::span<const Record> records);

 private:
  explicit Store(Database database) : database_(std::move(database)) {}

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

  Database database_;
};

}  // namespace peernet::daemon
