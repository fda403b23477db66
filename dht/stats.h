#pragma once

// The figures of the DHT engine, for its owner.

#include <array>
#include <cstdint>
#include <optional>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "dht/krpc.h"

namespace peernet::dht {

// Queries of one kind.
struct QueryCounts {
  std::uint64_t in = 0;
  std::uint64_t answered = 0;  // of those, with a reply
  std::uint64_t refused = 0;   // with an error
  std::uint64_t limited = 0;   // not at all: over the budget of its source, or we answer nobody
  std::uint64_t out = 0;
  std::uint64_t replies_in = 0;  // to ours

  QueryCounts& operator+=(const QueryCounts& other) {
    in += other.in;
    answered += other.answered;
    refused += other.refused;
    limited += other.limited;
    out += other.out;
    replies_in += other.replies_in;
    return *this;
  }
};

struct Stats {
  DhtId id;                          // of IPv4, where there is IPv4
  std::optional<Endpoint> address;   // ours, as others see it; with port 0
  std::optional<Endpoint> address6;  // the one of IPv6
  std::uint32_t nodes = 0;
  std::uint32_t nodes6 = 0;  // those of them at IPv6 addresses
  std::uint32_t nodes_good = 0;
  double network_size = 0;  // nodes of the whole network, estimated; 0: not known
  std::uint32_t stored_keys = 0;
  std::uint32_t stored_peers = 0;
  std::uint32_t stored_items = 0;
  std::uint32_t lookups_active = 0;  // of the owner, with those that wait their turn
  std::uint64_t queries_in = 0;
  std::uint64_t queries_out = 0;
  std::uint64_t replies_in = 0;  // matched to a query of ours
  std::uint64_t errors_in = 0;
  std::uint64_t dropped_in = 0;  // malformed, unasked for, or over the source's budget
  std::array<QueryCounts, kQueryKinds> by_kind{};
  std::uint64_t bytes_in = 0;  // of payload
  std::uint64_t bytes_out = 0;
  bool is_joined = false;
  bool is_hidden = false;  // nobody reaches us, as it seems, and we ask only
};

}  // namespace peernet::dht
