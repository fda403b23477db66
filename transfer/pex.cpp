#include "transfer/pex.h"

#include <span>

namespace peernet::transfer {

std::optional<wire::Pex> PexTold::next(Time now, const std::set<Endpoint>& there,
                                       const Endpoint& to, const std::optional<Endpoint>& self,
                                       bool special_use_is_global, Rng& rng) {
  due_ = now + kPexLook;
  wire::Pex message;
  for (const Endpoint& told : told_) {
    if (message.dropped.size() == wire::kPexCountMax) break;
    if (!there.contains(told)) message.dropped.push_back(told);
  }
  for (const Endpoint& gone : message.dropped) told_.erase(gone);
  std::vector<Endpoint> fresh;
  for (const Endpoint& endpoint : there) {
    const bool is_news = endpoint != self && !told_.contains(endpoint);
    if (is_news && may_learn(endpoint, to, special_use_is_global)) fresh.push_back(endpoint);
  }
  // In random order, so that no address is everybody's first.
  rng.shuffle(std::span<Endpoint>(fresh));
  for (const Endpoint& endpoint : fresh) {
    if (message.added.size() == wire::kPexCountMax || told_.size() >= kPexRememberedMax) break;
    message.added.push_back(endpoint);
    told_.insert(endpoint);
  }
  if (message.added.empty() && message.dropped.empty()) return std::nullopt;
  due_ = now + kPexInterval;
  return message;
}

std::vector<Endpoint> PexNamed::take(const wire::Pex& message, const Endpoint& from,
                                     bool special_use_is_global) {
  for (const Endpoint& gone : message.dropped) named_.erase(gone);
  std::vector<Endpoint> taken;
  for (const Endpoint& endpoint : message.added) {
    if (!may_learn(endpoint, from, special_use_is_global)) continue;
    if (!named_.contains(endpoint)) {
      if (named_.size() >= kPexRememberedMax) continue;
      named_.insert(endpoint);
    }
    taken.push_back(endpoint);
  }
  return taken;
}

}  // namespace peernet::transfer
