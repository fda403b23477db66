#pragma once

// One iterative search for the nodes nearest to a target: which contacts we have heard of, whom to
// ask next, and when it is over. Pure arithmetic: the owner sends, and tells what became of it.
// A search is over when the nearest nodes that answer hold all its places and nobody nearer is left
// to ask or still waited for. Values found never end it. Who gets a place is more than a matter of
// distance: not more than the size of the network makes likely at that distance (the rest are
// sybils or invented), at most 2 of a /24 and 3 of a /16, and last those of whom we know from one
// source alone that told us of more dead nodes than living ones. Who was told of is not asked where
// as many were asked already: nobody leads us on by ever nearer inventions. What is to be stored in
// a crowd runs over disjoint paths: no part of what we began with leads to more than a share of the
// places.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/bytes.h"
#include "dht/contact.h"

namespace peernet::dht {

inline constexpr std::size_t kLookupWidth = 8;          // answering nodes that end a search
inline constexpr std::size_t kLookupParallelism = 4;    // and one more for each slow query
inline constexpr std::size_t kLookupInFlightMax = 8;    // waiting and slow ones
inline constexpr std::size_t kLookupWidthCrowded = 12;  // where more nodes are than there should be
// Into so many paths the nodes we begin with are dealt. Who was told of along one path belongs to
// it, who was told of along several to none.
inline constexpr std::uint8_t kLookupPaths = 4;
inline constexpr std::size_t kLookupPathPlacesMax = 4;  // in a crowd, of one path
// An announce or put into a crowd goes to all places that are expected to be among the 20 nearest,
// and to 20 at most.
inline constexpr double kLookupRegion = 20;
inline constexpr std::size_t kLookupCandidatesMax = 128;
inline constexpr std::size_t kLookupQueriesMax = 96;
inline constexpr std::size_t kLookupHostQueriesMax = 2;     // the second only after a wrong id
inline constexpr std::size_t kLookupNetworkQueriesMax = 2;  // to one /24, failed ones aside
inline constexpr std::size_t kLookupNetworkPlacesMax = 2;   // of one /24
inline constexpr std::size_t kLookupRegionPlacesMax = 3;    // of one /16

class Lookup {
 public:
  // `network_size`: how many nodes there probably are; 0: nobody knows, and none is too near.
  Lookup(const DhtId& target, double network_size, bool special_use_is_global);

  // Somebody to consider, from our own table or told by `teller`. The owner has checked that it may
  // be asked at all.
  void add(const Contact& contact);
  void add(const Contact& contact, const Contact& teller);
  // It has answered the question of this search before the search began.
  void add_answered(const Contact& contact);
  // The next to ask, which from then on counts as asked. Four at a time, more only for those that
  // are probably among the 8 nearest and have to be asked anyway.
  std::optional<Contact> next();

  // `asked` answered as `sender`. Only the id we expected counts, or one we were told of at the
  // same endpoint. False if the answer is nobody's we look for.
  bool on_answer(const Contact& asked, const DhtId& sender, BytesView token);
  void on_slow(const Contact& asked);
  void on_lapsed(const Contact& asked);
  void on_failed(const Contact& asked);
  // An announce or put follows: in a crowd the search covers the whole region.
  void be_thorough() { is_thorough_ = true; }

  bool is_over() const;

  struct Found {
    Contact contact;
    Bytes token;          // empty: it gave none
    double expected = 0;  // so many nodes should be as near; 0 if the size is unknown
  };
  // The nodes that answered and may hold a place, nearest first: `count_max`, more in a crowd.
  std::vector<Found> nearest(std::size_t count_max = kLookupWidth) const;
  // Those of the first 8 places that answered or still may.
  std::vector<Contact> hopeful() const;

  const DhtId& target() const { return target_; }
  std::size_t asked_count() const { return asked_count_; }
  std::size_t answered_count() const { return answered_count_; }
  std::size_t candidates_count() const { return candidates_.size(); }
  // The most queries in a row that led to one of the 8 nearest.
  std::uint32_t hops() const;
  // More nodes are here than chance puts at such distances.
  bool is_crowded() const;

 private:
  enum class State : std::uint8_t { fresh, waiting, slow, lapsed, failed, answered };
  struct Candidate {
    Contact contact;
    Location location;
    DhtId distance;
    double expected = 0;
    std::uint32_t hop = 1;
    std::uint32_t number = 0;   // it was the number-th to be asked; 0: not yet
    std::uint32_t told_by = 0;  // number of the only one that told of it; 0: our table, or several
    std::uint8_t path = 0;      // from 1 on; 0: several
    State state = State::fresh;
    Bytes token;
  };
  struct Places;

  void insert(Candidate candidate);
  Candidate* find(const Contact& contact);
  bool may_ask(const Candidate& candidate) const;
  static bool is_same_host(const Candidate& a, const Candidate& b);
  // Moves a query that is in flight to another state.
  void move(const Contact& asked, State to);
  // Who holds the places, if those that are asked answer: all of them, all but the slow ones, or
  // none (who has not answered holds none).
  enum class Awaited : std::uint8_t { all, not_slow, none };
  Places places(Awaited awaited, std::size_t width = kLookupWidth) const;
  // Candidates before these, by index, have one behind them within whose distance as many were
  // asked, or of those have not failed, as chance puts there: another one would be one too many.
  struct CrowdEnd {
    std::size_t asked = 0;
    std::size_t living = 0;
  };
  CrowdEnd crowd_end() const;

  DhtId target_;
  double network_size_;
  bool special_use_is_global_;
  bool is_thorough_ = false;
  std::vector<Candidate> candidates_;  // nearest first
  std::size_t asked_count_ = 0;
  std::size_t answered_count_ = 0;
  std::uint8_t path_next_ = 0;
};

}  // namespace peernet::dht
