// One node in a storm of datagrams for hours of its time: messages of every kind, whole and broken,
// from thousands of hosts, and answers to its own queries, right and wrong. Nothing may crash, no
// answer may be too long, and what the node holds in memory may not grow once its tables are full.
//
//   dht_storm [DATAGRAMS [SEED]]
//
// What it holds is judged in runs of a million and more: before that the tables still fill.
// Unlike dht_node_fuzz, which is guided and starts afresh with each input, this is one long life.

#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/crypto.h"
#include "dht/dht.h"
#include "dht/item.h"
#include "dht/krpc.h"

// Of the sanitizers' allocator, which the C library knows nothing of.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes() __attribute__((weak));

namespace peernet::dht {
namespace {

constexpr std::uint32_t kRegions = 2'000;
constexpr std::uint32_t kHostsOfRegion = 8;
constexpr std::size_t kPendingMax = 64;
constexpr std::size_t kKeys = 5'000;
constexpr Duration kBetween = std::chrono::milliseconds(1);
constexpr double kGrowthMax = 1.1;

std::size_t heap_size() {
  if (__sanitizer_get_current_allocated_bytes != nullptr) {
    return __sanitizer_get_current_allocated_bytes();
  }
  return mallinfo2().uordblks;
}

class Storm {
 public:
  explicit Storm(std::uint64_t seed) : rng_(seed), dht_(config(), Rng(seed + 1), log()) {
    for (std::size_t i = 0; i < kKeys; ++i) keys_.push_back(rng_.tagged<DhtId>());
    dht_.start(now_, {}, out_);
    settle();
  }

  void blow(std::uint64_t count) {
    std::size_t most_before = 0;
    std::size_t most_after = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      now_ += kBetween;
      if (dht_.deadline() <= now_) dht_.on_time(now_, out_);
      settle();
      if (rng_.below(3) == 0 && !pending_.empty()) {
        answer();
      } else {
        ask();
      }
      settle();
      if (rng_.below(200) == 0) command();
      settle();
      if (i % 4'096 != 0) continue;
      std::size_t& most = i < count / 2 ? most_before : most_after;
      most = std::max(most, heap_size());
    }
    const Stats stats = dht_.stats();
    std::printf(
        "%llu datagrams, %llu dropped; %llu queries, %llu replies; %u nodes, %u keys, %u peers, "
        "%u items; heap at most %zu KiB in the first half, %zu KiB in the second\n",
        static_cast<unsigned long long>(count), static_cast<unsigned long long>(stats.dropped_in),
        static_cast<unsigned long long>(stats.queries_in),
        static_cast<unsigned long long>(stats.replies_in), stats.nodes, stats.stored_keys,
        stats.stored_peers, stats.stored_items, most_before / 1024, most_after / 1024);
    PN_CHECK(stats.replies_in > 0 && stats.dropped_in > 0 && stats.nodes > 0);
    const auto before = static_cast<double>(most_before);
    if (count >= 1'000'000) PN_CHECK(static_cast<double>(most_after) <= before * kGrowthMax);
  }

 private:
  struct Pending {
    Endpoint to;
    Bytes txid;
  };

  static Log& log() {
    static spdlog::logger logger("storm", std::make_shared<spdlog::sinks::null_sink_st>());
    return logger;
  }
  static Config config() {
    Config result;
    result.special_use_is_global = true;
    return result;
  }

