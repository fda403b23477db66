#pragma once

// One iterative search for the nodes nearest to a target: which contacts we have heard of, whom to
// ask next, and when it is over. Pure arithmetic: the owner sends, and tells what became of it.
// A search is over when the 8 nearest nodes that answer are known and nobody nearer is left to ask
// or still waited for. Values found never end it.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/bytes.h"
#include "dht/contact.h"

namespace peernet::dht {

inline constexpr std::size_t kLookupWidth = 8;        // answering nodes that end a search
inline constexpr std::size_t kLookupParallelism = 4;  // and one more for each slow query
inline constexpr std::size_t kLookupInFlightMax = 8;  // waiting and slow ones
inline constexpr std::size_t kLookupCandidatesMax = 128;
inline constexpr std::size_t kLookupQueriesMax = 96;
inline constexpr std::size_t kLookupHostQueriesMax = 2;     // the second only after a wrong id
inline constexpr std::size_t kLookupNetworkQueriesMax = 2;  // to one /24, failed ones aside

class Lookup {
 public:
  Lookup(const DhtId& target, bool special_use_is_global);

  // Somebody to consider. The owner has checked that it may be asked at all.
  void add(const Contact& contact);
  // The next to ask, which from then on counts as asked.
  std::optional<Contact> next();

  // `asked` answered as `sender`. Only the id we expected counts, or one we were told of at the
  // same endpoint. False if the answer is nobody's we look for.
  bool on_answer(const Contact& asked, const DhtId& sender, BytesView token);
  void on_slow(const Contact& asked);
  void on_lapsed(const Contact& asked);
  void on_failed(const Contact& asked);

  bool is_over() const;

  struct Found {
    Contact contact;
    Bytes token;  // empty: it gave none
  };
  // The nodes that answered, nearest first.
  std::vector<Found> nearest(std::size_t count_max) const;

  const DhtId& target() const { return target_; }
  std::size_t asked_count() const { return asked_count_; }
  std::size_t answered_count() const { return answered_count_; }
  std::size_t candidates_count() const { return candidates_.size(); }

 private:
  enum class State : std::uint8_t { fresh, waiting, slow, lapsed, failed, answered };
  struct Candidate {
    Contact contact;
    DhtId distance;
    State state = State::fresh;
    Bytes token;
  };

  Candidate* find(const Contact& contact);
  bool may_ask(const Candidate& candidate) const;
  bool is_same_host(const Endpoint& a, const Endpoint& b) const;
  // Moves a query that is in flight to another state.
  void move(const Contact& asked, State to);

  DhtId target_;
  bool special_use_is_global_;
  std::vector<Candidate> candidates_;  // nearest first
  std::size_t asked_count_ = 0;
  std::size_t answered_count_ = 0;
};

}  // namespace peernet::dht
