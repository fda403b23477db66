#include "daemon/uv/loop.h"

#include <spdlog/spdlog.h>

#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>
#include <variant>

#include "core/check.h"
#include "daemon/uv/address.h"
#include "daemon/uv/handles.h"
#include "daemon/uv/interfaces.h"
#include "daemon/uv/process.h"

namespace peernet::daemon {
namespace {

// A turn with more of them is rare, such as the start with many shares, and leaves no room behind.
constexpr std::size_t kEffectsKept = 128;

}  // namespace

struct Loop::Resolution {
  uv_getaddrinfo_t request{};
  Loop* loop = nullptr;
  JobId job{};
};

Loop::Turn::Turn() {
  PN_CHECK(uv_loop_init(&loop) == 0);
}

Loop::Loop(StoragePlace place, const ControlLimits& limits, Log& log)
    : log_(log),
      tcp_(&turn_.loop, clock_, *this),
      udp_(&turn_.loop, *this),
      multicast_(&turn_.loop, *this),
      disk_(&turn_.loop, std::move(place), *this),
      control_(&turn_.loop, clock_, *this, limits),
      hooks_(&turn_.loop, clock_, log, *this),
      saver_(&turn_.loop, [this] { carry_out(); }) {
  uv_timer_init(&turn_.loop, &timer_);
  timer_.data = this;
}

Loop::~Loop() {
  close_handles();
  // What a callback left behind would be a handle that somebody still points to.
  PN_CHECK(uv_loop_close(&turn_.loop) == 0);
}

// ---- Start
// --------------------------------------------------------------------------------------

Result<std::uint16_t> Loop::listen(const std::vector<Endpoint>& endpoints, bool may_skip) {
  const bool is_any_free = std::any_of(endpoints.begin(), endpoints.end(),
                                       [](const Endpoint& one) { return one.port == 0; });
  for (int tries = 1;; ++tries) {
    auto port = try_listen(endpoints, may_skip);
    if (port) return port;
    const bool is_again = is_any_free && port.error().code == Errc::exists;
    tcp_.stop_listening();
    udp_.close_all();
    if (is_again && tries < kPortTriesMax) continue;
    if (port.error().code != Errc::exists) return port;
    return Error{Errc::exists, port.error().what,
                 "stop the program that has the port, or name another one in the config: "
                 "\"listen\": [\"0.0.0.0:0\", \"[::]:0\"] takes any"};
  }
}

Result<std::uint16_t> Loop::try_listen(const std::vector<Endpoint>& endpoints, bool may_skip) {
  std::uint16_t free_port = 0;
  std::optional<std::uint16_t> first;
  std::optional<Error> skipped;
  for (Endpoint endpoint : endpoints) {
    const bool is_free = endpoint.port == 0;
    if (is_free) endpoint.port = free_port;
    auto tcp = tcp_.listen(endpoint);
    if (!tcp && may_skip && tcp.error().code == Errc::unavailable) {
      log_.debug("not listening on {}: {}", endpoint.to_string(), tcp.error().what);
      skipped = tcp.error();
      continue;
    }
    if (!tcp) return tcp.error();
    auto udp = udp_.listen(*tcp);
    if (!udp) return udp.error();
    if (is_free) free_port = tcp->port;
    if (!first) first = tcp->port;
  }
  if (first) return *first;
  return skipped.value_or(Error{Errc::unavailable, "there is no address to listen on", ""});
}

Loop::Ending Loop::run(Parts parts, Saved saved) {
  PN_CHECK(!is_closed_ && !is_running_);
  parts_ = std::move(parts);
  is_running_ = true;
  watch_signals();
  const WallTime wall = wall_now();
  parts_.rpc->on_wall_clock(now(), wall);
  parts_.node->start(now(), wall, saved, out_);
  saved = {};  // the engines have their own
  tell_wall_clock(true);
  carry_out();
  parts_.on_ready();
  carry_out();
  uv_run(&turn_.loop, UV_RUN_DEFAULT);
  is_running_ = false;
  return ending_;
}

void Loop::watch_signals() {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    auto handle = std::make_unique<uv_signal_t>();
    uv_signal_init(&turn_.loop, handle.get());
    handle->data = this;
    uv_signal_start(handle.get(), on_signal, number);
    signals_.push_back(std::move(handle));
  }
}

