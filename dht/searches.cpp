#include "dht/searches.h"

#include <algorithm>
#include <utility>

namespace peernet::dht {

void Searches::find_peers(Time now, const DhtId& key, const std::optional<Announce>& announce,
                          const std::vector<Endpoint>& known, Family& family, Effects& out) {
  auto search = find(key);
  if (search == searches_.end()) {
    if (count(Search::Goal::peers) >= kSearchesMax) {
      LookupDone done;
      done.key = key;
      done.is_announce = announce.has_value();
      events_.push_back(done);
      return;
    }
    const std::uint64_t number = ++last_number_;
    Entry entry{Search(now, number, key, Search::Goal::peers, special_use_is_global_)};
    search = searches_.emplace(number, std::move(entry)).first;
  }
  auto fresh = search->second.search.on_peers(known);
  if (!fresh.empty()) events_.push_back(PeersFound{key, std::move(fresh)});
  if (announce) search->second.search.announce_as(now, *announce, family, out);
  settle(now, search, family, out);
}

void Searches::find_nodes(Time now, const DhtId& target,
                          const std::optional<Introduction>& introduction, Family& family,
                          Effects& out) {
  const std::uint64_t number = ++last_number_;
  Entry entry{Search(now, number, target, Search::Goal::nodes, special_use_is_global_)};
  const auto search = searches_.emplace(number, std::move(entry)).first;
  search->second.search.start(now, introduction ? &*introduction : nullptr, family, out);
  settle(now, search, family, out);
}

void Searches::forget(const DhtId& key) {
  std::erase_if(searches_, [&](const auto& entry) {
    const Search& search = entry.second.search;
    return search.goal() == Search::Goal::peers && search.target() == key;
  });
}

void Searches::on_reply(Time now, const Transaction& transaction, const Reply& reply,
                        Family& family, Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.search.on_reply(now, transaction, reply, family, out);
  settle(now, search, family, out);
}

void Searches::on_refused(Time now, const Transaction& transaction, Family& family, Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.search.on_refused(now, transaction, family, out);
  settle(now, search, family, out);
}

void Searches::on_stage(Time now, const Transaction& transaction, Family& family, Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.search.on_stage(now, transaction, family, out);
  settle(now, search, family, out);
}

void Searches::on_introduced(Time now, const DhtId& target, const Introduction& introduction,
                             Family& family, Effects& out) {
  for (auto search = searches_.begin(); search != searches_.end();) {
    const auto here = search++;
    if (here->second.search.goal() != Search::Goal::nodes) continue;
    if (here->second.search.target() != target) continue;
    here->second.search.on_introduced(now, introduction, family, out);
    settle(now, here, family, out);
  }
}

void Searches::on_listed(Time now, Family& family, Effects& out) {
  for (auto search = searches_.begin(); search != searches_.end();) {
    const auto here = search++;
    here->second.search.on_listed(now, family, out);
    settle(now, here, family, out);
  }
}

void Searches::on_time(Time now, Family& family, Effects& out) {
  for (auto search = searches_.begin(); search != searches_.end();) {
    const auto here = search++;
    here->second.search.on_time(now, family, out);
    settle(now, here, family, out);
  }
}

std::optional<Event> Searches::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Time Searches::deadline() const {
  Time earliest = kNever;
  std::size_t active = 0;
  for (const auto& [number, entry] : searches_) {
    const Search& search = entry.search;
    // One that waits may start at once when those before it were forgotten.
    if (!search.is_started() && active < kSearchesActiveMax) return Time{};
    const bool is_awaited = search.goal() == Search::Goal::peers && !entry.is_told;
    if (is_awaited && search.is_started()) ++active;
    earliest = std::min(earliest, search.deadline());
  }
  return earliest;
}

std::size_t Searches::count(Search::Goal goal) const {
  std::size_t count = 0;
  for (const auto& [number, entry] : searches_) {
    count += entry.search.goal() == goal && !entry.is_told ? 1U : 0U;
  }
  return count;
}

std::optional<DhtId> Searches::key_of(const Transaction& transaction) const {
  const Why& why = transaction.why;
  if (why.kind != Why::Kind::lookup && why.kind != Why::Kind::announce) return std::nullopt;
  const auto search = searches_.find(why.search);
  if (search == searches_.end() || search->second.search.goal() != Search::Goal::peers) {
    return std::nullopt;
  }
  return search->second.search.target();
}

Searches::Map::iterator Searches::find(const DhtId& key) {
  return std::find_if(searches_.begin(), searches_.end(), [&](const auto& item) {
    const Entry& entry = item.second;
    return entry.search.goal() == Search::Goal::peers && !entry.is_told &&
           entry.search.target() == key;
  });
}

void Searches::settle(Time now, Map::iterator search, Family& family, Effects& out) {
  Entry& entry = search->second;
  auto peers = entry.search.take_new_peers();
  if (!peers.empty()) events_.push_back(PeersFound{entry.search.target(), std::move(peers)});
  const bool is_over = entry.search.is_over();
  if (entry.search.goal() == Search::Goal::peers && !entry.is_told &&
      (is_over || entry.search.is_success())) {
    entry.is_told = true;
    events_.push_back(entry.search.result(now));
  }
  if (is_over) searches_.erase(search);
  start_waiting(now, family, out);
}

void Searches::start_waiting(Time now, Family& family, Effects& out) {
  std::size_t active = 0;
  for (auto& [number, entry] : searches_) {
    if (entry.search.goal() != Search::Goal::peers || entry.is_told) continue;
    if (active >= kSearchesActiveMax) return;
    ++active;
    if (!entry.search.is_started()) entry.search.start(now, nullptr, family, out);
  }
}

}  // namespace peernet::dht
