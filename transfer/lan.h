#pragma once

// Discovery on the local network, by multicast (after BEP 14): a node says which shares it has and
// of which it seeks others, by keys that are derived one-way from the share ids, and whoever has
// one that is sought says so soon. In a private network every datagram is sealed. All that is
// believed of a datagram is that somebody at its source may be worth a dial.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/effects.h"
#include "core/endpoint.h"
#include "core/result.h"
#include "core/rng.h"
#include "core/time.h"
#include "core/timers.h"
#include "transfer/share_key.h"

namespace peernet::transfer {

inline constexpr std::size_t kLanKeysMax = 50;  // in one datagram: under 1,200 bytes
inline constexpr Duration kLanInterval = std::chrono::minutes(5);
inline constexpr Duration kLanJitter = std::chrono::seconds(30);     // earlier or later
inline constexpr Duration kLanGap = std::chrono::milliseconds(250);  // between two datagrams
inline constexpr Duration kLanFirst = std::chrono::milliseconds(200);
// What is sought is said again so long after it was first said, and after that.
inline constexpr Duration kLanSecond = std::chrono::seconds(2);
inline constexpr Duration kLanThird = std::chrono::seconds(8);
inline constexpr Duration kLanAnswerSpread = std::chrono::milliseconds(300);
inline constexpr Duration kLanAnswerGap = std::chrono::seconds(2);  // a share is not said sooner
inline constexpr std::uint32_t kLanAnswersEnough = 8;               // of others, and ours is spared
inline constexpr std::int64_t kLanWindowMs = 120'000;               // of a sealed one, each way

// One datagram: ASCII "PNL1" ‖ u64 sender, random for each process ‖ u16 TCP port ‖ u8 count of
// sought ‖ u8 count of held ‖ the keys.
struct LanMessage {
  std::uint64_t sender = 0;
  std::uint16_t port = 0;      // where the sender listens; 0: it does not
  std::vector<LanKey> sought;  // it has, or wants, these and seeks others
  std::vector<LanKey> held;    // it has, or wants, these
};
// Requires: at most kLanKeysMax keys together.
Bytes encode(const LanMessage& message);
// Errors: malformed.
Result<LanMessage> decode_lan(BytesView datagram);

class Lan {
 public:
  Lan(const std::optional<Key>& network_key, std::uint16_t listen_port, Rng rng);

  // The share is here; `is_sought`: others of it are looked for.
  void set(Time now, const ShareId& share, bool is_sought);
  void remove(const ShareId& share);

  struct Heard {
    Endpoint peer;  // port 0: it does not listen
    std::vector<ShareId> shares;
  };
  // nullopt: our own, not of this network, or malformed.
  std::optional<Heard> on_datagram(Time now, WallTime wall, const Endpoint& from, BytesView bytes);
  void on_time(Time now, WallTime wall, Effects& out);

  Time deadline() const;

 private:
  struct Entry {
    LanKey key;
    bool is_sought = false;
    std::uint32_t said_count = 0;  // since it is sought
    std::optional<Time> said_at;
    bool is_answer = false;   // due because somebody seeks it
    std::uint32_t heard = 0;  // answers of others meanwhile
  };
  void answer(Time now, const ShareId& share);
  void on_held(Time now, const ShareId& share);
  Duration below(Duration most);
  Bytes sealed(WallTime wall, BytesView message);
  std::optional<Bytes> opened(WallTime wall, BytesView datagram) const;

  std::optional<Key> key_;  // of the datagrams of a private network
  std::uint16_t listen_port_;
  Rng rng_;
  std::uint64_t sender_;
  std::map<ShareId, Entry> entries_;
  std::map<LanKey, ShareId> by_key_;
  Timers<ShareId> due_;
  Time next_send_{};
};

}  // namespace peernet::transfer
