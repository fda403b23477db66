// A node that is fed datagrams, answers to its own queries, time and commands, as the input says.
// Whatever comes, it sends nothing too long, asks for time only in the future, and stays within its
// limits.

#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "core/check.h"
#include "core/codec.h"
#include "dht/dht.h"
#include "dht/item.h"
#include "dht/krpc.h"

namespace peernet::dht {
namespace {

constexpr std::size_t kStepsMax = 128;
constexpr std::size_t kWakesMax = 32;
constexpr std::size_t kQueriesKept = 64;

// All of this process: what a run was worth, told at its end.
std::uint64_t datagrams_count = 0;  // NOLINT

struct Asked {
  Endpoint to;
  Bytes txid;
};

class Fuzz {
 public:
  explicit Fuzz(Reader& input) : input_(input), dht_(config(input.u8()), Rng(1), log()) {
    dht_.start(now_, {}, out_);
    settle();
  }

  void check() const {
    PN_CHECK(dht_.snapshot().nodes.size() <= kRememberedMax);
    PN_CHECK(dht_.stats().nodes <= kIdBits * kBucketSize);
  }

  void step() {
    switch (input_.u8() % 8) {
      case 0:
      case 1: datagram(); break;
      case 2:
      case 3: answer(); break;
      case 4: pass(); break;
      case 5: dht_.get_peers(now_, id(), out_); break;
      case 6: dht_.announce(now_, id(), input_.u16(), input_.u8() % 2 == 0, out_); break;
      case 7: rare(); break;
    }
    settle();
  }

 private:
  static Log& log() {
    static spdlog::logger logger("fuzz", std::make_shared<spdlog::sinks::null_sink_st>());
    return logger;
  }
  static Config config(std::uint8_t choice) {
    Config result;
    if (choice % 2 == 0) result.bootstrap.push_back({"10.0.0.1", 7000});
    if (choice % 4 < 2) result.bootstrap.push_back({"seed.example", 7000});
    result.special_use_is_global = choice % 8 >= 4;
    return result;
  }

  DhtId id() {
    // Few different ones, so that they meet; some share many bits with ours.
    const std::uint8_t choice = input_.u8();
    DhtId result = choice % 2 == 0 ? dht_.stats().id : DhtId{};
    result.bytes[choice / 2 % DhtId::kSize] ^= input_.u8();
    return result;
  }
  Endpoint endpoint() {
    const std::uint8_t kind = input_.u8();
    const std::uint32_t low = input_.u8();
    const std::uint32_t first = kind % 4 == 0 ? 10U : kind % 4 == 1 ? 127U : kind;
    return Endpoint::v4(first << 24U | low << 16U | (low & 3U), kind == 255 ? 80 : 7000);
  }

  // One of few, so that a search may find what was put.
  Item some_item() {
    const std::uint8_t choice = input_.u8();
    const Bytes value = to_bytes(as_bytes(choice % 3 == 0 ? "1:a" : "d1:ai1ee"));
    if (choice % 2 == 0) return immutable_item(value);
    return mutable_item(Key{}, BytesView(value).first(choice % 4), choice / 4 % 4, value);
  }

  void datagram() {
    const Endpoint from = endpoint();
    const std::size_t size = std::min<std::size_t>(input_.u16(), input_.remaining());
    ++datagrams_count;
    dht_.on_datagram(now_, from, input_.bytes(size), out_);
  }

  // To a query that was sent, mostly as it should be.
  void answer() {
    if (asked_.empty()) return;
    const Asked asked = asked_[input_.u8() % asked_.size()];
    const std::uint8_t choice = input_.u8();
    Reply reply;
    reply.txid = asked.txid;
    reply.sender = id();
    const Bytes token(choice % 32, 7);
    reply.token = token;
    for (int i = choice % 16; i > 0; --i) reply.nodes.push_back({id(), endpoint()});
    for (int i = choice / 32; i > 0; --i) reply.values.push_back(endpoint());
    const Item item = some_item();
    if (choice % 3 == 0) {
      reply.value = item.value;
      reply.key = item.key;
      if (item.key) reply.seq = item.seq;
      if (item.key) reply.signature = item.signature;
    }
    const Endpoint from = choice == 255 ? endpoint() : asked.to;
    const bool is_error = choice == 254;
    const Bytes bytes = is_error ? encode(ErrorReply{asked.txid, 203, "no"}) : encode(reply);
    ++datagrams_count;
    dht_.on_datagram(now_, from, bytes, out_);
  }

  void pass() {
    const Time end = now_ + std::chrono::milliseconds(std::int64_t{input_.u8()} * input_.u8() * 16);
    for (std::size_t i = 0; i < kWakesMax && dht_.deadline() <= end; ++i) {
      now_ = std::max(now_, dht_.deadline());
      dht_.on_time(now_, out_);
      PN_CHECK(dht_.deadline() > now_);
      settle();
    }
    now_ = end;
  }

  void rare() {
    switch (input_.u8() % 5) {
      case 0: dht_.forget(id()); break;
      case 1: dht_.add_node(now_, endpoint(), out_); break;
      case 2:
        if (job_) dht_.on_resolved(now_, *job_, {endpoint(), endpoint()}, out_);
        break;
      case 3: {
        const Item item = some_item();
        dht_.get_item(now_, item_target(item), item.salt, out_);
        break;
      }
      case 4: PN_CHECK(dht_.put_item(now_, some_item(), std::nullopt, out_)); break;
    }
  }

  void settle() {
    for (const Effect& effect : out_) {
      if (const auto* resolve = std::get_if<Resolve>(&effect)) {
        job_ = resolve->job;
        continue;
      }
      const auto* sent = std::get_if<SendDatagram>(&effect);
      PN_CHECK(sent != nullptr);
      PN_CHECK(sent->to.is_usable() && !sent->to.is_v6);
      const auto message = decode(sent->bytes);
      PN_CHECK(message.has_value());
      const auto* query = std::get_if<Query>(&*message);
      const bool is_put = query != nullptr && std::holds_alternative<Put>(query->body);
      PN_CHECK(sent->bytes.size() <= (is_put ? kPutOutMax : kDatagramOutMax));
      if (query != nullptr) {
        if (asked_.size() >= kQueriesKept) asked_.erase(asked_.begin());
        asked_.push_back({sent->to, to_bytes(query->txid)});
      }
    }
    out_.clear();
    while (dht_.next_event()) {
    }
  }

  Reader& input_;
  Dht dht_;
  Effects out_;
  Time now_{std::chrono::seconds(1000)};
  std::vector<Asked> asked_;
  std::optional<JobId> job_;
};

}  // namespace
}  // namespace peernet::dht

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  [[maybe_unused]] static const int is_told = std::atexit([] {
    std::fprintf(stderr, "%llu datagrams\n",
                 static_cast<unsigned long long>(peernet::dht::datagrams_count));
  });
  peernet::Reader input({data, size});
  peernet::dht::Fuzz fuzz(input);
  for (std::size_t i = 0; i < peernet::dht::kStepsMax && input.ok() && input.remaining() > 0; ++i)
    fuzz.step();
  fuzz.check();
  return 0;
}
