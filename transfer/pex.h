#pragma once

// Peer exchange: peers of a share tell each other where other peers of it are. What is told is
// where connected peers listen: each address was dialled by us, or its host has dialled us and
// named the port, so that nobody can have us tell of a third party. What we are told is a hint,
// counted against whoever gave it, and dialled only by the rules of Dialer.

#include <cstddef>
#include <optional>
#include <set>
#include <vector>

#include "core/endpoint.h"
#include "core/rng.h"
#include "core/time.h"
#include "transfer/wire.h"

namespace peernet::transfer {

inline constexpr std::size_t kPexRememberedMax = 200;  // of one peer: named by it; told to it
inline constexpr Duration kPexInterval = std::chrono::minutes(1);
inline constexpr Duration kPexEarly = std::chrono::seconds(5);  // of theirs: the network is uneven
inline constexpr Duration kPexLook = std::chrono::seconds(2);   // while there is nothing to tell

// What one peer was told about one share.
class PexTold {
 public:
  bool is_due(Time now) const { return now >= due_; }
  // What has come and gone since the last message, at most kPexCountMax of each; nullopt: nothing.
  // `there` are the places where the share's peers listen; `to` is the peer's address, and `self`
  // where it listens, which it need not be told. Its channel is the caller's to fill in. Requires:
  // is_due().
  std::optional<wire::Pex> next(Time now, const std::set<Endpoint>& there, const Endpoint& to,
                                const std::optional<Endpoint>& self, bool special_use_is_global,
                                Rng& rng);

 private:
  std::set<Endpoint> told_;
  Time due_{};
};

// What one peer has named, over all shares.
class PexNamed {
 public:
  // What of a message of the peer at `from` may be tried: usable, no more local than the peer, and
  // within kPexRememberedMax until it drops some.
  std::vector<Endpoint> take(const wire::Pex& message, const Endpoint& from,
                             bool special_use_is_global);
  std::size_t size() const { return named_.size(); }

 private:
  std::set<Endpoint> named_;
};

}  // namespace peernet::transfer
