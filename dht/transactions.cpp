#include "dht/transactions.h"

namespace peernet::dht {

std::optional<Txid> Transactions::begin(Time now, const Endpoint& to,
                                        const std::optional<DhtId>& expected, Why why,
                                        Duration soft_timeout, Rng& rng) {
  if (transactions_.size() >= kTransactionsMax) return std::nullopt;
  auto txid = rng.tagged<Txid>();
  while (transactions_.contains(txid)) txid = rng.tagged<Txid>();
  Transaction transaction{txid, to, expected, why, now, soft_timeout, Transaction::Stage::waiting};
  transactions_.emplace(txid, transaction);
  ++asked_[to];
  timers_.set(txid, now + soft_timeout);
  return txid;
}

std::optional<Transaction> Transactions::match(BytesView txid, const Endpoint& from) {
  const auto key = Txid::from(txid);
  if (!key) return std::nullopt;
  const auto found = transactions_.find(*key);
  if (found == transactions_.end() || found->second.to != from) return std::nullopt;
  const Transaction result = found->second;
  erase(found);
  return result;
}

std::optional<Transaction> Transactions::next_stage(Time now) {
  const auto txid = timers_.pop_expired(now);
  if (!txid) return std::nullopt;
  const auto found = transactions_.find(*txid);
  Transaction& transaction = found->second;
  using Stage = Transaction::Stage;
  switch (transaction.stage) {
    case Stage::waiting:
      transaction.stage = Stage::slow;
      timers_.set(*txid, transaction.sent + transaction.soft_timeout * 3 / 2);
      break;
    case Stage::slow:
      transaction.stage = Stage::lapsed;
      timers_.set(*txid, transaction.sent + kHardTimeout);
      break;
    case Stage::lapsed:
    case Stage::failed: {
      transaction.stage = Stage::failed;
      const Transaction result = transaction;
      erase(found);
      return result;
    }
  }
  return transaction;
}

void Transactions::erase(std::map<Txid, Transaction>::iterator transaction) {
  const auto asked = asked_.find(transaction->second.to);
  if (--asked->second == 0) asked_.erase(asked);
  timers_.cancel(transaction->first);
  transactions_.erase(transaction);
}

}  // namespace peernet::dht
