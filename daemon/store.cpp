#include "daemon/store.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "core/check.h"

namespace peernet::daemon {
namespace {

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

}  // namespace

Result<Store> Store::open(const std::string& path) {
  auto database = Database::open(path);
  if (!database) return database.error();
  return Store(std::move(*database));
}

// ---- Saving
// -------------------------------------------------------------------------------------

Result<void> Store::save(std::span<const Record> records) {
  auto result = database_.run("BEGIN IMMEDIATE");
  if (!result) return result;
  for (const Record& record : records) {
    result = save_one(record);
    if (!result) break;
  }
  const bool is_peer_saved = std::any_of(records.begin(), records.end(), [](const Record& record) {
    return std::holds_alternative<PeerRecord>(record);
  });
  if (result && is_peer_saved) result = forget_old_peers();
  if (result) result = database_.run("COMMIT");
  if (!result) database_.roll_back();
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
  Statement share = database_.statement(
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
  if (!share.run()) return database_.last_error("cannot save a share in");

  // Large and almost never changed: written only when it differs.
  Statement manifest = database_.statement(
      "INSERT INTO manifests VALUES(?, ?, ?) ON CONFLICT(share) DO UPDATE SET "
      "manifest = excluded.manifest, piece_layers = excluded.piece_layers WHERE "
      "manifest <> excluded.manifest OR piece_layers <> excluded.piece_layers");
  manifest.bind(record.id.view()).bind(BytesView(record.manifest));
  if (!manifest.bind(BytesView(record.piece_layers)).run()) {
    return database_.last_error("cannot save a manifest in");
  }

  Statement old = database_.statement("DELETE FROM hints WHERE share = ?");
  if (!old.bind(record.id.view()).run()) return database_.last_error("cannot save hints in");
  for (std::size_t i = 0; i < record.hints.size(); ++i) {
    const std::string endpoint = record.hints[i].to_string();
    Statement hint = database_.statement("INSERT INTO hints VALUES(?, ?, ?)");
    hint.bind(record.id.view()).bind(static_cast<std::int64_t>(i));
    if (!hint.bind(std::string_view(endpoint)).run())
      return database_.last_error("cannot save hints in");
  }
  return save_selections(record);
}

Result<void> Store::save_selections(const ShareRecord& record) {
  Statement old = database_.statement("DELETE FROM selections WHERE share = ?");
  bool is_good = old.bind(record.id.view()).run();
  for (std::size_t i = 0; i < record.selections.size(); ++i) {
    std::int64_t position = 0;
    const auto save_globs = [&](const std::vector<std::string>& globs, std::string_view kind) {
      for (const std::string& glob : globs) {
        Statement row = database_.statement("INSERT INTO selections VALUES(?, ?, ?, ?, ?)");
        row.bind(record.id.view()).bind(static_cast<std::int64_t>(i)).bind(position++);
        is_good = row.bind(kind).bind(as_bytes(glob)).run() && is_good;
      }
    };
    save_globs(record.selections[i].only, "only");
    save_globs(record.selections[i].skip, "skip");
  }
  if (!is_good) return database_.last_error("cannot save what is wanted of a share in");
  return {};
}

Result<void> Store::save_progress(const ProgressRecord& record) {
  Statement progress = database_.statement(
      "INSERT OR REPLACE INTO progress(share, durable, parts, downloaded, uploaded) "
      "VALUES(?, ?, ?, ?, ?)");
  progress.bind(record.id.view()).bind(BytesView(record.durable)).bind(BytesView(record.parts));
  progress.bind(to_signed(record.downloaded)).bind(to_signed(record.uploaded));
  if (!progress.run()) return database_.last_error("cannot save progress in");
  return {};
}

Result<void> Store::save_removal(const ShareRemoved& record) {
  Statement share = database_.statement("DELETE FROM shares WHERE id = ?");
  Statement progress = database_.statement("DELETE FROM progress WHERE share = ?");
  if (!share.bind(record.id.view()).run() || !progress.bind(record.id.view()).run()) {
    return database_.last_error("cannot remove a share from");
  }
  return {};
}

Result<void> Store::save_dht(const DhtRecord& record) {
  Statement id = database_.statement("INSERT OR REPLACE INTO meta VALUES('dht_id', ?)");
  if (!id.bind(record.id.view()).run()) return database_.last_error("cannot save the DHT id in");
  auto cleared = database_.run("DELETE FROM dht_nodes");
  if (!cleared) return cleared;
  const std::size_t count = std::min(record.nodes.size(), kDhtNodesKeptMax);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string endpoint = record.nodes[i].endpoint.to_string();
    Statement node = database_.statement("INSERT INTO dht_nodes VALUES(?, ?, ?)");
    node.bind(static_cast<std::int64_t>(i)).bind(record.nodes[i].id.view());
    if (!node.bind(std::string_view(endpoint)).run())
      return database_.last_error("cannot save a node in");
  }
  return {};
}

Result<void> Store::save_peer(const PeerRecord& record) {
  const std::string endpoint = record.endpoint.to_string();
  Statement peer = database_.statement(
      "INSERT OR REPLACE INTO peers(id, endpoint, downloaded, seen_ms, uploaded) "
      "VALUES(?, ?, ?, ?, ?)");
  peer.bind(record.id.view()).bind(std::string_view(endpoint)).bind(to_signed(record.downloaded));
  peer.bind(record.seen.unix_ms).bind(to_signed(record.uploaded));
  if (!peer.run()) return database_.last_error("cannot save a peer in");
  return {};
}

Result<void> Store::save_ban(const BanRecord& record) {
  Statement ban =
      database_.statement(record.is_lifted ? "DELETE FROM bans WHERE id = ?"
                                           : "INSERT OR REPLACE INTO bans VALUES(?, ?)");
  ban.bind(record.id.view());
  if (!record.is_lifted) ban.bind(record.until.unix_ms);
  if (!ban.run()) return database_.last_error("cannot save a ban in");
  return {};
}

Result<void> Store::forget_old_peers() {
  Statement old = database_.statement(
      "DELETE FROM peers WHERE id IN (SELECT id FROM peers ORDER BY seen_ms DESC, id "
      "LIMIT -1 OFFSET ?)");
  if (!old.bind(static_cast<std::int64_t>(kPeersKeptMax)).run()) {
    return database_.last_error("cannot forget old peers in");
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
  auto shrunk = database_.run("PRAGMA shrink_memory;");
  if (!shrunk) return shrunk.error();
  return saved;
}

Result<void> Store::load_shares(Saved& saved) {
  Statement rows = database_.statement(
      "SELECT id, storage, stage, is_paused, parent, name, added_ms, completed_ms, "
      "manifest, piece_layers, limit_up, limit_down FROM shares LEFT JOIN manifests ON "
      "share = id "
      "ORDER BY number");
  while (rows.next()) {
    ShareRecord record;
    const auto id = ShareId::from(rows.read_bytes());
    const auto storage = parse_storage(rows.read_text());
    const auto stage = parse_stage(rows.read_text());
    if (!id || !storage || !stage) return database_.damaged("a share has values that cannot be");
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
  if (!rows.is_ok()) return database_.last_error("cannot read shares from");
  return {};
}

Result<void> Store::load_hints(Saved& saved) {
  std::map<ShareId, ShareRecord*> shares;
  for (ShareRecord& share : saved.shares) shares.emplace(share.id, &share);
  Statement rows =
      database_.statement("SELECT share, endpoint FROM hints ORDER BY share, position");
  while (rows.next()) {
    const auto id = ShareId::from(rows.read_bytes());
    const auto endpoint = Endpoint::parse(rows.read_text());
    if (!id || !endpoint || !shares.contains(*id))
      return database_.damaged("a hint cannot be read");
    shares[*id]->hints.push_back(*endpoint);
  }
  if (!rows.is_ok()) return database_.last_error("cannot read hints from");
  return {};
}

Result<void> Store::load_selections(Saved& saved) {
  std::map<ShareId, ShareRecord*> shares;
  for (ShareRecord& share : saved.shares) shares.emplace(share.id, &share);
  Statement rows = database_.statement(
      "SELECT share, selection, kind, glob FROM selections ORDER BY share, selection, "
      "position");
  while (rows.next()) {
    const auto id = ShareId::from(rows.read_bytes());
    const auto number = to_unsigned(rows.read_integer());
    const std::string kind = rows.read_text();
    if (!id || !shares.contains(*id) || (kind != "only" && kind != "skip")) {
      return database_.damaged("what is wanted of a share cannot be read");
    }
    std::vector<Selection>& selections = shares[*id]->selections;
    if (number > selections.size()) return database_.damaged("a selection is missing");
    if (number == selections.size()) selections.emplace_back();
    Selection& selection = selections[number];
    (kind == "only" ? selection.only : selection.skip).push_back(rows.read_text());
  }
  if (!rows.is_ok()) return database_.last_error("cannot read what is wanted of shares from");
  return {};
}

Result<void> Store::load_progress(Saved& saved) {
  Statement rows = database_.statement(
      "SELECT share, durable, parts, downloaded, uploaded FROM progress ORDER BY share");
  while (rows.next()) {
    ProgressRecord record;
    const auto id = ShareId::from(rows.read_bytes());
    if (!id) return database_.damaged("progress of no share");
    record.id = *id;
    record.durable = to_bytes(rows.read_bytes());
    record.parts = to_bytes(rows.read_bytes());
    record.downloaded = to_unsigned(rows.read_integer());
    record.uploaded = to_unsigned(rows.read_integer());
    saved.progress.push_back(std::move(record));
  }
  if (!rows.is_ok()) return database_.last_error("cannot read progress from");
  return {};
}

Result<void> Store::load_dht(Saved& saved) {
  Statement own = database_.statement("SELECT value FROM meta WHERE key = 'dht_id'");
  if (own.next()) {
    const auto id = DhtId::from(own.read_bytes());
    if (!id) return database_.damaged("the DHT id cannot be read");
    saved.dht.id = *id;
  }
  if (!own.is_ok()) return database_.last_error("cannot read the DHT id from");
  Statement rows = database_.statement("SELECT id, endpoint FROM dht_nodes ORDER BY position");
  while (rows.next()) {
    const auto id = DhtId::from(rows.read_bytes());
    const auto endpoint = Endpoint::parse(rows.read_text());
    if (!id || !endpoint) return database_.damaged("a DHT node cannot be read");
    saved.dht.nodes.push_back({*id, *endpoint});
  }
  if (!rows.is_ok()) return database_.last_error("cannot read DHT nodes from");
  return {};
}

Result<void> Store::load_peers(Saved& saved) {
  Statement rows = database_.statement(
      "SELECT id, endpoint, downloaded, seen_ms, uploaded FROM peers "
      "ORDER BY seen_ms DESC, id");
  while (rows.next()) {
    PeerRecord record;
    const auto id = PeerId::from(rows.read_bytes());
    const auto endpoint = Endpoint::parse(rows.read_text());
    if (!id || !endpoint) return database_.damaged("a peer cannot be read");
    record.id = *id;
    record.endpoint = *endpoint;
    record.downloaded = to_unsigned(rows.read_integer());
    record.seen.unix_ms = rows.read_integer();
    record.uploaded = to_unsigned(rows.read_integer());
    saved.peers.push_back(record);
  }
  if (!rows.is_ok()) return database_.last_error("cannot read peers from");
  return {};
}

Result<void> Store::load_bans(Saved& saved) {
  Statement rows = database_.statement("SELECT id, until_ms FROM bans ORDER BY id");
  while (rows.next()) {
    BanRecord record;
    const auto id = PeerId::from(rows.read_bytes());
    if (!id) return database_.damaged("a ban cannot be read");
    record.id = *id;
    record.until.unix_ms = rows.read_integer();
    saved.bans.push_back(record);
  }
  if (!rows.is_ok()) return database_.last_error("cannot read bans from");
  return {};
}

}  // namespace peernet::daemon
