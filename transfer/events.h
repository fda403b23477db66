#pragma once

// What the owner of the transfer engine hands in and gets back, as values: its configuration, the
// two requests, and the events.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/effects.h"
#include "core/endpoint.h"
#include "core/result.h"
#include "transfer/link.h"
#include "transfer/status.h"

namespace peernet::transfer {

struct Config {
  std::string name;               // shown to the user only
  std::uint16_t listen_port = 0;  // TCP, as others can dial it
  std::optional<Key> network_key;
  bool special_use_is_global = false;
  std::uint32_t connections_max = 512;
  std::optional<std::uint32_t> upload_slots;  // nullopt: adapts to the uplink
  std::optional<std::uint64_t> rate_up;       // bytes a second
  std::optional<std::uint64_t> rate_down;
  bool has_lookups = true;                   // somebody answers PeersWanted
  bool has_lan = true;                       // says on the local network what it has and seeks
  bool has_pex = true;                       // tells peers of peers, and listens to them
  std::uint64_t memory_max = 256ULL << 20U;  // bytes of block data held at a time
};

enum class ImportId : std::uint64_t {};

struct AddRequest {
  std::string parent;                         // absolute path of the directory that holds it
  std::string name;                           // the file or directory
  std::optional<std::uint32_t> piece_length;  // power of two, 16 KiB to 16 MiB
  bool allow_unportable = false;
};

struct FetchRequest {
  Link link;
  std::string directory;  // absolute; the share is placed in it under the manifest's name
  bool allow_unportable = false;
};

struct ShareFiles {
  std::string name;
  bool is_single_file = false;
  std::uint32_t piece_length = 0;
  std::vector<FileSpec> files;
  std::vector<std::uint64_t> done;  // bytes verified, per file
};

// ---- Events
// --------------------------------------------------------------------------------------

// For Node: another lookup, or another announce (every 25 min while the share is active), or no
// more.
struct PeersWanted {
  DhtId key;
};
struct AnnounceWanted {
  DhtId key;
};
struct AnnounceOver {
  DhtId key;
};

// For the owner of Node.
struct ImportProgress {
  ImportId import{};
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};
struct Imported {
  ImportId import{};
  ShareId id;
  bool was_known = false;  // the same share was there already
  std::vector<LeftOut> left_out;
};
struct ImportFailed {
  ImportId import{};
  Error error;
};
struct ManifestKnown {
  ShareId id;
};
// Every piece is verified, durable, and the share stands at its place.
struct Completed {
  ShareId id;
};
// After the pieces became durable: what a crash cannot take back any more.
struct Durable {
  ShareId id;
  std::uint64_t bytes = 0;
};
struct StateChanged {
  ShareId id;
  ShareState state{};
  std::string reason;
};
struct Removed {
  ShareId id;
  Result<void> result;
};
struct PeerJoined {
  PeerId peer;
  Endpoint endpoint;
};
struct PeerLeft {
  PeerId peer;
  Endpoint endpoint;
  std::string reason;
};
struct PeerBanned {
  PeerId peer;
  Endpoint endpoint;
  std::string reason;
};

using Event = std::variant<PeersWanted, AnnounceWanted, AnnounceOver, ImportProgress, Imported,
                           ImportFailed, ManifestKnown, Completed, Durable, StateChanged, Removed,
                           PeerJoined, PeerLeft, PeerBanned>;

}  // namespace peernet::transfer
