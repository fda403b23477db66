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
#include "transfer/choker.h"
#include "transfer/limits.h"
#include "transfer/link.h"
#include "transfer/manifest.h"
#include "transfer/readers.h"
#include "transfer/status.h"

namespace peernet::transfer {

// For which moments the user has named a program.
struct HooksWanted {
  bool scan = false;
  bool completed = false;
};

struct Config {
  std::string name;               // shown to the user only
  std::uint16_t listen_port = 0;  // TCP, as others can dial it
  std::optional<Key> network_key;
  bool special_use_is_global = false;
  std::uint32_t connections_max = 512;
  std::uint32_t half_open_max = 1024;  // inbound, before they have proved who they are
  std::uint32_t dials_per_second = 20;
  std::uint32_t handshakes_per_second = 200;  // inbound
  ManifestLimits manifest;                    // of shares that come
  std::optional<std::uint32_t> upload_slots;  // nullopt: adapts to the uplink
  Limits limits;                              // of the node
  PeerLimits peer_limits;
  bool has_lookups = true;                   // somebody answers PeersWanted
  bool has_lan = true;                       // says on the local network what it has and seeks
  bool has_pex = true;                       // tells peers of peers, and listens to them
  std::uint64_t memory_max = 256ULL << 20U;  // bytes of block data held at a time
  Chooser chooser = choose;                  // the simulator's strategies bring their own
  HooksWanted hooks;
};

enum class ImportId : std::uint64_t {};

struct AddRequest {
  std::string parent;                         // absolute path of the directory that holds it
  std::string name;                           // the file or directory
  std::optional<std::uint32_t> piece_length;  // power of two, 16 KiB to 16 MiB
  bool allow_unportable = false;
  std::vector<std::string>
      exclude;  // globs (transfer/glob.h), at most kGlobsMax (transfer/selection.h)
};

struct FetchRequest {
  Link link;
  std::string directory;  // absolute; the share is placed in it under the manifest's name
  bool allow_unportable = false;
  // Pieces in their order, where nobody waits for others. As long as the process lives.
  std::optional<bool> is_sequential{};  // nullopt: as it is
  // Which files; neither `only` nor `skip`: all. Of a share that is known this adds to what is
  // wanted. At most kGlobsMax of each (transfer/selection.h). nullopt: as it is, and at first all.
  std::optional<Selection> selection{};
};

// A connection that the user asks for. `share`: does the peer offer it?
struct ProbeRequest {
  std::string host;  // a name or an address
  std::uint16_t port = 0;
  std::optional<ShareId> share;
};

// Verified bytes of a file, from `offset` on: as many as are there, at least one and at most
// `size`, as soon as the first of them are there; none at or past the end of the file.
struct ReadRequest {
  ShareId id;
  ReaderId reader{};
  std::string path;  // below the top; empty for a share of a single file
  std::uint64_t offset = 0;
  std::uint32_t size = 0;  // 1 to kReadSizeMax
};

struct ShareFiles {
  std::string name;
  bool is_single_file = false;
  std::uint32_t piece_length = 0;
  std::vector<FileSpec> files;
  std::vector<std::uint64_t> done;  // bytes verified, per file
  std::vector<bool> is_wanted;      // per file
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
// More became durable: what a crash cannot take back any more.
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
// Answers a read. Errors: not_found (no such file), refused (a directory), corrupt (the file was
// changed), unavailable (it does not come: paused), cancelled (the share was removed), or the fault
// of the share.
struct FileBytes {
  Bytes bytes;
  std::uint64_t file_size = 0;
};
struct VerifyProgress {
  ShareId id;
  std::uint64_t done = 0;  // bytes
  std::uint64_t total = 0;
  std::uint64_t damaged = 0;
};
struct DamagedRange {
  std::string path;  // below the top; empty for a share of a single file
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
struct VerifyOutcome {
  std::uint64_t bytes = 0;  // that were hashed
  std::uint64_t damaged_bytes = 0;
  std::uint32_t damaged_count = 0;    // pieces
  std::vector<DamagedRange> damaged;  // at most 1000
  bool is_repairing = false;          // what is damaged is fetched again, into its place
  bool is_fetched_again = false;      // likewise, of a share that is being fetched
};
struct Verified {
  ShareId id;
  Result<VerifyOutcome> result;
};
struct FileRead {
  ReadId read{};
  Result<FileBytes> result;
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
  Endpoint endpoint;  // unspecified when a peer is banned that is not connected
  std::string reason;
};
// What came of a connection that the user asked for: its steps up to the last, or the one that
// failed.
struct ProbeStep {
  enum class Kind : std::uint8_t { resolve, connect, handshake, identity, share };
  Kind kind{};
  bool is_good = false;
  std::string text;  // what was found; for people
  Duration took{};
};
struct Probed {
  std::uint64_t probe = 0;
  std::vector<ProbeStep> steps;
  std::optional<Endpoint> endpoint;
  std::optional<PeerId> peer;  // who is there
};

using Event =
    std::variant<PeersWanted, AnnounceWanted, AnnounceOver, ImportProgress, Imported, ImportFailed,
                 ManifestKnown, Completed, Durable, StateChanged, Removed, VerifyProgress, Verified,
                 FileRead, PeerJoined, PeerLeft, PeerBanned, Probed>;

}  // namespace peernet::transfer
