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
      lookup_(target, 0, special_use_is_global),
      stores_(now, special_use_is_global) {}

void Search::start(Time now, const Introduction* introduction, Family& family, Effects& out) {
  began_ = now;
  seed(now, introduction, family, out);
}

void Search::announce_as(Time now, const Announce& announce, Family& family, Effects& out) {
  if (announce_ == announce) return;
  announce_ = announce;
  lookup_.be_thorough();
  // The tokens are still good: those who have stored the old port are told the new one.
  stores_.restart(now);
  if (phase_ == Phase::storing) phase_ = Phase::looking;
  step(now, family, out);
}

void Search::on_reply(Time now, const Transaction& transaction, const Reply& reply, Family& family,
                      Effects& out) {
  if (transaction.why.kind == Why::Kind::announce) {
    stores_.on_reply(transaction);
    settle_stores(now, family, out);
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
    stores_.on_refused(transaction);
    settle_stores(now, family, out);
    return;
  }
  if (transaction.expected) lookup_.on_failed({*transaction.expected, transaction.to});
  step(now, family, out);
}

void Search::on_stage(Time now, const Transaction& transaction, Family& family, Effects& out) {
  if (transaction.why.kind == Why::Kind::announce) {
    stores_.on_stage(transaction);
    settle_stores(now, family, out);
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
  return stores_.is_stored_enough(lookup_, phase_ != Phase::looking);
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
  done.stored = static_cast<std::uint32_t>(stores_.acknowledged_count());
  if (announce_) {
    const std::size_t nearest = lookup_.hopeful().size();
    done.store_targets = static_cast<std::uint32_t>(std::max(nearest, stores_.all().size()));
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
  if (announce_) stores_.add_stores(lookup_, is_over);
  settle_stores(now, family, out);
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

void Search::settle_stores(Time now, Family& family, Effects& out) {
  while (Targets::Target* store = stores_.next()) {
    AnnouncePeer body;
    body.key = lookup_.target();
    body.port = announce_->port;
    body.is_port_implied = announce_->is_port_implied;
    body.token = store->token;
    const bool is_sent = family.ask(now, store->contact, body, {Why::Kind::announce, number_}, out);
    if (is_sent) ++store->in_flight;
  }
  if (phase_ == Phase::storing && !stores_.is_awaited()) phase_ = Phase::over;
}

}  // namespace peernet::dht
