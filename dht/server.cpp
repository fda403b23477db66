#include "dht/server.h"

#include <algorithm>
#include <utility>

namespace peernet::dht {

namespace {

constexpr std::size_t kPeerSize = 8;  // "6:" and the compact form
constexpr std::size_t kPeerSizeV6 = 21;

// Takes what is too much away, in the order of what the receiver misses least: one kind at a time.
// How many bytes less that makes, at least.
std::size_t shorten(Reply& reply, std::size_t excess) {
  const auto drop = [&](auto& items, std::size_t item_size) {
    const std::size_t count = std::min(items.size(), (excess + item_size - 1) / item_size);
    items.resize(items.size() - count);
    return count * item_size;
  };
  if (reply.samples && !reply.samples->keys.empty()) {
    BytesView& keys = reply.samples->keys;
    const std::size_t count = (excess + DhtId::kSize - 1) / DhtId::kSize;
    const std::size_t dropped = std::min(keys.size(), count * DhtId::kSize);
    keys = keys.first(keys.size() - dropped);
    return dropped;
  }
  if (!reply.values.empty()) {
    return drop(reply.values, reply.values.front().is_v6 ? kPeerSizeV6 : kPeerSize);
  }
  if (!reply.nodes6.empty() && !(reply.seen_as && reply.seen_as->is_v6)) {
    return drop(reply.nodes6, kContactSizeV6);
  }
  if (!reply.nodes.empty()) return drop(reply.nodes, kContactSize);
  if (!reply.nodes6.empty()) return drop(reply.nodes6, kContactSizeV6);
  reply.token = {};
  reply.seen_as.reset();
  reply.samples.reset();
  return excess;
}

// A value goes whole or not at all, and first the contacts make room for it. An unproven source
// that would get too few of those asks again when it is proven.
void fit_item(Reply& reply, std::size_t size_max, bool is_proven) {
  const bool is_v6 = reply.seen_as && reply.seen_as->is_v6;
  // Those of the other family were asked for besides, and go first.
  (is_v6 ? reply.nodes : reply.nodes6).clear();
  std::vector<Contact>& nodes = is_v6 ? reply.nodes6 : reply.nodes;
  const std::size_t contacts_min = is_proven ? 0 : std::min(kAnswerContactsMin, nodes.size());
  Reply bare = reply;
  (is_v6 ? bare.nodes6 : bare.nodes).clear();
  constexpr std::size_t kNodesKey = 12;  // "6:nodes6" and the length with its colon
  const std::size_t size = encode(bare).size() + kNodesKey;
  const std::size_t contact_size = is_v6 ? kContactSizeV6 : kContactSize;
  const std::size_t room = size < size_max ? (size_max - size) / contact_size : 0;
  if (room < contacts_min) {
    reply.value = {};
    reply.key.reset();
    reply.signature.reset();
  } else if (room < nodes.size()) {
    nodes.resize(room);
  }
}

}  // namespace

Server::Server(const DhtId& own_id, const Config& config, Rng rng)
    : own_id_(own_id),
      is_private_(config.network_key.has_value()),
      rng_(rng),
      tokens_(rng_),
      store_(own_id, config.special_use_is_global, rng_),
      items_(own_id, config.special_use_is_global),
      guard_(config.special_use_is_global, config.are_sources_limited, rng_) {}

void Server::on_query(Time now, const Endpoint& from, const Query& query, std::size_t size,
                      std::size_t also_sent, const Tables& tables, Outlet& outlet, Effects& out) {
  Reply reply;
  reply.txid = query.txid;
  Mac token;
  if (const auto* find_node = std::get_if<FindNode>(&query.body)) {
    add_contacts(from, query.want, find_node->target, tables, reply);
  } else if (const auto* get_peers = std::get_if<GetPeers>(&query.body)) {
    const DhtId& key = get_peers->key;
    add_contacts(from, query.want, key, tables, reply);
    const std::size_t peers_max =
        guard_.is_proven(now, from) ? kAnswerPeersMax : kAnswerPeersUnprovenMax;
    reply.values = store_.sample(now, key, peers_max, rng_, &from);
    // The port it will announce is not known yet, but rarely what an announce fails for.
    if (store_.would_keep(now, key, from)) {
      token = tokens_.make(now, from, key);
      reply.token = token.view();
    }
  } else if (const auto* get = std::get_if<Get>(&query.body)) {
    add_contacts(from, query.want, get->target, tables, reply);
    answer_item(now, *get, reply);
    if (items_.would_keep(now, get->target, from)) {
      token = tokens_.make(now, from, get->target);
      reply.token = token.view();
    }
  }
  std::optional<ErrorReply> error;
  if (const auto* sample = std::get_if<SampleInfohashes>(&query.body)) {
    add_contacts(from, query.want, sample->target, tables, reply);
    answer_samples(now, reply);
    // Nobody tells the keys of a private network, not even inside it.
    if (is_private_) error = {{}, ErrorReply::kMethodUnknown, "method unknown"};
  } else if (const auto* announce = std::get_if<AnnouncePeer>(&query.body)) {
    error = store_peer(now, from, *announce);
  } else if (const auto* put = std::get_if<Put>(&query.body)) {
    error = store_item(now, from, *put);
  }
  if (error) {
    error->txid = query.txid;
    refuse(now, from, *error, size, also_sent, outlet, out);
    return;
  }
  answer(now, from, std::move(reply), size, also_sent, outlet, out);
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

void Server::answer(Time now, const Endpoint& to, Reply reply, std::size_t query_size,
                    std::size_t also_sent, Outlet& outlet, Effects& out) {
  reply.sender = own_id_;
  reply.seen_as = to;
  const std::size_t size_max =
      guard_.answer_size_max(now, to, query_size, also_sent) - outlet.overhead();
  if (!reply.value.empty()) fit_item(reply, size_max, guard_.is_proven(now, to));
  Bytes bytes = encode(reply);
  while (bytes.size() > size_max && (reply.seen_as || !reply.token.empty())) {
    for (std::size_t excess = bytes.size() - size_max; excess > 0;) {
      excess -= std::min(excess, shorten(reply, excess));
    }
    bytes = encode(reply);
  }
  if (bytes.size() > size_max) return;
  guard_.on_answered(now, to, bytes.size() + outlet.overhead() + also_sent);
  outlet.send(now, to, Direction::answer, std::move(bytes), out);
}

void Server::refuse(Time now, const Endpoint& to, const ErrorReply& error, std::size_t query_size,
                    std::size_t also_sent, Outlet& outlet, Effects& out) {
  Bytes bytes = encode(error);
  const std::size_t size = bytes.size() + outlet.overhead();
  if (size > guard_.answer_size_max(now, to, query_size, also_sent)) return;
  guard_.on_answered(now, to, size + also_sent);
  outlet.send(now, to, Direction::answer, std::move(bytes), out);
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

void Server::add_contacts(const Endpoint& from, const Want& want, const DhtId& target,
                          const Tables& tables, Reply& reply) {
  const bool is_unsaid = !want.v4 && !want.v6;
  const auto add = [&](bool is_v6, bool is_wanted, std::vector<Contact>& nodes) {
    const bool is_own = is_v6 == from.is_v6;
    const RoutingTable* table = is_own ? &tables.own : tables.other;
    if (table == nullptr || !(is_unsaid ? is_own : is_wanted)) return;
    nodes = table->closest(target, kAnswerContactsMax, from);
  };
  add(false, want.v4, reply.nodes);
  add(true, want.v6, reply.nodes6);
}

void Server::answer_samples(Time now, Reply& reply) {
  const bool is_stale = sampled_at_ == kNever || now >= sampled_at_ + kSampleEvery;
  if (is_stale) {
    samples_.clear();
    for (const DhtId& key : store_.sample_keys(kSamplesMax, rng_)) append(samples_, key.view());
    sampled_at_ = now;
  }
  reply.samples = {samples_, static_cast<std::int64_t>(store_.keys_count()),
                   (sampled_at_ + kSampleEvery - now) / std::chrono::seconds(1)};
}

void Server::answer_item(Time now, const Get& query, Reply& reply) const {
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
