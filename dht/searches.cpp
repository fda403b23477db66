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
    search =
        searches_
            .emplace(number, Search(now, number, key, Search::Goal::peers, special_use_is_global_))
            .first;
  }
  auto fresh = search->second.on_peers(known);
  if (!fresh.empty()) events_.push_back(PeersFound{key, std::move(fresh)});
  if (announce) search->second.announce_as(now, *announce, family, out);
  settle(now, search, family, out);
}

void Searches::find_nodes(Time now, const DhtId& target, Family& family, Effects& out) {
  const std::uint64_t number = ++last_number_;
  const auto search =
      searches_
          .emplace(number, Search(now, number, target, Search::Goal::nodes, special_use_is_global_))
          .first;
  search->second.start(now, family, out);
  settle(now, search, family, out);
}

void Searches::forget(const DhtId& key) {
  const auto search = find(key);
  if (search != searches_.end()) searches_.erase(search);
}

void Searches::on_reply(Time now, const Transaction& transaction, const Reply& reply,
                        Family& family, Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.on_reply(now, transaction, reply, family, out);
  settle(now, search, family, out);
}

void Searches::on_refused(Time now, const Transaction& transaction, Family& family, Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.on_refused(now, transaction, family, out);
  settle(now, search, family, out);
}

void Searches::on_stage(Time now, const Transaction& transaction, Family& family, Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.on_stage(now, transaction, family, out);
  settle(now, search, family, out);
}

void Searches::on_listed(Time now, Family& family, Effects& out) {
  for (auto search = searches_.begin(); search != searches_.end();) {
    const auto here = search++;
    here->second.on_listed(now, family, out);
    settle(now, here, family, out);
  }
}

void Searches::on_time(Time now, Family& family, Effects& out) {
  for (auto search = searches_.begin(); search != searches_.end();) {
    const auto here = search++;
    here->second.on_time(now, family, out);
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
  for (const auto& [number, search] : searches_) {
    // One that waits may start at once when those before it were forgotten.
    if (!search.is_started() && active < kSearchesActiveMax) return Time{};
    if (search.goal() == Search::Goal::peers && search.is_started()) ++active;
    earliest = std::min(earliest, search.deadline());
  }
  return earliest;
}

std::size_t Searches::count(Search::Goal goal) const {
  std::size_t count = 0;
  for (const auto& [number, search] : searches_) count += search.goal() == goal ? 1U : 0U;
  return count;
}

std::optional<DhtId> Searches::key_of(const Transaction& transaction) const {
  const Why& why = transaction.why;
  if (why.kind != Why::Kind::lookup && why.kind != Why::Kind::announce) return std::nullopt;
  const auto search = searches_.find(why.search);
  if (search == searches_.end() || search->second.goal() != Search::Goal::peers) {
    return std::nullopt;
  }
  return search->second.target();
}

Searches::Map::iterator Searches::find(const DhtId& key) {
  return std::find_if(searches_.begin(), searches_.end(), [&](const auto& entry) {
    return entry.second.goal() == Search::Goal::peers && entry.second.target() == key;
  });
}

void Searches::settle(Time now, Map::iterator search, Family& family, Effects& out) {
  auto peers = search->second.take_new_peers();
  if (!peers.empty()) events_.push_back(PeersFound{search->second.target(), std::move(peers)});
  if (search->second.is_over()) {
    if (search->second.goal() == Search::Goal::peers) events_.push_back(search->second.result(now));
    searches_.erase(search);
  }
  start_waiting(now, family, out);
}

void Searches::start_waiting(Time now, Family& family, Effects& out) {
  std::size_t active = 0;
  for (auto& [number, search] : searches_) {
    if (search.goal() != Search::Goal::peers) continue;
    if (active >= kSearchesActiveMax) return;
    ++active;
    if (!search.is_started()) search.start(now, family, out);
  }
}

}  // namespace peernet::dht
