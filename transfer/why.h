#pragma once

// Why a share is not further, as facts that the engine has seen: one cause, and the chain behind it
// (lookup, dials, peers, pieces, limits). Nothing here is guessed: where no fact names a cause, the
// cause is `unknown`. What `status` shows as one phrase is phrase() of the same cause.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/result.h"
#include "core/time.h"
#include "transfer/dialer.h"
#include "transfer/status.h"

namespace peernet::transfer {

// How much of each list is told; the counts beside them are whole.
inline constexpr std::size_t kWhyDialsMax = 32;
inline constexpr std::size_t kWhyPeersMax = 64;
inline constexpr std::size_t kWhyPiecesMax = 16;
inline constexpr std::size_t kWhyBansMax = 8;
// Data that has been asked for is late after this.
inline constexpr Duration kWhyQuiet = std::chrono::seconds(5);
// A limit that held a request back so lately stands in the way now.
inline constexpr Duration kWhyHeldBack = std::chrono::seconds(3);

// Facts about one share at one moment; phrase() needs nothing else.
struct Reason {
  Cause cause = Cause::none;
  std::uint64_t count = 0;            // providers, nodes, pieces, peers or bytes, by the cause
  std::optional<Endpoint> at;         // whom the last failure concerns
  Dialer::Outcome outcome{};          // of the last dial
  std::string what;                   // the error's sentence
  std::optional<std::uint64_t> rate;  // of the limit
};

std::string phrase(const Reason& reason);
std::string_view word(Cause cause);
std::string_view word(Dialer::Outcome outcome);
std::string_view word(Dialer::Source source);
// One clause for people: "nobody listens there".
std::string_view sentence(Dialer::Outcome outcome);

struct WhyDial {
  Dialer::Attempt attempt;
  std::string what;  // the last failure's own words, where they are kept
};

struct WhyPeer {
  PeerId id;
  Endpoint endpoint;
  bool has_manifest = false;
  bool has_said_state = false;
  bool is_interesting = false;
  bool is_choking = true;
  bool is_snubbed = false;
  double done = 0;  // fraction of the share that it has
  double rate_down = 0;
  std::uint32_t requests_out = 0;
  Duration since_choke{};  // in this choke state
  Duration quiet{};        // since its last block, or since requests began to wait
};

struct WhyBan {
  PeerId id;
  Endpoint endpoint;
  std::string what;
  Time at{};
};

struct WhyFacts {
  ShareStatus status;
  Reason reason;
  std::optional<Time> since;  // the cause stands since then; nullopt: it is new
  bool has_lookups = true;    // false: the DHT is off
  std::optional<Time> next_lookup;
  std::vector<WhyDial> dials;  // the last tried first
  std::uint64_t dials_count = 0;
  std::vector<WhyPeer> peers;
  std::uint64_t peers_count = 0;
  std::vector<std::uint32_t> lost_pieces;  // missing, and no connected peer has them
  std::uint64_t lost_count = 0;
  std::uint64_t lost_files_count = 0;
  std::vector<WhyBan> bans;  // of peers that sent wrong data for this share; the last one last
  std::optional<Time> last_data;
  std::uint32_t writes_at_disk = 0;  // jobs
  bool is_syncing = false;
  bool is_limited = false;                  // by a download limit, just now
  bool is_memory_short = false;             // likewise, by limits.memory
  std::optional<std::uint64_t> limit_down;  // the one that did: the node's, share's or peer's
  std::optional<Time> next_retry;
};

}  // namespace peernet::transfer
