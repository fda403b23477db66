#pragma once

// Gate decides which connections may exist: inbound ones before they have proved anything, and how
// many in each direction afterwards. No single network can fill it: prefixes have shares, and when
// the whole is full the fullest prefix pays, so that a lone honest newcomer is never the victim.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "core/effects.h"
#include "core/endpoint.h"
#include "core/time.h"

namespace peernet::transfer {

class Gate {
 public:
  static constexpr std::size_t kUnprovenMax = 1024;                // by default
  static constexpr std::size_t kUnprovenPerHostMax = 8;            // an IPv4 address or an IPv6 /64
  static constexpr std::size_t kUnprovenPerPrefixMax = 32;         // an IPv4 /24 or an IPv6 /48
  static constexpr std::uint32_t kHandshakesPerSecond = 200;       // by default
  static constexpr std::size_t kHandshakesPerPrefixPerSecond = 5;  // /24 or /48, under load

  struct Verdict {
    bool is_admitted = false;
    std::optional<ConnId> evicted;  // already forgotten here; the caller closes it
  };

  // Special-use addresses (loopback, private) are exempt from the rules for hosts and prefixes
  // unless `special_use_is_global`; they may be evicted like any other.
  Gate(bool special_use_is_global, std::uint32_t established_in_max,
       std::uint32_t established_out_max, std::size_t unproven_max = kUnprovenMax,
       std::uint32_t handshakes_per_second = kHandshakesPerSecond);

  // An inbound connection that is not admitted is closed by the caller and never known here.
  Verdict on_accepted(Time now, ConnId conn, const Endpoint& from);
  // An outbound connection begins.
  void on_dialled(ConnId conn);
  // The peer has proved its identity. false: as many are established in this direction as may be;
  // the connection is forgotten here and the caller closes it. Inbound and outbound never displace
  // each other.
  bool on_proven(ConnId conn, bool is_inbound);
  // Every connection that ends, in whatever state; unknown ones are ignored.
  void on_closed(ConnId conn);

  // May a handshake of an inbound connection be computed now? Counts it when it may. Over the
  // budget the caller closes the connection without an answer.
  bool may_handshake(Time now, const Endpoint& from);

  // Queries.
  std::size_t unproven() const { return unproven_.size(); }  // inbound
  std::size_t unproven_of_host(const Endpoint& endpoint) const;
  std::size_t unproven_of_prefix(const Endpoint& endpoint) const;
  std::size_t dialling() const { return dialling_.size(); }
  std::size_t established_in() const { return established_in_.size(); }
  std::size_t established_out() const { return established_out_.size(); }

 private:
  struct Unproven {
    Endpoint from;
    std::uint64_t number = 0;  // in the order of arrival
  };
  using Prefix = std::map<std::uint64_t, ConnId>;  // by number: the oldest first
  // Fullest first, then the one with the oldest connection.
  struct Rank {
    std::size_t conns = 0;
    std::uint64_t oldest = 0;
    Endpoint prefix;
    bool operator<(const Rank& other) const {
      return std::tie(other.conns, oldest, prefix) < std::tie(conns, other.oldest, other.prefix);
    }
  };

  bool is_exempt(const Endpoint& endpoint) const;
  static Rank rank_of(const Endpoint& prefix, const Prefix& held);
  void insert_unproven(ConnId conn, const Endpoint& from);
  void remove_unproven(ConnId conn);

  bool special_use_is_global_;
  std::size_t established_in_max_;
  std::size_t established_out_max_;
  std::size_t unproven_max_;
  std::size_t handshakes_per_second_;
  std::uint64_t arrivals_ = 0;
  std::map<ConnId, Unproven> unproven_;
  std::map<Endpoint, std::size_t> hosts_;
  std::map<Endpoint, Prefix> prefixes_;
  std::set<Rank> ranks_;  // one for each of prefixes_
  std::set<ConnId> dialling_;
  std::set<ConnId> established_in_;
  std::set<ConnId> established_out_;
  // Handshakes of the last second; at most handshakes_per_second_.
  std::deque<std::pair<Time, Endpoint>> handshakes_;
  std::map<Endpoint, std::size_t> handshakes_of_prefix_;
};

}  // namespace peernet::transfer
