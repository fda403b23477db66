#include "test/sim/dht_world.h"

#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <cmath>
#include <numbers>
#include <utility>

#include "core/check.h"

namespace peernet::dht_sim {

namespace {

constexpr Duration kNatMemory = std::chrono::seconds(120);

Log& quiet_log() {
  static spdlog::logger logger("quiet", std::make_shared<spdlog::sinks::null_sink_mt>());
  logger.set_level(spdlog::level::off);
  return logger;
}

// Of an IPv4 endpoint.
std::uint64_t number_of(const Endpoint& endpoint) {
  std::uint64_t number = endpoint.port;
  for (std::size_t i = 0; i < 4; ++i) {
    number |= std::uint64_t{endpoint.address[i]} << (16 + 8 * i);
  }
  return number;
}

}  // namespace

World::World(std::uint64_t seed, const Options& options) : options_(options), rng_(seed) {}

HostId World::add_node(const NodeOptions& options) {
  const auto id = static_cast<HostId>(hosts_.size());
  Host& host = hosts_.emplace_back();
  host.endpoint = options.endpoint ? *options.endpoint : fresh_endpoint();
  host.is_natted = options.is_natted;
  by_endpoint_.emplace(number_of(host.endpoint), id);
  dht::Config config;
  for (const Endpoint& endpoint : options.bootstrap) {
    config.bootstrap.push_back({endpoint.address_to_string(), endpoint.port});
  }
  host.node = std::make_unique<dht::Dht>(config, rng_.fork(), quiet_log());
  DhtRecord saved = options.saved;
  if (options.is_settled) saved.id = dht::random_id_bound_to(host.endpoint, rng_);
  host.node->start(now_, saved, out_);
  settle(host, id);
  return id;
}

HostId World::add_actor(std::unique_ptr<Actor> actor) {
  return add_actor(fresh_endpoint(), std::move(actor));
}

HostId World::add_actor(const Endpoint& endpoint, std::unique_ptr<Actor> actor) {
  const auto id = static_cast<HostId>(hosts_.size());
  Host& host = hosts_.emplace_back();
  host.endpoint = endpoint;
  host.actor = std::move(actor);
  PN_CHECK(by_endpoint_.emplace(number_of(endpoint), id).second);
  plan_wake(host, id, now_);
  return id;
}

void World::kill(HostId host) {
  hosts_[host].is_up = false;
  hosts_[host].node.reset();
}

LookupId World::get_peers(HostId host, const DhtId& key) {
  const LookupId lookup = begin(host, key);
  hosts_[host].node->get_peers(now_, key, out_);
  settle(hosts_[host], host);
  return lookup;
}

LookupId World::announce(HostId host, const DhtId& key, std::uint16_t port) {
  const LookupId lookup = begin(host, key);
  hosts_[host].node->announce(now_, key, port, false, out_);
  settle(hosts_[host], host);
  return lookup;
}

ItemId World::put_item(HostId host, const dht::Item& item) {
  const ItemId id = begin_item(host, dht::item_target(item));
  PN_CHECK(hosts_[host].node->put_item(now_, item, std::nullopt, out_));
  settle(hosts_[host], host);
  return id;
}

ItemId World::get_item(HostId host, const DhtId& target) {
  const ItemId id = begin_item(host, target);
  hosts_[host].node->get_item(now_, target, {}, out_);
  settle(hosts_[host], host);
  return id;
}

void World::watch(const Endpoint& to) {
  watched_ = to;
  sent_to_watched_.clear();
}

std::optional<Time> World::sent_to_watched_at(HostId host) const {
  const auto sent = sent_to_watched_.find(hosts_[host].endpoint);
  if (sent == sent_to_watched_.end()) return std::nullopt;
  return sent->second;
}

void World::run_until(Time end) {
  while (!heap_.empty() && heap_.top().at < end) {
    const Happening happening = heap_.top();
    heap_.pop();
    now_ = happening.at;
    Host& host = hosts_[happening.host];
    if (happening.slot != kWake) {
      const Datagram datagram = std::move(datagrams_[happening.slot]);
      free_slots_.push_back(happening.slot);
      if (host.is_up) arrive(host, happening.host, datagram);
      continue;
    }
    if (!host.is_up || happening.at != host.wake_at) continue;
    host.wake_at = kNever;
    if (host.actor) {
      const Time next = host.actor->on_time(*this, happening.host);
      plan_wake(hosts_[happening.host], happening.host, next);
      continue;
    }
    if (host.node->deadline() <= now_) {
      host.node->on_time(now_, out_);
      PN_CHECK(host.node->deadline() > now_);
    }
    settle(host, happening.host);
  }
  now_ = end;
}

void World::send(HostId from, const Endpoint& to, Bytes bytes) {
  put_on_wire(hosts_[from], to, std::move(bytes));
}

Traffic World::traffic(HostId host) const {
  const auto stats = hosts_[host].node->stats();
  return {stats.queries_out, stats.bytes_out};
}

Endpoint World::fresh_endpoint() {
  while (true) {
    const auto endpoint = Endpoint::v4(static_cast<std::uint32_t>(rng_.next()), 6881);
    if (!endpoint.is_usable() || endpoint.locality() != Locality::global) continue;
    if (!by_endpoint_.contains(number_of(endpoint))) return endpoint;
  }
}

void World::arrive(Host& host, HostId id, const Datagram& datagram) {
  if (host.is_natted) {
    const auto spoken = host.spoken_to.find(number_of(datagram.from));
    if (spoken == host.spoken_to.end() || now_ - spoken->second > kNatMemory) return;
  }
  host.bytes_received += datagram.bytes.size();
  if (host.actor) {
    host.actor->on_datagram(*this, id, datagram.from, datagram.bytes);
    return;
  }
  host.node->on_datagram(now_, datagram.from, datagram.bytes, out_);
  settle(host, id);
}

void World::settle(Host& host, HostId id) {
  Effects effects;
  effects.swap(out_);
  for (Effect& effect : effects) {
    auto* datagram = std::get_if<SendDatagram>(&effect);
    PN_CHECK(datagram != nullptr);
    put_on_wire(host, datagram->to, std::move(datagram->bytes));
  }
  effects.clear();
  out_.swap(effects);
  while (const auto event = host.node->next_event()) {
    if (const auto* found = std::get_if<dht::PeersFound>(&*event)) {
      const auto running = host.running.find(found->key);
      if (running == host.running.end()) continue;
      LookupRecord& record = lookups_[running->second];
      if (!record.first_peer) record.first_peer = now_ - record.began;
    } else if (const auto* done = std::get_if<dht::LookupDone>(&*event)) {
      const auto running = host.running.find(done->key);
      if (running == host.running.end()) continue;
      lookups_[running->second].done = *done;
      host.running.erase(running);
    } else if (const auto* item = std::get_if<dht::ItemFound>(&*event)) {
      const auto running = host.running_items.find(item->target);
      if (running == host.running_items.end()) continue;
      ItemRecord& record = items_[running->second];
      if (!record.found) record.found = now_ - record.began;
    } else if (const auto* item_done = std::get_if<dht::ItemDone>(&*event)) {
      const auto running = host.running_items.find(item_done->target);
      if (running == host.running_items.end()) continue;
      items_[running->second].done = *item_done;
      host.running_items.erase(running);
    }
  }
  if (!host.usable_at && host.node->stats().nodes >= 8) host.usable_at = now_;
  plan_wake(host, id, host.node->deadline());
}

void World::plan_wake(Host& host, HostId id, Time at) {
  if (at >= host.wake_at) return;
  host.wake_at = at;
  push(std::max(at, now_), id, kWake);
  host.wake_at = std::max(at, now_);
}

void World::push(Time at, HostId host, std::uint32_t slot) {
  heap_.push({at, ++order_, host, slot});
}

void World::put_on_wire(Host& from, const Endpoint& to, Bytes bytes) {
  ++datagrams_count_;
  digest_.bytes(bytes);
  digest_.number(number_of(to));
  if (watched_ == to) sent_to_watched_.emplace(from.endpoint, now_);
  if (from.is_natted) from.spoken_to[number_of(to)] = now_;
  const bool is_lost = rng_.unit() < options_.loss;
  const Duration took = delay();
  const auto found = by_endpoint_.find(number_of(to));
  if (is_lost || found == by_endpoint_.end() || !hosts_[found->second].is_up) return;
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(datagrams_.size());
    datagrams_.push_back({from.endpoint, std::move(bytes)});
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    datagrams_[slot] = {from.endpoint, std::move(bytes)};
  }
  push(now_ + took, found->second, slot);
}

LookupId World::begin(HostId host, const DhtId& key) {
  lookups_.push_back({host, key, now_, std::nullopt, std::nullopt});
  hosts_[host].running[key] = lookups_.size() - 1;
  return lookups_.size() - 1;
}

ItemId World::begin_item(HostId host, const DhtId& target) {
  items_.push_back({host, target, now_, std::nullopt, std::nullopt});
  hosts_[host].running_items[target] = items_.size() - 1;
  return items_.size() - 1;
}

Duration World::delay() {
  // Box and Muller.
  const double radius = std::sqrt(-2 * std::log(1 - rng_.unit()));
  const double normal = radius * std::cos(2 * std::numbers::pi * rng_.unit());
  const double ms = options_.delay_median_ms * std::exp(options_.delay_sigma * normal);
  return Duration(static_cast<std::int64_t>(ms * 1000));
}

}  // namespace peernet::dht_sim
