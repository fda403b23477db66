#pragma once

// What keeps the table filled and true. Growth: right after joining, and once more half a minute
// later, searches for our own id and for an id in every bucket that is not full, down to the one of
// the 8th nearest node, for the first search has found all that are nearer; later our own id every
// 15 min. Tests: at most one node every 5 s, the one unheard for longest, if it was silent
// for 15 min or failed last; the test itself looks for nodes of its bucket while that has room. Who
// is mentioned and would find room is asked as well, while growing everybody: so that in a small
// network a table holds all, and most lookups are one step.

#include <cstdint>
#include <deque>
#include <optional>

#include "core/effects.h"
#include "core/rate.h"
#include "core/rng.h"
#include "core/time.h"
#include "dht/family.h"
#include "dht/keyed_hash.h"
#include "dht/recent_set.h"
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
inline constexpr std::size_t kProbesOfReplyMax = 2;  // when not growing
inline constexpr Duration kGrowthFor = std::chrono::seconds(20);
inline constexpr std::size_t kMentionedMax = 128;  // that wait to be asked
inline constexpr std::size_t kTriedMax = 512;      // not asked again for a while
inline constexpr Duration kTriedFor = std::chrono::minutes(15);

class Upkeep {
 public:
  Upkeep(bool special_use_is_global, Rng rng);

  // The first node is listed, or the last has left.
  void on_joined(Time now);
  void on_lost();
  void on_time(Time now, Family& family, Searches& searches, Effects& out);
  // Goes on with growth; to be called after every input.
  void grow(Time now, Family& family, Searches& searches, Effects& out);
  // A node answered a question about our own id.
  void on_introduced(Time now, Introduction introduction, Family& family, Searches& searches,
                     Effects& out);
  // Somebody answered: whom it mentions may fill a bucket.
  void on_mentioned(Time now, const Endpoint& by, const std::vector<Contact>& contacts,
                    Family& family, Effects& out);
  // Pings it, unless it is being asked or too many were. True if a ping left.
  bool probe(Time now, const Contact& contact, Family& family, Effects& out);

  // The first round is over: the table is as good as it gets.
  bool is_grown() const { return is_grown_; }
  bool is_growing(Time now) const { return round_ != Round::none || now < growth_ends_; }
  Time deadline() const;

 private:
  enum class Round : std::uint8_t { none, own_id, buckets };
  void test_one(Time now, Family& family, Effects& out);
  void ask_mentioned(Time now, Family& family, Effects& out);
  // It is asked as soon as the rate allows, if it would find room and was not tried lately.
  bool want(Time now, const Contact& contact, const Family& family);

  bool special_use_is_global_;
  Rng rng_;
  TokenBucket probes_{kProbesPerSecond, kProbesBurst};
  Time test_at_ = kNever;
  Time round_at_ = kNever;
  unsigned rounds_count_ = 0;  // begun since joining
  Round round_ = Round::none;
  unsigned bucket_next_ = 0;
  bool is_grown_ = false;
  Time growth_ends_{};
  std::optional<Introduction> introduction_;  // for the first search for our own id
  std::deque<Contact> mentioned_;
  Time mentioned_at_ = kNever;  // when the first of them may be asked
  KeyedHash keyed_hash_;
  RecentSet tried_{kTriedMax, kTriedFor};
};

}  // namespace peernet::dht
