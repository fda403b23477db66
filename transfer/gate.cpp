#include "transfer/gate.h"

namespace peernet::transfer {
namespace {

constexpr Duration kHandshakeWindow = std::chrono::seconds(1);

}  // namespace

Gate::Gate(bool special_use_is_global, std::uint32_t established_in_max,
           std::uint32_t established_out_max, std::size_t unproven_max,
           std::uint32_t handshakes_per_second)
    : special_use_is_global_(special_use_is_global),
      established_in_max_(established_in_max),
      established_out_max_(established_out_max),
      unproven_max_(unproven_max),
      handshakes_per_second_(handshakes_per_second) {}

Gate::Verdict Gate::on_accepted(Time /*now*/, ConnId conn, const Endpoint& from) {
  if (!is_exempt(from) && (unproven_of_host(from) >= kUnprovenPerHostMax ||
                           unproven_of_prefix(from) >= kUnprovenPerPrefixMax)) {
    return {};
  }
  Verdict verdict{.is_admitted = true, .evicted = std::nullopt};
  if (unproven_.size() >= unproven_max_) {
    const Prefix& fullest = prefixes_.at(ranks_.begin()->prefix);
    verdict.evicted = fullest.begin()->second;
    remove_unproven(*verdict.evicted);
  }
  insert_unproven(conn, from);
  return verdict;
}

void Gate::on_dialled(ConnId conn) {
  dialling_.insert(conn);
}

bool Gate::on_proven(ConnId conn, bool is_inbound) {
  remove_unproven(conn);
  dialling_.erase(conn);
  std::set<ConnId>& established = is_inbound ? established_in_ : established_out_;
  if (established.size() >= (is_inbound ? established_in_max_ : established_out_max_)) return false;
  established.insert(conn);
  return true;
}

void Gate::on_closed(ConnId conn) {
  remove_unproven(conn);
  dialling_.erase(conn);
  established_in_.erase(conn);
  established_out_.erase(conn);
}

bool Gate::may_handshake(Time now, const Endpoint& from) {
  while (!handshakes_.empty() && handshakes_.front().first + kHandshakeWindow <= now) {
    const auto counted = handshakes_of_prefix_.find(handshakes_.front().second);
    if (--counted->second == 0) handshakes_of_prefix_.erase(counted);
    handshakes_.pop_front();
  }
  if (handshakes_.size() >= handshakes_per_second_) return false;
  const Endpoint prefix = network_of(from);
  const bool is_under_load = handshakes_.size() > handshakes_per_second_ / 2;
  if (is_under_load && !is_exempt(from)) {
    const auto counted = handshakes_of_prefix_.find(prefix);
    if (counted != handshakes_of_prefix_.end() &&
        counted->second >= kHandshakesPerPrefixPerSecond) {
      return false;
    }
  }
  handshakes_.emplace_back(now, prefix);
  ++handshakes_of_prefix_[prefix];
  return true;
}

std::size_t Gate::unproven_of_host(const Endpoint& endpoint) const {
  const auto found = hosts_.find(host_of(endpoint));
  return found == hosts_.end() ? 0 : found->second;
}

std::size_t Gate::unproven_of_prefix(const Endpoint& endpoint) const {
  const auto found = prefixes_.find(network_of(endpoint));
  return found == prefixes_.end() ? 0 : found->second.size();
}

bool Gate::is_exempt(const Endpoint& endpoint) const {
  return !special_use_is_global_ && endpoint.locality() != Locality::global;
}

Gate::Rank Gate::rank_of(const Endpoint& prefix, const Prefix& held) {
  return {.conns = held.size(), .oldest = held.begin()->first, .prefix = prefix};
}

void Gate::insert_unproven(ConnId conn, const Endpoint& from) {
  const std::uint64_t number = ++arrivals_;
  unproven_.emplace(conn, Unproven{.from = from, .number = number});
  ++hosts_[host_of(from)];
  const Endpoint prefix = network_of(from);
  Prefix& held = prefixes_[prefix];
  if (!held.empty()) ranks_.erase(rank_of(prefix, held));
  held.emplace(number, conn);
  ranks_.insert(rank_of(prefix, held));
}

void Gate::remove_unproven(ConnId conn) {
  const auto found = unproven_.find(conn);
  if (found == unproven_.end()) return;
  const Unproven gone = found->second;
  unproven_.erase(found);

  const auto host = hosts_.find(host_of(gone.from));
  if (--host->second == 0) hosts_.erase(host);

  const Endpoint prefix = network_of(gone.from);
  const auto held = prefixes_.find(prefix);
  ranks_.erase(rank_of(prefix, held->second));
  held->second.erase(gone.number);
  if (held->second.empty()) {
    prefixes_.erase(held);
  } else {
    ranks_.insert(rank_of(prefix, held->second));
  }
}

}  // namespace peernet::transfer
