#include "dht/routing_table.h"

#include <algorithm>

#include "core/check.h"

namespace peernet::dht {

template <class Visit>
void RoutingTable::for_each(Visit visit) const {
  for (const Bucket& bucket : buckets_) {
    for (const Node& node : bucket.nodes) visit(node);
  }
}

RoutingTable::RoutingTable(const DhtId& own_id, bool special_use_is_global)
    : own_id_(own_id), special_use_is_global_(special_use_is_global) {}

RoutingTable::Outcome RoutingTable::on_answer(Time now, const Contact& contact, Duration took) {
  if (contact.id == own_id_) return Outcome::unwanted;
  drop_other_ids(now, contact);
  Bucket& bucket = bucket_of(contact.id);
  for (Node& node : bucket.nodes) {
    if (node.contact.id != contact.id) continue;
    // The same id elsewhere is somebody else's word against a node we know: age wins.
    if (node.contact.endpoint != contact.endpoint) return Outcome::unwanted;
    node.heard = now;
    node.failures = 0;
    node.response_time.add(took);
    return Outcome::known;
  }
  if (breaks_rule(contact, bucket)) return Outcome::unwanted;

  Node node{contact, now, now, now, 0, {}};
  node.response_time.add(took);
  if (bucket.nodes.size() < kBucketSize) {
    bucket.nodes.push_back(node);
    ++size_;
    return Outcome::listed;
  }
  std::erase_if(bucket.spares, [&](const Node& spare) {
    return spare.contact.id == contact.id || spare.contact.endpoint == contact.endpoint;
  });
  if (bucket.spares.size() >= kSparesMax) bucket.spares.erase(bucket.spares.begin());
  bucket.spares.push_back(node);
  return Outcome::spare;
}

bool RoutingTable::on_failure(Time now, const Contact& contact) {
  if (contact.id == own_id_) return false;
  Bucket& bucket = bucket_of(contact.id);
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
  Bucket& bucket = bucket_of(contact.id);
  const auto is_it = [&](const Node& node) { return node.contact == contact; };
  std::erase_if(bucket.spares, is_it);
  if (std::erase_if(bucket.nodes, is_it) == 0) return false;
  --size_;
  promote(now, bucket);
  return true;
}

std::vector<Contact> RoutingTable::closest(const DhtId& target, std::size_t count,
                                           const std::optional<Endpoint>& receiver) const {
  std::vector<Contact> result;
  result.reserve(count + kBucketSize);
  const auto add = [&](const Bucket& bucket) {
    for (const Node& node : bucket.nodes) {
      if (receiver && (node.failures > 0 || node.contact.endpoint == *receiver ||
                       !may_learn(node.contact.endpoint, *receiver, special_use_is_global_))) {
        continue;
      }
      result.push_back(node.contact);
    }
  };
  // The target shares `own` bits with our id. Nearest to it are the nodes that share exactly as
  // many with us, then all that share more, then those that share fewer, bucket by bucket.
  const unsigned own = shared_bits(own_id_, target);
  if (own < kIdBits) add(buckets_[own]);
  if (result.size() < count) {
    for (unsigned i = own + 1; i < kIdBits; ++i) add(buckets_[i]);
  }
  for (unsigned i = std::min(own, kIdBits); i > 0 && result.size() < count; --i) {
    add(buckets_[i - 1]);
  }
  std::sort(result.begin(), result.end(),
            [&](const Contact& a, const Contact& b) { return is_nearer(a.id, b.id, target); });
  if (result.size() > count) result.resize(count);
  return result;
}

bool RoutingTable::contains(const Contact& contact) const {
  return find(contact) != nullptr;
}

bool RoutingTable::contains(const Endpoint& endpoint) const {
  bool is_found = false;
  for_each([&](const Node& node) { is_found |= node.contact.endpoint == endpoint; });
  return is_found;
}

bool RoutingTable::has_room_for(const Contact& contact) const {
  if (contact.id == own_id_) return false;
  const Bucket& bucket = bucket_of(contact.id);
  if (bucket.nodes.size() >= kBucketSize) return false;
  const bool is_id_known = std::any_of(bucket.nodes.begin(), bucket.nodes.end(),
                                       [&](const Node& n) { return n.contact.id == contact.id; });
  return !is_id_known && !breaks_rule(contact, bucket);
}

std::optional<Contact> RoutingTable::rival_of(const Contact& contact, Time now) const {
  if (contact.id == own_id_) return std::nullopt;
  const Bucket& bucket = bucket_of(contact.id);
  const Node* rival = nullptr;
  for (const Node& node : bucket.nodes) {
    if (node.contact == contact) return std::nullopt;
    if (now - node.heard < kRetestAfter) continue;
    if (node.contact.id == contact.id) return node.contact;
    if (bucket.nodes.size() < kBucketSize || !node.is_questionable(now)) continue;
    if (rival == nullptr || node.heard < rival->heard) rival = &node;
  }
  return rival == nullptr ? std::nullopt : std::optional(rival->contact);
}

std::optional<Contact> RoutingTable::next_to_test(Time now) {
  Node* oldest = nullptr;
  for (Bucket& bucket : buckets_) {
    for (Node& node : bucket.nodes) {
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
  for (unsigned i = kIdBits; i > 0; --i) {
    if (!buckets_[i - 1].nodes.empty()) return i - 1;
  }
  return 0;
}

RoutingTable::Bucket& RoutingTable::bucket_of(const DhtId& id) {
  const unsigned index = shared_bits(own_id_, id);
  PN_CHECK(index < kIdBits);
  return buckets_[index];
}

const RoutingTable::Bucket& RoutingTable::bucket_of(const DhtId& id) const {
  const unsigned index = shared_bits(own_id_, id);
  PN_CHECK(index < kIdBits);
  return buckets_[index];
}

const RoutingTable::Node* RoutingTable::find(const Contact& contact) const {
  if (contact.id == own_id_) return nullptr;
  for (const Node& node : bucket_of(contact.id).nodes) {
    if (node.contact == contact) return &node;
  }
  return nullptr;
}

bool RoutingTable::breaks_rule(const Contact& contact, const Bucket& bucket) const {
  const Endpoint& endpoint = contact.endpoint;
  if (endpoint.port < 1024 || !endpoint.is_usable()) return true;
  if (!is_limited(endpoint, special_use_is_global_)) return false;
  bool is_host_listed = false;
  const Endpoint host = host_of(endpoint);
  for_each([&](const Node& node) { is_host_listed |= host_of(node.contact.endpoint) == host; });
  if (is_host_listed) return true;
  const Endpoint network = network_of(endpoint);
  return std::any_of(bucket.nodes.begin(), bucket.nodes.end(), [&](const Node& node) {
    return network_of(node.contact.endpoint) == network;
  });
}

void RoutingTable::drop_other_ids(Time now, const Contact& contact) {
  for (Bucket& bucket : buckets_) {
    const auto is_other = [&](const Node& node) {
      return node.contact.endpoint == contact.endpoint && node.contact.id != contact.id;
    };
    std::erase_if(bucket.spares, is_other);
    const std::size_t dropped = std::erase_if(bucket.nodes, is_other);
    size_ -= dropped;
    if (dropped > 0) promote(now, bucket);
  }
}

void RoutingTable::promote(Time now, Bucket& bucket) {
  while (!bucket.spares.empty() && bucket.nodes.size() < kBucketSize) {
    Node spare = bucket.spares.back();
    bucket.spares.pop_back();
    if (breaks_rule(spare.contact, bucket)) continue;
    spare.listed = now;
    bucket.nodes.push_back(spare);
    ++size_;
  }
}

}  // namespace peernet::dht
