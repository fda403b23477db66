// A bare DHT node for measuring: the engine and its sockets, nothing else. Commands come as lines
// on stdin, events leave as lines on stdout, each flushed, with microseconds of the monotonic
// clock. README.md has both.

#include <sodium.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>
#include <uv.h>

#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/crypto.h"
#include "daemon/uv/address.h"
#include "daemon/uv/clock.h"
#include "daemon/uv/udp.h"
#include "dht/dht.h"

namespace peernet::bench {
namespace {

constexpr int kExitUsage = 2;
constexpr std::size_t kLineSizeMax = 4096;

struct Arguments {
  Endpoint listen;
  dht::Config dht;
};

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::optional<dht::BootstrapName> parse_bootstrap(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port || *port == 0) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return dht::BootstrapName{std::string(host), *port};
}

std::optional<Arguments> parse_arguments(const std::vector<std::string_view>& given) {
  if (given.size() != 3 && given.size() != 4) return std::nullopt;
  Arguments arguments;
  const std::string host(given[0]);
  const bool is_v6 = host.find(':') != std::string::npos;
  const auto listen =
      Endpoint::parse((is_v6 ? "[" + host + "]" : host) + ":" + std::string(given[1]));
  if (!listen) return std::nullopt;
  arguments.listen = *listen;
  std::string_view names = given[2] == "-" ? std::string_view() : given[2];
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    auto name = parse_bootstrap(names.substr(0, comma));
    if (!name) return std::nullopt;
    arguments.dht.bootstrap.push_back(*std::move(name));
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  if (given.size() == 4) {
    if (given[3] != "--special-use-is-global") return std::nullopt;
    arguments.dht.special_use_is_global = true;
  }
  return arguments;
}

std::uint64_t now_us() {
  return uv_hrtime() / 1000;
}

void tell(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

std::shared_ptr<Log> silent_log() {
  return std::make_shared<Log>("dhtnode", std::make_shared<spdlog::sinks::null_sink_st>());
}

Rng system_rng() {
  Rng::Seed seed{};
  randombytes_buf(seed.data(), seed.size());
  return Rng(seed);
}

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
class DhtNode final : private daemon::Udp::Inputs {
 public:
  explicit DhtNode(dht::Config config)
      : log_(silent_log()),
        dht_(std::move(config), system_rng(), *log_),
        loop_(uv_default_loop()),
        udp_(loop_, *this) {
    uv_timer_init(loop_, &timer_);
    timer_.data = this;
  }
  ~DhtNode() = default;
  DhtNode(const DhtNode&) = delete;
  DhtNode& operator=(const DhtNode&) = delete;

  Result<Endpoint> listen(const Endpoint& endpoint) { return udp_.listen(endpoint); }
  // Before the end, whatever happened: the sockets must be gone.
  void close() {
    quit();
    uv_run(loop_, UV_RUN_DEFAULT);
  }

  void run() {
    dht_.start(clock_.now(), {}, out_);
    tell("UP " + std::to_string(now_us()));
    watch_input();
    carry_out();
    uv_run(loop_, UV_RUN_DEFAULT);
  }

 private:
  struct Resolution {
    uv_getaddrinfo_t request{};
    DhtNode* node = nullptr;
    JobId job{};
  };

  void on_datagram(const Endpoint& from, BytesView bytes) override {
    dht_.on_datagram(clock_.now(), from, bytes, out_);
  }

  // What an effect causes at once is carried out in the same call.
  void carry_out() override {
    if (is_over_) return;
    while (!out_.empty()) {
      doing_.swap(out_);
      for (Effect& effect : doing_) {
        if (auto* datagram = std::get_if<SendDatagram>(&effect)) udp_.send(std::move(*datagram));
        if (const auto* name = std::get_if<Resolve>(&effect)) resolve(*name);
      }
      doing_.clear();
    }
    udp_.flush();
    while (const auto event = dht_.next_event()) tell_event(*event);
    const Time due = dht_.deadline();
    if (due == timer_due_) return;
    timer_due_ = due;
    uv_timer_start(&timer_, on_timer, clock_.milliseconds_until(due, loop_), 0);
  }

  // NOLINTNEXTLINE(bugprone-exception-escape): it would end the process
  static void on_timer(uv_timer_t* handle) noexcept {
    auto& self = *static_cast<DhtNode*>(handle->data);
    self.timer_due_ = kNever;
    const Time now = self.clock_.now();
    if (now >= self.dht_.deadline()) self.dht_.on_time(now, self.out_);
    self.carry_out();
  }

  static void tell_event(const dht::Event& event) {
    const std::string now = std::to_string(now_us());
    std::visit(
        Overloaded{
            [&](const dht::PeersFound& found) {
              tell("P " + to_hex(found.key.view()) + " " + now + " " +
                   std::to_string(found.peers.size()));
            },
            [&](const dht::LookupDone& done) { tell("D " + to_hex(done.key.view()) + " " + now); },
            [](const auto&) {},
        },
        event);
  }

  void resolve(const Resolve& wanted) {
    auto resolution = std::make_unique<Resolution>();
    resolution->request.data = resolution.get();
    resolution->node = this;
    resolution->job = wanted.job;
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    const std::string port = std::to_string(wanted.port);
    const int status = uv_getaddrinfo(loop_, &resolution->request, on_resolved, wanted.host.c_str(),
                                      port.c_str(), &hints);
    if (status != 0) {
      dht_.on_resolved(clock_.now(), wanted.job, {}, out_);
      return;
    }
    static_cast<void>(resolution.release());  // comes back in on_resolved
  }

  // NOLINTNEXTLINE(bugprone-exception-escape): it would end the process
  static void on_resolved(uv_getaddrinfo_t* request, int status, addrinfo* found) noexcept {
    const std::unique_ptr<Resolution> resolution(static_cast<Resolution*>(request->data));
    DhtNode& self = *resolution->node;
    std::vector<Endpoint> endpoints;
    for (const addrinfo* one = status == 0 ? found : nullptr; one != nullptr; one = one->ai_next) {
      if (endpoints.size() < kResolvedMax) {
        endpoints.push_back(daemon::from_socket_address(one->ai_addr));
      }
    }
    uv_freeaddrinfo(found);
    if (self.is_over_) return;
    self.dht_.on_resolved(self.clock_.now(), resolution->job, endpoints, self.out_);
    self.carry_out();
  }

  // ---- Commands

  // A pipe, a socket or a terminal. Anything else has no commands, and the node runs until a
  // signal ends it.
  void watch_input() {
    if (uv_poll_init(loop_, &input_, STDIN_FILENO) != 0) return;
    input_.data = this;
    is_input_open_ = true;
    uv_poll_start(&input_, UV_READABLE, on_input);
  }

  // NOLINTNEXTLINE(bugprone-exception-escape): it would end the process
  static void on_input(uv_poll_t* handle, int /*status*/, int /*events*/) noexcept {
    auto& self = *static_cast<DhtNode*>(handle->data);
    std::array<char, kLineSizeMax> buffer{};
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) {
      self.quit();  // whoever had started us is gone
      return;
    }
    self.input_text_.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t end = 0;
    while (!self.is_over_ && (end = self.input_text_.find('\n')) != std::string::npos) {
      const std::string line = self.input_text_.substr(0, end);
      self.input_text_.erase(0, end + 1);
      self.on_command(line);
    }
    if (self.input_text_.size() > kLineSizeMax) self.input_text_.clear();
    self.carry_out();
  }

  void on_command(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
      const std::size_t size = std::min(line.find_first_of(" \r"), line.size());
      if (size > 0) words.push_back(line.substr(0, size));
      line.remove_prefix(std::min(size + 1, line.size()));
    }
    if (words.empty()) return;
    if (words[0] == "Q" && words.size() == 1) return quit();
    if (words[0] == "S" && words.size() == 1) return tell_stats();
    const auto key = words.size() > 1 ? parse_key(words[1]) : std::nullopt;
    if (words[0] == "G" && words.size() == 2 && key) {
      tell("T " + to_hex(key->view()) + " " + std::to_string(now_us()));
      return dht_.get_peers(clock_.now(), *key, out_);
    }
    const auto port = words.size() == 3 ? parse_port(words[2]) : std::nullopt;
    if (words[0] == "A" && key && port && *port != 0) {
      tell("T " + to_hex(key->view()) + " " + std::to_string(now_us()));
      return dht_.announce(clock_.now(), *key, *port, false, out_);
    }
    std::fprintf(stderr, "commands: A <hex20> <port>, G <hex20>, S, Q\n");
  }

