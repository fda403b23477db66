#pragma once

// What the transfer engine says about itself, as values: the face (RPC, CLI) shows these and asks
// nothing else. Strings that came from outside are raw: escape() before a terminal or a log.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/records.h"
#include "core/result.h"
#include "core/time.h"
#include "transfer/limits.h"

namespace peernet::transfer {

enum class ShareState : std::uint8_t {
  opening,  // the storage is being opened
  finding,  // no manifest yet
  fetching,
  scanning,   // all pieces are there and durable; the user's program looks at them
  finishing,  // all pieces are there; syncing and renaming into place
  seeding,
  partial,    // what is wanted is at its place, and that is not all of the share
  damaged,    // at its place, and pieces of it are not what was shared: those are not served
  repairing,  // likewise, and they are fetched again
  paused,
  quarantined,  // that program kept it back: at no place, and served to nobody
  failed,       // stopped by a fault of this machine; `error` says which; `resume` tries again
};

// What keeps a share from being further; transfer/why.h tells the facts behind it.
enum class Cause : std::uint8_t {
  none,         // nothing
  fault,        // of this machine, or of the manifest: `error`
  disk_full,    // likewise
  paused,       // by the user
  scanning,     // hooks.scan runs
  quarantined,  // hooks.scan did not let it pass: `error`
  damaged,      // pieces at their place were found wrong, and repair was not asked for
  // Nobody is connected:
  lookups_off,    // no address known, and the DHT is off
  looking,        // none known, and no lookup has ended yet
  dht_empty,      // none known: the DHT had no node to ask
  no_provider,    // none known after a lookup
  not_dialled,    // some known, none tried yet
  dialling,       // the first tries are under way
  dials_fail,     // tried, in vain
  banned,         // who was reached last had sent wrong data
  share_unknown,  // who was reached does not offer this share
  // Somebody is:
  no_manifest,    // and has not given the manifest yet
  no_have_state,  // and has not said what it has
  no_holder,      // and nobody has what is missing
  limited,        // and a download limit of the node or of the share holds us back
  peer_limited,   // likewise that of each peer
  memory_short,   // likewise limits.memory
  choked,         // and everybody who has something for us chokes us
  silent,         // and nothing comes of what was asked for
  unknown,        // and nothing comes, and no fact says why
};

struct LookupFacts {
  Time at{};
  std::uint32_t nodes_asked = 0;
  std::uint32_t peers_found = 0;
};

// All that is claimed is being hashed again.
struct VerifyStatus {
  std::uint64_t done = 0;  // bytes
  std::uint64_t total = 0;
  std::uint64_t damaged = 0;
};

struct ShareStatus {
  ShareId id;
  ShareState state = ShareState::opening;
  Cause cause = Cause::none;
  // One phrase on the cause; empty when there is nothing to explain.
  std::string reason;
  std::optional<Error> error;

  std::string name;  // the manifest's, or the link's hint before it is known
  std::string path;  // absolute; of the finished share
  bool is_single_file = false;
  std::uint64_t size = 0;     // bytes; 0 while unknown
  std::uint64_t wanted = 0;   // bytes; less than `size` if some files only are wanted
  std::uint64_t done = 0;     // bytes verified and written
  std::uint64_t durable = 0;  // bytes that survive a crash
  std::uint32_t pieces_count = 0;
  std::uint32_t pieces_done = 0;
  std::uint64_t files_count = 0;
  std::uint64_t files_wanted = 0;
  std::vector<Selection> selections;

  double rate_down = 0;  // verified bytes a second
  double rate_up = 0;
  std::uint64_t downloaded = 0;  // verified bytes, all sessions
  std::uint64_t uploaded = 0;
  std::uint64_t wasted = 0;  // received and not needed, or wrong, this session
  std::uint64_t reread = 0;  // bytes hashed again from disk this session before they were served
  std::optional<Duration> eta;

  std::uint32_t peers_connected = 0;
  std::uint32_t peers_known = 0;
  std::optional<LookupFacts> lookup;
  std::optional<VerifyStatus> verification;
  WallTime added;
  WallTime completed;  // 0: not yet
};

// Why a connection, or what was asked on one, was turned down.
enum class Reject : std::uint8_t {
  stopping,        // the node ends
  banned,          // the address or the identity
  address_limit,   // its address or network has as many unproven connections as it may
  evicted,         // unproven, and a newer one took its place
  handshake_rate,  // more handshakes a second than may be computed
  handshake,       // it failed
  late,            // it was not done in time
  peers_limit,     // proven, but as many peers are connected as may be
  duplicate,       // another connection to the same peer stays
  protocol,        // broke a rule
  unread,          // does not read
  silent,          // nothing was heard for too long
  unknown_share,   // asked for what is not here, or could not prove to know it
  request,         // blocks asked for that are not given: choked, too many, not there
};
inline constexpr std::size_t kRejectsCount = 14;
std::string_view word(Reject why);

// Counters since the start, and gauges of now, over all shares and connections, also
// those that are gone.
struct TransferStats {
  std::uint64_t accepted = 0;     // inbound connections
  std::uint64_t turned_away = 0;  // of these, over a limit or banned: closed at once
  std::array<std::uint64_t, kRejectsCount> rejects{};  // by Reject
  std::uint64_t dials = 0;
  std::uint64_t dials_failed = 0;    // ended before the handshake was done
  std::uint64_t sessions = 0;        // handshakes that were done, both ways
  std::uint64_t hash_failures = 0;   // of blocks, leaf hashes, layers and manifests
  std::uint64_t wire_in = 0;         // bytes of connections, handshakes and all
  std::uint64_t wire_out = 0;        // bytes
  std::uint64_t verified_in = 0;     // bytes
  std::uint64_t wasted_in = 0;       // bytes
  std::uint64_t blocks_out = 0;      // bytes
  std::uint64_t reread = 0;          // bytes
  std::uint64_t pieces_durable = 0;  // of the shares that are here
  std::size_t dialling = 0;
  std::size_t unproven_in = 0;
  std::size_t established_in = 0;
  std::size_t established_out = 0;
  std::size_t bans = 0;
  std::size_t bans_of_hosts = 0;
  std::size_t addresses_known = 0;
  std::size_t imports = 0;
  std::uint64_t block_bytes_held = 0;
};

struct PeerShareStatus {
  ShareId id;
  double done = 0;  // fraction of the share that the peer has
};

struct PeerStatus {
  PeerId id;
  Endpoint endpoint;
  bool is_inbound = false;
  std::string_view found_by;    // how we came to dial it, as a word; empty when it came to us
  bool is_choked = true;        // by us
  bool is_interested = false;   // in us
  bool is_choking = true;       // us
  bool is_interesting = false;  // to us
  double rate_down = 0;
  double rate_up = 0;
  std::uint64_t downloaded = 0;  // this connection
  std::uint64_t uploaded = 0;
  std::uint32_t requests_out = 0;  // blocks asked for and not yet here
  std::optional<Duration> round_trip;
  Duration connected{};
  std::vector<PeerShareStatus> shares;
};

}  // namespace peernet::transfer
