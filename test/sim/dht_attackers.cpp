#include "test/sim/dht_attackers.h"

#include <algorithm>
#include <utility>

#include "dht/node_id.h"

namespace peernet::dht_sim {

namespace {

constexpr std::size_t kVictimsAtOnce = 4;
// More would take long, and fill no more tables: they are full.
constexpr std::size_t kVictimsMax = 300;
constexpr Duration kVictimsEvery = std::chrono::milliseconds(100);
constexpr unsigned kSybilBits = 16;
constexpr unsigned kInventedBits = 24;
constexpr std::size_t kNodesTold = 8;

}  // namespace

void Gangster::on_datagram(World& world, HostId self, const Endpoint& from, BytesView bytes) {
  const auto message = dht::decode(bytes);
  if (!message) return;
  const auto* query = std::get_if<dht::Query>(&*message);
  if (query == nullptr) return;
  dht::Reply reply;
  reply.txid = query->txid;
  reply.sender = id_for(from);
  reply.seen_as = from;
  if (const auto* find_node = std::get_if<dht::FindNode>(&query->body)) {
    reply.nodes = nodes_for(world, from, find_node->target);
  } else if (const auto* get_peers = std::get_if<dht::GetPeers>(&query->body)) {
    reply.nodes = nodes_for(world, from, get_peers->key);
    reply.token = as_bytes("token");
  } else if (const auto* get = std::get_if<dht::Get>(&query->body)) {
    reply.nodes = nodes_for(world, from, get->target);
    reply.token = as_bytes("token");
  }
  // What is announced or put is acknowledged, and forgotten.
  ++gang_->queries_answered;
  world.send(self, from, dht::encode(reply));
}

Time Gangster::on_time(World& world, HostId self) {
  for (std::size_t i = 0; i < kVictimsAtOnce; ++i) {
    const auto& victims = gang_->victims;
    if (victims_told_ >= std::min(kVictimsMax, victims.size())) return kNever;
    // Each begins elsewhere.
    const Endpoint& victim = victims[(index_ * kVictimsMax + victims_told_++) % victims.size()];
    dht::Query query;
    const auto txid = world.rng().tagged<Tagged<struct AttackTxidTag, 4>>();
    query.txid = txid.view();
    query.sender = contact().id;
    query.body = dht::FindNode{contact().id};
    world.send(self, victim, dht::encode(query));
  }
  return world.now() + kVictimsEvery;
}

std::vector<dht::Contact> Sybil::nodes_for(World&, const Endpoint& from, const DhtId& target) {
  auto nodes = gang_->members;
  std::erase_if(nodes, [&](const dht::Contact& node) {
    return node.endpoint == contact().endpoint || node.endpoint == from;
  });
  std::sort(nodes.begin(), nodes.end(), [&](const dht::Contact& a, const dht::Contact& b) {
    return dht::is_nearer(a.id, b.id, target);
  });
  if (nodes.size() > kNodesTold) nodes.resize(kNodesTold);
  return nodes;
}

DhtId Colluder::id_for(const Endpoint& asker) {
  const auto claim = gang_->claims.find({asker, contact().endpoint});
  return claim == gang_->claims.end() ? contact().id : claim->second;
}

std::vector<dht::Contact> Colluder::nodes_for(World& world, const Endpoint& from,
                                              const DhtId& target) {
  std::vector<dht::Contact> nodes;
  while (nodes.size() < kNodesTold) {
    const unsigned bits = kInventedBits + static_cast<unsigned>(world.rng().below(64));
    dht::Contact invented{dht::random_id_sharing(target, bits, world.rng()), {}};
    if (world.rng().below(100) < gang_->claims_alive_percent) {
      const auto& member = gang_->members[world.rng().below(gang_->members.size())];
      invented.endpoint = member.endpoint;
      gang_->claims[{from, member.endpoint}] = invented.id;
    } else {
      invented.endpoint = world.fresh_endpoint();
    }
    nodes.push_back(invented);
  }
  return nodes;
}

Time Flooder::on_time(World& world, HostId self) {
  dht::Query query;
  query.txid = as_bytes("flood");
  query.sender = id_;
  query.body = dht::GetPeers{world.rng().tagged<DhtId>()};
  auto bytes = dht::encode(query);
  ++queries_count;
  bytes_out += bytes.size();
  world.send(self, victim_, std::move(bytes));
  return world.now() + every_;
}

void Prober::on_datagram(World& world, HostId self, const Endpoint& from, BytesView bytes) {
  const auto message = dht::decode(bytes);
  if (!message) return;
  if (std::holds_alternative<dht::Reply>(*message)) ++answers_count;
  const auto* query = std::get_if<dht::Query>(&*message);
  if (query == nullptr) return;
  dht::Reply reply;
  reply.txid = query->txid;
  reply.sender = id_;
  world.send(self, from, dht::encode(reply));
}

Time Prober::on_time(World& world, HostId self) {
  dht::Query query;
  query.txid = as_bytes("prob");
  query.sender = id_;
  query.body = dht::FindNode{world.rng().tagged<DhtId>()};
  ++queries_count;
  world.send(self, victim_, dht::encode(query));
  return world.now() + std::chrono::seconds(1);
}

std::vector<HostId> add_sybils(World& world, const DhtId& key, std::size_t count, bool is_valid,
                               const std::vector<Endpoint>& victims) {
  auto gang = std::make_shared<Gang>();
  gang->key = key;
  gang->victims = victims;
  std::set<Endpoint> regions;
  while (gang->members.size() < count) {
    const Endpoint endpoint = world.fresh_endpoint();
    DhtId id = dht::random_id_sharing(
        key, kSybilBits + static_cast<unsigned>(world.rng().below(16)), world.rng());
    if (is_valid) {
      // The address gives the first 21 bits; the rest is free, and may as well be the key's.
      const DhtId bound = dht::random_id_bound_to(endpoint, world.rng());
      if (dht::shared_bits(bound, key) < kSybilBits) continue;
      id = bound;
      for (std::size_t i = 3; i < 18; ++i) id.bytes[i] = key.bytes[i];
    }
    if (!regions.insert(dht::region_of(endpoint)).second) continue;
    gang->members.push_back({id, endpoint});
  }
  std::vector<HostId> hosts;
  for (std::size_t i = 0; i < count; ++i) {
    hosts.push_back(world.add_actor(gang->members[i].endpoint, std::make_unique<Sybil>(gang, i)));
  }
  return hosts;
}

std::vector<HostId> add_colluders(World& world, std::size_t count, unsigned claims_alive_percent,
                                  const std::vector<Endpoint>& victims) {
  auto gang = std::make_shared<Gang>();
  gang->victims = victims;
  gang->claims_alive_percent = claims_alive_percent;
  for (std::size_t i = 0; i < count; ++i) {
    gang->members.push_back({world.rng().tagged<DhtId>(), world.fresh_endpoint()});
  }
  std::vector<HostId> hosts;
  for (std::size_t i = 0; i < count; ++i) {
    hosts.push_back(
        world.add_actor(gang->members[i].endpoint, std::make_unique<Colluder>(gang, i)));
  }
  return hosts;
}

}  // namespace peernet::dht_sim
