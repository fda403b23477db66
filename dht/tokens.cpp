#include "dht/tokens.h"

#include "core/codec.h"

namespace peernet::dht {

namespace {

std::int64_t epoch_at(Time now) {
  return now.time_since_epoch() / kTokenEpoch;
}

}  // namespace

Tokens::Tokens(Rng& rng) {
  rng.fill(secret_.mutable_view());
}

Mac Tokens::make(Time now, const Endpoint& to, const DhtId& key) const {
  return token(epoch_at(now), to, key);
}

bool Tokens::is_valid(Time now, const Endpoint& from, const DhtId& key, BytesView given) const {
  const std::int64_t epoch = epoch_at(now);
  return secure_equal(token(epoch, from, key).view(), given) ||
         secure_equal(token(epoch - 1, from, key).view(), given);
}

Mac Tokens::token(std::int64_t epoch, const Endpoint& whose, const DhtId& key) const {
  Bytes epoch_bytes;
  Writer(epoch_bytes).u64(static_cast<std::uint64_t>(epoch));
  return keyed_mac(secret_, {whose.address_view(), key.view(), epoch_bytes});
}

}  // namespace peernet::dht