// In these an exception would end the process, as it should.
// NOLINTNEXTLINE(bugprone-exception-escape)
void Loop::on_signal(uv_signal_t* handle, int number) noexcept {
  auto& self = *static_cast<Loop*>(handle->data);
  if (number == SIGHUP) {
    if (self.parts_.on_reload) self.parts_.on_reload(self.now(), self.out_);
    self.carry_out();
    return;
  }
  // The second one is from somebody who does not want to wait.
  if (self.stop_due_ != kNever) _exit(1);
  self.log_.info("stopping");
  self.stop();
  self.carry_out();
}

// ---- Inputs
// -------------------------------------------------------------------------------------

std::optional<ConnId> Loop::on_accepted(const Endpoint& from) {
  if (!is_running_) return std::nullopt;
  return parts_.node->on_accepted(now(), from, out_);
}

void Loop::on_connected(ConnId conn) {
  parts_.node->on_connected(now(), conn, out_);
}

void Loop::on_bytes(ConnId conn, BytesView bytes) {
  parts_.node->on_bytes(now(), conn, bytes, out_);
}

void Loop::on_sent(ConnId conn, std::size_t bytes_unsent) {
  parts_.node->on_sent(now(), conn, bytes_unsent, out_);
}

void Loop::on_closed(ConnId conn, const Error& why) {
  parts_.node->on_closed(now(), conn, why, out_);
}

void Loop::on_datagram(const Endpoint& from, BytesView bytes) {
  if (is_running_) parts_.node->on_datagram(now(), from, bytes, out_);
}

void Loop::on_multicast(const Endpoint& from, BytesView bytes) {
  if (is_running_) parts_.node->on_multicast(now(), from, bytes, out_);
}

void Loop::on_file(JobId job, FileResult result) {
  parts_.node->on_file(now(), job, std::move(result), out_);
}

void Loop::on_line(ClientId client, std::string_view line) {
  if (is_running_) parts_.rpc->on_line(now(), client, line, *parts_.node, out_);
}

void Loop::on_client_gone(ClientId client) {
  if (is_running_) parts_.rpc->on_client_gone(now(), client, *parts_.node, out_);
}

void Loop::on_hook(JobId job, HookResult result) {
  if (is_running_) parts_.node->on_hook(now(), job, result, out_);
}

bool Loop::is_idle_allowed(ClientId client) const {
  return is_running_ && parts_.rpc->is_idle_allowed(client);
}

// NOLINTNEXTLINE(bugprone-exception-escape)
void Loop::on_timer(uv_timer_t* handle) noexcept {
  auto& self = *static_cast<Loop*>(handle->data);
  const Time now = self.now();
  if (self.timer_due_ != Time{}) self.lag_.add(std::max(Duration{}, now - self.timer_due_));
  self.timer_due_ = kNever;
  if (self.parts_.on_alive && now >= self.alive_due_) {
    self.parts_.on_alive();
    self.alive_due_ = now + self.parts_.alive_interval;
  }
  self.tell_wall_clock(false);
  self.tcp_.on_time(now);
  self.control_.on_time(now);
  self.hooks_.on_time(now);
  for (const JobId job : std::exchange(self.unresolved_, {})) {
    self.parts_.node->on_resolved(now, job, {}, self.out_);
  }
  if (self.parts_.rpc->deadline() <= now) {
    self.parts_.rpc->on_time(now, *self.parts_.node, self.out_);
  }
  if (self.parts_.node->deadline() <= now) self.parts_.node->on_time(now, self.out_);
  self.carry_out();
}

