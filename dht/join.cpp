#include "dht/join.h"

#include <algorithm>
#include <utility>

namespace peernet::dht {

namespace {

constexpr std::uint64_t kFirstJobV6 = std::uint64_t{1} << 48U;
constexpr unsigned kDoublingsMax = 16;  // more would be over the maximum anyway

// The endpoint, if the host is the text of an address.
std::optional<Endpoint> literal(const BootstrapName& name) {
  const bool is_v6 = name.host.find(':') != std::string::npos;
  const std::string host = is_v6 && name.host.front() != '[' ? "[" + name.host + "]" : name.host;
  return Endpoint::parse(host + ":" + std::to_string(name.port));
}

}  // namespace

Join::Join(const std::vector<BootstrapName>& bootstrap, bool is_v6)
    : jobs_(JobOwner::dht, is_v6 ? kFirstJobV6 : 0) {
  for (const BootstrapName& name : bootstrap) {
    Bootstrap entry;
    entry.name = name;
    if (const auto endpoint = literal(name)) {
      entry.is_literal = true;
      entry.endpoints.push_back(*endpoint);
    }
    bootstrap_.push_back(std::move(entry));
  }
}

void Join::start(Time now, const std::vector<Contact>& remembered) {
  remember(remembered);
  attempt_at_ = now;
}

void Join::on_time(Time now, Family& family, Effects& out) {
  if (now >= repeat_at_) {
    repeat_at_ = ++repeats_ < kJoinRepeatsMax ? now + kJoinRepeatAfter : kNever;
    ask_bootstrap_again(now, family, out);
  }
  if (now < attempt_at_) return;
  // Those who were good once come first; the bootstrap nodes serve all the world.
  if (attempts_ > 0 || remembered_.empty()) {
    for (Bootstrap& bootstrap : bootstrap_) ask_bootstrap(now, bootstrap, family, out);
    repeats_ = 0;
    if (!bootstrap_.empty()) repeat_at_ = now + kJoinRepeatAfter;
  }
  ask_remembered(now, family, out);
  attempt_at_ = now + backoff();
  ++attempts_;
}

void Join::on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Family& family,
                       Effects& out) {
  for (Bootstrap& bootstrap : bootstrap_) {
    if (bootstrap.job != job) continue;
    bootstrap.job.reset();
    // What was resolved before is better than nothing.
    if (endpoints.empty()) return;
    bootstrap.endpoints = endpoints;
    if (bootstrap.endpoints.size() > kResolvedMax) bootstrap.endpoints.resize(kResolvedMax);
    if (nodes_count_ >= kJoinEnough) return;
    for (const Endpoint& endpoint : bootstrap.endpoints) ask_twice(now, endpoint, family, out);
    return;
  }
}

void Join::on_table(Time now, std::size_t nodes_count) {
  const std::size_t before = std::exchange(nodes_count_, nodes_count);
  if (nodes_count >= kJoinEnough) {
    repeat_at_ = kNever;
    attempt_at_ = kNever;
    attempts_ = 0;
  } else if (nodes_count == 0 && before > 0) {
    attempts_ = 0;
    remembered_next_ = 0;
    attempt_at_ = now;
  } else if (attempt_at_ == kNever) {
    attempt_at_ = now + backoff();
    ++attempts_;
  }
}

Duration Join::backoff() const {
  const bool is_lonely = nodes_count_ == 0 && !bootstrap_.empty();
  return std::min<Duration>(kJoinRetryMin * (std::int64_t{1} << std::min(attempts_, kDoublingsMax)),
                            is_lonely ? kJoinRetryAloneMax : kJoinRetryMax);
}

void Join::remember(const std::vector<Contact>& nodes) {
  std::vector<Contact> merged;
  const auto add = [&](const Contact& contact) {
    if (merged.size() >= kRememberedMax) return;
    const bool is_known = std::any_of(merged.begin(), merged.end(), [&](const Contact& known) {
      return known.endpoint == contact.endpoint;
    });
    if (!is_known) merged.push_back(contact);
  };
  for (const Contact& contact : nodes) add(contact);
  for (const Contact& contact : remembered_) add(contact);
  remembered_ = std::move(merged);
  remembered_next_ = 0;
}

void Join::ask_remembered(Time now, Family& family, Effects& out) {
  const std::size_t count = std::min(kJoinAtOnce, remembered_.size());
  for (std::size_t i = 0; i < count; ++i) {
    const Contact& contact = remembered_[remembered_next_ % remembered_.size()];
    ++remembered_next_;
    // It may have drawn a new id since.
    ask(now, contact.endpoint, family, out);
  }
}

void Join::ask_bootstrap(Time now, Bootstrap& bootstrap, Family& family, Effects& out) {
  for (const Endpoint& endpoint : bootstrap.endpoints) ask_twice(now, endpoint, family, out);
  if (bootstrap.is_literal || bootstrap.job) return;
  bootstrap.job = jobs_.next();
  out.push_back(Resolve{*bootstrap.job, bootstrap.name.host, bootstrap.name.port});
}

void Join::ask_twice(Time now, const Endpoint& endpoint, Family& family, Effects& out) {
  ask(now, endpoint, family, out);
  if (may_ask(endpoint, family)) ask_for_others(now, endpoint, 0x80, family, out);
}

void Join::ask_bootstrap_again(Time now, Family& family, Effects& out) {
  for (const Bootstrap& bootstrap : bootstrap_) {
    for (const Endpoint& endpoint : bootstrap.endpoints) {
      // What it was asked first may have been lost.
      ask_twice(now, endpoint, family, out);
      if (!endpoint.is_usable() || endpoint.is_v6 != family.is_v6) continue;
      const std::uint8_t quarter = repeats_ == 1 ? 0x40 : 0xc0;
      ask_for_others(now, endpoint, quarter, family, out);
    }
  }
}

void Join::ask_for_others(Time now, const Endpoint& endpoint, std::uint8_t bits, Family& family,
                          Effects& out) {
  DhtId target = family.table.own_id();
  target.bytes[0] ^= bits;
  family.ask(now, endpoint, FindNode{target}, {Why::Kind::probe, 0}, out);
}

void Join::ask(Time now, const Endpoint& endpoint, Family& family, Effects& out) {
  if (!may_ask(endpoint, family)) return;
  family.ask(now, endpoint, FindNode{family.table.own_id()}, {Why::Kind::join, 0}, out);
}

bool Join::may_ask(const Endpoint& endpoint, const Family& family) {
  return endpoint.is_usable() && endpoint.is_v6 == family.is_v6 && !family.table.contains(endpoint);
}

}  // namespace peernet::dht
