// How many queries a second the DHT engine answers on one core, driven in process: ping, find_node
// and get_peers in turn, from hosts in 2,000 networks of /16, with a table of 200 nodes, 1,000 keys
// kept for others, and every limit on. Then the same without the limits per source, so that
// every answer is whole. With "memory" as its argument it measures instead what private memory a
// node takes that has everything it can have.

#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/rng.h"
#include "dht/dht.h"
#include "dht/item.h"
#include "dht/krpc.h"
#include "dht/node_id.h"

namespace {

using namespace peernet;
using namespace peernet::dht;
using namespace std::chrono_literals;

constexpr std::uint32_t kRegions = 2'000;
constexpr std::uint32_t kHostsOfRegion = 16;
constexpr unsigned kNodes = 200;
constexpr unsigned kKeys = 1'000;
constexpr unsigned kPeersOfKey = 20;
constexpr unsigned kDeepestBucket = 150;  // nearer to us than that there are too few ids
constexpr std::size_t kQueriesCount = 1'500'000;
constexpr double kRate = 150'000;  // queries a second of the engine's time

Log& quiet() {
  static spdlog::logger logger("bench", std::make_shared<spdlog::sinks::null_sink_st>());
  return logger;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

// Hosts of one /16 stand in as many /24s.
Endpoint source(std::uint32_t region, std::uint32_t host) {
  return Endpoint::v4(0x10000000U + (region << 16U) + (host * 16U << 8U) + 1, 6881);
}

Bytes query(Rng& rng, const QueryBody& body) {
  Query query;
  const Bytes txid = to_bytes(as_bytes("ab"));
  query.txid = txid;
  query.sender = rng.tagged<DhtId>();
  query.body = body;
  return encode(query);
}

class Bench {
 public:
  explicit Bench(bool are_sources_limited) : dht_(config(are_sources_limited), Rng(1), quiet()) {
    dht_.start(now_, {}, out_);
  }

  void prepare() {
    for (unsigned n = 0; n < kNodes; ++n) list(n, rng_.tagged<DhtId>());
    for (unsigned n = 0; n < kKeys; ++n) announce(n);
  }

  // Everything there may be: nodes and spares in every bucket that can have some, proven sources,
  // budgets of tens of thousands of sources; then peers and items.
  void fill() {
    const double before = private_kib();
    const DhtId own = dht_.stats().id;
    unsigned n = 0;
    for (unsigned bits = 0; bits < kDeepestBucket; ++bits) {
      const unsigned wanted = bits < 3 ? kWideBucketSize * 2 : kBucketSize * 3;
      for (unsigned i = 0; i < wanted; ++i) list(n++, random_id_sharing(own, bits, rng_));
    }
    const Bytes ping = query(rng_, Ping{});
    for (std::uint32_t i = 0; i < kRegions * kHostsOfRegion; ++i) {
      now_ += 50us;
      dht_.on_datagram(now_, source(i % kRegions, i / kRegions), ping, out_);
      out_.clear();
    }
    std::printf("table of %u nodes and budgets     %7.0f KiB\n", dht_.stats().nodes,
                private_kib() - before);
    std::uint32_t host = 0;
    for (std::size_t key = 0; key < kStoreKeysMax; ++key) {
      const DhtId id = rng_.tagged<DhtId>();
      for (std::size_t i = 0; i < kStorePeersTotalMax / kStoreKeysMax; ++i) {
        now_ += 500us;
        if (dht_.deadline() <= now_) dht_.on_time(now_, out_);
        put_peer(id, anywhere(host++));
      }
    }
    for (std::size_t i = 0; i < kItemsMax; ++i) {
      now_ += 20ms;
      put_value(i, anywhere(host++));
    }
    const Stats stats = dht_.stats();
    std::printf("and %u keys, %u peers, %u items %7.1f MiB\n", stats.stored_keys,
                stats.stored_peers, stats.stored_items, (private_kib() - before) / 1024);
  }

  void run(const char* name) {
    std::vector<Bytes> queries;
    for (unsigned n = 0; n < 3'000; ++n) {
      QueryBody body = Ping{};
      if (n % 3 == 1) body = FindNode{rng_.tagged<DhtId>()};
      if (n % 3 == 2) body = GetPeers{n % 2 == 0 ? keys_[n % kKeys] : rng_.tagged<DhtId>()};
      queries.push_back(query(rng_, body));
    }
    const std::uint64_t bytes_before = dht_.stats().bytes_out;
    std::size_t answers = 0;
    const double cpu_before = cpu_seconds();
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < kQueriesCount; ++i) {
      now_ += Duration(static_cast<std::int64_t>(static_cast<double>(i + 1) * 1e6 / kRate) -
                       static_cast<std::int64_t>(static_cast<double>(i) * 1e6 / kRate));
      // Steps without a common divisor go through all of them.
      const auto region = static_cast<std::uint32_t>(i * 7 % kRegions);
      const auto host = static_cast<std::uint32_t>(i / kRegions % kHostsOfRegion);
      dht_.on_datagram(now_, source(region, host), queries[i % queries.size()], out_);
      answers += out_.empty() ? 0U : 1U;
      out_.clear();
      if (dht_.deadline() <= now_) dht_.on_time(now_, out_);
      out_.clear();
    }
    const double wall =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const double cpu = cpu_seconds() - cpu_before;
    const auto count = static_cast<double>(answers);
    std::printf("%-28s %8.0f answers/s %6.2f us CPU each, %4.1f %% refused, %3.0f bytes each\n",
                name, count / wall, cpu / count * 1e6,
                100.0 - 100.0 * count / static_cast<double>(kQueriesCount),
                static_cast<double>(dht_.stats().bytes_out - bytes_before) / count);
  }

 private:
  static Config config(bool are_sources_limited) {
    Config result;
    result.special_use_is_global = true;
    result.are_sources_limited = are_sources_limited;
    return result;
  }

  static double private_kib() {
    std::ifstream file("/proc/self/smaps_rollup");
    double sum = 0;
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("Private_")) sum += std::stod(line.substr(line.find(':') + 1));
    }
    return sum;
  }
  // Spread over most of the address space.
  static Endpoint anywhere(std::uint32_t n) {
    return Endpoint::v4(0x10000000U + n * 2'654'435'761U % 0xb0000000U, 7000);
  }
  // The token that a query is answered with.
  Bytes token_for(const Endpoint& from, const QueryBody& body) {
    Bytes token;
    dht_.on_datagram(now_, from, query(rng_, body), out_);
    for (const Effect& effect : std::exchange(out_, {})) {
      const auto* sent = std::get_if<SendDatagram>(&effect);
      const auto message = decode(sent->bytes);
      const auto* reply = message ? std::get_if<Reply>(&*message) : nullptr;
      if (reply != nullptr) token = to_bytes(reply->token);
    }
    return token;
  }
  void put_peer(const DhtId& key, const Endpoint& from) {
    const Bytes token = token_for(from, GetPeers{key});
    dht_.on_datagram(now_, from, query(rng_, AnnouncePeer{key, 7000, false, token}), out_);
    out_.clear();
  }
  void put_value(std::size_t n, const Endpoint& from) {
    std::string text = "990:" + std::to_string(n);
    text.resize(994, 'x');
    const Item item = immutable_item(as_bytes(text));
    Put put;
    put.value = item.value;
    const Bytes token = token_for(from, Get{item_target(item), std::nullopt});
    put.token = token;
    dht_.on_datagram(now_, from, query(rng_, put), out_);
    out_.clear();
  }

  // A node asks us, and answers the ping it gets.
  void list(unsigned n, const DhtId& id) {
    const Endpoint from = Endpoint::v4(0xa0000001U + (n << 16U), 7000);
    now_ += 200ms;
    Query ask;
    ask.txid = as_bytes("aa");
    ask.sender = id;
    ask.body = Ping{};
    dht_.on_datagram(now_, from, encode(ask), out_);
    Effects effects;
    effects.swap(out_);
    for (const Effect& effect : effects) {
      const auto* sent = std::get_if<SendDatagram>(&effect);
      if (sent == nullptr) continue;
      const auto message = decode(sent->bytes);
      PN_CHECK(message.has_value());
      const auto* asked = std::get_if<Query>(&*message);
      if (asked == nullptr || sent->to != from) continue;
      Reply reply;
      reply.txid = asked->txid;
      reply.sender = id;
      dht_.on_datagram(now_, from, encode(reply), out_);
    }
    out_.clear();
  }

  void announce(unsigned n) {
    keys_.push_back(rng_.tagged<DhtId>());
    for (unsigned peer = 0; peer < kPeersOfKey; ++peer) {
      now_ += 1ms;
      put_peer(keys_.back(), Endpoint::v4(0xb0000001U + (peer << 16U) + (n << 4U), 7000));
    }
  }

  Rng rng_{2};
  Time now_{std::chrono::seconds(1000)};
  Effects out_;
  Dht dht_;
  std::vector<DhtId> keys_;
};