  Endpoint host() {
    const auto region = static_cast<std::uint32_t>(rng_.below(kRegions));
    const auto number = static_cast<std::uint32_t>(rng_.below(kHostsOfRegion));
    return Endpoint::v4(0x10000000U + (region << 16U) + (number << 8U) + 1, 6881);
  }
  Bytes random_bytes(std::size_t size) {
    Bytes bytes(size);
    rng_.fill(bytes);
    return bytes;
  }
  // Most of the time a host has one id.
  DhtId id_of(const Endpoint& at) {
    if (rng_.below(8) == 0) return rng_.tagged<DhtId>();
    DhtId id{};
    std::copy_n(at.address.begin(), 4, id.bytes.begin() + 10);
    for (std::size_t i = 0; i < DhtId::kSize; ++i) {
      id.bytes[i] ^= keys_[at.address[1] % kKeys].bytes[i];
    }
    return id;
  }
  const DhtId& key() { return keys_[rng_.below(keys_.size())]; }
  Contact contact() {
    const Endpoint at = host();
    return {rng_.below(2) == 0 ? id_of(at) : key(), at};
  }
  Item item() {
    const Bytes value = to_bytes(as_bytes("i" + std::to_string(rng_.below(2'000)) + "e"));
    if (rng_.below(2) == 0) return immutable_item(value);
    return mutable_item(Key{}, BytesView(value).first(rng_.below(3)),
                        static_cast<std::int64_t>(rng_.below(100)), value);
  }

  QueryBody body() {
    switch (rng_.below(8)) {
      case 0: return Ping{};
      case 1: return FindNode{key()};
      case 2: return SampleInfohashes{key()};
      case 3: return AnnouncePeer{key(), 7000, rng_.below(2) == 0, token_};
      case 4: return Get{key(), std::nullopt};
      case 5: {
        const Item put = item();
        target_ = item_target(put);
        value_ = put.value;
        salt_ = put.salt;
        return Put{value_, token_, put.key, salt_, put.seq, put.signature, std::nullopt};
      }
      default: return GetPeers{key()};
    }
  }

  void ask() {
    Query query;
    const Bytes txid = random_bytes(rng_.below(5));
    query.txid = txid;
    from_ = host();
    query.sender = id_of(from_);
    query.is_read_only = rng_.below(8) == 0;
    query.body = body();
    // Who stores has asked for the same before, and shows the token it got.
    Query first = query;
    if (const auto* announce = std::get_if<AnnouncePeer>(&query.body)) {
      first.body = GetPeers{announce->key};
    } else if (std::holds_alternative<Put>(query.body)) {
      first.body = Get{target_, std::nullopt};
    }
    if (first.body.index() != query.body.index()) {
      dht_.on_datagram(now_, from_, encode(first), out_);
      settle();
      if (auto* announce = std::get_if<AnnouncePeer>(&query.body)) announce->token = token_;
      if (auto* put = std::get_if<Put>(&query.body)) put->token = token_;
    }
    receive(from_, encode(query));
  }

  void answer() {
    const std::size_t number = rng_.below(pending_.size());
    const Pending asked = pending_[number];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(number));
    Reply reply;
    reply.txid = asked.txid;
    reply.sender = id_of(asked.to);
    const Bytes token = random_bytes(rng_.below(80));
    reply.token = token;
    for (std::size_t i = rng_.below(20); i > 0; --i) reply.nodes.push_back(contact());
    for (std::size_t i = rng_.below(20); i > 0; --i) reply.values.push_back(host());
    const Item held = item();
    if (rng_.below(4) == 0) {
      reply.value = held.value;
      reply.key = held.key;
      if (held.key) reply.seq = held.seq;
      if (held.key) reply.signature = held.signature;
    }
    if (rng_.below(3) == 0) reply.seen_as = host();
    receive(rng_.below(50) == 0 ? host() : asked.to, encode(reply));
  }

  void command() {
    switch (rng_.below(5)) {
      case 0: dht_.get_peers(now_, key(), out_); break;
      case 1: dht_.announce(now_, key(), 7000, false, out_); break;
      case 2: dht_.get_item(now_, key(), {}, out_); break;
      case 3: PN_CHECK(dht_.put_item(now_, item(), std::nullopt, out_)); break;
      default: dht_.add_node(now_, host(), out_); break;
    }
  }

  // Half of them arrive as they were sent.
  void receive(const Endpoint& from, Bytes bytes) {
    if (rng_.below(2) == 0) {
      for (std::size_t i = rng_.below(4); i > 0 && !bytes.empty(); --i) {
        const std::size_t at = rng_.below(bytes.size());
        switch (rng_.below(4)) {
          case 0: bytes.resize(at); break;
          case 1: bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at)); break;
          case 2: append(bytes, to_bytes(BytesView(bytes).subspan(at))); break;
          default: bytes[at] = static_cast<std::uint8_t>(rng_.next());
        }
      }
    }
    dht_.on_datagram(now_, from, bytes, out_);
  }

  void settle() {
    for (const Effect& effect : out_) {
      const auto* sent = std::get_if<SendDatagram>(&effect);
      PN_CHECK(sent != nullptr && sent->to.is_usable());
      const auto message = decode(sent->bytes);
      PN_CHECK(message.has_value());
      const auto* query = std::get_if<Query>(&*message);
      const bool is_put = query != nullptr && std::holds_alternative<Put>(query->body);
      PN_CHECK(sent->bytes.size() <= (is_put ? kPutOutMax : kDatagramOutMax));
      if (const auto* reply = std::get_if<Reply>(&*message)) {
        if (sent->to == from_ && !reply->token.empty()) token_ = to_bytes(reply->token);
      }
      if (query == nullptr) continue;
      if (pending_.size() >= kPendingMax) pending_.erase(pending_.begin());
      pending_.push_back({sent->to, to_bytes(query->txid)});
    }
    out_.clear();
    while (dht_.next_event()) {
    }
  }

  Rng rng_;
  Dht dht_;
  Effects out_;
  Time now_{std::chrono::seconds(1000)};
  std::vector<DhtId> keys_;
  std::vector<Pending> pending_;
  Endpoint from_;
  Bytes token_;
  DhtId target_;
  Bytes value_;
  Bytes salt_;
};

}  // namespace
}  // namespace peernet::dht

int main(int argc, char** argv) {
  peernet::crypto_start();
  const auto number = [&](int at, std::uint64_t otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
  };
  peernet::dht::Storm(number(2, 1)).blow(number(1, 100'000));
  return 0;
}
