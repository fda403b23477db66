#include "dht/routing_table.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/check.h"

namespace peernet::dht {

namespace {

constexpr unsigned kTwinBits = 3;  // one in eight pairs of places a bucket has is that near

std::uint64_t prefix_of(const DhtId& id) {
  return distance_prefix(id, DhtId{});
}

}  // namespace

template <class Visit>
void RoutingTable::for_each(Visit visit) const {
  for (unsigned i = 0; i < used_; ++i) {
    for (const Node& node : buckets_[i].nodes) visit(node);
  }
}

RoutingTable::RoutingTable(const DhtId& own_id, bool special_use_is_global)
    : own_id_(own_id), special_use_is_global_(special_use_is_global) {}

RoutingTable::Outcome RoutingTable::on_answer(Time now, const Contact& contact, Duration took) {
  if (contact.id == own_id_) return Outcome::unwanted;
  drop_other_ids(now, contact);
  const unsigned index = index_of(contact.id);
  Bucket& bucket = buckets_[index];
  for (Node& node : bucket.nodes) {
    if (node.contact.id != contact.id) continue;
    // The same id elsewhere is somebody else's word against a node we know: age wins.
    if (node.contact.endpoint != contact.endpoint) return Outcome::unwanted;
    node.heard = now;
    node.failures = 0;
    node.response_time.add(took);
    return Outcome::known;
  }
  const Location location = location_of(contact.endpoint, special_use_is_global_);
  if (breaks_rule(contact, location, index)) return Outcome::unwanted;

  used_ = std::max(used_, index + 1);
  Node node;
  node.contact = contact;
  node.location = location;
  node.id_prefix = prefix_of(contact.id);
  node.listed = node.heard = node.tested = now;
  node.has_right = has_right_to_id(contact, special_use_is_global_);
  node.response_time.add(took);
  std::erase_if(bucket.spares, [&](const Node& spare) {
    return spare.contact.id == contact.id || spare.contact.endpoint == contact.endpoint;
  });
  if (!is_full(index)) {
    bucket.nodes.push_back(node);
    ++size_;
    return Outcome::listed;
  }
  Node* loser = node.has_right ? without_right(bucket) : nullptr;
  if (loser == nullptr) {
    add_spare(bucket, node);
    return Outcome::spare;
  }
  const Node lost = *loser;
  bucket.nodes.erase(bucket.nodes.begin() + (loser - bucket.nodes.data()));
  bucket.nodes.push_back(node);
  add_spare(bucket, lost);
  return Outcome::listed;
}

bool RoutingTable::on_failure(Time now, const Contact& contact) {
  if (contact.id == own_id_) return false;
  Bucket& bucket = buckets_[index_of(contact.id)];
  std::erase_if(bucket.spares, [&](const Node& spare) { return spare.contact == contact; });
  const auto found = std::find_if(bucket.nodes.begin(), bucket.nodes.end(),
                                  [&](const Node& node) { return node.contact == contact; });
  if (found == bucket.nodes.end()) return false;
  if (++found->failures < kFailuresMax) {
    // Retested soon, but not at once: what lost this datagram may lose the next.
    found->tested = now;
    return false;
  }
  return forget(now, contact);
}

bool RoutingTable::forget(Time now, const Contact& contact) {
  if (contact.id == own_id_) return false;
  const unsigned index = index_of(contact.id);
  Bucket& bucket = buckets_[index];
  const auto is_it = [&](const Node& node) { return node.contact == contact; };
  std::erase_if(bucket.spares, is_it);
  if (std::erase_if(bucket.nodes, is_it) == 0) return false;
  --size_;
  promote(now, index);
  return true;
}

std::vector<Contact> RoutingTable::closest(const DhtId& target, std::size_t count,
                                           const std::optional<Endpoint>& receiver) const {
  // Told apart by the first 64 bits of the distance, almost always.
  struct Place {
    std::uint64_t distance;
    const Node* node;
  };
  if (count == 0) return {};
  const std::uint64_t target_prefix = prefix_of(target);
  const std::size_t wanted = receiver ? count + kBucketSize : count;
  const auto nearer = [&](const Place& a, const Place& b) {
    if (a.distance != b.distance) return a.distance < b.distance;
    return is_nearer(a.node->contact.id, b.node->contact.id, target);
  };
  std::vector<Place> places;  // the nearest ones so far, in order
  places.reserve(wanted);
  const auto add = [&](const Bucket& bucket) {
    for (const Node& node : bucket.nodes) {
      const Place place{node.id_prefix ^ target_prefix, &node};
      if (places.size() == wanted && !nearer(place, places.back())) continue;
      if (receiver && (node.failures > 0 || node.contact.endpoint == *receiver ||
                       !may_learn(node.contact.endpoint, *receiver, special_use_is_global_))) {
        continue;
      }
      if (places.size() == wanted) places.pop_back();
      places.insert(std::upper_bound(places.begin(), places.end(), place, nearer), place);
    }
  };
  // The target shares `own` bits with our id. Nearest to it are the nodes that share exactly as
  // many with us, then all that share more, then those that share fewer, bucket by bucket.
  const unsigned own = shared_bits(own_id_, target);
  if (own < kIdBits) add(buckets_[own]);
  if (places.size() < wanted) {
    for (unsigned i = own + 1; i < used_; ++i) add(buckets_[i]);
  }
  for (unsigned i = std::min(own, used_); i > 0 && places.size() < wanted; --i) {
    add(buckets_[i - 1]);
  }
  if (places.size() > count) {
    const auto cut = places.begin() + static_cast<std::ptrdiff_t>(count);
    const auto end = std::stable_partition(
        places.begin(), places.end(), [](const Place& place) { return place.node->has_right; });
    if (end < cut) std::sort(places.begin(), cut, nearer);
    places.erase(cut, places.end());
  }
  std::vector<Contact> result;
  result.reserve(places.size());
  for (const Place& place : places) result.push_back(place.node->contact);
  return result;
}

void RoutingTable::move_to(const DhtId& own_id) {
  std::vector<Node> nodes;
  for (Bucket& bucket : buckets_) {
    nodes.insert(nodes.end(), bucket.nodes.begin(), bucket.nodes.end());
    nodes.insert(nodes.end(), bucket.spares.begin(), bucket.spares.end());
    bucket.nodes.clear();
    bucket.spares.clear();
  }
  own_id_ = own_id;
  size_ = 0;
  used_ = 0;
  std::sort(nodes.begin(), nodes.end(), [](const Node& a, const Node& b) {
    return a.listed != b.listed ? a.listed < b.listed : a.contact < b.contact;
  });
  for (const Node& node : nodes) {
    if (node.contact.id == own_id) continue;
    const unsigned index = index_of(node.contact.id);
    Bucket& bucket = buckets_[index];
    used_ = std::max(used_, index + 1);
    if (is_full(index) || breaks_rule(node.contact, node.location, index)) {
      add_spare(bucket, node);
    } else {
      bucket.nodes.push_back(node);
      ++size_;
    }
  }
}

bool RoutingTable::contains(const Contact& contact) const {
  return find(contact) != nullptr;
}

bool RoutingTable::contains(const Endpoint& endpoint) const {
  const std::uint64_t host = location_of(endpoint, special_use_is_global_).host;
  bool is_found = false;
  for_each([&](const Node& node) {
    is_found |= node.location.host == host && node.contact.endpoint == endpoint;
  });
  return is_found;
}

bool RoutingTable::has_room_for(const Contact& contact) const {
  if (contact.id == own_id_) return false;
  const unsigned index = index_of(contact.id);
  const Bucket& bucket = buckets_[index];
  if (is_full(index)) {
    const bool has_loser = std::any_of(bucket.nodes.begin(), bucket.nodes.end(),
                                       [](const Node& node) { return !node.has_right; });
    if (!has_loser || !has_right_to_id(contact, special_use_is_global_)) return false;
  }
  const std::uint64_t prefix = prefix_of(contact.id);
  const bool is_id_known = std::any_of(
      bucket.nodes.begin(), bucket.nodes.end(),
      [&](const Node& node) { return node.id_prefix == prefix && node.contact.id == contact.id; });
  return !is_id_known &&
         !breaks_rule(contact, location_of(contact.endpoint, special_use_is_global_), index);
}

std::optional<Contact> RoutingTable::rival_of(const Contact& contact, Time now) const {
  if (contact.id == own_id_) return std::nullopt;
  const unsigned index = index_of(contact.id);
  const Bucket& bucket = buckets_[index];
  const std::uint64_t prefix = prefix_of(contact.id);
  const Node* rival = nullptr;
  for (const Node& node : bucket.nodes) {
    const bool is_same_id = node.id_prefix == prefix && node.contact.id == contact.id;
    if (is_same_id && node.contact == contact) return std::nullopt;
    if (now - node.heard < kRetestAfter) continue;
    if (is_same_id) return node.contact;
    if (!is_full(index) || !node.is_questionable(now)) continue;
    if (rival == nullptr || node.heard < rival->heard) rival = &node;
  }
  return rival == nullptr ? std::nullopt : std::optional(rival->contact);
}

std::optional<Contact> RoutingTable::next_to_test(Time now) {
  Node* oldest = nullptr;
  for (unsigned i = 0; i < used_; ++i) {
    for (Node& node : buckets_[i].nodes) {
      if (!node.is_questionable(now) || now - node.tested < kRetestAfter) continue;
      if (oldest == nullptr || node.heard < oldest->heard) oldest = &node;
    }
  }
  if (oldest == nullptr) return std::nullopt;
  oldest->tested = now;
  return oldest->contact;
}

std::optional<Duration> RoutingTable::soft_timeout(const Contact& contact) const {
  const Node* node = find(contact);
  if (node == nullptr) return std::nullopt;
  return node->response_time.soft_timeout();
}

std::vector<Contact> RoutingTable::best(std::size_t count_max) const {
  std::vector<const Node*> nodes;
  nodes.reserve(size_);
  for_each([&](const Node& node) { nodes.push_back(&node); });
  std::sort(nodes.begin(), nodes.end(), [](const Node* a, const Node* b) {
    if (a->failures != b->failures) return a->failures < b->failures;
    if (a->listed != b->listed) return a->listed < b->listed;
    return a->contact < b->contact;
  });
  if (nodes.size() > count_max) nodes.resize(count_max);
  std::vector<Contact> result;
  result.reserve(nodes.size());
  for (const Node* node : nodes) result.push_back(node->contact);
  return result;
}

std::size_t RoutingTable::good_count(Time now) const {
  std::size_t count = 0;
  for_each([&](const Node& node) { count += node.is_questionable(now) ? 0U : 1U; });
  return count;
}

unsigned RoutingTable::depth() const {
  std::size_t nearest = 0;
  for (unsigned i = used_; i > 0; --i) {
    nearest += buckets_[i - 1].nodes.size();
    if (nearest >= kBucketSize) return i - 1;
  }
  return 0;
}

double RoutingTable::population() const {
  unsigned first = 0;
  while (first + 2 < kIdBits && is_full(first)) ++first;
  // The two hold three of four nodes that share `first` bits with us; we are one more of those.
  const std::size_t here = buckets_[first].nodes.size() + buckets_[first + 1].nodes.size();
  const double here_and_nearer = (static_cast<double>(here) * 4 + 2) / 3;
  const auto known = static_cast<double>(size_);
  return size_ == 0 ? 0 : std::max(std::ldexp(here_and_nearer, static_cast<int>(first)), known);
}

unsigned RoutingTable::index_of(const DhtId& id) const {
  const unsigned index = shared_bits(own_id_, id);
  PN_CHECK(index < kIdBits);
  return index;
}

const RoutingTable::Node* RoutingTable::find(const Contact& contact) const {
  if (contact.id == own_id_) return nullptr;
  const std::uint64_t prefix = prefix_of(contact.id);
  for (const Node& node : buckets_[index_of(contact.id)].nodes) {
    if (node.id_prefix == prefix && node.contact == contact) return &node;
  }
  return nullptr;
}

bool RoutingTable::breaks_rule(const Contact& contact, const Location& location,
                               unsigned index) const {
  const Endpoint& endpoint = contact.endpoint;
  if (endpoint.port < 1024 || !endpoint.is_usable()) return true;
  const Bucket& bucket = buckets_[index];
  const auto twin_bits =
      index + 1 + static_cast<unsigned>(std::bit_width(bucket_size(index)) - 1) + kTwinBits;
  const auto twins = std::count_if(bucket.nodes.begin(), bucket.nodes.end(), [&](const Node& node) {
    return shared_bits(node.contact.id, contact.id) >= twin_bits;
  });
  if (static_cast<std::size_t>(twins) >= kTwinsMax) return true;
  if (!location.is_limited) return false;
  bool is_host_listed = false;
  for_each([&](const Node& node) { is_host_listed |= node.location.host == location.host; });
  if (is_host_listed) return true;
  return std::any_of(bucket.nodes.begin(), bucket.nodes.end(),
                     [&](const Node& node) { return node.location.network == location.network; });
}

void RoutingTable::drop_other_ids(Time now, const Contact& contact) {
  const std::uint64_t host = location_of(contact.endpoint, special_use_is_global_).host;
  for (unsigned index = 0; index < used_; ++index) {
    Bucket& bucket = buckets_[index];
    const auto is_other = [&](const Node& node) {
      return node.location.host == host && node.contact.endpoint == contact.endpoint &&
             node.contact.id != contact.id;
    };
    std::erase_if(bucket.spares, is_other);
    const std::size_t dropped = std::erase_if(bucket.nodes, is_other);
    size_ -= dropped;
    if (dropped > 0) promote(now, index);
  }
}

void RoutingTable::promote(Time now, unsigned index) {
  Bucket& bucket = buckets_[index];
  while (!bucket.spares.empty() && !is_full(index)) {
    auto best = std::find_if(bucket.spares.rbegin(), bucket.spares.rend(),
                             [](const Node& node) { return node.has_right; });
    if (best == bucket.spares.rend()) best = bucket.spares.rbegin();
    Node spare = *best;
    bucket.spares.erase(std::prev(best.base()));
    if (breaks_rule(spare.contact, spare.location, index)) continue;
    spare.listed = now;
    bucket.nodes.push_back(spare);
    ++size_;
  }
}

RoutingTable::Node* RoutingTable::without_right(Bucket& bucket) {
  const auto found = std::find_if(bucket.nodes.rbegin(), bucket.nodes.rend(),
                                  [](const Node& node) { return !node.has_right; });
  return found == bucket.nodes.rend() ? nullptr : &*found;
}

void RoutingTable::add_spare(Bucket& bucket, const Node& node) {
  if (bucket.spares.size() >= kSparesMax) bucket.spares.erase(bucket.spares.begin());
  bucket.spares.push_back(node);
}

}  // namespace peernet::dht
