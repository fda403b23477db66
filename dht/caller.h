#pragma once

// The caller sends our queries and recognises their answers: it owns the transactions in flight and
// what is known of how fast nodes answer in general. What an answer means is decided elsewhere.

#include <array>
#include <cstdint>
#include <optional>

#include "core/effects.h"
#include "core/rng.h"
#include "core/time.h"
#include "dht/krpc.h"
#include "dht/outlet.h"
#include "dht/response_time.h"
#include "dht/transactions.h"

namespace peernet::dht {

class Caller {
 public:
  Caller(const DhtId& own_id, Rng rng) : own_id_(own_id), rng_(rng) {}

  // To a node of this id. `soft_timeout`: what is known of it; empty: what is known of all. False
  // if too many queries are in flight.
  bool ask(Time now, const Contact& to, const QueryBody& body, Why why,
           const std::optional<Duration>& soft_timeout, Outlet& outlet, Effects& out);
  // To whoever is there.
  bool ask(Time now, const Endpoint& to, const QueryBody& body, Why why, Outlet& outlet,
           Effects& out);

  // From now on we ask as this one.
  void move_to(const DhtId& own_id) { own_id_ = own_id; }
  // Our queries say that we answer none (BEP 43).
  void set_read_only(bool is_read_only) { is_read_only_ = is_read_only; }

  // Our find_node, get_peers and get ask for contacts of these families (BEP 32).
  void set_want(Want want) { want_ = want; }

  std::optional<Transaction> on_reply(Time now, BytesView txid, const Endpoint& from);
  std::optional<Transaction> next_stage(Time now) { return transactions_.next_stage(now); }

  bool is_asking(const Endpoint& endpoint) const { return transactions_.is_asking(endpoint); }
  Time deadline() const { return transactions_.deadline(); }
  // Sent, by kind.
  const std::array<std::uint64_t, kQueryKinds>& queries() const { return queries_; }

 private:
  bool ask(Time now, const Endpoint& to, const std::optional<DhtId>& expected,
           const QueryBody& body, Why why, Duration soft_timeout, Outlet& outlet, Effects& out);

  DhtId own_id_;
  Rng rng_;
  Transactions transactions_;
  ResponseTimes response_times_;
  bool is_read_only_ = false;
  Want want_;
  std::array<std::uint64_t, kQueryKinds> queries_{};
};

}  // namespace peernet::dht
