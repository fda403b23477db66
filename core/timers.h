#pragma once

// Timers<Key>: one deadline per key, earliest first, ties by key. Setting a key again moves it.

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/time.h"

namespace peernet {

template <class Key>
class Timers {
 public:
  void set(const Key& key, Time at) {
    cancel(key);
    at_.emplace(key, at);
    queue_.emplace(at, key);
  }
  void cancel(const Key& key) {
    auto found = at_.find(key);
    if (found == at_.end()) return;
    queue_.erase({found->second, key});
    at_.erase(found);
  }
  // The earliest key whose time has come; it is removed.
  std::optional<Key> pop_expired(Time now) {
    if (queue_.empty() || queue_.begin()->first > now) return std::nullopt;
    Key key = queue_.begin()->second;
    cancel(key);
    return key;
  }
  Time next() const { return queue_.empty() ? kNever : queue_.begin()->first; }
  std::optional<Time> at(const Key& key) const {
    const auto found = at_.find(key);
    return found == at_.end() ? std::nullopt : std::optional(found->second);
  }
  bool contains(const Key& key) const { return at_.contains(key); }
  std::size_t size() const { return at_.size(); }

 private:
  std::map<Key, Time> at_;
  std::set<std::pair<Time, Key>> queue_;
};

}  // namespace peernet
