#pragma once

// Bans remembers who sent a wrong block, and whom the user wants no connection with. A liar's
// identity is out for an hour; its address only after three wrong blocks, since many may share it,
// and for ten minutes. Only what came over an authenticated connection counts: nobody can be banned
// by packets sent in his name.

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/result.h"
#include "core/time.h"

namespace peernet::transfer {

class Bans {
 public:
  static constexpr std::size_t kPeersMax = 4096;
  static constexpr std::size_t kHostsMax = 4096;
  static constexpr std::size_t kByHandMax = 4096;
  static constexpr Duration kPeerBan = std::chrono::hours(1);
  static constexpr Duration kHostBan = std::chrono::minutes(10);
  static constexpr std::uint32_t kHostScoreMax = 3;
  // A score is forgotten so long after the last wrong block.
  static constexpr Duration kScoreLife = std::chrono::hours(1);

  // Special-use addresses (loopback, private) are never banned unless `special_use_is_global`.
  explicit Bans(bool special_use_is_global) : special_use_is_global_(special_use_is_global) {}

  // When full, the one whose last wrong block is the oldest is forgotten.
  void on_bad_block(Time now, const PeerId& peer, const Endpoint& from);

  // By the user, until then (kNever: until it is lifted). Errors: too_large.
  Result<void> ban(Time now, const PeerId& peer, Time until);
  // Whatever it was banned for. False: it was not.
  bool lift(Time now, const PeerId& peer);

  bool is_banned(Time now, const PeerId& peer) const;
  // By IPv4 address or IPv6 /64, whatever the port.
  bool is_banned(Time now, const Endpoint& from) const;
  struct Banned {
    PeerId peer;
    Time until{};  // kNever: until it is lifted
    bool is_by_hand = false;
  };
  std::vector<Banned> banned(Time now) const;  // identities
  std::size_t peers() const { return peers_.size() + by_hand_.size(); }
  std::size_t hosts() const { return hosts_.size(); }

 private:
  struct Host {
    std::uint32_t score = 0;
    Time last{};  // wrong block
  };

  void expire(Time now);

  bool special_use_is_global_;
  std::map<PeerId, Time> peers_;    // with their last wrong block
  std::map<PeerId, Time> by_hand_;  // with the end
  std::map<Endpoint, Host> hosts_;
  std::set<std::pair<Time, PeerId>> oldest_peers_;  // the same, by time
  std::set<std::pair<Time, Endpoint>> oldest_hosts_;
};

}  // namespace peernet::transfer
