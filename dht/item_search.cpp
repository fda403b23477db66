#include "dht/item_search.h"

#include <algorithm>

#include "dht/search.h"

namespace peernet::dht {

ItemSearch::ItemSearch(Time now, std::uint64_t number, const DhtId& target, BytesView salt,
                       bool special_use_is_global)
    : number_(number),
      salt_(to_bytes(salt)),
      special_use_is_global_(special_use_is_global),
      began_(now),
      retry_at_(now),
      lookup_(target, 0, special_use_is_global),
      targets_(now, special_use_is_global) {}

ItemSearch::ItemSearch(Time now, std::uint64_t number, Put put, bool special_use_is_global)
    : ItemSearch(now, number, item_target(put.item), put.item.salt, special_use_is_global) {
  put_ = std::move(put);
}

void ItemSearch::start(Time now, Family& family, Effects& out) {
  began_ = now;
  seed(now, family, out);
}

void ItemSearch::on_reply(Time now, const Transaction& transaction, const Reply& reply,
                          Family& family, Effects& out) {
  if (is_to_target(transaction)) targets_.on_reply(transaction);
  if (transaction.why.kind == Why::Kind::item_lookup) {
    consider(reply);
    if (reply.seq && reply.value.empty() && held_back_.size() < kLookupQueriesMax) {
      held_back_.emplace_back(transaction.to, *reply.seq);
    }
    const Contact asked{transaction.expected.value_or(reply.sender), transaction.to};
    if (phase_ == Phase::looking && lookup_.on_answer(asked, reply.sender, reply.token)) {
      for (const Contact& contact : reply.nodes) {
        if (contact.id == family.table.own_id() || !contact.endpoint.is_usable()) continue;
        if (contact.endpoint.is_v6 != transaction.to.is_v6) continue;
        if (may_learn(contact.endpoint, transaction.to, special_use_is_global_)) {
          lookup_.add(contact, {reply.sender, transaction.to});
        }
      }
    }
  }
  step(now, family, out);
}

void ItemSearch::on_refused(Time now, const Transaction& transaction, std::int64_t code,
                            Family& family, Effects& out) {
  if (is_to_target(transaction)) {
    if (targets_.on_refused(transaction) && put_) {
      ++refused_;
      error_ = code;
    }
  } else if (transaction.expected) {
    lookup_.on_failed({*transaction.expected, transaction.to});
  }
  step(now, family, out);
}

void ItemSearch::on_stage(Time now, const Transaction& transaction, Family& family, Effects& out) {
  using Stage = Transaction::Stage;
  if (is_to_target(transaction)) {
    targets_.on_stage(transaction);
  } else if (transaction.expected) {
    const Contact asked{*transaction.expected, transaction.to};
    switch (transaction.stage) {
      case Stage::waiting: break;
      case Stage::slow: lookup_.on_slow(asked); break;
      case Stage::lapsed: lookup_.on_lapsed(asked); break;
      case Stage::failed: lookup_.on_failed(asked); break;
    }
  }
  step(now, family, out);
}

void ItemSearch::on_listed(Time now, Family& family, Effects& out) {
  if (phase_ == Phase::waiting && lookup_.asked_count() == 0) seed(now, family, out);
}

void ItemSearch::on_time(Time now, Family& family, Effects& out) {
  if (phase_ != Phase::waiting) return;
  if (now >= began_ + kSearchPatience) {
    phase_ = Phase::over;
  } else if (now >= retry_at_) {
    seed(now, family, out);
  }
}

void ItemSearch::on_item(const Item& item) {
  if (best_ && (!item.key || item.seq <= best_->seq)) return;
  best_ = item;
  is_best_new_ = true;
}

std::optional<Item> ItemSearch::take_found() {
  if (!std::exchange(is_best_new_, false)) return std::nullopt;
  return best_;
}

bool ItemSearch::is_success() const {
  if (!put_ || phase_ == Phase::waiting) return false;
  return targets_.is_stored_enough(lookup_, phase_ != Phase::looking);
}

Time ItemSearch::deadline() const {
  if (phase_ != Phase::waiting) return kNever;
  return std::min(retry_at_, began_ + kSearchPatience);
}

bool ItemSearch::is_get_of(const DhtId& target, BytesView salt) const {
  return !put_ && target == lookup_.target() && secure_equal(salt, salt_);
}

ItemDone ItemSearch::result(Time now) const {
  ItemDone done;
  done.target = lookup_.target();
  done.nodes_asked = static_cast<std::uint32_t>(lookup_.asked_count());
  done.nodes_answered = static_cast<std::uint32_t>(lookup_.answered_count());
  if (put_) done.stored = static_cast<std::uint32_t>(targets_.acknowledged_count());
  done.refused = refused_;
  done.error = error_;
  done.took = now - began_;
  done.is_put = put_.has_value();
  done.is_found = best_.has_value();
  return done;
}

void ItemSearch::seed(Time now, Family& family, Effects& out) {
  phase_ = Phase::waiting;
  retry_at_ = now + kSearchRetry;
  const auto seeds = family.table.closest(lookup_.target(), kSearchSeeds);
  if (seeds.empty()) return;
  lookup_ = Lookup(lookup_.target(), family.network_size(), special_use_is_global_);
  if (put_) lookup_.be_thorough();
  for (const Contact& contact : seeds) lookup_.add(contact);
  phase_ = Phase::looking;
  step(now, family, out);
}

void ItemSearch::step(Time now, Family& family, Effects& out) {
  if (phase_ == Phase::looking) look(now, family, out);
  const auto kind = put_ ? Why::Kind::item_store : Why::Kind::item_lookup;
  while (Targets::Target* target = targets_.next()) {
    const bool is_sent = family.ask(now, target->contact, body_for(*target), {kind, number_}, out);
    if (is_sent) ++target->in_flight;
  }
  const bool is_at_targets = phase_ == Phase::asking_again || phase_ == Phase::putting;
  if (is_at_targets && !targets_.is_awaited()) phase_ = Phase::over;
}

void ItemSearch::look(Time now, Family& family, Effects& out) {
  while (const auto contact = lookup_.next()) {
    if (!family.ask(now, *contact, get_body(), {Why::Kind::item_lookup, number_}, out)) {
      lookup_.on_failed(*contact);
    }
  }
  if (!lookup_.is_over()) {
    // Whether one that has versions may be put shows at the end.
    if (put_ && !put_->item.key) targets_.add_stores(lookup_, false);
  } else if (lookup_.answered_count() == 0 && now < began_ + kSearchPatience) {
    phase_ = Phase::waiting;
    retry_at_ = now + kSearchRetry;
  } else if (put_) {
    begin_putting();
  } else {
    begin_asking_again(now);
  }
}

void ItemSearch::begin_asking_again(Time now) {
  phase_ = Phase::asking_again;
  targets_.restart(now);
  for (Lookup::Found& found : lookup_.nearest()) {
    const bool has_newer = std::any_of(held_back_.begin(), held_back_.end(), [&](const auto& held) {
      return held.first == found.contact.endpoint && best_ && held.second > best_->seq;
    });
    if (!best_ || has_newer) targets_.add(std::move(found));
  }
}

// The error of BEP 44 that a node with the best item we have seen would give us.
std::optional<std::int64_t> ItemSearch::refusal() const {
  if (!best_ || !best_->key) return std::nullopt;
  if (put_->cas && *put_->cas != best_->seq) return ErrorReply::kCasMismatch;
  if (put_->item.seq < best_->seq) return ErrorReply::kSeqTooLow;
  return std::nullopt;
}

void ItemSearch::begin_putting() {
  phase_ = Phase::putting;
  if (const auto code = refusal()) {
    // What the nearest hold forbids it: nodes that have not got it would take the older one.
    refused_ = 1;
    error_ = *code;
    phase_ = Phase::over;
    return;
  }
  targets_.add_stores(lookup_, true);
}

// Takes the value of a reply if it is what we look for, and better than what we have.
void ItemSearch::consider(const Reply& reply) {
  if (reply.value.empty()) return;
  Item item;
  item.value = to_bytes(reply.value);
  if (reply.key && reply.seq && reply.signature) {
    if (best_ && *reply.seq <= best_->seq) return;
    item.key = reply.key;
    item.salt = salt_;
    item.seq = *reply.seq;
    item.signature = *reply.signature;
  } else if (best_) {
    return;
  }
  if (item_target(item) != lookup_.target() || !check(item)) return;
  on_item(item);
}

QueryBody ItemSearch::body_for(const Targets::Target& target) const {
  if (!put_) return get_body();
  dht::Put body;
  body.value = put_->item.value;
  body.token = target.token;
  body.key = put_->item.key;
  body.salt = put_->item.salt;
  body.seq = put_->item.seq;
  body.signature = put_->item.signature;
  body.cas = put_->cas;
  return body;
}

bool ItemSearch::is_to_target(const Transaction& transaction) {
  const auto kind = put_ ? Why::Kind::item_store : Why::Kind::item_lookup;
  return transaction.why.kind == kind && targets_.contains(transaction);
}

QueryBody ItemSearch::get_body() const {
  Get body;
  body.target = lookup_.target();
  // One that is not newer than what we have need not be sent.
  if (best_ && best_->key) body.seq = best_->seq;
  return body;
}

}  // namespace peernet::dht
