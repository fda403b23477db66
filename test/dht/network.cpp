#include "test/dht/network.h"

#include <catch2/catch.hpp>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace peernet::dht::test {

Log& quiet_log() {
  static spdlog::logger logger("quiet", std::make_shared<spdlog::sinks::null_sink_mt>());
  return logger;
}

Host& Network::add(const Endpoint& endpoint, const std::vector<BootstrapName>& bootstrap,
                   const DhtRecord& saved) {
  return add(endpoint, std::nullopt, bootstrap, saved);
}

Host& Network::add(const Endpoint& endpoint, const std::optional<Endpoint>& second,
                   const std::vector<BootstrapName>& bootstrap, const DhtRecord& saved) {
  Host& host = hosts_[endpoint];
  host = Host{};
  host.endpoint = endpoint;
  host.second = second;
  if (second) hosts_of_second_[*second] = endpoint;
  Config config;
  config.has_v4 = !endpoint.is_v6 || (second && !second->is_v6);
  config.has_v6 = endpoint.is_v6 || (second && second->is_v6);
  config.bootstrap = bootstrap;
  config.special_use_is_global = options_.special_use_is_global;
  config.network_key = options_.network_key;
  host.dht = std::make_unique<Dht>(config, rng_.fork(), quiet_log());
  host.dht->on_wall_clock(now_, {});
  host.dht->start(now_, saved, out_);
  carry_out(host);
  return host;
}

void Network::get_peers(const Endpoint& endpoint, const DhtId& key) {
  Host& target = host(endpoint);
  target.dht->get_peers(now_, key, out_);
  carry_out(target);
}

void Network::announce(const Endpoint& endpoint, const DhtId& key, std::uint16_t port) {
  Host& target = host(endpoint);
  target.dht->announce(now_, key, port, false, out_);
  carry_out(target);
}

void Network::get_item(const Endpoint& endpoint, const DhtId& target, BytesView salt) {
  Host& asker = host(endpoint);
  asker.dht->get_item(now_, target, salt, out_);
  carry_out(asker);
}

void Network::put_item(const Endpoint& endpoint, const Item& item,
                       std::optional<std::int64_t> cas) {
  Host& putter = host(endpoint);
  CHECK(putter.dht->put_item(now_, item, cas, out_));
  carry_out(putter);
}

void Network::send(const Endpoint& from, const Endpoint& to, Bytes bytes) {
  push({from, to, std::move(bytes)});
}

void Network::run_for(Duration duration) {
  const Time end = now_ + duration;
  while (true) {
    Host* next = nullptr;
    Time earliest = end;
    for (auto& [endpoint, host] : hosts_) {
      if (!host.is_up || host.dht->deadline() >= earliest) continue;
      earliest = host.dht->deadline();
      next = &host;
    }
    const bool is_happening =
        !happenings_.empty() && happenings_.top().at < end && happenings_.top().at <= earliest;
    if (is_happening) {
      const Happening happening = happenings_.top();
      happenings_.pop();
      now_ = std::max(now_, happening.at);
      happen(happening);
    } else if (next != nullptr) {
      now_ = std::max(now_, earliest);
      next->dht->on_time(now_, out_);
      carry_out(*next);
      REQUIRE(next->dht->deadline() > now_);
    } else {
      break;
    }
  }
  now_ = end;
}

void Network::carry_out(Host& host) {
  Effects effects;
  effects.swap(out_);
  for (Effect& effect : effects) {
    if (auto* datagram = std::get_if<SendDatagram>(&effect)) {
      REQUIRE(datagram->bytes.size() <= kPutOutMax + kSealOverhead);
      const bool is_second = datagram->to.is_v6 != host.endpoint.is_v6;
      REQUIRE((!is_second || host.second));
      push({is_second ? *host.second : host.endpoint, datagram->to, std::move(datagram->bytes)});
    } else if (auto* resolve = std::get_if<Resolve>(&effect)) {
      Happening happening;
      happening.at = now_ + options_.delay_max;
      happening.order = ++order_;
      happening.datagram.to = host.endpoint;
      happening.job = resolve->job;
      happening.resolved = names_[resolve->host];
      happenings_.push(std::move(happening));
    }
  }
  while (auto event = host.dht->next_event()) {
    std::visit(Overloaded{
                   [&](const PeersFound& found) {
                     host.found[found.key].insert(found.peers.begin(), found.peers.end());
                   },
                   [&](const LookupDone& done) { host.done.push_back(done); },
                   [&](const NodesChanged&) { ++host.changed_count; },
                   [&](const Joined&) {
                     ++host.joined_count;
                     if (!host.joined_at) host.joined_at = now_;
                   },
                   [&](const Grown& grown) { host.grown.push_back(grown.nodes); },
                   [&](ItemFound& found) {
                     host.items.insert_or_assign(found.target, std::move(found.item));
                   },
                   [&](const ItemDone& done) { host.items_done.push_back(done); },
                   [&](const LookupStep& step) { host.steps.push_back(step); },
                   [&](const Pinged& pinged) { host.pinged.push_back(pinged); },
               },
               *event);
  }
}

void Network::ping(const Endpoint& endpoint, std::uint64_t number, const Endpoint& to) {
  Host& host = hosts_.at(endpoint);
  REQUIRE(host.dht->ping(now_, number, to, out_));
  carry_out(host);
}

void Network::push(Datagram datagram) {
  ++datagrams_count_;
  for (const std::uint8_t byte : datagram.bytes) digest_ = (digest_ ^ byte) * 0x100000001b3U;
  digest_ = (digest_ ^ datagram.to.port) * 0x100000001b3U;
  if (is_partitioned || rng_.unit() < options_.loss) return;
  const auto spread = (options_.delay_max - options_.delay_min).count();
  Happening happening;
  happening.at =
      now_ + options_.delay_min +
      Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(spread) + 1)));
  happening.order = ++order_;
  happening.datagram = std::move(datagram);
  happenings_.push(std::move(happening));
}

void Network::happen(const Happening& happening) {
  const Datagram& datagram = happening.datagram;
  const auto second = hosts_of_second_.find(datagram.to);
  const auto found = hosts_.find(second == hosts_of_second_.end() ? datagram.to : second->second);
  if (found == hosts_.end()) {
    strays_.push_back(datagram);
    return;
  }
  Host& host = found->second;
  if (!host.is_up) return;
  if (happening.job) {
    host.dht->on_resolved(now_, *happening.job, happening.resolved, out_);
  } else {
    host.dht->on_datagram(now_, datagram.from, datagram.bytes, out_);
  }
  carry_out(host);
}

Endpoint local_endpoint(unsigned n) {
  return Endpoint::v4(0x0a000001U + n, 7000);
}

Endpoint global_endpoint(unsigned n) {
  return Endpoint::v4(0x3c000001U + (n << 16U), 7000);
}

Endpoint v6_endpoint(unsigned n) {
  std::array<std::uint8_t, 16> address{0x24};
  address[2] = static_cast<std::uint8_t>(n >> 8U);
  address[3] = static_cast<std::uint8_t>(n);
  address[15] = 1;
  return Endpoint::v6(address, 7000);
}

BootstrapName bootstrap_at(const Endpoint& endpoint) {
  return {endpoint.address_to_string(), endpoint.port};
}

DhtId make_id(std::uint64_t seed) {
  Rng rng(seed ^ 0x1d1d1d1dU);
  return rng.tagged<DhtId>();
}

}  // namespace peernet::dht::test
