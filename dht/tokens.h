#pragma once

// Write tokens: who can show one has received a datagram at this address within the last ten
// minutes. A token is a keyed hash over the address (not the port: some NATs change it), the key it
// is good for and the epoch of five minutes; this epoch's and the last one's are accepted.

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/endpoint.h"
#include "core/rng.h"
#include "core/time.h"

namespace peernet::dht {

inline constexpr Duration kTokenEpoch = std::chrono::minutes(5);

class Tokens {
 public:
  explicit Tokens(Rng& rng);

  Mac make(Time now, const Endpoint& to, const DhtId& key) const;
  bool is_valid(Time now, const Endpoint& from, const DhtId& key, BytesView token) const;

 private:
  Mac token(std::int64_t epoch, const Endpoint& whose, const DhtId& key) const;

  Key secret_;
};

}  // namespace peernet::dht