  static std::optional<DhtId> parse_key(std::string_view text) {
    const auto bytes = from_hex(text);
    DhtId key;
    if (!bytes || bytes->size() != key.bytes.size()) return std::nullopt;
    std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
    return key;
  }

  void tell_stats() const {
    const dht::Stats stats = dht_.stats();
    tell("S " + std::to_string(now_us()) + " dht_nodes=" + std::to_string(stats.nodes) +
         " queries=" + std::to_string(stats.queries_out) +
         " bytes_out=" + std::to_string(stats.bytes_out));
  }

  void quit() {
    if (std::exchange(is_over_, true)) return;
    udp_.close_all();
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    if (is_input_open_) uv_close(reinterpret_cast<uv_handle_t*>(&input_), nullptr);
  }

  std::shared_ptr<Log> log_;
  daemon::MonotonicClock clock_;
  dht::Dht dht_;
  uv_loop_t* loop_;
  daemon::Udp udp_;
  uv_timer_t timer_{};
  uv_poll_t input_{};
  Effects out_;
  Effects doing_;
  Time timer_due_ = kNever;
  std::string input_text_;
  bool is_input_open_ = false;
  bool is_over_ = false;
};

int run(const std::vector<std::string_view>& given) {
  auto arguments = parse_arguments(given);
  if (!arguments) {
    std::fprintf(stderr,
                 "usage: peernet-dhtnode IP PORT BOOTHOST:PORT[,HOST:PORT...]|- "
                 "[--special-use-is-global]\n");
    return kExitUsage;
  }
  crypto_start();
  DhtNode node(std::move(arguments->dht));
  const auto bound = node.listen(arguments->listen);
  if (!bound) {
    std::fprintf(stderr, "peernet-dhtnode: %s\n", bound.error().what.c_str());
    node.close();
    return 1;
  }
  node.run();
  return 0;
}

}  // namespace
}  // namespace peernet::bench

// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  return peernet::bench::run({argv + 1, argv + argc});
}
