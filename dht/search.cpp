#include "dht/search.h"

#include <algorithm>
#include <utility>

namespace peernet::dht {

Search::Search(Time now, std::uint64_t number, const DhtId& target, Goal goal,
               bool special_use_is_global)
    : number_(number),
      goal_(goal),
      special_use_is_global_(special_use_is_global),
      began_(now),
      retry_at_(now),
      lookup_(target, special_use_is_global) {}

void Search::start(Time now, Family& family, Effects& out) {
  began_ = now;
  seed(now, family, out);
}

void Search::announce_as(Time now, const Announce& announce, Family& family, Effects& out) {
  if (announce_ == announce) return;
  announce_ = announce;
  // The tokens are still good: those who have stored the old port are told the new one.
  if (phase_ == Phase::announcing) begin_announcing(now, family, out);
}

void Search::on_reply(Time now, const Transaction& transaction, const Reply& reply, Family& family,
                      Effects& out) {
  if (transaction.why.kind == Why::Kind::announce) {
    Store* store = store_of(transaction);
    if (store != nullptr) store->is_acknowledged = true;
    settle_announcing();
    return;
  }
  const Contact asked{transaction.expected.value_or(reply.sender), transaction.to};
  const bool is_counted = lookup_.on_answer(asked, reply.sender, reply.token);
  if (is_counted) {
    for (const Contact& contact : reply.nodes) {
      if (contact.id == family.table.own_id() || contact.endpoint.is_v6) continue;
      if (!contact.endpoint.is_usable()) continue;
      if (may_learn(contact.endpoint, transaction.to, special_use_is_global_)) lookup_.add(contact);
    }
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
    settle_announcing();
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
  if (phase_ == Phase::waiting && lookup_.asked_count() == 0) seed(now, family, out);
}

void Search::on_time(Time now, Family& family, Effects& out) {
  if (phase_ != Phase::waiting) return;
  if (now >= began_ + kSearchPatience) {
    phase_ = Phase::over;
  } else if (now >= retry_at_) {
    seed(now, family, out);
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
  done.took = now - began_;
  done.is_announce = announce_.has_value();
  return done;
}

void Search::seed(Time now, Family& family, Effects& out) {
  phase_ = Phase::waiting;
  retry_at_ = now + kSearchRetry;
  const auto seeds = family.table.closest(lookup_.target(), kSearchSeeds);
  if (seeds.empty()) return;
  asked_before_ += lookup_.asked_count();
  lookup_ = Lookup(lookup_.target(), special_use_is_global_);
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
  if (!lookup_.is_over()) return;
  if (lookup_.answered_count() == 0 && now < began_ + kSearchPatience) {
    // Nobody answers: the network may be down, and the next moment may be better.
    phase_ = Phase::waiting;
    retry_at_ = now + kSearchRetry;
  } else if (announce_) {
    begin_announcing(now, family, out);
  } else {
    phase_ = Phase::over;
  }
}

void Search::begin_announcing(Time now, Family& family, Effects& out) {
  phase_ = Phase::announcing;
  announced_at_ = now;
  stores_.clear();
  for (auto& found : lookup_.nearest(kLookupCandidatesMax)) {
    if (stores_.size() >= kAnnounceWidth) break;
    if (!found.token.empty())
      stores_.push_back({found.contact, std::move(found.token), 0, 0, false});
  }
  for (Store& store : stores_) send_announce(now, store, family, out);
  settle_announcing();
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
  settle_announcing();
}

void Search::settle_announcing() {
  if (phase_ != Phase::announcing) return;
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