// What a datagram costs a node of a private network that comes from a stranger.
void run_strangers(std::size_t size) {
  Config config;
  config.network_key = Key(std::array<std::uint8_t, 32>{7});
  Dht dht(config, Rng(1), quiet());
  const Time now{std::chrono::seconds(1000)};
  dht.on_wall_clock(now, {});
  Effects out;
  dht.start(now, {}, out);
  Rng rng(3);
  Bytes datagram(size);
  constexpr std::size_t kCount = 300'000;
  const double cpu_before = cpu_seconds();
  for (std::size_t i = 0; i < kCount; ++i) {
    rng.fill(std::span(datagram).first(8));
    dht.on_datagram(now, source(static_cast<std::uint32_t>(i % kRegions), 1), datagram, out);
  }
  PN_CHECK(out.empty());
  std::printf("stranger's datagram, %4zu B   %.2f us CPU each, no answer\n", size,
              (cpu_seconds() - cpu_before) / static_cast<double>(kCount) * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  crypto_start();
  if (argc == 2 && std::strcmp(argv[1], "memory") == 0) {
    Bench(true).fill();
    return 0;
  }
  for (const bool are_limited : {true, false}) {
    Bench bench(are_limited);
    bench.prepare();
    bench.run(are_limited ? "limits as they are" : "no limits per source");
  }
  run_strangers(100);
  run_strangers(1'400);
  return 0;
}
