#pragma once

// Our queries in flight: whom we asked, why, and since when. A query passes through stages as no
// answer comes: slow (something else is worth trying), lapsed (nobody waits for it any more),
// failed (3 s; forgotten). An answer counts in every stage but the last, and only from the endpoint
// that was asked, under the 8 random bytes we sent.

#include <cstdint>
#include <map>
#include <optional>

#include "core/bytes.h"
#include "core/rng.h"
#include "core/time.h"
#include "core/timers.h"
#include "dht/contact.h"

namespace peernet::dht {

using Txid = Tagged<struct TxidTag, 8>;

inline constexpr std::size_t kTransactionsMax = 1'024;
inline constexpr Duration kHardTimeout = std::chrono::seconds(3);

// Which part of the engine asked.
struct Why {
  enum class Kind : std::uint8_t {
    probe,        // is it alive, who is it
    join,         // into the network
    lookup,       // one step of the search with this number
    announce,     // the end of it
    item_lookup,  // one step of the item search with this number
    item_store,   // the end of it
  };
  Kind kind = Kind::probe;
  std::uint64_t search = 0;
  std::size_t query = 0;  // its kind; the caller's to set
};

struct Transaction {
  enum class Stage : std::uint8_t { waiting, slow, lapsed, failed };

  Txid txid;
  Endpoint to;
  std::optional<DhtId> expected;  // the id the node should answer with, where we know it
  Why why;
  Time sent;
  Duration soft_timeout{};
  Stage stage = Stage::waiting;
};

class Transactions {
 public:
  // nullopt while kTransactionsMax are in flight.
  std::optional<Txid> begin(Time now, const Endpoint& to, const std::optional<DhtId>& expected,
                            Why why, Duration soft_timeout, Rng& rng);
  // The query this answers. It is removed.
  std::optional<Transaction> match(BytesView txid, const Endpoint& from);
  // The next query that has reached a stage by now. One that failed is removed.
  std::optional<Transaction> next_stage(Time now);

  bool is_asking(const Endpoint& endpoint) const { return asked_.contains(endpoint); }
  std::size_t size() const { return transactions_.size(); }
  Time deadline() const { return timers_.next(); }

 private:
  void erase(std::map<Txid, Transaction>::iterator transaction);

  std::map<Txid, Transaction> transactions_;
  std::map<Endpoint, std::size_t> asked_;  // queries in flight to each endpoint, none with 0
  Timers<Txid> timers_;
};

}  // namespace peernet::dht
