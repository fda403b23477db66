#pragma once

// The server answers the queries of others from the routing table and the peers it keeps for them,
// within what the guard allows. It never learns nodes: that is for those who ask them.

#include <cstdint>

#include "core/effects.h"
#include "core/rng.h"
#include "core/time.h"
#include "dht/config.h"
#include "dht/guard.h"
#include "dht/item_store.h"
#include "dht/krpc.h"
#include "dht/outlet.h"
#include "dht/peer_store.h"
#include "dht/routing_table.h"
#include "dht/tokens.h"

namespace peernet::dht {

inline constexpr std::size_t kAnswerContactsMax = 8;
inline constexpr std::size_t kAnswerPeersUnprovenMax = 16;
inline constexpr std::size_t kAnswerPeersMax = 100;
// An item that leaves room for fewer contacts than this is not sent to an unproven source.
inline constexpr std::size_t kAnswerContactsMin = 4;

// BEP 51: so many keys are told, the same ones for so long.
inline constexpr std::size_t kSamplesMax = 32;
inline constexpr Duration kSampleEvery = std::chrono::minutes(10);

class Server {
 public:
  // The nodes we know in the family of this server, and in the other one, if there is one.
  struct Tables {
    const RoutingTable& own;
    const RoutingTable* other = nullptr;
  };

  Server(const DhtId& own_id, const Config& config, Rng rng);

  enum class Outcome : std::uint8_t { answered, refused, limited };
  // A datagram of `size` bytes was a query. `also_sent`: bytes that leave for its sender besides.
  Outcome on_query(Time now, const Endpoint& from, const Query& query, std::size_t size,
                   std::size_t also_sent, const Tables& tables, Outlet& outlet, Effects& out);
  void on_bad_query(Time now, const Endpoint& from, const BadQuery& query, std::size_t size,
                    Outlet& outlet, Effects& out);
  void on_time(Time now);
  // Our own id has changed.
  void move_to(const DhtId& own_id);

  // The sender answered a query of ours.
  void prove(Time now, const Endpoint& from) { guard_.prove(now, from); }
  bool is_proven(Time now, const Endpoint& from) const { return guard_.is_proven(now, from); }
  // False: the source has had its share, and nothing may be sent to it.
  bool admit(Time now, const Endpoint& from) { return guard_.admit(now, from); }

  // For our own lookups.
  std::vector<Endpoint> peers(Time now, const DhtId& key);
  const PeerStore& store() const { return store_; }
  const ItemStore& items() const { return items_; }
  bool is_empty() const { return store_.keys_count() == 0 && items_.size() == 0; }

 private:
  class Room;

  Bytes answer(Time now, const Endpoint& to, const Query& query, std::size_t size_max,
               const Tables& tables);
  Outcome refuse(Time now, const Endpoint& to, const ErrorReply& error, std::size_t query_size,
                 std::size_t also_sent, Outlet& outlet, Effects& out);
  // Nothing on success.
  std::optional<ErrorReply> store_peer(Time now, const Endpoint& from, const AnnouncePeer& query);
  std::optional<ErrorReply> store_item(Time now, const Endpoint& from, const Put& query);
  static void add_contacts(const Endpoint& to, const Want& want, const DhtId& target,
                           const Tables& tables, Room& room, Reply& reply);
  Reply::Samples samples(Time now);
  void add_item(Time now, const Get& query, Reply& reply) const;

  DhtId own_id_;
  bool is_private_;
  Rng rng_;
  Tokens tokens_;
  PeerStore store_;
  ItemStore items_;
  Guard guard_;
  Bytes samples_;  // keys, one after the other
  Time sampled_at_ = kNever;
};

}  // namespace peernet::dht
