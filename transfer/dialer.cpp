#include "transfer/dialer.h"

#include <algorithm>

namespace peernet::transfer {
namespace {

constexpr std::uint16_t kLearntPortMin = 1024;

}  // namespace

Dialer::Dialer(bool special_use_is_global, const Rng& rng, std::uint32_t dials_per_second)
    : special_use_is_global_(special_use_is_global),
      rng_(rng),
      dial_interval_(Duration(std::chrono::seconds(1)) / dials_per_second),
      burst_credit_(dial_interval_ * (std::min(kDialBurst, dials_per_second) - 1)) {}

void Dialer::add(Time now, const Endpoint& endpoint, const ShareId& share, Source source) {
  const bool is_named = source == Source::link;
  if (!endpoint.is_usable() || (!is_named && endpoint.port < kLearntPortMin)) return;
  if (std::find(selves_.begin(), selves_.end(), endpoint) != selves_.end()) return;

  auto found = addresses_.find(endpoint);
  const bool is_in_share = found != addresses_.end() && found->second.shares.contains(share);
  if (!is_in_share) {
    if (found != addresses_.end() && found->second.shares.size() >= kSharesPerAddressMax) return;
    const auto of_share = shares_.find(share);
    if (of_share != shares_.end() && of_share->second.addresses.size() >= kAddressesPerShareMax &&
        !make_room_in(of_share->second, is_named)) {
      return;
    }
  }
  if (found == addresses_.end()) {
    if (addresses_.size() >= kAddressesMax && !make_room(is_named)) return;
    found = addresses_.try_emplace(endpoint).first;
    found->second.source = source;
    found->second.due = now;
    found->second.order = rng_.next();
  }

  Address& address = found->second;
  unschedule(endpoint, address);
  auto& refused_until = address.shares[share];
  if (refused_until && *refused_until <= now) refused_until.reset();
  Share& of_these = shares_[share];
  of_these.addresses.insert(endpoint);
  of_these.full_at.reset();
  if (is_named && !address.is_named) {
    address.is_named = true;
    address.source = source;
    address.failures = 0;
    address.due = std::min(address.due, now);
  }
  schedule(endpoint, address);
}

void Dialer::set_enough(const ShareId& share, bool is_enough) {
  const auto found = shares_.find(share);
  if (found == shares_.end() || found->second.is_enough == is_enough) return;
  for (const Endpoint& endpoint : found->second.addresses) {
    unschedule(endpoint, addresses_.at(endpoint));
  }
  found->second.is_enough = is_enough;
  for (const Endpoint& endpoint : found->second.addresses) {
    schedule(endpoint, addresses_.at(endpoint));
  }
}

void Dialer::remove_share(const ShareId& share) {
  const auto found = shares_.find(share);
  if (found == shares_.end()) return;
  const std::set<Endpoint> endpoints = std::move(found->second.addresses);
  shares_.erase(found);
  for (const Endpoint& endpoint : endpoints) {
    const auto held = addresses_.find(endpoint);
    Address& address = held->second;
    unschedule(endpoint, address);
    address.shares.erase(share);
    if (address.shares.empty() && address.state == State::waiting) {
      addresses_.erase(held);
    } else {
      schedule(endpoint, address);
    }
  }
}

std::optional<Endpoint> Dialer::next(Time now) {
  expire(now);
  if (half_open_ >= kHalfOpenMax || now < rate_allows_at()) return std::nullopt;
  while (!waiting_.empty() && waiting_.begin()->first <= now) {
    const Endpoint endpoint = waiting_.begin()->second;
    Address& address = addresses_.at(endpoint);
    unschedule(endpoint, address);
    if (due(endpoint, address) > now) {
      schedule(endpoint, address);
    } else {
      address.state = State::ready;
      ready_.insert(ready_key(endpoint, address));
    }
  }
  while (!ready_.empty()) {
    const Endpoint endpoint = std::get<Endpoint>(*ready_.begin());
    Address& address = addresses_.at(endpoint);
    unschedule(endpoint, address);
    // Another port of the same address may have been tried since this one became ready.
    if (due(endpoint, address) > now) {
      schedule(endpoint, address);
      continue;
    }
    address.state = State::dialling;
    for (auto& [share, refused_until] : address.shares) {
      if (refused_until && *refused_until <= now) refused_until.reset();
    }
    ++half_open_;
    rate_paid_ = std::max(rate_paid_, now) + dial_interval_;
    if (is_held_back(address)) {
      const Endpoint key = tried_key(endpoint);
      tried_[key] = now;
      tried_order_.emplace_back(now, key);
    }
    return endpoint;
  }
  return std::nullopt;
}

void Dialer::on_failed(Time now, const Endpoint& endpoint, std::string why, Outcome outcome) {
  const auto found = addresses_.find(endpoint);
  if (found == addresses_.end() || !is_in_use(found->second)) return;
  if (why.size() > kWhatMax) why.resize(kWhatMax);
  for (const auto& [share, refused_until] : found->second.shares) {
    std::deque<Failure>& failures = shares_.at(share).failures;
    failures.push_back({.endpoint = endpoint, .what = why, .at = now, .outcome = outcome});
    if (failures.size() > kFailuresPerShareMax) failures.pop_front();
  }
  found->second.last = outcome;
  found->second.last_at = now;
  end_use(now, found);
}

void Dialer::on_proven(Time now, const Endpoint& endpoint) {
  const auto found = addresses_.find(endpoint);
  if (found == addresses_.end()) return;
  Address& address = found->second;
  unschedule(endpoint, address);
  if (address.state == State::dialling) --half_open_;
  address.state = State::connected;
  address.is_proven = true;
  address.proven_at = now;
  clear_tried(endpoint);
}

void Dialer::on_closed(Time now, const Endpoint& endpoint, Outcome outcome) {
  const auto found = addresses_.find(endpoint);
  if (found == addresses_.end() || !is_in_use(found->second)) return;
  Address& address = found->second;
  if (address.state == State::connected && now - address.proven_at >= kSettled) {
    address.failures = 0;
  }
  address.last = outcome;
  address.last_at = now;
  end_use(now, found);
}

void Dialer::on_refused_share(Time now, const Endpoint& endpoint, const ShareId& share) {
  const auto found = addresses_.find(endpoint);
  if (found == addresses_.end()) return;
  const auto named = found->second.shares.find(share);
  if (named == found->second.shares.end()) return;
  unschedule(endpoint, found->second);
  named->second = now + kRefusedWait;
  schedule(endpoint, found->second);
}

void Dialer::on_self(const Endpoint& endpoint) {
  if (std::find(selves_.begin(), selves_.end(), endpoint) == selves_.end()) {
    selves_.push_back(endpoint);
    if (selves_.size() > kSelvesMax) selves_.pop_front();
  }
  const auto found = addresses_.find(endpoint);
  if (found != addresses_.end()) forget(found);
  clear_tried(endpoint);
}

Time Dialer::deadline() const {
  if (half_open_ >= kHalfOpenMax) return kNever;
  if (!ready_.empty()) return rate_allows_at();
  if (waiting_.empty()) return kNever;
  return std::max(waiting_.begin()->first, rate_allows_at());
}

std::vector<ShareId> Dialer::shares(const Endpoint& endpoint) const {
  std::vector<ShareId> wanted;
  const auto found = addresses_.find(endpoint);
  if (found == addresses_.end()) return wanted;
  for (const auto& [share, refused_until] : found->second.shares) {
    if (!refused_until) wanted.push_back(share);
  }
  return wanted;
}

std::size_t Dialer::known(const ShareId& share) const {
  const auto found = shares_.find(share);
  return found == shares_.end() ? 0 : found->second.addresses.size();
}

std::vector<Dialer::Failure> Dialer::failures(const ShareId& share) const {
  const auto found = shares_.find(share);
  if (found == shares_.end()) return {};
  return {found->second.failures.begin(), found->second.failures.end()};
}

std::vector<Dialer::Attempt> Dialer::attempts(const ShareId& share) const {
  std::vector<Attempt> attempts;
  const auto found = shares_.find(share);
  if (found == shares_.end()) return attempts;
  attempts.reserve(found->second.addresses.size());
  for (const Endpoint& endpoint : found->second.addresses) {
    const Address& address = addresses_.at(endpoint);
    Attempt attempt;
    attempt.endpoint = endpoint;
    attempt.source = address.source;
    attempt.is_dialling = address.state == State::dialling;
    attempt.is_connected = address.state == State::connected;
    attempt.last = address.last;
    attempt.last_at = address.last_at;
    attempt.due = due(endpoint, address);
    if (const auto& refused_until = address.shares.at(share)) {
      attempt.last = Outcome::share_unknown;
      attempt.last_at = *refused_until - kRefusedWait;
      attempt.due = std::max(attempt.due, *refused_until);
    }
    attempts.push_back(attempt);
  }
  return attempts;
}

std::optional<Dialer::Source> Dialer::source(const Endpoint& endpoint) const {
  const auto found = addresses_.find(endpoint);
  if (found == addresses_.end()) return std::nullopt;
  return found->second.source;
}

Endpoint Dialer::tried_key(const Endpoint& endpoint) const {
  if (!special_use_is_global_ && endpoint.locality() != Locality::global) return endpoint;
  return host_of(endpoint);
}

bool Dialer::is_held_back(const Address& address) {
  return !address.is_named && !address.is_proven;
}

bool Dialer::is_in_use(const Address& address) {
  return address.state == State::dialling || address.state == State::connected;
}

Time Dialer::due(const Endpoint& endpoint, const Address& address) const {
  Time wanted = kNever;
  for (const auto& [share, refused_until] : address.shares) {
    if (!address.is_named && shares_.at(share).is_enough) continue;
    wanted = std::min(wanted, refused_until.value_or(Time{}));
  }
  Time when = std::max(address.due, wanted);
  if (is_held_back(address)) {
    const auto tried = tried_.find(tried_key(endpoint));
    if (tried != tried_.end()) when = std::max(when, tried->second + kUnprovenWait);
  }
  return when;
}

Dialer::Ready Dialer::ready_key(const Endpoint& endpoint, const Address& address) {
  const int rank = address.is_proven ? 0 : address.is_named ? 1 : 2;
  return {rank, address.order, endpoint};
}

// Up to a quarter more, so that what failed together does not come back together.
Duration Dialer::jittered(Duration wait) {
  return wait + Duration(rng_.below(static_cast<std::uint64_t>(wait.count()) / 4 + 1));
}

Duration Dialer::wait_after_failure(const Address& address) {
  if (is_held_back(address)) return jittered(kUnprovenWait);
  Duration wait = kShortestWait;
  for (std::uint32_t i = 1; i < address.failures && wait < kLongestWait; ++i) wait *= 2;
  return jittered(std::min(wait, kLongestWait));
}

void Dialer::unschedule(const Endpoint& endpoint, Address& address) {
  if (address.state == State::ready) {
    ready_.erase(ready_key(endpoint, address));
    address.state = State::waiting;
  } else if (address.state == State::waiting) {
    waiting_.erase({address.indexed, endpoint});
  }
}

void Dialer::schedule(const Endpoint& endpoint, Address& address) {
  if (address.state != State::waiting) return;
  address.indexed = due(endpoint, address);
  waiting_.emplace(address.indexed, endpoint);
}

void Dialer::end_use(Time now, Addresses::iterator found) {
  Address& address = found->second;
  if (address.shares.empty()) {
    forget(found);
    return;
  }
  if (address.state == State::dialling) --half_open_;
  address.state = State::waiting;
  ++address.failures;
  ++ends_count_;
  if (address.failures >= kProofForgottenAfter) address.is_proven = false;
  address.due = now + wait_after_failure(address);
  schedule(found->first, address);
}

void Dialer::forget(Addresses::iterator found) {
  unschedule(found->first, found->second);
  if (found->second.state == State::dialling) --half_open_;
  for (const auto& [share, refused_until] : found->second.shares) {
    shares_.at(share).addresses.erase(found->first);
  }
  addresses_.erase(found);
}

bool Dialer::may_make_room(const Address& address, bool is_for_named) {
  return !is_in_use(address) && is_held_back(address) && (address.failures > 0 || is_for_named);
}

// What strangers name finds room only after the use of an address has ended that had none before: a
// full share is not searched for each of the many that they name.
bool Dialer::make_room_in(Share& share, bool is_for_named) {
  if (!is_for_named && share.full_at == ends_count_) return false;
  auto worst = addresses_.end();
  for (const Endpoint& endpoint : share.addresses) {
    const auto found = addresses_.find(endpoint);
    if (!may_make_room(found->second, is_for_named)) continue;
    if (worst == addresses_.end() || worst->second.failures < found->second.failures) worst = found;
  }
  if (worst == addresses_.end()) {
    share.full_at = ends_count_;
    return false;
  }
  forget(worst);
  return true;
}

bool Dialer::make_room(bool is_for_named) {
  if (!is_for_named && full_at_ == ends_count_) return false;
  auto worst = addresses_.end();
  for (auto found = addresses_.begin(); found != addresses_.end(); ++found) {
    if (!may_make_room(found->second, is_for_named)) continue;
    if (worst == addresses_.end() || worst->second.failures < found->second.failures) worst = found;
  }
  if (worst == addresses_.end()) {
    full_at_ = ends_count_;
    return false;
  }
  forget(worst);
  return true;
}

Time Dialer::rate_allows_at() const {
  return rate_paid_ - burst_credit_;
}

// Whoever answers there speaks our protocol: its other ports need not wait for their turn.
void Dialer::clear_tried(const Endpoint& endpoint) {
  const Endpoint key = tried_key(endpoint);
  if (tried_.erase(key) == 0 || key == endpoint) return;
  for (auto held = addresses_.lower_bound(key); held != addresses_.end(); ++held) {
    // In the order of their bytes the two families stand between each other.
    Endpoint same_family = held->first;
    same_family.is_v6 = key.is_v6;
    if (host_of(same_family) != key) break;
    if (held->first.is_v6 != key.is_v6) continue;
    unschedule(held->first, held->second);
    schedule(held->first, held->second);
  }
}

void Dialer::expire(Time now) {
  while (!tried_order_.empty() && tried_order_.front().first + kUnprovenWait <= now) {
    const auto& [at, key] = tried_order_.front();
    const auto found = tried_.find(key);
    if (found != tried_.end() && found->second == at) tried_.erase(found);
    tried_order_.pop_front();
  }
}

}  // namespace peernet::transfer
