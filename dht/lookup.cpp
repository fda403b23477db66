#include "dht/lookup.h"

#include <algorithm>

#include "dht/node_id.h"

namespace peernet::dht {

Lookup::Lookup(const DhtId& target, bool special_use_is_global)
    : target_(target), special_use_is_global_(special_use_is_global) {}

void Lookup::add(const Contact& contact) {
  if (find(contact) != nullptr) return;
  Candidate candidate{contact, distance(contact.id, target_), State::fresh, {}};
  const auto nearer = [](const Candidate& a, const Candidate& b) {
    return a.distance < b.distance;
  };
  if (candidates_.size() >= kLookupCandidatesMax) {
    // The farthest that was never asked makes room, if it is farther.
    const auto farthest =
        std::find_if(candidates_.rbegin(), candidates_.rend(),
                     [](const Candidate& other) { return other.state == State::fresh; });
    if (farthest == candidates_.rend() || !nearer(candidate, *farthest)) return;
    candidates_.erase(std::prev(farthest.base()));
  }
  const auto place = std::upper_bound(candidates_.begin(), candidates_.end(), candidate, nearer);
  candidates_.insert(place, std::move(candidate));
}

std::optional<Contact> Lookup::next() {
  if (asked_count_ >= kLookupQueriesMax) return std::nullopt;
  std::size_t waiting = 0;
  std::size_t slow = 0;
  for (const Candidate& candidate : candidates_) {
    if (candidate.state == State::waiting) ++waiting;
    if (candidate.state == State::slow) ++slow;
  }
  if (waiting >= kLookupParallelism || waiting + slow >= kLookupInFlightMax) return std::nullopt;
  // Nobody is asked who would not be among the nearest 8 if all that are asked answered in time.
  std::size_t hopeful = 0;
  for (Candidate& candidate : candidates_) {
    if (hopeful >= kLookupWidth) return std::nullopt;
    if (candidate.state == State::waiting || candidate.state == State::answered) ++hopeful;
    if (candidate.state != State::fresh || !may_ask(candidate)) continue;
    candidate.state = State::waiting;
    ++asked_count_;
    return candidate.contact;
  }
  return std::nullopt;
}

bool Lookup::on_answer(const Contact& asked, const DhtId& sender, BytesView token) {
  if (sender != asked.id) on_failed(asked);
  Candidate* candidate = find({sender, asked.endpoint});
  if (candidate == nullptr || candidate->state == State::answered) return false;
  candidate->state = State::answered;
  candidate->token = to_bytes(token);
  ++answered_count_;
  return true;
}

void Lookup::on_slow(const Contact& asked) {
  move(asked, State::slow);
}

void Lookup::on_lapsed(const Contact& asked) {
  move(asked, State::lapsed);
}

void Lookup::on_failed(const Contact& asked) {
  move(asked, State::failed);
}

bool Lookup::is_over() const {
  std::size_t answered = 0;
  for (const Candidate& candidate : candidates_) {
    if (answered >= kLookupWidth) return true;
    if (candidate.state == State::answered) ++answered;
    if (candidate.state == State::waiting || candidate.state == State::slow) return false;
    if (candidate.state == State::fresh && asked_count_ < kLookupQueriesMax && may_ask(candidate)) {
      return false;
    }
  }
  return true;
}

std::vector<Lookup::Found> Lookup::nearest(std::size_t count_max) const {
  std::vector<Found> result;
  for (const Candidate& candidate : candidates_) {
    if (result.size() >= count_max) break;
    if (candidate.state == State::answered) result.push_back({candidate.contact, candidate.token});
  }
  return result;
}

Lookup::Candidate* Lookup::find(const Contact& contact) {
  for (Candidate& candidate : candidates_) {
    if (candidate.contact == contact) return &candidate;
  }
  return nullptr;
}

bool Lookup::may_ask(const Candidate& candidate) const {
  const Endpoint& endpoint = candidate.contact.endpoint;
  const Endpoint network = network_of(endpoint);
  const bool is_network_limited = is_limited(endpoint, special_use_is_global_);
  std::size_t host_queries = 0;
  std::size_t network_queries = 0;
  for (const Candidate& other : candidates_) {
    if (other.state == State::fresh) continue;
    if (is_same_host(other.contact.endpoint, endpoint)) {
      // A host that answered, or still may, is asked once, whatever ids it is said to have.
      if (other.state != State::failed) return false;
      ++host_queries;
    } else if (is_network_limited && other.state != State::failed &&
               network_of(other.contact.endpoint) == network) {
      ++network_queries;
    }
  }
  return host_queries < kLookupHostQueriesMax && network_queries < kLookupNetworkQueriesMax;
}

bool Lookup::is_same_host(const Endpoint& a, const Endpoint& b) const {
  return a == b || (is_limited(a, special_use_is_global_) && host_of(a) == host_of(b));
}

void Lookup::move(const Contact& asked, State to) {
  Candidate* candidate = find(asked);
  if (candidate == nullptr) return;
  const State from = candidate->state;
  if (from == State::waiting || from == State::slow || from == State::lapsed) candidate->state = to;
}

}  // namespace peernet::dht
