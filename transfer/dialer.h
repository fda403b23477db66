#pragma once

// Dialer decides which address is dialled next, and when: the one scheduler for every source of
// addresses. What strangers say is a hint, so an address that has proved nothing is dialled at most
// once in 10 minutes, whoever names it, for whatever share and under whatever port: no crowd of
// liars can aim us at a third party. The caller applies the locality rule (may_learn) before add().

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/rng.h"
#include "core/time.h"

namespace peernet::transfer {

class Dialer {
 public:
  enum class Source : std::uint8_t {
    link,        // named by the user: any port, and the short waits of a proven address
    lan,         // said on the local network
    dht,         // said by strangers
    pex,         // said by a peer
    remembered,  // reached in an earlier session; nothing is proved in this one
  };

  // What came of a dial.
  enum class Outcome : std::uint8_t {
    refused,          // nobody listens there
    timed_out,        // no answer to the connect
    unreachable,      // no way there
    silent,           // accepted, and then not a byte of a handshake
    closed_silently,  // accepted and closed without a byte
    handshake,        // the handshake failed half way
    busy,             // as many peers are connected as may be
    duplicate,        // another connection to it stays
    banned,           // it sent wrong data
    share_unknown,    // it does not know this share, or does not offer it now
    ended,            // it was connected
    other,
  };
  // A dial that proved nothing; `what` is cut at kWhatMax bytes.
  struct Failure {
    Endpoint endpoint;
    std::string what;
    Time at{};
    Outcome outcome = Outcome::other;
  };
  // What is known of one address of a share.
  struct Attempt {
    Endpoint endpoint;
    Source source{};
    bool is_dialling = false;
    bool is_connected = false;
    std::optional<Outcome> last;  // nullopt: not dialled yet
    Time last_at{};
    Time due{};  // of the next dial, while it waits
  };

  static constexpr std::size_t kAddressesMax = 4096;
  static constexpr std::size_t kAddressesPerShareMax = 200;
  static constexpr std::size_t kSharesPerAddressMax = 64;
  static constexpr std::size_t kFailuresPerShareMax = 16;
  static constexpr std::size_t kWhatMax = 200;
  static constexpr std::size_t kSelvesMax = 64;
  static constexpr std::size_t kHalfOpenMax = 64;
  static constexpr std::uint32_t kDialsPerSecond = 20;  // by default
  static constexpr std::uint32_t kDialsPerSecondMax = 200;
  static constexpr std::uint32_t kDialBurst = 20;  // or as many as go in a second, if fewer
  static constexpr Duration kUnprovenWait = std::chrono::minutes(10);
  static constexpr Duration kShortestWait = std::chrono::seconds(1);
  static constexpr Duration kLongestWait = std::chrono::minutes(10);
  static constexpr Duration kRefusedWait = std::chrono::minutes(10);
  // A connection that lasted this long was a good one: the waits start anew.
  static constexpr Duration kSettled = std::chrono::minutes(1);
  // So many dials in a row without a proof, and an address no longer counts as proven.
  static constexpr std::uint32_t kProofForgottenAfter = 8;

  // Special-use addresses (loopback, private) are counted by address and port, since many nodes of
  // a test or a site share them, unless `special_use_is_global`; all others by IPv4 address or IPv6
  // /64 alone.
  Dialer(bool special_use_is_global, const Rng& rng,
         std::uint32_t dials_per_second = kDialsPerSecond);

  // Ignored: an unusable address, a port under 1024 unless it is Source::link, ourselves, and what
  // is over a limit. When full, an unproven address that has failed makes room, most failures
  // first; for Source::link also one that was never tried.
  void add(Time now, const Endpoint& endpoint, const ShareId& share, Source source);
  // A share that wants no more peers: for it alone only what links name is dialled. All want more
  // at first.
  void set_enough(const ShareId& share, bool is_enough);
  // Its addresses go, except those that another share knows too.
  void remove_share(const ShareId& share);

  // The address to dial now, counted as half-open until on_failed or on_proven. nullopt: none is
  // due, or the dial rate or kHalfOpenMax is reached. Proven addresses first, then those of links,
  // then the rest, in random order. Ask again until it says nullopt.
  std::optional<Endpoint> next(Time now);

