#pragma once

// The ill-willed of the DHT world. A sybil sits near one key, makes itself known to every node, and
// for that key answers with its fellows and no value. A colluder is one of many ordinary-looking
// nodes, and answers every question with nodes nearer to what was asked that it has invented: some
// at its fellows' addresses, who then play them, some where nobody is. A flooder asks one victim
// as fast as it likes.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "dht/krpc.h"
#include "test/sim/dht_world.h"

namespace peernet::dht_sim {

// What all attackers of a kind know together.
struct Gang {
  std::vector<dht::Contact> members;
  std::vector<Endpoint> victims;       // who is to hear of each member
  DhtId key;                           // of sybils
  unsigned claims_alive_percent = 50;  // of colluders: invented nodes at fellows' addresses
  // Who was told that a member has another id than its own.
  std::map<std::pair<Endpoint, Endpoint>, DhtId> claims;  // asker, member
  std::uint64_t queries_answered = 0;
};

class Gangster : public Actor {
 public:
  Gangster(std::shared_ptr<Gang> gang, std::size_t index) : gang_(std::move(gang)), index_(index) {}

  void on_datagram(World& world, HostId self, const Endpoint& from, BytesView bytes) override;
  // Makes itself known to one victim after the other, to 300 of a larger network.
  Time on_time(World& world, HostId self) override;

 protected:
  const dht::Contact& contact() const { return gang_->members[index_]; }
  virtual DhtId id_for(const Endpoint&) { return contact().id; }
  virtual std::vector<dht::Contact> nodes_for(World& world, const Endpoint& from,
                                              const DhtId& target) = 0;

  std::shared_ptr<Gang> gang_;  // NOLINT: what a gang knows, all of it know

 private:
  std::size_t index_;
  std::size_t victims_told_ = 0;
};

class Sybil : public Gangster {
 public:
  using Gangster::Gangster;

 private:
  std::vector<dht::Contact> nodes_for(World& world, const Endpoint& from,
                                      const DhtId& target) override;
};

class Colluder : public Gangster {
 public:
  using Gangster::Gangster;

 private:
  DhtId id_for(const Endpoint& asker) override;
  std::vector<dht::Contact> nodes_for(World& world, const Endpoint& from,
                                      const DhtId& target) override;
};

class Flooder : public Actor {
 public:
  Flooder(const Endpoint& victim, const DhtId& id, Duration every)
      : victim_(victim), id_(id), every_(every) {}

  void on_datagram(World&, HostId, const Endpoint&, BytesView bytes) override {
    ++answers_count;
    bytes_in += bytes.size();
  }
  Time on_time(World& world, HostId self) override;

  std::uint64_t queries_count = 0;
  std::uint64_t answers_count = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;

 private:
  Endpoint victim_;
  DhtId id_;
  Duration every_;
};

// An ordinary node as the victim of a flood sees it: asks once a second, answers what it is asked.
class Prober : public Actor {
 public:
  Prober(const Endpoint& victim, const DhtId& id) : victim_(victim), id_(id) {}

  void on_datagram(World& world, HostId self, const Endpoint& from, BytesView bytes) override;
  Time on_time(World& world, HostId self) override;

  std::uint64_t queries_count = 0;
  std::uint64_t answers_count = 0;

 private:
  Endpoint victim_;
  DhtId id_;
};

// `count` sybils with ids that share at least 16 bits with the key; BEP 42-valid ones choose their
// addresses for it, each in a /16 of its own.
std::vector<HostId> add_sybils(World& world, const DhtId& key, std::size_t count, bool is_bep42,
                               const std::vector<Endpoint>& victims);
std::vector<HostId> add_colluders(World& world, std::size_t count, unsigned claims_alive_percent,
                                  const std::vector<Endpoint>& victims);

}  // namespace peernet::dht_sim
