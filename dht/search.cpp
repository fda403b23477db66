#include "dht/search.h"

#include <algorithm>
#include <utility>

#include "dht/node_id.h"

namespace peernet::dht {

Search::Search(Time now, std::uint64_t number, const DhtId& target, Goal goal,
               bool special_use_is_global)
    : number_(number),
      goal_(goal),
      special_use_is_global_(special_use_is_global),
      began_(now),
      retry_at_(now),
      lookup_(target, 0, special_use_is_global) {}

void Search::start(Time now, const Introduction* introduction, Family& family, Effects& out) {
  began_ = now;
  seed(now, introduction, family, out);
}

void Search::announce_as(Time now, const Announce& announce, Family& family, Effects& out) {
  if (announce_ == announce) return;
  announce_ = announce;
  announced_at_ = now;
  lookup_.be_thorough();
  // The tokens are still good: those who have stored the old port are told the new one.
  stores_.clear();
  if (phase_ == Phase::storing) phase_ = Phase::looking;
  step(now, family, out);
}

void Search::on_reply(Time now, const Transaction& transaction, const Reply& reply, Family& family,
                      Effects& out) {
  if (transaction.why.kind == Why::Kind::announce) {
    Store* store = store_of(transaction);
    if (store != nullptr) store->is_acknowledged = true;
    settle_stores();
    return;
  }
  const Contact asked{transaction.expected.value_or(reply.sender), transaction.to};
  if (lookup_.on_answer(asked, reply.sender, reply.token)) {
    add_nodes(reply.nodes, {reply.sender, transaction.to}, family);
  }
  if (goal_ == Goal::peers) {
    std::vector<Endpoint> learnt;
    for (const Endpoint& peer : reply.values) {
      if (peer.is_usable() && may_learn(peer, transaction.to, special_use_is_global_)) {
        learnt.push_back(peer);
      }
    }
    const auto fresh = on_peers(learnt);
    new_peers_.insert(new_peers_.end(), fresh.begin(), fresh.end());
  }
  step(now, family, out);
}

void Search::on_refused(Time now, const Transaction& transaction, Family& family, Effects& out) {
  if (transaction.why.kind == Why::Kind::announce) {
    Store* store = store_of(transaction);
    if (store != nullptr) {
      store->attempts = kAnnounceAttempts;
      store->in_flight -= std::min<std::size_t>(store->in_flight, 1);
    }
    settle_stores();
    return;
  }
  if (transaction.expected) lookup_.on_failed({*transaction.expected, transaction.to});
  step(now, family, out);
}

void Search::on_stage(Time now, const Transaction& transaction, Family& family, Effects& out) {
  if (transaction.why.kind == Why::Kind::announce) {
    on_store_stage(now, transaction, family, out);
    return;
  }
  if (!transaction.expected) return;
  const Contact asked{*transaction.expected, transaction.to};
  switch (transaction.stage) {
    case Transaction::Stage::waiting: break;
    case Transaction::Stage::slow: lookup_.on_slow(asked); break;
    case Transaction::Stage::lapsed: lookup_.on_lapsed(asked); break;
    case Transaction::Stage::failed: lookup_.on_failed(asked); break;
  }
  step(now, family, out);
}

void Search::on_listed(Time now, Family& family, Effects& out) {
  if (phase_ == Phase::waiting && lookup_.asked_count() == 0) seed(now, nullptr, family, out);
}

void Search::on_introduced(Time now, const Introduction& introduction, Family& family,
                           Effects& out) {
  if (phase_ != Phase::looking) return;
  lookup_.add_answered(introduction.by);
  add_nodes(introduction.nodes, introduction.by, family);
  step(now, family, out);
}

void Search::on_time(Time now, Family& family, Effects& out) {
  if (phase_ != Phase::waiting) return;
  if (now >= began_ + kSearchPatience) {
    phase_ = Phase::over;
  } else if (now >= retry_at_) {
    seed(now, nullptr, family, out);
  }
}

std::vector<Endpoint> Search::on_peers(const std::vector<Endpoint>& peers) {
  std::vector<Endpoint> fresh;
  for (const Endpoint& peer : peers) {
    if (peers_.size() >= kSearchPeersMax) break;
    if (peers_.insert(peer).second) fresh.push_back(peer);
  }
  return fresh;
}

bool Search::is_success() const {
  if (!announce_ || phase_ == Phase::queued || phase_ == Phase::waiting) return false;
  // While it is looking, only those count that are still among the nearest.
  const auto hopeful = lookup_.hopeful();
  if (hopeful.size() < kLookupWidth) return false;
  const auto acknowledged = std::count_if(stores_.begin(), stores_.end(), [&](const Store& store) {
    return store.is_acknowledged &&
           (phase_ == Phase::storing ||
            std::find(hopeful.begin(), hopeful.end(), store.contact) != hopeful.end());
  });
  return static_cast<std::size_t>(acknowledged) >= kAnnounceEnough;
}

Time Search::deadline() const {
  if (phase_ != Phase::waiting) return kNever;
  return std::min(retry_at_, began_ + kSearchPatience);
}

LookupDone Search::result(Time now) const {
  LookupDone done;
  done.key = lookup_.target();
  done.nodes_asked = static_cast<std::uint32_t>(asked_before_ + lookup_.asked_count());
  done.nodes_answered = static_cast<std::uint32_t>(lookup_.answered_count());
  done.peers_found = static_cast<std::uint32_t>(peers_.size());
  done.stored = static_cast<std::uint32_t>(std::count_if(
      stores_.begin(), stores_.end(), [](const Store& s) { return s.is_acknowledged; }));
  if (announce_) {
    const std::size_t nearest = lookup_.hopeful().size();
    done.store_targets = static_cast<std::uint32_t>(std::max(nearest, stores_.size()));
  }
  done.hops = lookup_.hops();
  done.took = now - began_;
  done.is_announce = announce_.has_value();
  return done;
}

void Search::seed(Time now, const Introduction* introduction, Family& family, Effects& out) {
  phase_ = Phase::waiting;
  retry_at_ = now + kSearchRetry;
  const auto seeds = family.table.closest(lookup_.target(), kSearchSeeds);
  if (seeds.empty()) return;
  asked_before_ += lookup_.asked_count();
  lookup_ = Lookup(lookup_.target(), family.network_size(), special_use_is_global_);
  if (announce_) lookup_.be_thorough();
  if (introduction != nullptr) {
    lookup_.add_answered(introduction->by);
    add_nodes(introduction->nodes, introduction->by, family);
  }
  for (const Contact& contact : seeds) lookup_.add(contact);
  phase_ = Phase::looking;
  step(now, family, out);
}

void Search::step(Time now, Family& family, Effects& out) {
  if (phase_ != Phase::looking) return;
  while (const auto contact = lookup_.next()) {
    const QueryBody body = goal_ == Goal::peers ? QueryBody(GetPeers{lookup_.target()})
                                                : QueryBody(FindNode{lookup_.target()});
    if (!family.ask(now, *contact, body, {Why::Kind::lookup, number_}, out)) {
      lookup_.on_failed(*contact);
    }
  }
  const bool is_over = lookup_.is_over();
  if (is_over && lookup_.answered_count() == 0 && now < began_ + kSearchPatience) {
    // Nobody answers: the network may be down, and the next moment may be better.
    phase_ = Phase::waiting;
    retry_at_ = now + kSearchRetry;
    return;
  }
  if (is_over) {
    phase_ = Phase::storing;
    const auto nearest = lookup_.nearest();
    if (nearest.size() >= kLookupWidth && !lookup_.is_crowded()) {
      const DhtId& farthest = nearest[kLookupWidth - 1].contact.id;
      family.size.on_lookup(kLookupWidth, distance_share(farthest, lookup_.target()));
    }
  }
  if (announce_) store(now, family, out);
  settle_stores();
}

void Search::add_nodes(const std::vector<Contact>& nodes, const Contact& teller,
                       const Family& family) {
  for (const Contact& contact : nodes) {
    if (contact.id == family.table.own_id() || contact.endpoint.is_v6 != family.is_v6) continue;
    if (!contact.endpoint.is_usable()) continue;
    if (may_learn(contact.endpoint, teller.endpoint, special_use_is_global_)) {
      lookup_.add(contact, teller);
    }
  }
}

void Search::store(Time now, Family& family, Effects& out) {
  const bool is_crowded = lookup_.is_crowded();
  auto targets = lookup_.nearest(2 * kLookupWidth);
  // Among so many, those with a right to their ids first.
  std::stable_partition(targets.begin(), targets.end(), [&](const Lookup::Found& found) {
    return has_right_to_id(found.contact, special_use_is_global_);
  });
  const std::size_t stores_max = is_crowded ? kAnnounceStoresMax : kLookupWidth;
  for (auto& found : targets) {
    if (!is_store_wanted(found, is_crowded)) continue;
    if (phase_ == Phase::storing && stores_.size() >= stores_max) return;
    if (stores_.size() >= kAnnounceStoresMax) return;
    stores_.push_back({found.contact, std::move(found.token), 0, 0, false});
    send_announce(now, stores_.back(), family, out);
  }
}

bool Search::is_store_wanted(const Lookup::Found& found, bool is_crowded) const {
  if (found.token.empty()) return false;
  const bool is_probably_target = found.expected > 0 && found.expected <= kLookupWidth &&
                                  has_right_to_id(found.contact, special_use_is_global_);
  if (phase_ != Phase::storing && !is_probably_target) return false;
  const Endpoint& endpoint = found.contact.endpoint;
  const bool is_one_of_region = is_crowded && is_limited(endpoint, special_use_is_global_);
  return std::none_of(stores_.begin(), stores_.end(), [&](const Store& store) {
    const Endpoint& other = store.contact.endpoint;
    return other == endpoint || (is_one_of_region && region_of(other) == region_of(endpoint));
  });
}

void Search::send_announce(Time now, Store& store, Family& family, Effects& out) {
  AnnouncePeer body;
  body.key = lookup_.target();
  body.port = announce_->port;
  body.is_port_implied = announce_->is_port_implied;
  body.token = store.token;
  ++store.attempts;
  if (family.ask(now, store.contact, body, {Why::Kind::announce, number_}, out)) ++store.in_flight;
}

void Search::on_store_stage(Time now, const Transaction& transaction, Family& family,
                            Effects& out) {
  Store* store = store_of(transaction);
  if (store == nullptr) return;
  if (transaction.stage == Transaction::Stage::slow) {
    if (!store->is_acknowledged && store->attempts < kAnnounceAttempts) {
      send_announce(now, *store, family, out);
    }
  } else if (transaction.stage == Transaction::Stage::lapsed && store->in_flight > 0) {
    --store->in_flight;
  }
  settle_stores();
}

void Search::settle_stores() {
  if (phase_ != Phase::storing) return;
  const bool is_awaited = std::any_of(stores_.begin(), stores_.end(), [](const Store& store) {
    return !store.is_acknowledged && store.in_flight > 0;
  });
  if (!is_awaited) phase_ = Phase::over;
}

Search::Store* Search::store_of(const Transaction& transaction) {
  if (transaction.sent < announced_at_) return nullptr;
  for (Store& store : stores_) {
    if (store.contact.endpoint == transaction.to) return &store;
  }
  return nullptr;
}

}  // namespace peernet::dht