  // The dial failed, or the connection ended before the handshake was done.
  void on_failed(Time now, const Endpoint& endpoint, std::string why,
                 Outcome outcome = Outcome::other);
  // The handshake is done: connected now. Other ports of this address may be tried at once.
  void on_proven(Time now, const Endpoint& endpoint);
  // A proven connection ended. It may be tried again after 1 s, doubling to 10 min while
  // connections end within kSettled or dials fail.
  void on_closed(Time now, const Endpoint& endpoint, Outcome outcome = Outcome::ended);
  // The peer there does not know this share: not dialled for it for kRefusedWait.
  void on_refused_share(Time now, const Endpoint& endpoint, const ShareId& share);
  // It is ourselves: never again.
  void on_self(const Endpoint& endpoint);

  // Queries.
  // When next() may give something; kNever while nothing waits or too many are half-open.
  Time deadline() const;
  // The shares that an address was named for, without those it refused; empty when unknown.
  std::vector<ShareId> shares(const Endpoint& endpoint) const;
  std::size_t known(const ShareId& share) const;  // addresses, in any state
  std::size_t known() const { return addresses_.size(); }
  std::size_t half_open() const { return half_open_; }
  // Oldest first.
  std::vector<Failure> failures(const ShareId& share) const;
  // All addresses of a share, in their order.
  std::vector<Attempt> attempts(const ShareId& share) const;
  // Who named the address first, or the user; nullopt: unknown.
  std::optional<Source> source(const Endpoint& endpoint) const;

 private:
  enum class State : std::uint8_t { waiting, ready, dialling, connected };
  struct Address {
    State state = State::waiting;
    Source source{};
    bool is_named = false;                          // by a link
    bool is_proven = false;                         // a handshake was done there in this run
    std::uint32_t failures = 0;                     // since the last settled connection
    std::optional<Outcome> last;                    // of the last dial
    Time last_at{};                                 // when it came to that
    Time due{};                                     // by its own waits
    Time indexed{};                                 // its key in waiting_
    Time proven_at{};                               // start of the connection
    std::uint64_t order = 0;                        // random: its place among its like
    std::map<ShareId, std::optional<Time>> shares;  // with the end of a refusal
  };
  struct Share {
    std::set<Endpoint> addresses;
    std::deque<Failure> failures;
    bool is_enough = false;
    // ends_count_ when none of its addresses could make room for what a stranger named.
    std::optional<std::uint64_t> full_at;
  };
  using Addresses = std::map<Endpoint, Address>;
  using Ready = std::tuple<int, std::uint64_t, Endpoint>;  // rank, order

  Endpoint tried_key(const Endpoint& endpoint) const;
  static bool is_held_back(const Address& address);
  static bool is_in_use(const Address& address);
  Time due(const Endpoint& endpoint, const Address& address) const;
  static Ready ready_key(const Endpoint& endpoint, const Address& address);
  Duration jittered(Duration wait);
  Duration wait_after_failure(const Address& address);
  void unschedule(const Endpoint& endpoint, Address& address);
  void schedule(const Endpoint& endpoint, Address& address);
  void end_use(Time now, Addresses::iterator found);
  void forget(Addresses::iterator found);
  static bool may_make_room(const Address& address, bool is_for_named);
  bool make_room_in(Share& share, bool is_for_named);
  bool make_room(bool is_for_named);
  Time rate_allows_at() const;
  void clear_tried(const Endpoint& endpoint);
  void expire(Time now);

  bool special_use_is_global_;
  Rng rng_;
  Addresses addresses_;
  std::map<ShareId, Share> shares_;
  std::set<std::pair<Time, Endpoint>> waiting_;  // by when they are due
  std::set<Ready> ready_;                        // due, unless their address was tried
  std::size_t half_open_ = 0;
  std::uint64_t ends_count_ = 0;          // uses of addresses that ended
  std::optional<std::uint64_t> full_at_;  // likewise, of all addresses
  // Unproven addresses dialled in the last kUnprovenWait. Bounded by the dial rate: 12,020, or
  // 120,020 at the highest.
  std::map<Endpoint, Time> tried_;
  std::deque<std::pair<Time, Endpoint>> tried_order_;
  std::deque<Endpoint> selves_;
  Duration dial_interval_;
  Duration burst_credit_;
  Time rate_paid_{};  // dials so far are paid for up to here
};

}  // namespace peernet::transfer
