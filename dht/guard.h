#pragma once

// How much we answer to whom. A source address of a datagram proves nothing, so every answer to an
// unproven source might hit a victim: at most 4.5 bytes out for one datagram, and in a burst not
// much more than what came in. A source is proven for ten minutes once it answered our query or
// used a valid token. Memory is bounded: budgets live in tables indexed by a secret hash of the
// prefix, each in two cells, and one free cell is enough, so that no flood can evict anybody's.

#include <array>
#include <cstdint>
#include <vector>

#include "core/rng.h"
#include "core/time.h"
#include "dht/contact.h"
#include "dht/keyed_hash.h"
#include "dht/recent_set.h"

namespace peernet::dht {

// Queries answered: per address 10 a second, 20 at once; its /24 four and its /16 sixteen times it.
inline constexpr std::uint32_t kRepliesPerSecond = 10;
inline constexpr std::uint32_t kRepliesBurst = 20;
inline constexpr std::uint32_t kNetworkFactor = 4;
inline constexpr std::uint32_t kRegionFactor = 16;
// For an unproven source: one answer is at most 4.5 times its query (as a fraction), and of the
// bytes that came in it gets three quarters back, above 1,425 at once that fill up in 10 s.
// A burst of 20 get_peers (95 bytes each) is so answered with 1.5 times its bytes.
inline constexpr std::size_t kAmplificationNumerator = 9;
inline constexpr std::size_t kAmplificationDenominator = 2;
inline constexpr std::uint32_t kUnprovenBytesBurst = 1'425;
inline constexpr std::uint32_t kUnprovenBytesPerSecond = 142;
// An answer no longer than the query and this is always allowed: a ping's is 3 bytes longer.
inline constexpr std::size_t kAnswerSurplus = 8;
inline constexpr std::size_t kProvenMax = 4'096;  // hosts that count as proven
inline constexpr Duration kProvenFor = std::chrono::minutes(10);
// To a /24 without proof: two answers over 500 bytes in 10 s.
inline constexpr std::size_t kLargeAnswer = 500;

// Debts that are paid off at a fixed rate, one for each hash. Two sources whose hashes meet in both
// rows share one debt; this errs against them, never for them. So does the clock of a cell, which
// goes round in eleven minutes: once in a round an old debt may be taken for a new one. A table
// begins small, and doubles while so many debts are made that more than an eighth of its cells
// might hold one.
class DebtTable {
 public:
  // Units may be owed up to `burst`; `rate` of them are forgiven every second.
  // Requires: cells_max is a power of two, and at most 2^32; burst is at most kDebtMax.
  DebtTable(std::size_t cells_max, std::uint32_t rate, std::uint32_t burst);

  std::uint32_t room(Time now, std::uint64_t hash);
  void owe(Time now, std::uint64_t hash, std::uint32_t units);
  void pay(Time now, std::uint64_t hash, std::uint32_t units);

  std::size_t cells_count() const { return rows_[0].size(); }

 private:
  struct Cell {
    std::uint16_t debt = 0;  // in fractions of a unit
    std::uint16_t at = 0;    // in ticks, modulo 2^16
  };
  static constexpr std::size_t kRows = 2;
  static constexpr std::uint32_t kDebtMax = 60'000;
  static constexpr Duration kTick = std::chrono::milliseconds(10);
  Cell& cell(Time now, std::size_t row, std::uint64_t hash);
  void grow_if_crowded(Time now);

  std::size_t cells_max_;
  // No debt is older than this. So at most as many cells hold one as were made in the window of
  // this length that runs, and the one before.
  Duration window_;
  Time window_ends_{};
  std::size_t debts_count_ = 0;   // made in the window that runs
  std::size_t debts_before_ = 0;  // in the one before
  std::uint32_t fractions_;       // of one unit
  std::uint32_t burst_;           // in fractions, as all that follows
  std::uint32_t rate_;            // a second
  std::array<std::vector<Cell>, kRows> rows_;
};

class Guard {
 public:
  // With `is_limiting` false every source is exempt, for measurements.
  Guard(bool special_use_is_global, bool is_limiting, Rng& rng);

  // May a query of this source be answered at all? Counts it, if so.
  bool admit(Time now, const Endpoint& source);
  // The longest answer allowed to a query of `query_size` bytes, to which `also_sent` bytes go out
  // as well. Requires: admit() said yes.
  std::size_t answer_size_max(Time now, const Endpoint& source, std::size_t query_size,
                              std::size_t also_sent);
  void on_answered(Time now, const Endpoint& to, std::size_t answer_size);

  void prove(Time now, const Endpoint& source);
  // Exempt sources count as proven.
  bool is_proven(Time now, const Endpoint& source) const;

 private:
  struct Budget {
    explicit Budget(std::size_t cells_count);
    DebtTable hosts;
    DebtTable networks;
    DebtTable regions;
  };
  std::uint64_t hash(std::uint64_t prefix) const { return keyed_hash_(std::array{prefix}); }
  Location location(const Endpoint& endpoint) const {
    return location_of(endpoint, special_use_is_global_);
  }
  bool is_exempt(const Location& from) const { return !is_limiting_ || !from.is_limited; }
  bool is_proven(Time now, const Location& from) const {
    return is_exempt(from) || proven_.contains(now, hash(from.host));
  }

  bool special_use_is_global_;
  bool is_limiting_;
  KeyedHash keyed_hash_;
  // One for unproven and one for proven sources, so that no flood of forged addresses starves a
  // proven node.
  std::array<Budget, 2> budgets_;
  DebtTable unproven_bytes_;
  DebtTable large_answers_;
  RecentSet proven_{kProvenMax, kProvenFor};
};

}  // namespace peernet::dht
