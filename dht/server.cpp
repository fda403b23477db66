#include "dht/server.h"

#include <algorithm>
#include <utility>

namespace peernet::dht {

// How much of an answer is left for its lists, one after the other: what comes first gets most.
class Server::Room {
 public:
  Room(std::size_t size_max, std::size_t size) : rest_(size < size_max ? size_max - size : 0) {}

  // How many of at most `count_max` items go in, in a list that takes `head_size` bytes itself.
  std::size_t count_for(std::size_t count_max, std::size_t item_size, std::size_t head_size) const {
    return rest_ < head_size ? 0 : std::min(count_max, (rest_ - head_size) / item_size);
  }
  void take(std::size_t count, std::size_t item_size, std::size_t head_size) {
    if (count > 0) rest_ -= head_size + count * item_size;
  }

 private:
  std::size_t rest_;
};

namespace {

// The keys of the lists, with all that stands around their items.
constexpr std::size_t kNodesHead = 12;   // "6:nodes6" and three digits with a colon
constexpr std::size_t kValuesHead = 10;  // "6:values", "l" and "e"
constexpr std::size_t kSamplesHead = 2;  // digits: that there are none is said as well
constexpr std::size_t kPeerSize = 8;     // "6:" and the compact form
constexpr std::size_t kPeerSizeV6 = 21;  // "18:" and the compact form

}  // namespace

Server::Server(const DhtId& own_id, const Config& config, Rng rng)
    : own_id_(own_id),
      is_private_(config.network_key.has_value()),
      rng_(rng),
      tokens_(rng_),
      store_(own_id, config.special_use_is_global, config.store, rng_),
      items_(own_id, config.special_use_is_global, config.store),
      guard_(config.special_use_is_global, config.are_sources_limited, rng_) {}

Server::Outcome Server::on_query(Time now, const Endpoint& from, const Query& query,
                                 std::size_t size, std::size_t also_sent, const Tables& tables,
                                 Outlet& outlet, Effects& out) {
  std::optional<ErrorReply> error;
  if (const auto* announce = std::get_if<AnnouncePeer>(&query.body)) {
    error = store_peer(now, from, *announce);
  } else if (const auto* put = std::get_if<Put>(&query.body)) {
    error = store_item(now, from, *put);
  } else if (is_private_ && std::holds_alternative<SampleInfohashes>(query.body)) {
    // Nobody tells the keys of a private network, not even inside it.
    error = {{}, ErrorReply::kMethodUnknown, "method unknown"};
  }
  if (error) {
    error->txid = query.txid;
    return refuse(now, from, *error, size, also_sent, outlet, out);
  }
  const std::size_t size_max =
      guard_.answer_size_max(now, from, size, also_sent) - outlet.overhead();
  Bytes bytes = answer(now, from, query, size_max, tables);
  if (bytes.size() > size_max) return Outcome::limited;
  guard_.on_answered(now, from, bytes.size() + outlet.overhead() + also_sent);
  outlet.send(now, from, Direction::answer, std::move(bytes), out);
  return Outcome::answered;
}

void Server::on_bad_query(Time now, const Endpoint& from, const BadQuery& query, std::size_t size,
                          Outlet& outlet, Effects& out) {
  refuse(now, from, query.error, size, 0, outlet, out);
}

void Server::on_time(Time now) {
  store_.drop_expired(now);
  items_.drop_expired(now);
}

void Server::move_to(const DhtId& own_id) {
  own_id_ = own_id;
  store_.move_to(own_id);
  items_.move_to(own_id);
}

std::vector<Endpoint> Server::peers(Time now, const DhtId& key) {
  return store_.sample(now, key, kStorePeersMax, rng_);
}

// First what has to be in the answer, then lists as long as there is room for.
Bytes Server::answer(Time now, const Endpoint& to, const Query& query, std::size_t size_max,
                     const Tables& tables) {
  const bool is_proven = guard_.is_proven(now, to);
  Reply reply;
  reply.txid = query.txid;
  reply.sender = own_id_;
  reply.seen_as = to;
  const auto* find_node = std::get_if<FindNode>(&query.body);
  const auto* get_peers = std::get_if<GetPeers>(&query.body);
  const auto* get = std::get_if<Get>(&query.body);
  const auto* sample = std::get_if<SampleInfohashes>(&query.body);
  const DhtId* target = nullptr;
  Mac token;
  if (find_node != nullptr) target = &find_node->target;
  if (sample != nullptr) {
    target = &sample->target;
    reply.samples = samples(now);
  }
  if (get_peers != nullptr) {
    target = &get_peers->key;
    // The port it will announce is not known yet, but rarely what an announce fails for.
    if (store_.would_keep(now, *target, to)) token = tokens_.make(now, to, *target);
  }
  if (get != nullptr) {
    target = &get->target;
    add_item(now, *get, reply);
    if (items_.would_keep(now, *target, to)) token = tokens_.make(now, to, *target);
  }
  if (token != Mac{}) reply.token = token.view();
  Bytes bytes = encode(reply);
  if (target == nullptr) return bytes;

  const std::size_t contact_size = to.is_v6 ? kContactSizeV6 : kContactSize;
  if (!reply.value.empty() && !is_proven) {
    // It asks again when it is proven.
    const std::size_t needed = tables.own.closest(*target, kAnswerContactsMin, to).size();
    const Room room(size_max, bytes.size());
    if (bytes.size() > size_max || room.count_for(needed, contact_size, kNodesHead) < needed) {
      reply.value = {};
      reply.key.reset();
      reply.signature.reset();
      bytes = encode(reply);
    }
  }
  if (bytes.size() > size_max) {
    reply.token = {};
    reply.seen_as.reset();
    reply.samples.reset();
    bytes = encode(reply);
  }
  Room room(size_max, bytes.size());
  add_contacts(to, query.want, *target, tables, room, reply);
  if (get_peers != nullptr) {
    const std::size_t peer_size = to.is_v6 ? kPeerSizeV6 : kPeerSize;
    const std::size_t peers_max = room.count_for(
        is_proven ? kAnswerPeersMax : kAnswerPeersUnprovenMax, peer_size, kValuesHead);
    reply.values = store_.sample(now, *target, peers_max, rng_, &to);
  }
  if (reply.samples) {
    const std::size_t count =
        room.count_for(samples_.size() / DhtId::kSize, DhtId::kSize, kSamplesHead);
    reply.samples->keys = BytesView(samples_).first(count * DhtId::kSize);
  }
  return encode(reply);
}

Server::Outcome Server::refuse(Time now, const Endpoint& to, const ErrorReply& error,
                               std::size_t query_size, std::size_t also_sent, Outlet& outlet,
                               Effects& out) {
  Bytes bytes = encode(error);
  const std::size_t size = bytes.size() + outlet.overhead();
  if (size > guard_.answer_size_max(now, to, query_size, also_sent)) return Outcome::limited;
  guard_.on_answered(now, to, size + also_sent);
  outlet.send(now, to, Direction::answer, std::move(bytes), out);
  return Outcome::refused;
}

std::optional<ErrorReply> Server::store_peer(Time now, const Endpoint& from,
                                             const AnnouncePeer& query) {
  if (!tokens_.is_valid(now, from, query.key, query.token)) {
    return ErrorReply{{}, ErrorReply::kProtocol, "bad token"};
  }
  guard_.prove(now, from);
  Endpoint peer = from;
  if (!query.is_port_implied) peer.port = query.port;
  if (peer.port < 1024) return ErrorReply{{}, ErrorReply::kProtocol, "bad port"};
  if (!store_.put(now, query.key, peer)) {
    return ErrorReply{{}, ErrorReply::kServer, "storage full"};
  }
  return std::nullopt;
}

void Server::add_contacts(const Endpoint& to, const Want& want, const DhtId& target,
                          const Tables& tables, Room& room, Reply& reply) {
  const bool is_unsaid = !want.v4 && !want.v6;
  const auto add = [&](bool is_v6) {
    const bool is_own = is_v6 == to.is_v6;
    const RoutingTable* table = is_own ? &tables.own : tables.other;
    if (table == nullptr || !(is_unsaid ? is_own : is_v6 ? want.v6 : want.v4)) return;
    const std::size_t size = is_v6 ? kContactSizeV6 : kContactSize;
    std::vector<Contact>& nodes = is_v6 ? reply.nodes6 : reply.nodes;
    nodes = table->closest(target, room.count_for(kAnswerContactsMax, size, kNodesHead), to);
    room.take(nodes.size(), size, kNodesHead);
  };
  add(to.is_v6);
  add(!to.is_v6);
}

Reply::Samples Server::samples(Time now) {
  const bool is_stale = sampled_at_ == kNever || now >= sampled_at_ + kSampleEvery;
  if (is_stale) {
    samples_.clear();
    for (const DhtId& key : store_.sample_keys(kSamplesMax, rng_)) append(samples_, key.view());
    sampled_at_ = now;
  }
  return {{},
          static_cast<std::int64_t>(store_.keys_count()),
          (sampled_at_ + kSampleEvery - now) / std::chrono::seconds(1)};
}

void Server::add_item(Time now, const Get& query, Reply& reply) const {
  const Item* item = items_.find(now, query.target);
  if (item == nullptr) return;
  if (item->key) {
    reply.seq = item->seq;
    if (query.seq && item->seq <= *query.seq) return;
    reply.key = item->key;
    reply.signature = item->signature;
  }
  reply.value = item->value;
}

std::optional<ErrorReply> Server::store_item(Time now, const Endpoint& from, const Put& query) {
  const auto error = [](std::int64_t code, std::string_view text) {
    return ErrorReply{{}, code, text};
  };
  if (query.value.size() > kItemValueMax) return error(ErrorReply::kValueTooBig, "value too big");
  if (query.salt.size() > kSaltMax) return error(ErrorReply::kSaltTooBig, "salt too big");
  Item item;
  item.value = to_bytes(query.value);
  if (query.key) {
    item.key = query.key;
    item.salt = to_bytes(query.salt);
    item.seq = query.seq;
    item.signature = query.signature;
  }
  if (!tokens_.is_valid(now, from, item_target(item), query.token)) {
    return error(ErrorReply::kProtocol, "bad token");
  }
  guard_.prove(now, from);
  if (const auto checked = check(item); !checked) {
    const bool is_signature = checked.error().code == Errc::refused;
    return is_signature ? error(ErrorReply::kBadSignature, "bad signature")
                        : error(ErrorReply::kProtocol, "bad value");
  }
  switch (items_.put(now, std::move(item), query.cas, from)) {
    case ItemStore::Outcome::stored: break;
    case ItemStore::Outcome::full: return error(ErrorReply::kServer, "storage full");
    case ItemStore::Outcome::cas_mismatch: return error(ErrorReply::kCasMismatch, "cas mismatch");
    case ItemStore::Outcome::seq_too_low:
      return error(ErrorReply::kSeqTooLow, "sequence number less than current");
  }
  return std::nullopt;
}

}  // namespace peernet::dht
