#include "dht/node.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/escape.h"
#include "dht/krpc.h"

namespace peernet::dht {

namespace {

bool is_of_item(const Why& why) {
  return why.kind == Why::Kind::item_lookup || why.kind == Why::Kind::item_store;
}

}  // namespace

Node::Node(const Config& config, bool is_v6, Rng rng, Log& log)
    : config_(config), is_v6_(is_v6), rng_(rng), log_(&log), join_(config_.bootstrap, is_v6) {}

void Node::start(Time now, const DhtRecord& saved, Effects& out) {
  PN_CHECK(!running_);
  const DhtId id = saved.id == DhtId{} ? rng_.tagged<DhtId>() : saved.id;
  const bool special_use_is_global = config_.special_use_is_global;
  running_.emplace(Running{
      id,
      {RoutingTable(id, special_use_is_global), Caller(id, rng_.fork()), outlet(), is_v6_},
      Server(id, config_, rng_.fork()),
      Searches(special_use_is_global),
      ItemSearches(special_use_is_global),
      Upkeep(special_use_is_global, rng_.fork()),
      AddressVote(special_use_is_global),
  });
  std::vector<Contact> remembered;
  for (const DhtRecord::Node& node : saved.nodes) {
    if (node.id == id || node.endpoint.is_v6 != is_v6_) continue;
    remembered.push_back({node.id, node.endpoint});
  }
  if (wall_clock_) on_wall_clock(wall_clock_->first, wall_clock_->second);
  set_read_only(config_.is_read_only);
  reach_.start(now);
  join_.start(now, remembered);
  log_->debug("dht: starts as {} with {} saved nodes", to_hex(id.view()), remembered.size());
  settle(now, out);
}

void Node::on_datagram(Time now, const Endpoint& from, BytesView bytes, const Node* other,
                       Effects& out) {
  counts_.bytes_in += bytes.size();
  auto message = read(now, from, bytes);
  if (!message) {
    ++counts_.dropped_in;
    if (log_->should_log(spdlog::level::trace)) {
      log_->trace("dht: dropped {} bytes from {}: {}", bytes.size(), from.to_string(),
                  message.error().what);
    }
    settle(now, out);
    return;
  }
  std::visit(Overloaded{
                 [&](const Query& query) { on_query(now, from, query, bytes.size(), other, out); },
                 [&](Reply& reply) {
                   // What comes first are contacts of our own family from here on.
                   if (is_v6_) std::swap(reply.nodes, reply.nodes6);
                   on_reply(now, from, reply, out);
                 },
                 [&](const ErrorReply& error) { on_error(now, from, error, out); },
                 [&](const BadQuery& query) {
                   ++counts_.queries_in;
                   Running& r = running();
                   if (!is_read_only() && r.server.admit(now, from)) {
                     r.server.on_bad_query(now, from, query, bytes.size(), r.family.outlet, out);
                   } else {
                     ++counts_.dropped_in;
                   }
                 },
             },
             *message);
  settle(now, out);
}

void Node::on_resolved(Time now, JobId job, const std::vector<Endpoint>& endpoints, Effects& out) {
  log_->debug("dht: a bootstrap name has {} addresses", endpoints.size());
  join_.on_resolved(now, job, endpoints, running().family, out);
  settle(now, out);
}

void Node::on_time(Time now, Effects& out) {
  Running& r = running();
  while (const auto transaction = r.family.caller.next_stage(now)) on_stage(now, *transaction, out);
  r.searches.on_time(now, r.family, out);
  r.item_searches.on_time(now, r.family, out);
  r.upkeep.on_time(now, r.family, r.searches, out);
  if (is_hidden_ && now >= reach_.young_until()) consider_reach(now);
  if (now >= expiry_at_) {
    r.server.on_time(now);
    expiry_at_ = r.server.is_empty() ? kNever : now + kExpiryEvery;
  }
  settle(now, out);
}

void Node::on_wall_clock(Time now, WallTime wall) {
  wall_clock_ = {now, wall};
  if (!running_) return;
  if (Seal* seal = running_->family.outlet.seal()) seal->on_wall_clock(now, wall);
}

void Node::get_peers(Time now, const DhtId& key, Effects& out) {
  Running& r = running();
  r.searches.find_peers(now, key, std::nullopt, r.server.peers(now, key), r.family, out);
  settle(now, out);
}

void Node::announce(Time now, const DhtId& key, std::uint16_t port, bool implied_port,
                    Effects& out) {
  Running& r = running();
  r.searches.find_peers(now, key, Announce{port, implied_port}, r.server.peers(now, key), r.family,
                        out);
  settle(now, out);
}

void Node::get_item(Time now, const DhtId& target, BytesView salt, Effects& out) {
  Running& r = running();
  r.item_searches.get(now, target, salt, r.server.items().find(now, target), r.family, out);
  settle(now, out);
}

void Node::put_item(Time now, const Item& item, std::optional<std::int64_t> cas, Effects& out) {
  Running& r = running();
  const Item* known = r.server.items().find(now, item_target(item));
  r.item_searches.put(now, item, cas, known, r.family, out);
  settle(now, out);
}

void Node::trace(const DhtId& key) {
  if (traced_.size() < kTracesMax) traced_.insert(key);
}

void Node::forget(const DhtId& key) {
  traced_.erase(key);
  running().searches.forget(key);
}

void Node::on_introduction(Time now, const Introduced& introduced, Effects& out) {
  Running& r = running();
  r.upkeep.on_mentioned(now, introduced.by, introduced.contacts, r.family, out);
  settle(now, out);
}

void Node::set_wants_both(bool wants_both) {
  running().family.caller.set_want(Want{wants_both, wants_both});
}

void Node::set_read_only(bool is_read_only) {
  config_.is_read_only = is_read_only;
  running().family.caller.set_read_only(this->is_read_only());
}

void Node::set_own_addresses(Time now, std::vector<Endpoint> addresses) {
  std::erase_if(addresses, [&](const Endpoint& own) { return own.is_v6 != is_v6_; });
  reach_.set_own_addresses(std::move(addresses));
  if (running_) consider_reach(now);
}

void Node::add_node(Time now, const Endpoint& endpoint, Effects& out) {
  Family& family = running().family;
  if (!endpoint.is_usable() || endpoint.port < 1024) return;
  if (!family.table.contains(endpoint) && !family.caller.is_asking(endpoint)) {
    family.ask(now, endpoint, FindNode{family.table.own_id()}, {Why::Kind::join, 0}, out);
  }
  settle(now, out);
}

bool Node::ping(Time now, std::uint64_t number, const Endpoint& endpoint, Effects& out) {
  PN_CHECK(number > 0);
  Family& family = running().family;
  if (!endpoint.is_usable() || endpoint.port < 1024) return false;
  const bool is_asked = family.ask(now, endpoint, Ping{}, {Why::Kind::probe, number}, out);
  settle(now, out);
  return is_asked;
}

std::optional<Event> Node::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Time Node::deadline() const {
  const Running& r = running();
  Time earliest =
      std::min({r.family.caller.deadline(), r.searches.deadline(), r.item_searches.deadline(),
                r.upkeep.deadline(), join_.deadline(), expiry_at_});
  if (is_changed_ && r.upkeep.is_grown()) earliest = std::min(earliest, changes_told_at_);
  if (is_hidden_) earliest = std::min(earliest, reach_.young_until());
  return earliest;
}

Stats Node::stats() const {
  const Running& r = running();
  Stats stats = counts_;
  stats.id = r.id;
  stats.address = r.vote.winner();
  stats.nodes = static_cast<std::uint32_t>(r.family.table.size());
  stats.nodes_good = static_cast<std::uint32_t>(r.family.table.good_count(now_));
  stats.stored_keys = static_cast<std::uint32_t>(r.server.store().keys_count());
  stats.stored_peers = static_cast<std::uint32_t>(r.server.store().peers_count());
  stats.network_size = r.family.network_size();
  stats.stored_items = static_cast<std::uint32_t>(r.server.items().size());
  stats.lookups_active = static_cast<std::uint32_t>(r.searches.count(Search::Goal::peers));
  for (std::size_t kind = 0; kind < kQueryKinds; ++kind) {
    stats.by_kind.at(kind).out = r.family.caller.queries().at(kind);
    stats.queries_out += stats.by_kind.at(kind).out;
  }
  stats.bytes_out = r.family.outlet.bytes_count();
  stats.is_joined = is_joined_;
  stats.is_hidden = is_hidden_;
  return stats;
}

DhtRecord Node::snapshot() const {
  const Running& r = running();
  DhtRecord record;
  record.id = r.id;
  const auto known = r.family.table.best(kRememberedMax);
  for (const Contact& contact : known.empty() ? join_.remembered() : known) {
    record.nodes.push_back({contact.id, contact.endpoint});
  }
  return record;
}

Outlet Node::outlet() {
  return config_.network_key ? Outlet(Seal(*config_.network_key, is_v6_, rng_.fork())) : Outlet();
}

Result<Message> Node::read(Time now, const Endpoint& from, BytesView bytes) {
  if (!from.is_usable()) return Error{Errc::refused, "not an address", {}};
  if (bytes.size() > kDatagramInMax) return Error{Errc::too_large, "a datagram too long", {}};
  Seal* seal = running().family.outlet.seal();
  if (seal == nullptr) return decoder_.decode(bytes);
  const auto direction = seal->open(now, bytes, opened_);
  if (!direction) return Error{Errc::denied, "not of our network", {}};
  auto message = decoder_.decode(opened_);
  if (!message) return message;
  const bool is_query =
      std::holds_alternative<Query>(*message) || std::holds_alternative<BadQuery>(*message);
  if (is_query != (*direction == Direction::query)) {
    return Error{Errc::malformed, "sealed as another kind of message", {}};
  }
  return message;
}

void Node::on_query(Time now, const Endpoint& from, const Query& query, std::size_t size,
                    const Node* other, Effects& out) {
  ++counts_.queries_in;
  QueryCounts& kind = counts_.by_kind.at(query.body.index());
  ++kind.in;
  Running& r = running();
  if (!r.server.is_proven(now, from) && !r.family.caller.is_asking(from)) {
    reach_.on_unasked();
    if (is_hidden_) consider_reach(now);
  }
  // Our own id: our own datagram, come back to us, or somebody who borrows our name.
  if (is_read_only() || query.sender == r.id || !r.server.admit(now, from)) {
    ++counts_.dropped_in;
    ++kind.limited;
    return;
  }
  // A node that asks is worth knowing, or at least worth proving, and what would have to give way
  // to it worth testing. What it says of itself counts only once it has answered.
  const std::uint64_t sent_before = r.family.outlet.bytes_count();
  const Contact contact{query.sender, from};
  if (!query.is_read_only && from.port >= 1024) {
    if (r.family.table.has_room_for(contact) || !r.server.is_proven(now, from)) {
      r.upkeep.probe(now, contact, r.family, out);
    }
  }
  const auto also_sent = static_cast<std::size_t>(r.family.outlet.bytes_count() - sent_before);
  const RoutingTable* other_table = other == nullptr ? nullptr : &other->running().family.table;
  switch (r.server.on_query(now, from, query, size, also_sent, {r.family.table, other_table},
                            r.family.outlet, out)) {
    case Server::Outcome::answered: ++kind.answered; break;
    case Server::Outcome::refused: ++kind.refused; break;
    case Server::Outcome::limited: ++kind.limited; break;
  }
  if (!r.server.is_empty() && expiry_at_ == kNever) expiry_at_ = now + kExpiryEvery;
  if (const auto rival = r.family.table.rival_of(contact, now)) {
    r.upkeep.probe(now, *rival, r.family, out);
  }
}

void Node::on_reply(Time now, const Endpoint& from, const Reply& reply, Effects& out) {
  Running& r = running();
  const auto transaction = r.family.caller.on_reply(now, reply.txid, from);
  if (!transaction) {
    ++counts_.dropped_in;
    return;
  }
  ++counts_.replies_in;
  ++counts_.by_kind.at(transaction->why.query).replies_in;
  r.server.prove(now, from);
  const Contact contact{reply.sender, from};
  const bool is_as_expected = !transaction->expected || *transaction->expected == reply.sender;
  if (!is_as_expected) {
    // A node may take another id, once it has learnt its address; it stays the node that answers.
    const bool was_listed = r.family.table.forget(now, {*transaction->expected, from});
    if (was_listed && is_bound_to(reply.sender, from)) {
      r.family.table.on_answer(now, contact, now - transaction->sent);
    } else if (is_bound_to(reply.sender, from) && r.family.table.has_room_for(contact)) {
      r.upkeep.probe(now, contact, r.family, out);
    }
    is_changed_ |= was_listed;
  } else {
    const auto outcome = r.family.table.on_answer(now, contact, now - transaction->sent);
    if (outcome == RoutingTable::Outcome::listed) {
      is_changed_ = true;
      r.searches.on_listed(now, r.family, out);
      r.item_searches.on_listed(now, r.family, out);
      is_grown_ = true;
    } else if (const auto rival = r.family.table.rival_of(contact, now)) {
      r.upkeep.probe(now, *rival, r.family, out);
    }
  }
  if (!reply.nodes6.empty()) introductions_.push_back({from, reply.nodes6});
  if (is_as_expected && reply.seen_as) on_seen_as(now, from, *reply.seen_as);
  LookupStep step;
  step.outcome = is_as_expected ? LookupStep::Outcome::answered : LookupStep::Outcome::stranger;
  step.nodes = static_cast<std::uint32_t>(reply.nodes.size());
  step.peers = static_cast<std::uint32_t>(reply.values.size());
  tell_step(now, *transaction, step);
  tell_pinged(now, *transaction, reply.sender);
  switch (transaction->why.kind) {
    case Why::Kind::lookup:
    case Why::Kind::announce:
      r.searches.on_reply(now, *transaction, reply, r.family, out);
      if (!r.upkeep.is_growing(now)) break;
      r.upkeep.on_mentioned(now, from, reply.nodes, r.family, out);
      break;
    case Why::Kind::item_lookup:
    case Why::Kind::item_store:
      r.item_searches.on_reply(now, *transaction, reply, r.family, out);
      break;
    case Why::Kind::join:
      r.upkeep.on_introduced(now, {contact, reply.nodes}, r.family, r.searches, out);
      [[fallthrough]];
    case Why::Kind::probe: r.upkeep.on_mentioned(now, from, reply.nodes, r.family, out); break;
  }
}

void Node::on_error(Time now, const Endpoint& from, const ErrorReply& error, Effects& out) {
  Running& r = running();
  const auto transaction = r.family.caller.on_reply(now, error.txid, from);
  if (!transaction) {
    ++counts_.dropped_in;
    return;
  }
  ++counts_.errors_in;
  log_->debug("dht: {} answers with error {}: {}", from.to_string(), error.code,
              escape(Untrusted{error.text}));
  LookupStep step;
  step.outcome = LookupStep::Outcome::refused;
  tell_step(now, *transaction, step);
  tell_pinged(now, *transaction, std::nullopt);
  if (is_of_item(transaction->why)) {
    r.item_searches.on_refused(now, *transaction, error.code, r.family, out);
  } else {
    r.searches.on_refused(now, *transaction, r.family, out);
  }
}

void Node::on_stage(Time now, const Transaction& transaction, Effects& out) {
  Running& r = running();
  if (transaction.stage == Transaction::Stage::failed && transaction.expected) {
    const Contact contact{*transaction.expected, transaction.to};
    if (r.family.table.on_failure(now, contact)) is_changed_ = true;
  }
  if (transaction.stage == Transaction::Stage::failed) {
    LookupStep step;
    step.outcome = LookupStep::Outcome::failed;
    tell_step(now, transaction, step);
    tell_pinged(now, transaction, std::nullopt);
  }
  if (is_of_item(transaction.why)) {
    r.item_searches.on_stage(now, transaction, r.family, out);
  } else {
    r.searches.on_stage(now, transaction, r.family, out);
  }
}

void Node::on_seen_as(Time now, const Endpoint& by, const Endpoint& address) {
  Running& r = running();
  r.vote.add(by, address);
  consider_reach(now);
  if (is_bound_to(r.id, address) || now < id_change_from_) return;
  const auto ours = r.vote.winner();
  if (!ours || is_bound_to(r.id, *ours)) return;
  id_change_from_ = now + kIdChangeEvery;
  r.id = random_id_bound_to(*ours, rng_);
  r.family.table.move_to(r.id);
  r.family.caller.move_to(r.id);
  r.server.move_to(r.id);
  // The table is another one now: what is missing in it has to be found.
  if (is_joined_) r.upkeep.on_joined(now);
  is_changed_ = true;
  log_->debug("dht: our address is {}, our id now {}", ours->address_to_string(),
              to_hex(r.id.view()));
}

void Node::consider_reach(Time now) {
  const bool is_hidden = reach_.is_hidden(now, running().vote);
  if (is_hidden == is_hidden_) return;
  is_hidden_ = is_hidden;
  running().family.caller.set_read_only(is_read_only());
  log_->debug("dht: {}", is_hidden ? "nobody reaches us: we ask only" : "we answer others");
}

void Node::tell_step(Time now, const Transaction& transaction, LookupStep step) {
  if (traced_.empty()) return;
  const auto key = running().searches.key_of(transaction);
  if (!key || !traced_.contains(*key)) return;
  step.key = *key;
  step.node = transaction.to;
  step.id = transaction.expected;
  step.took = now - transaction.sent;
  step.is_announce = transaction.why.kind == Why::Kind::announce;
  events_.push_back(step);
}

void Node::tell_pinged(Time now, const Transaction& transaction, const std::optional<DhtId>& id) {
  const Why& why = transaction.why;
  if (why.kind != Why::Kind::probe || why.search == 0) return;
  events_.push_back(Pinged{why.search, transaction.to, id, now - transaction.sent});
}

void Node::settle(Time now, Effects& out) {
  now_ = now;
  Running& r = running();
  const std::size_t nodes_count = r.family.table.size();
  if (is_joined_ != (nodes_count > 0)) {
    is_joined_ = nodes_count > 0;
    if (is_joined_) {
      events_.push_back(Joined{static_cast<std::uint32_t>(nodes_count)});
      r.upkeep.on_joined(now);
    } else {
      r.upkeep.on_lost();
    }
    log_->debug("dht: {}", is_joined_ ? "joined" : "all nodes are lost");
  }
  if (std::exchange(is_grown_, false) && nodes_count <= kBucketSize) {
    events_.push_back(Grown{static_cast<std::uint32_t>(nodes_count)});
  }
  join_.on_table(now, nodes_count);
  join_.on_time(now, r.family, out);
  r.upkeep.grow(now, r.family, r.searches, out);
  while (auto event = r.item_searches.next_event()) events_.push_back(std::move(*event));
  while (auto event = r.searches.next_event()) {
    if (const auto* done = std::get_if<LookupDone>(&*event)) traced_.erase(done->key);
    events_.push_back(std::move(*event));
  }
  tell_changes(now);
}

void Node::tell_changes(Time now) {
  const Running& r = running();
  if (!is_changed_ || !r.upkeep.is_grown() || now < changes_told_at_) return;
  is_changed_ = false;
  changes_told_at_ = now + kNodesChangedEvery;
  join_.remember(r.family.table.best(kRememberedMax));
  events_.push_back(NodesChanged{});
}

Node::Running& Node::running() {
  PN_CHECK(running_);
  return *running_;
}

const Node::Running& Node::running() const {
  PN_CHECK(running_);
  return *running_;
}

}  // namespace peernet::dht
