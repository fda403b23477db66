#pragma once

// The nodes we know, in one bucket for each number of leading bits they share with our own id.
// Invariants: a node is here only because it answered our own query with this id from this
// endpoint; a bucket holds at most 8, the first three 64, 32 and 16; of nodes that are much nearer
// to each other than chance would have it two; among limited addresses a host is listed once, and a
// network (/24) once in a bucket. Who has been here longer stays: a newcomer to a full bucket waits
// as a spare until a listed node has failed twice. Only a node with a right to its id (BEP 42)
// takes the place of one without, the newest of those.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/rng.h"
#include "core/time.h"
#include "dht/contact.h"
#include "dht/node_id.h"
#include "dht/response_time.h"

namespace peernet::dht {

inline constexpr std::size_t kBucketSize = 8;
// The first buckets hold half, a quarter, an eighth of all there are: room there makes the first
// step of every lookup three times as long.
inline constexpr std::size_t kWideBucketSize = 64;
constexpr std::size_t bucket_size(unsigned index) {
  return index < 4 ? std::max(kWideBucketSize >> index, kBucketSize) : kBucketSize;
}
// Of the nodes of a bucket that share three bits more than its nodes have to if they are spread
// evenly: so many. Sybils crowd around a key, and of each bucket they get no more than this.
inline constexpr std::size_t kTwinsMax = 2;
inline constexpr std::size_t kSparesMax = 8;     // in a bucket, the most recent ones
inline constexpr std::uint8_t kFailuresMax = 2;  // a node that failed so often in a row leaves
inline constexpr Duration kQuestionableAfter = std::chrono::minutes(15);
inline constexpr Duration kRetestAfter = std::chrono::seconds(5);

class RoutingTable {
 public:
  RoutingTable(const DhtId& own_id, bool special_use_is_global);

  enum class Outcome : std::uint8_t {
    known,     // listed already
    listed,    // new
    spare,     // its bucket is full; it waits
    unwanted,  // it breaks a rule
  };
  // `contact` answered our query. Whoever was listed under its endpoint with another id leaves.
  Outcome on_answer(Time now, const Contact& contact, Duration took);
  // It did not answer. True if it left the table (a spare may have taken its place).
  bool on_failure(Time now, const Contact& contact);

  // It is not who we took it for. True if it was listed.
  bool forget(Time now, const Contact& contact);

  // Up to `count` nodes nearest to `target`, nearest first. With a receiver: only such as may be
  // told to it (none more local than it is), none that failed last, and of the `count` and 8
  // nearest those with a right to their ids first.
  std::vector<Contact> closest(const DhtId& target, std::size_t count,
                               const std::optional<Endpoint>& receiver = std::nullopt) const;

  bool contains(const Contact& contact) const;
  bool contains(const Endpoint& endpoint) const;
  // Our own id has changed: everybody is filed anew, the oldest first.
  void move_to(const DhtId& own_id);
  // Would it enter its bucket now, should it answer? False for what is listed.
  bool has_room_for(const Contact& contact) const;
  // The node to test because `contact` wants its place: the one listed under the same id at another
  // endpoint, or in a full bucket the questionable one unheard for longest. Empty if there is none,
  // or it answered within the last 5 s.
  std::optional<Contact> rival_of(const Contact& contact, Time now) const;
  // The questionable node unheard for longest, for upkeep. Marks it as being tested.
  std::optional<Contact> next_to_test(Time now);
  // From its own answers; empty for a node that is not listed.
  std::optional<Duration> soft_timeout(const Contact& contact) const;
  // The known nodes, those who failed last and the newest at the end.
  std::vector<Contact> best(std::size_t count_max) const;

  std::size_t size() const { return size_; }
  std::size_t good_count(Time now) const;
  // The bucket of the 8th nearest node, by the bits it shares; the first while fewer are known. A
  // search for our own id finds whoever is nearer.
  unsigned depth() const;
  bool is_full(unsigned bucket_index) const {
    return buckets_[bucket_index].nodes.size() >= bucket_size(bucket_index);
  }
  // How many nodes the network has, if ours is an ordinary place in it: from the first bucket with
  // room and the next one, in which we know everybody. 0 while nobody is known.
  double population() const;
  const DhtId& own_id() const { return own_id_; }

 private:
  struct Node {
    Contact contact;
    Location location;
    std::uint64_t id_prefix = 0;  // its first 64 bits
    Time listed;
    Time heard;   // its last answer
    Time tested;  // when upkeep last asked it
    std::uint8_t failures = 0;
    bool has_right = false;  // to its id
    ResponseTime response_time;

    bool is_questionable(Time now) const {
      return failures > 0 || now - heard >= kQuestionableAfter;
    }
  };
  struct Bucket {
    std::vector<Node> nodes;   // oldest first
    std::vector<Node> spares;  // oldest first
  };

  unsigned index_of(const DhtId& id) const;
  const Node* find(const Contact& contact) const;
  bool breaks_rule(const Contact& contact, const Location& location, unsigned index) const;
  void drop_other_ids(Time now, const Contact& contact);
  void promote(Time now, unsigned index);
  // Whose place a newcomer with a right to its id may take; null if nobody's.
  static Node* without_right(Bucket& bucket);
  static void add_spare(Bucket& bucket, const Node& node);
  template <class Visit>
  void for_each(Visit visit) const;

  DhtId own_id_;
  bool special_use_is_global_;
  std::array<Bucket, kIdBits> buckets_;
  // Invariant: beyond the first so many, buckets are empty and without spares.
  unsigned used_ = 0;
  std::size_t size_ = 0;
};

}  // namespace peernet::dht
