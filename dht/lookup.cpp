#include "dht/lookup.h"

#include <algorithm>
#include <array>
#include <utility>

#include "dht/node_id.h"
#include "dht/size_estimate.h"

namespace peernet::dht {

struct Lookup::Places {
  std::vector<std::size_t> held_by;  // indices of candidates
  bool is_crowded = false;
};

Lookup::Lookup(const DhtId& target, double network_size, bool special_use_is_global)
    : target_(target), network_size_(network_size), special_use_is_global_(special_use_is_global) {}

void Lookup::add(const Contact& contact) {
  if (Candidate* known = find(contact)) {
    known->told_by = 0;
    return;
  }
  Candidate candidate;
  candidate.contact = contact;
  candidate.path = ++path_next_;
  path_next_ %= kLookupPaths;
  insert(std::move(candidate));
}

void Lookup::add(const Contact& contact, const Contact& teller) {
  const Candidate* by = find(teller);
  const std::uint32_t told_by = by == nullptr ? 0 : by->number;
  const std::uint8_t path = by == nullptr ? 0 : by->path;
  if (Candidate* known = find(contact)) {
    if (known->told_by != told_by) known->told_by = 0;
    if (known->path != path) known->path = 0;
    return;
  }
  Candidate candidate;
  candidate.contact = contact;
  candidate.told_by = told_by;
  candidate.path = path;
  candidate.hop = by == nullptr ? 1 : by->hop + 1;
  insert(std::move(candidate));
}

void Lookup::add_answered(const Contact& contact) {
  if (find(contact) != nullptr) return;
  Candidate candidate;
  candidate.contact = contact;
  candidate.state = State::answered;
  candidate.number = static_cast<std::uint32_t>(++asked_count_);
  ++answered_count_;
  insert(std::move(candidate));
}

std::optional<Contact> Lookup::next() {
  if (asked_count_ >= kLookupQueriesMax) return std::nullopt;
  std::size_t waiting = 0;
  std::size_t slow = 0;
  for (const Candidate& candidate : candidates_) {
    if (candidate.state == State::waiting) ++waiting;
    if (candidate.state == State::slow) ++slow;
  }
  if (waiting + slow >= kLookupInFlightMax) return std::nullopt;
  for (const std::size_t index : places(Awaited::not_slow).held_by) {
    Candidate& candidate = candidates_[index];
    if (candidate.state != State::fresh) continue;
    const bool is_probably_nearest = candidate.expected <= kLookupWidth;
    if (waiting >= kLookupParallelism && !is_probably_nearest) return std::nullopt;
    candidate.state = State::waiting;
    candidate.number = static_cast<std::uint32_t>(++asked_count_);
    return candidate.contact;
  }
  return std::nullopt;
}

bool Lookup::on_answer(const Contact& asked, const DhtId& sender, BytesView token) {
  if (sender != asked.id) on_failed(asked);
  Candidate* candidate = find({sender, asked.endpoint});
  if (candidate == nullptr || candidate->state == State::answered) return false;
  if (candidate->number == 0) {
    // Asked under another id.
    const Candidate* under = find(asked);
    if (under != nullptr) candidate->number = under->number;
  }
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
  const Places now = places(Awaited::all);
  return std::all_of(now.held_by.begin(), now.held_by.end(), [&](std::size_t index) {
    return candidates_[index].state == State::answered;
  });
}

std::vector<Lookup::Found> Lookup::nearest(std::size_t count_max) const {
  std::vector<Found> result;
  for (const std::size_t index : places(Awaited::none, count_max).held_by) {
    const Candidate& candidate = candidates_[index];
    result.push_back({candidate.contact, candidate.token, candidate.expected});
  }
  return result;
}

std::vector<Contact> Lookup::hopeful() const {
  std::vector<Contact> result;
  for (const std::size_t index : places(Awaited::all).held_by) {
    if (result.size() < kLookupWidth) result.push_back(candidates_[index].contact);
  }
  return result;
}

std::uint32_t Lookup::hops() const {
  std::uint32_t result = 0;
  for (const std::size_t index : places(Awaited::all).held_by) {
    if (candidates_[index].state == State::answered) {
      result = std::max(result, candidates_[index].hop);
    }
  }
  return result;
}

bool Lookup::is_crowded() const {
  return places(Awaited::all).is_crowded;
}

void Lookup::insert(Candidate candidate) {
  candidate.location = location_of(candidate.contact.endpoint, special_use_is_global_);
  candidate.distance = distance(candidate.contact.id, target_);
  candidate.expected = network_size_ * distance_share(candidate.contact.id, target_);
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

Lookup::Candidate* Lookup::find(const Contact& contact) {
  for (Candidate& candidate : candidates_) {
    if (candidate.contact == contact) return &candidate;
  }
  return nullptr;
}

bool Lookup::may_ask(const Candidate& candidate) const {
  std::size_t host_queries = 0;
  std::size_t network_queries = 0;
  for (const Candidate& other : candidates_) {
    if (other.state == State::fresh) continue;
    if (is_same_host(other, candidate)) {
      // A host that answered, or still may, is asked once, whatever ids it is said to have.
      if (other.state != State::failed) return false;
      ++host_queries;
    } else if (candidate.location.is_limited && other.state != State::failed &&
               other.location.network == candidate.location.network) {
      ++network_queries;
    }
  }
  return host_queries < kLookupHostQueriesMax && network_queries < kLookupNetworkQueriesMax;
}

bool Lookup::is_same_host(const Candidate& a, const Candidate& b) {
  if (a.location.host != b.location.host) return false;
  return a.location.is_limited || a.contact.endpoint == b.contact.endpoint;
}

void Lookup::move(const Contact& asked, State to) {
  Candidate* candidate = find(asked);
  if (candidate == nullptr) return;
  const State from = candidate->state;
  if (from == State::waiting || from == State::slow || from == State::lapsed) candidate->state = to;
}

Lookup::CrowdEnd Lookup::crowd_end() const {
  CrowdEnd end;
  if (network_size_ <= 0) return end;
  std::size_t asked = 0;
  std::size_t living = 0;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const Candidate& candidate = candidates_[i];
    const bool is_dead = candidate.state == State::failed || candidate.state == State::lapsed;
    if (candidate.state != State::fresh) ++asked;
    if (candidate.state != State::fresh && !is_dead) ++living;
    const double most = crowd_max(candidate.expected);
    if (static_cast<double>(asked + 1) > most) end.asked = i + 1;
    if (static_cast<double>(living + 1) > most) end.living = i + 1;
  }
  return end;
}

Lookup::Places Lookup::places(Awaited awaited, std::size_t width_min) const {
  // What became of those that only one source told of: living ones less dead ones.
  std::array<int, kLookupQueriesMax + 1> merits{};
  for (const Candidate& candidate : candidates_) {
    if (candidate.state == State::answered) ++merits[candidate.told_by];
    if (candidate.state == State::failed || candidate.state == State::lapsed) {
      --merits[candidate.told_by];
    }
  }
  const CrowdEnd crowd_end = this->crowd_end();
  Places result;
  // Those that crowd are not asked, and among the answers nothing shows that they are there.
  if (awaited == Awaited::none) result.is_crowded = places(Awaited::all).is_crowded;
  const auto held_at = [&](std::uint64_t Location::*part, const Candidate& candidate) {
    return static_cast<std::size_t>(
        std::count_if(result.held_by.begin(), result.held_by.end(), [&](std::size_t index) {
          return candidates_[index].location.*part == candidate.location.*part;
        }));
  };
  const auto held_at_path = [&](std::uint8_t path) {
    return static_cast<std::size_t>(
        std::count_if(result.held_by.begin(), result.held_by.end(), [&](std::size_t index) {
          return candidates_[index].path == path && candidates_[index].hop > 1;
        }));
  };
  const auto fill = [&](bool are_suspects) {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& candidate = candidates_[i];
      const std::size_t width =
          result.is_crowded ? std::max(width_min, kLookupWidthCrowded) : width_min;
      const bool is_region_wanted = is_thorough_ && result.is_crowded && !are_suspects &&
                                    candidate.expected <= kLookupRegion &&
                                    static_cast<double>(result.held_by.size()) < kLookupRegion;
      if (result.held_by.size() >= width && !is_region_wanted) return;
      const bool is_fresh = candidate.state == State::fresh;
      const bool is_suspect = is_fresh && candidate.told_by != 0 && merits[candidate.told_by] < 0;
      const bool is_dead = candidate.state == State::failed || candidate.state == State::lapsed;
      if (is_dead || is_suspect != are_suspects) continue;
      if (candidate.state == State::slow && awaited != Awaited::all) continue;
      if (candidate.state != State::answered && awaited == Awaited::none) continue;
      if (is_fresh && (asked_count_ >= kLookupQueriesMax || !may_ask(candidate))) continue;
      if (candidate.location.is_limited &&
          (held_at(&Location::network, candidate) >= kLookupNetworkPlacesMax ||
           held_at(&Location::region, candidate) >= kLookupRegionPlacesMax)) {
        continue;
      }
      const auto nearer =
          static_cast<std::size_t>(std::count_if(result.held_by.begin(), result.held_by.end(),
                                                 [&](std::size_t index) { return index < i; }));
      if (network_size_ > 0) {
        const double most = crowd_max(candidate.expected);
        if (static_cast<double>(nearer + 1) > most) {
          result.is_crowded = true;
          continue;
        }
        const std::size_t end = candidate.told_by != 0 ? crowd_end.asked : crowd_end.living;
        if (is_fresh && candidate.hop > 1 && i < end) {
          result.is_crowded = true;
          continue;
        }
      }
      // Those of our own table, which answered us before, are no step of a path.
      const bool is_path_full = is_thorough_ && result.is_crowded && candidate.path != 0 &&
                                candidate.hop > 1 && !are_suspects &&
                                held_at_path(candidate.path) >= kLookupPathPlacesMax;
      if (is_path_full) continue;
      result.held_by.push_back(i);
    }
  };
  fill(false);
  fill(true);
  return result;
}

}  // namespace peernet::dht
