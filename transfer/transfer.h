#pragma once

// Transfer is the exchange engine: it owns the shares (Swarm), the connections (Peer), the dial
// scheduler and the limits, and routes each input to the one it concerns. Pieces are exchanged
// between peers that proved to each other that they know the share id.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/effects.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/time.h"
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

class Transfer {
 public:
  Transfer(Config config, const Identity& identity, Rng rng, Log& log);
  ~Transfer();
  Transfer(Transfer&&) noexcept;
  Transfer& operator=(Transfer&&) = delete;

  // Once, before any input: opens what was saved.
  void start(Time now, WallTime wall, const Saved& saved, Effects& out);

  // Inputs.
  std::optional<ConnId> on_accepted(Time now, const Endpoint& from, Effects& out);
  void on_connected(Time now, ConnId conn, Effects& out);
  void on_bytes(Time now, ConnId conn, BytesView bytes, Effects& out);
  void on_sent(Time now, ConnId conn, std::size_t bytes_unsent, Effects& out);
  void on_closed(Time now, ConnId conn, const Error& why, Effects& out);
  void on_file(Time now, JobId job, FileResult result, Effects& out);
  void on_saved(Time now, JobId job, const Result<void>& result, Effects& out);
  void on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out);
  void on_wall_clock(Time now, WallTime wall);
  void on_time(Time now, Effects& out);

  // Commands.
  // Reads, hashes and shares a path in place. Progress and the outcome are events.
  ImportId add(Time now, AddRequest request, Effects& out);
  void cancel_add(Time now, ImportId import, Effects& out);
  // A share already known is resumed if it was paused. Errors: refused, too_large, exists
  // (something stands at the target; seen later too, as a failed state).
  Result<ShareId> fetch(Time now, const FetchRequest& request, Effects& out);
  Result<void> pause(Time now, const ShareId& id, Effects& out);   // not_found
  Result<void> resume(Time now, const ShareId& id, Effects& out);  // not_found
  // Ends with Removed, after the last disk job of the share has reported. not_found.
  Result<void> remove(Time now, const ShareId& id, bool is_data_deleted, Effects& out);
  // Addresses where peers of the share with this DHT key may be. Hints, never believed.
  void add_peers(Time now, const DhtId& key, const std::vector<Endpoint>& peers, Effects& out);
  void on_lookup_done(Time now, const DhtId& key, const LookupFacts& facts);
  void stop(Time now, Effects& out);

  // Facts for the owner, oldest first.
  std::optional<Event> next_event();

  // Queries.
  Time deadline() const;
  std::vector<ShareStatus> shares(Time now) const;
  std::optional<ShareStatus> share(Time now, const ShareId& id) const;
  std::vector<PeerStatus> peers(Time now) const;
  std::uint32_t peers_count() const;
  std::vector<ShareId> share_ids() const;  // in the order they were added
  std::optional<std::string> link(const ShareId& id) const;
  std::optional<ShareFiles> files(const ShareId& id) const;
  double rate_down(Time now) const;
  double rate_up(Time now) const;
};

}  // namespace peernet::transfer
