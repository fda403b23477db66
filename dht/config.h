#pragma once

// What the owner of the DHT engine decides, once and before the start.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/crypto.h"

namespace peernet::dht {

// Where a node with an empty table begins. The host may be a name or the text of an IP address.
struct BootstrapName {
  std::string host;
  std::uint16_t port = 0;
};

inline constexpr std::uint32_t kStoreKeysMax = 4'096;
inline constexpr std::uint32_t kStorePeersTotalMax = 1U << 19U;
inline constexpr std::uint32_t kItemsMax = 512;

// How much is kept for others at most, in each address family.
struct StoreLimits {
  std::uint32_t keys = kStoreKeysMax;         // with peers under them; at least 1
  std::uint32_t peers = kStorePeersTotalMax;  // under all keys; at least 1
  std::uint32_t items = kItemsMax;            // at least 1
};

struct Config {
  std::vector<BootstrapName> bootstrap;
  bool special_use_is_global = false;  // for tests: no address is exempt from any rule
  bool has_v4 = true;                  // in which address families we are a node; one at least
  bool has_v6 = false;
  bool is_read_only = false;  // BEP 43: we ask, and answer nobody; set_read_only() changes it
  std::optional<Key> network_key{};  // present: a private network, every datagram is sealed
  StoreLimits store{};
  bool are_sources_limited = true;  // for measurements: whether sources have reply budgets
};

}  // namespace peernet::dht
