#include "dht/caller.h"

namespace peernet::dht {

namespace {

bool has_contacts_in_reply(const QueryBody& body) {
  return std::holds_alternative<FindNode>(body) || std::holds_alternative<GetPeers>(body) ||
         std::holds_alternative<Get>(body);
}

}  // namespace

bool Caller::ask(Time now, const Contact& to, const QueryBody& body, Why why,
                 const std::optional<Duration>& soft_timeout, Outlet& outlet, Effects& out) {
  const Duration timeout = soft_timeout ? *soft_timeout : response_times_.soft_timeout();
  return ask(now, to.endpoint, to.id, body, why, timeout, outlet, out);
}

bool Caller::ask(Time now, const Endpoint& to, const QueryBody& body, Why why, Outlet& outlet,
                 Effects& out) {
  return ask(now, to, std::nullopt, body, why, response_times_.soft_timeout(), outlet, out);
}

std::optional<Transaction> Caller::on_reply(Time now, BytesView txid, const Endpoint& from) {
  auto transaction = transactions_.match(txid, from);
  if (transaction) response_times_.add(now - transaction->sent);
  return transaction;
}

bool Caller::ask(Time now, const Endpoint& to, const std::optional<DhtId>& expected,
                 const QueryBody& body, Why why, Duration soft_timeout, Outlet& outlet,
                 Effects& out) {
  why.query = body.index();
  const auto txid = transactions_.begin(now, to, expected, why, soft_timeout, rng_);
  if (!txid) return false;
  Query query;
  query.txid = txid->view();
  query.sender = own_id_;
  query.is_read_only = is_read_only_;
  query.body = body;
  if (has_contacts_in_reply(body)) query.want = want_;
  outlet.send(now, to, Direction::query, encode(query), out);
  ++queries_.at(body.index());
  return true;
}

}  // namespace peernet::dht
