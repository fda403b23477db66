#include "dht/upkeep.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/codec.h"
#include "dht/node_id.h"

namespace peernet::dht {

namespace {

constexpr unsigned kFullRounds = 2;  // the later ones look for the own id only

}  // namespace

Upkeep::Upkeep(bool special_use_is_global, Rng rng)
    : special_use_is_global_(special_use_is_global), rng_(rng), keyed_hash_(rng_) {}

void Upkeep::on_joined(Time now) {
  rounds_count_ = 0;
  round_ = Round::none;
  round_at_ = now;
  test_at_ = now + kTestEvery;
  growth_ends_ = now + kGrowthFor;
}

void Upkeep::on_lost() {
  round_ = Round::none;
  round_at_ = kNever;
  test_at_ = kNever;
  rounds_count_ = 0;
  mentioned_.clear();
  mentioned_at_ = kNever;
  introduction_.reset();
}

void Upkeep::on_time(Time now, Family& family, Searches& searches, Effects& out) {
  if (now >= test_at_) {
    test_at_ = now + kTestEvery;
    test_one(now, family, out);
  }
  ask_mentioned(now, family, out);
  grow(now, family, searches, out);
}

void Upkeep::grow(Time now, Family& family, Searches& searches, Effects& out) {
  if (now >= round_at_) {
    round_ = Round::own_id;
    bucket_next_ = 0;
    ++rounds_count_;
    round_at_ = now + (rounds_count_ < kFullRounds ? kSecondRoundAfter : kRoundEvery);
    searches.find_nodes(now, family.table.own_id(), std::exchange(introduction_, std::nullopt),
                        family, out);
  }
  if (round_ == Round::none) return;
  std::size_t running = searches.count(Search::Goal::nodes);
  if (round_ == Round::own_id) {
    if (running > 0) return;
    round_ = Round::buckets;
  }
  const unsigned end =
      rounds_count_ > kFullRounds ? 0 : std::min(family.table.depth() + 1, kGrowthBucketsMax);
  while (running < kGrowthSearchesMax && bucket_next_ < end) {
    const unsigned bucket = bucket_next_++;
    if (family.table.is_full(bucket)) continue;
    const DhtId target = random_id_sharing(family.table.own_id(), bucket, rng_);
    searches.find_nodes(now, target, std::nullopt, family, out);
    running = searches.count(Search::Goal::nodes);
  }
  if (running == 0) {
    round_ = Round::none;
    is_grown_ = true;
  }
}

void Upkeep::on_introduced(Time now, Introduction introduction, Family& family, Searches& searches,
                           Effects& out) {
  if (rounds_count_ == 0) {
    introduction_ = std::move(introduction);
  } else {
    searches.on_introduced(now, family.table.own_id(), introduction, family, out);
  }
}

void Upkeep::on_mentioned(Time now, const Endpoint& by, const std::vector<Contact>& contacts,
                          Family& family, Effects& out) {
  const std::size_t wanted_max = is_growing(now) ? contacts.size() : kProbesOfReplyMax;
  std::size_t wanted = 0;
  for (const Contact& contact : contacts) {
    if (wanted >= wanted_max || mentioned_.size() >= kMentionedMax) break;
    if (contact.endpoint.is_v6 != family.is_v6 ||
        !may_learn(contact.endpoint, by, special_use_is_global_))
      continue;
    if (want(now, contact, family)) ++wanted;
  }
  ask_mentioned(now, family, out);
}

bool Upkeep::probe(Time now, const Contact& contact, Family& family, Effects& out) {
  if (family.caller.is_asking(contact.endpoint)) return false;
  if (!probes_.may_take(now)) {
    want(now, contact, family);
    mentioned_at_ = mentioned_.empty() ? kNever : probes_.ready_at(now);
    return false;
  }
  probes_.take(now, 1);
  return family.ask(now, contact, Ping{}, {Why::Kind::probe, 0}, out);
}

Time Upkeep::deadline() const {
  return std::min({test_at_, round_at_, mentioned_at_});
}

bool Upkeep::want(Time now, const Contact& contact, const Family& family) {
  const Endpoint& endpoint = contact.endpoint;
  Reader address(endpoint.address);
  const std::uint64_t first = address.u64();
  const std::uint64_t key =
      keyed_hash_(std::array{first, address.u64(), std::uint64_t{endpoint.port}});
  if (mentioned_.size() >= kMentionedMax || tried_.contains(now, key)) return false;
  if (!family.table.has_room_for(contact)) return false;
  tried_.add(now, key);
  mentioned_.push_back(contact);
  return true;
}

void Upkeep::ask_mentioned(Time now, Family& family, Effects& out) {
  while (!mentioned_.empty() && probes_.may_take(now)) {
    const Contact contact = mentioned_.front();
    mentioned_.pop_front();
    if (!family.table.has_room_for(contact) || family.caller.is_asking(contact.endpoint)) continue;
    probes_.take(now, 1);
    const unsigned bucket = shared_bits(family.table.own_id(), contact.id);
    const FindNode body{random_id_sharing(family.table.own_id(), bucket, rng_)};
    family.ask(now, contact, body, {Why::Kind::probe, 0}, out);
  }
  mentioned_at_ = mentioned_.empty() ? kNever : probes_.ready_at(now);
}

void Upkeep::test_one(Time now, Family& family, Effects& out) {
  const auto contact = family.table.next_to_test(now);
  if (!contact) return;
  const unsigned bucket = shared_bits(family.table.own_id(), contact->id);
  QueryBody body = Ping{};
  if (!family.table.is_full(bucket)) {
    body = FindNode{random_id_sharing(family.table.own_id(), bucket, rng_)};
  }
  family.ask(now, *contact, body, {Why::Kind::probe, 0}, out);
}

}  // namespace peernet::dht
