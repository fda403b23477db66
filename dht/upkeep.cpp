#include "dht/upkeep.h"

#include <algorithm>

#include "dht/node_id.h"

namespace peernet::dht {

namespace {

constexpr unsigned kFullRounds = 2;  // the later ones look for the own id only

}  // namespace

Upkeep::Upkeep(bool special_use_is_global, Rng rng)
    : special_use_is_global_(special_use_is_global), rng_(rng) {}

void Upkeep::on_joined(Time now) {
  rounds_count_ = 0;
  round_ = Round::none;
  round_at_ = now;
  test_at_ = now + kTestEvery;
}

void Upkeep::on_lost() {
  round_ = Round::none;
  round_at_ = kNever;
  test_at_ = kNever;
}

void Upkeep::on_time(Time now, Family& family, Searches& searches, Effects& out) {
  if (now >= test_at_) {
    test_at_ = now + kTestEvery;
    test_one(now, family, out);
  }
  grow(now, family, searches, out);
}

void Upkeep::grow(Time now, Family& family, Searches& searches, Effects& out) {
  if (now >= round_at_) {
    round_ = Round::own_id;
    bucket_next_ = 0;
    ++rounds_count_;
    round_at_ = now + (rounds_count_ < kFullRounds ? kSecondRoundAfter : kRoundEvery);
    searches.find_nodes(now, family.table.own_id(), family, out);
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
    searches.find_nodes(now, target, family, out);
    running = searches.count(Search::Goal::nodes);
  }
  if (running == 0) {
    round_ = Round::none;
    is_grown_ = true;
  }
}

void Upkeep::on_mentioned(Time now, const Endpoint& by, const std::vector<Contact>& contacts,
                          Family& family, Effects& out) {
  std::size_t probed = 0;
  for (const Contact& contact : contacts) {
    if (probed >= kProbesOfReplyMax) return;
    if (contact.endpoint.is_v6 || !may_learn(contact.endpoint, by, special_use_is_global_))
      continue;
    if (family.table.has_room_for(contact) && probe(now, contact, family, out)) ++probed;
  }
}

bool Upkeep::probe(Time now, const Contact& contact, Family& family, Effects& out) {
  if (family.caller.is_asking(contact.endpoint) || !probes_.may_take(now)) return false;
  probes_.take(now, 1);
  return family.ask(now, contact, Ping{}, {Why::Kind::probe, 0}, out);
}

Time Upkeep::deadline() const {
  return std::min(test_at_, round_at_);
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
