#pragma once

// What keeps the table filled and true. Growth: right after joining, and once more half a minute
// later, searches for our own id and for an id in every bucket that is not full; later our own id
// every 15 min. Tests: at most one node every 5 s, the one unheard for longest, if it was silent
// for 15 min or failed last; the test itself looks for nodes of its bucket while that has room.

#include <cstdint>
#include <optional>

#include "core/effects.h"
#include "core/rate.h"
#include "core/rng.h"
#include "core/time.h"
#include "dht/family.h"
#include "dht/searches.h"

namespace peernet::dht {

inline constexpr Duration kTestEvery = std::chrono::seconds(5);
inline constexpr Duration kSecondRoundAfter = std::chrono::seconds(30);
inline constexpr Duration kRoundEvery = std::chrono::minutes(15);
inline constexpr unsigned kGrowthBucketsMax = 32;     // in one round
inline constexpr std::size_t kGrowthSearchesMax = 2;  // at a time
// Pings to nodes that came to us by themselves, or are mentioned by others.
inline constexpr std::uint64_t kProbesPerSecond = 10;
inline constexpr std::uint64_t kProbesBurst = 32;
inline constexpr std::size_t kProbesOfReplyMax = 2;

class Upkeep {
 public:
  Upkeep(bool special_use_is_global, Rng rng);

  // The first node is listed, or the last has left.
  void on_joined(Time now);
  void on_lost();
  void on_time(Time now, Family& family, Searches& searches, Effects& out);
  // Goes on with growth; to be called after every input.
  void grow(Time now, Family& family, Searches& searches, Effects& out);
  // Somebody answered a test: whom it mentions may fill a bucket.
  void on_mentioned(Time now, const Endpoint& by, const std::vector<Contact>& contacts,
                    Family& family, Effects& out);
  // Pings it, unless it is being asked or too many were. True if a ping left.
  bool probe(Time now, const Contact& contact, Family& family, Effects& out);

  // The first round is over: the table is as good as it gets.
  bool is_grown() const { return is_grown_; }
  Time deadline() const;

 private:
  enum class Round : std::uint8_t { none, own_id, buckets };
  void test_one(Time now, Family& family, Effects& out);

  bool special_use_is_global_;
  Rng rng_;
  TokenBucket probes_{kProbesPerSecond, kProbesBurst};
  Time test_at_ = kNever;
  Time round_at_ = kNever;
  unsigned rounds_count_ = 0;  // begun since joining
  Round round_ = Round::none;
  unsigned bucket_next_ = 0;
  bool is_grown_ = false;
};

}  // namespace peernet::dht
