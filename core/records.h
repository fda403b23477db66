#pragma once

// What must last, as values. An engine says Save{record}; the store (SQLite in the daemon, a map in
// the simulator) keeps the newest record of each key, and hands all of them back at the next start.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/time.h"

namespace peernet {

// Names the files and the leaf hashes of one share on this machine; drawn at random, never reused.
enum class StorageId : std::uint64_t {};

enum class ShareStage : std::uint8_t {
  fetching,   // under .ID.part
  finishing,  // complete and durable; the rename into place may or may not have happened
  complete,   // at its place, seeding
  extending,  // at its place, and more of it is fetched there
};

// Globs (transfer/glob.h) that say which files of a share are wanted.
struct Selection {
  std::vector<std::string> only;  // none: all files
  std::vector<std::string> skip;
  bool operator==(const Selection&) const = default;
};

// One share. `manifest` and `piece_layers` are empty until they were fetched and checked.
struct ShareRecord {
  ShareId id;
  StorageId storage{};
  ShareStage stage = ShareStage::fetching;
  bool is_paused = false;
  std::string parent;           // absolute path of the directory that holds the share
  std::string name;             // what stands there when complete
  Bytes manifest;               // the bencoded info dictionary
  Bytes piece_layers;           // all piece layers, in file order, 32 bytes a node
  std::vector<Endpoint> hints;  // peers named by the link
  // What any of these names is wanted; none: everything.
  std::vector<Selection> selections;
  WallTime added;
  WallTime completed;  // 0: not yet
  // Its own rate limits, bytes a second; nullopt: none.
  std::optional<std::uint64_t> limit_up;
  std::optional<std::uint64_t> limit_down;
};

// What is durable: written, synced, and only then said here.
struct ProgressRecord {
  ShareId id;
  Bytes durable;                 // pieces: a bitfield as on the wire
  Bytes parts;                   // blocks of pieces that are not whole (transfer/progress.h)
  std::uint64_t downloaded = 0;  // verified bytes, over all sessions
  std::uint64_t uploaded = 0;
};

struct ShareRemoved {
  ShareId id;
};

// The DHT's own id and the nodes it knew, best first.
struct DhtRecord {
  DhtId id;
  struct Node {
    DhtId id;
    Endpoint endpoint;
  };
  std::vector<Node> nodes;
};

// A peer we have exchanged data with, over all shares and sessions.
struct PeerRecord {
  PeerId id;
  Endpoint endpoint;  // where we last reached it; port 0 when we never dialled it
  std::uint64_t downloaded = 0;
  std::uint64_t uploaded = 0;
  WallTime seen;
};

// A peer that the user wants no connection with.
struct BanRecord {
  PeerId id;
  WallTime until;          // 0: until it is lifted
  bool is_lifted = false;  // forget the record
};

using Record =
    std::variant<ShareRecord, ProgressRecord, ShareRemoved, DhtRecord, PeerRecord, BanRecord>;

// Everything a store hands back at start.
struct Saved {
  std::vector<ShareRecord> shares;  // in the order they were added
  std::vector<ProgressRecord> progress;
  DhtRecord dht;
  std::vector<PeerRecord> peers;  // most recently seen first
  std::vector<BanRecord> bans;    // none is lifted
};

}  // namespace peernet
