// How many queries a second the DHT engine answers on one core, driven in process: ping, find_node
// and get_peers in turn, from hosts in 2,000 networks of /16, with a table of 200 nodes, 1,000 keys
// kept for others, and every limit on. Then the same without the limits per source, so that
// every answer is whole.

#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <vector>

#include "core/check.h"
#include "core/rng.h"
#include "dht/dht.h"
#include "dht/krpc.h"

namespace {

using namespace peernet;
using namespace peernet::dht;
using namespace std::chrono_literals;

constexpr std::uint32_t kRegions = 2'000;
constexpr std::uint32_t kHostsOfRegion = 16;
constexpr unsigned kNodes = 200;
constexpr unsigned kKeys = 1'000;
constexpr unsigned kPeersOfKey = 20;
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
    for (unsigned n = 0; n < kNodes; ++n) list(n);
    for (unsigned n = 0; n < kKeys; ++n) announce(n);
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

  // A node asks us, and answers the ping it gets.
  void list(unsigned n) {
    const Endpoint from = Endpoint::v4(0xa0000001U + (n << 16U), 7000);
    const DhtId id = rng_.tagged<DhtId>();
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
      const Endpoint from = Endpoint::v4(0xb0000001U + (peer << 16U) + (n << 4U), 7000);
      dht_.on_datagram(now_, from, query(rng_, GetPeers{keys_.back()}), out_);
      for (const Effect& effect : std::exchange(out_, {})) {
        const auto* sent = std::get_if<SendDatagram>(&effect);
        if (sent == nullptr) continue;
        const auto message = decode(sent->bytes);
        const auto* reply = message ? std::get_if<Reply>(&*message) : nullptr;
        if (reply == nullptr) continue;
        dht_.on_datagram(now_, from,
                         query(rng_, AnnouncePeer{keys_.back(), 7000, false, reply->token}), out_);
      }
      out_.clear();
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

int main() {
  crypto_start();
  Bench(true).run("limits as they are");
  Bench(false).run("no limits per source");
  run_strangers(100);
  run_strangers(1'400);
  return 0;
}