// Every minute, and when the wall clock was set or the machine has slept.
void Loop::tell_wall_clock(bool is_forced) {
  const Time time = now();
  const WallTime wall = wall_now();
  const Duration offset = std::chrono::milliseconds(wall.unix_ms) - time.time_since_epoch();
  const bool is_jump = std::chrono::abs(offset - wall_offset_) > kWallClockJump;
  if (!is_forced && !is_jump && time < wall_due_) return;
  wall_offset_ = offset;
  wall_due_ = time + kWallClockInterval;
  parts_.node->on_wall_clock(time, wall);
  parts_.rpc->on_wall_clock(time, wall);
  std::vector<Endpoint> own;
  for (const InterfaceAddress& one : interface_addresses()) own.push_back(one.address);
  parts_.node->on_own_addresses(time, own);
  if (multicast_.is_started()) multicast_.refresh();
  tell_drops();
  give_back_free_memory();
}

// What came faster than it was read: the one loss that this machine can do something about.
void Loop::tell_drops() {
  const Udp::KernelFacts facts = udp_.kernel_facts();
  if (facts.dropped <= datagrams_dropped_) return;
  log_.warn(
      "the kernel dropped {} datagrams that came faster than they were read (the receive "
      "buffer has {} bytes; net.core.rmem_max allows more)",
      facts.dropped - datagrams_dropped_, facts.receive_buffer_min);
  datagrams_dropped_ = facts.dropped;
}

// ---- Effects
// ------------------------------------------------------------------------------------

void Loop::carry_out() {
  if (!is_running_ || is_closed_) return;
  // Carrying out an effect queues, and never comes back here. What the disk has done at once may
  // have effects of its own; a peer's send queue ends that.
  do {
    doing_.swap(out_);
    for (Effect& effect : doing_) {
      std::visit([this](auto& one) { carry_out_one(std::move(one)); }, effect);
    }
    doing_.clear();
    if (doing_.capacity() > kEffectsKept) doing_ = Effects();
  } while (disk_.report_done());
  drain_events();
  tcp_.flush(now());
  udp_.flush();
  start_saving();
  for (Rpc::Reply& reply : parts_.rpc->take_replies()) control_.send(now(), std::move(reply));
  if (parts_.rpc->is_shutdown_wanted() && stop_due_ == kNever) {
    log_.info("stopping, as asked through the control socket");
    stop();
    carry_out();
    return;
  }
  if (stop_due_ != kNever && (is_ended() || now() >= stop_due_)) {
    end();
    return;
  }
  set_timer();
}

void Loop::drain_events() const {
  while (auto event = parts_.node->next_event()) {
    if (parts_.on_event) parts_.on_event(now(), *event);
    parts_.rpc->on_event(now(), *event, *parts_.node);
  }
  while (const auto event = parts_.node->next_dht_event()) {
    parts_.rpc->on_dht_event(now(), *event);
  }
}

void Loop::carry_out_one(const Resolve& effect) {
  auto resolution = std::make_unique<Resolution>();
  resolution->request.data = resolution.get();
  resolution->loop = this;
  resolution->job = effect.job;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  const std::string port = std::to_string(effect.port);
  const int status = uv_getaddrinfo(&turn_.loop, &resolution->request, on_resolved,
                                    effect.host.c_str(), port.c_str(), &hints);
  if (status != 0) {
    unresolved_.push_back(effect.job);
    return;
  }
  ++resolving_count_;
  static_cast<void>(resolution.release());  // comes back in on_resolved
}

