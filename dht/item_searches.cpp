#include "dht/item_searches.h"

#include <algorithm>
#include <utility>

namespace peernet::dht {

void ItemSearches::get(Time now, const DhtId& target, BytesView salt, const Item* known,
                       Family& family, Effects& out) {
  const bool is_running = std::any_of(searches_.begin(), searches_.end(), [&](const auto& entry) {
    return entry.second.search.is_get_of(target, salt);
  });
  if (is_running || is_full(target, false)) return;
  start(now, ItemSearch(now, ++last_number_, target, salt, special_use_is_global_), known, family,
        out);
}

void ItemSearches::put(Time now, const Item& item, std::optional<std::int64_t> cas,
                       const Item* known, Family& family, Effects& out) {
  if (is_full(item_target(item), true)) return;
  start(now, ItemSearch(now, ++last_number_, {item, cas}, special_use_is_global_), known, family,
        out);
}

void ItemSearches::on_reply(Time now, const Transaction& transaction, const Reply& reply,
                            Family& family, Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.search.on_reply(now, transaction, reply, family, out);
  settle(now, search);
}

void ItemSearches::on_refused(Time now, const Transaction& transaction, std::int64_t code,
                              Family& family, Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.search.on_refused(now, transaction, code, family, out);
  settle(now, search);
}

void ItemSearches::on_stage(Time now, const Transaction& transaction, Family& family,
                            Effects& out) {
  const auto search = searches_.find(transaction.why.search);
  if (search == searches_.end()) return;
  search->second.search.on_stage(now, transaction, family, out);
  settle(now, search);
}

void ItemSearches::on_listed(Time now, Family& family, Effects& out) {
  for (auto search = searches_.begin(); search != searches_.end();) {
    const auto here = search++;
    here->second.search.on_listed(now, family, out);
    settle(now, here);
  }
}

void ItemSearches::on_time(Time now, Family& family, Effects& out) {
  for (auto search = searches_.begin(); search != searches_.end();) {
    const auto here = search++;
    here->second.search.on_time(now, family, out);
    settle(now, here);
  }
}

std::optional<Event> ItemSearches::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Time ItemSearches::deadline() const {
  Time earliest = kNever;
  for (const auto& [number, entry] : searches_) {
    earliest = std::min(earliest, entry.search.deadline());
  }
  return earliest;
}

void ItemSearches::start(Time now, ItemSearch search, const Item* known, Family& family,
                         Effects& out) {
  const auto place = searches_.emplace(last_number_, Entry{std::move(search)}).first;
  if (known != nullptr) place->second.search.on_item(*known);
  place->second.search.start(now, family, out);
  settle(now, place);
}

void ItemSearches::settle(Time now, Map::iterator search) {
  Entry& entry = search->second;
  if (auto item = entry.search.take_found()) {
    events_.push_back(ItemFound{entry.search.target(), std::move(*item)});
  }
  const bool is_over = entry.search.is_over();
  if (!entry.is_told && (is_over || entry.search.is_success())) {
    entry.is_told = true;
    events_.push_back(entry.search.result(now));
  }
  if (is_over) searches_.erase(search);
}

bool ItemSearches::is_full(const DhtId& target, bool is_put) {
  if (searches_.size() < kItemSearchesMax) return false;
  ItemDone done;
  done.target = target;
  done.is_put = is_put;
  events_.push_back(done);
  return true;
}

}  // namespace peernet::dht
