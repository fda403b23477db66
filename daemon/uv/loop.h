#pragma once

// Loop is the shell around Node: every libuv callback becomes one input, and carry_out() does the
// effects that came of it, hands the events to the RPC, and sets the one timer. It owns the
// sockets, the disk and the threads; Node, Rpc and Store are lent to run().

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/effects.h"
#include "core/log.h"
#include "daemon/node.h"
#include "daemon/rpc.h"
#include "daemon/store.h"
#include "daemon/uv/clock.h"
#include "daemon/uv/control.h"
#include "daemon/uv/disk.h"
#include "daemon/uv/hooks.h"
#include "daemon/uv/lag.h"
#include "daemon/uv/multicast.h"
#include "daemon/uv/tcp.h"
#include "daemon/uv/udp.h"
#include "daemon/uv/worker.h"

namespace peernet::daemon {

inline constexpr Duration kWallClockInterval = std::chrono::minutes(1);
inline constexpr Duration kWallClockJump = std::chrono::seconds(2);
// What has not ended this long after a stop is cut (a clean stop takes at most 5 s).
inline constexpr Duration kStopTimeout = std::chrono::milliseconds(4500);
inline constexpr std::size_t kSavesMax = 1024;  // records in one commit
// Tries to find a port that is free for TCP and UDP in all families.
inline constexpr int kPortTriesMax = 32;

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
class Loop final : private Tcp::Inputs,
                   private Udp::Inputs,
                   private Multicast::Inputs,
                   private Disk::Inputs,
                   private Control::Inputs,
                   private Hooks::Inputs {
 public:
  Loop(StoragePlace place, const ControlLimits& limits, Log& log);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Binds TCP and UDP on each endpoint, with one number for all that have port 0. Gives the port of
  // the first. With `may_skip`, a family that the machine lacks is left out, as long as one stays.
  Result<std::uint16_t> listen(const std::vector<Endpoint>& endpoints, bool may_skip);
  // Speaks and hears on the links of what it listens on. Requires: listen() went well.
  void join_multicast() { multicast_.start(tcp_.listeners()); }
  Result<void> listen_control(const std::string& path) { return control_.listen(path); }
  Result<std::string> adopt_control(Fd listening) { return control_.adopt(std::move(listening)); }

  void use_hooks(HookPrograms programs) { hooks_.configure(std::move(programs)); }

  // How late the timer is, at worst, in 99 of 100 turns.
  Duration lag_p99() const { return lag_.p99(); }
  const ControlRejects& control_rejects() const { return control_.rejects(); }

  struct Parts {
    Node* node = nullptr;
    Rpc* rpc = nullptr;
    Store* store = nullptr;
    std::function<void()> on_ready;                 // everything runs and the sockets answer
    std::function<void(Time, Effects&)> on_reload;  // SIGHUP
    std::function<void(Time, const transfer::Event&)> on_event;
    std::function<void()> on_alive;  // every `alive_interval`: the loop turns
    Duration alive_interval{};
  };
  enum class Ending : std::uint8_t {
    clean,
    threads_busy,  // a name is still being looked up, or a hook does not die: leave without
                   // destroying anything
    disk_hangs,    // likewise, and the last records may not be durable
  };
  // Until SIGTERM, SIGINT, a shutdown by RPC or stop().
  Ending run(Parts parts, Saved saved);
  // Ends run() cleanly; also from on_ready and on_event.
  void stop();

  Time now() const { return clock_.now(); }
  std::vector<Endpoint> listeners() const { return tcp_.listeners(); }

 private:
  struct Resolution;

  // Inputs.
  std::optional<ConnId> on_accepted(const Endpoint& from) override;
  void on_connected(ConnId conn) override;
  void on_bytes(ConnId conn, BytesView bytes) override;
  void on_sent(ConnId conn, std::size_t bytes_unsent) override;
  void on_closed(ConnId conn, const Error& why) override;
  void on_datagram(const Endpoint& from, BytesView bytes) override;
  void on_multicast(const Endpoint& from, BytesView bytes) override;
  void on_file(JobId job, FileResult result) override;
  void on_line(ClientId client, std::string_view line) override;
  void on_client_gone(ClientId client) override;
  bool is_idle_allowed(ClientId client) const override;
  void on_hook(JobId job, HookResult result) override;
  void carry_out() override;

  // NOLINTBEGIN(bugprone-exception-escape): an exception would end the process, as it should
  static void on_timer(uv_timer_t* handle) noexcept;
  static void on_signal(uv_signal_t* handle, int number) noexcept;
  static void on_resolved(uv_getaddrinfo_t* request, int status, addrinfo* found) noexcept;
  // NOLINTEND(bugprone-exception-escape)

  // Effects.
  void carry_out_one(SendDatagram effect) { udp_.send(std::move(effect)); }
  void carry_out_one(const SendMulticast& effect) { multicast_.send(effect.bytes); }
  void carry_out_one(const Connect& effect) { tcp_.connect(now(), effect.conn, effect.to); }
  void carry_out_one(Write effect) { tcp_.write(effect.conn, std::move(effect.bytes)); }
  void carry_out_one(const Close& effect) { tcp_.close(now(), effect.conn); }
  void carry_out_one(const PauseReading& effect) { tcp_.pause(effect.conn); }
  void carry_out_one(const ResumeReading& effect) { tcp_.resume(effect.conn); }
  void carry_out_one(const Resolve& effect);
  void carry_out_one(RunHook effect) { hooks_.start(std::move(effect)); }
  void carry_out_one(Save effect) { saves_.push_back(std::move(effect)); }
  template <class DiskEffect>
  void carry_out_one(DiskEffect effect) {
    disk_.start(std::move(effect));
  }

  Result<std::uint16_t> try_listen(const std::vector<Endpoint>& endpoints, bool may_skip);
  void watch_signals();
  void drain_events() const;
  void start_saving();
  void tell_wall_clock(bool is_forced);
  void tell_drops();
  void set_timer();
  bool is_ended() const;
  void end();
  void close_handles();

  // Made before all that registers with it.
  struct Turn {
    Turn();
    uv_loop_t loop{};
  };
  Turn turn_;
  MonotonicClock clock_;
  Log& log_;
  Tcp tcp_;
  Udp udp_;
  Multicast multicast_;
  Disk disk_;
  Control control_;
  Hooks hooks_;
  Worker saver_;

  Parts parts_;
  Effects out_;
  Effects doing_;
  std::vector<Save> saves_;
  bool is_saving_ = false;
  std::size_t resolving_count_ = 0;
  std::vector<JobId> unresolved_;  // to be answered in the next turn
  uv_timer_t timer_{};
  std::vector<std::unique_ptr<uv_signal_t>> signals_;
  Time timer_due_ = kNever;
  LagMeter lag_;
  Time wall_due_{};
  Duration wall_offset_{};               // wall clock minus monotonic clock
  std::uint64_t datagrams_dropped_ = 0;  // by the kernel, as told last
  Time stop_due_ = kNever;
  Time alive_due_{};
  bool is_running_ = false;
  bool is_closed_ = false;
  Ending ending_ = Ending::clean;
};

}  // namespace peernet::daemon