// NOLINTNEXTLINE(bugprone-exception-escape)
void Loop::on_resolved(uv_getaddrinfo_t* request, int status, addrinfo* found) noexcept {
  const std::unique_ptr<Resolution> resolution(static_cast<Resolution*>(request->data));
  Loop& self = *resolution->loop;
  --self.resolving_count_;
  std::vector<Endpoint> endpoints;
  for (const addrinfo* one = status == 0 ? found : nullptr; one != nullptr; one = one->ai_next) {
    const Endpoint endpoint = from_socket_address(one->ai_addr);
    const bool is_new = std::find(endpoints.begin(), endpoints.end(), endpoint) == endpoints.end();
    if (is_new && endpoints.size() < kResolvedMax) endpoints.push_back(endpoint);
  }
  uv_freeaddrinfo(found);
  if (!self.is_running_ || self.is_closed_) return;
  self.parts_.node->on_resolved(self.now(), resolution->job, endpoints, self.out_);
  self.carry_out();
}

// Everything that waits goes in one commit; what comes meanwhile goes in the next.
void Loop::start_saving() {
  if (is_saving_ || saves_.empty()) return;
  is_saving_ = true;
  struct Commit {
    std::vector<JobId> jobs;
    std::vector<Record> records;
    Result<void> result;
  };
  auto commit = std::make_shared<Commit>();
  const auto count = static_cast<std::ptrdiff_t>(std::min(saves_.size(), kSavesMax));
  for (auto save = saves_.begin(); save != saves_.begin() + count; ++save) {
    commit->jobs.push_back(save->job);
    commit->records.push_back(std::move(save->record));
  }
  saves_.erase(saves_.begin(), saves_.begin() + count);
  if (saves_.empty()) saves_.shrink_to_fit();
  saver_.post({[commit, store = parts_.store] { commit->result = store->save(commit->records); },
               [this, commit] {
                 is_saving_ = false;
                 for (const JobId job : commit->jobs) {
                   parts_.node->on_saved(now(), job, commit->result, out_);
                 }
               }});
}

void Loop::set_timer() {
  Time due = std::min({parts_.node->deadline(), parts_.rpc->deadline(), tcp_.deadline(),
                       control_.deadline(), hooks_.deadline(), wall_due_, stop_due_});
  if (parts_.on_alive) due = std::min(due, alive_due_);
  if (!unresolved_.empty() || !out_.empty()) due = Time{};
  if (due == timer_due_) return;
  timer_due_ = due;
  uv_timer_start(&timer_, on_timer, clock_.milliseconds_until(due, &turn_.loop), 0);
}

// ---- Stop
// ---------------------------------------------------------------------------------------

void Loop::stop() {
  if (!is_running_ || stop_due_ != kNever) return;
  stop_due_ = now() + kStopTimeout;
  tcp_.stop_listening();
  hooks_.stop();
  parts_.node->stop(now(), out_);
}

// Every peer has heard our last word, every job has reported, every record is durable.
bool Loop::is_ended() const {
  return out_.empty() && tcp_.connections_count() == 0 && tcp_.lingering_count() == 0 &&
         disk_.is_idle() && hooks_.is_idle() && saves_.empty() && !is_saving_ &&
         control_.is_flushed();
}

void Loop::end() {
  const bool is_disk_done = disk_.is_idle() && saves_.empty() && !is_saving_;
  if (!is_disk_done) log_.error("the disk did not answer in time: leaving without it");
  const bool is_busy = resolving_count_ > 0 || !hooks_.is_idle();
  ending_ = !is_disk_done ? Ending::disk_hangs : is_busy ? Ending::threads_busy : Ending::clean;
  if (ending_ == Ending::clean) {
    close_handles();
  } else {
    uv_stop(&turn_.loop);
  }
}

void Loop::close_handles() {
  if (std::exchange(is_closed_, true)) return;
  tcp_.close_all();
  udp_.close_all();
  multicast_.close_all();
  control_.close_all();
  disk_.close();
  saver_.close();
  uv_close(as_handle(&timer_), nullptr);
  for (auto& handle : signals_) {
    uv_close(as_handle(handle.get()), nullptr);
  }
  // Inside run() the loop goes on until all callbacks were made; a loop that never ran goes here.
  if (!is_running_) uv_run(&turn_.loop, UV_RUN_DEFAULT);
}

}  // namespace peernet::daemon
