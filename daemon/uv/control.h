#pragma once

// Control is the Unix socket: lines in, lines out, for this user only. The socket is 0600 in a
// directory that must be 0700 and ours, and the other side's user is asked of the kernel. What a
// client may hold of us is bounded here (SECURITY.md 1.4). It never calls its Inputs from within a
// command.

#include <uv.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/rate.h"
#include "core/result.h"
#include "core/timers.h"
#include "daemon/rpc.h"
#include "daemon/rpc_hooks.h"
#include "daemon/uv/beneath.h"
#include "daemon/uv/clock.h"

namespace peernet::daemon {

inline constexpr std::size_t kLineSizeMax = 1024 * 1024;
inline constexpr std::size_t kRepliesSizeMax = 4 * 1024 * 1024;  // unsent, of one client
inline constexpr Duration kClientIdleMax = std::chrono::seconds(60);
inline constexpr std::size_t kSocketPathMax = 107;

struct ControlLimits {
  std::size_t clients = 128;
  std::uint64_t requests = 100;  // lines a second of one client, twice that at once; more wait
};

class Control {
 public:
  class Inputs {
   public:
    virtual void on_line(ClientId client, std::string_view line) = 0;
    virtual void on_client_gone(ClientId client) = 0;
    virtual bool is_idle_allowed(ClientId client) const = 0;
    // After one or more inputs.
    virtual void carry_out() = 0;

   protected:
    ~Inputs() = default;
  };

  Control(uv_loop_t* loop, const MonotonicClock& clock, Inputs& inputs,
          const ControlLimits& limits = {});
  // Requires: close_all() was called and the loop has run until is_gone().
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Requires: the state lock is held, so that no daemon of this state listens there.
  // Errors: too_large (the path), denied (its directory), exists (something else, or a service
  // manager that listens for us), io.
  Result<void> listen(const std::string& path);
  // Takes over a socket that the service manager listens on, and leaves it standing at the end. It
  // must be as private as one of our own. Gives its path. Errors: denied, io.
  Result<std::string> adopt(Fd listening);
  void send(Time now, Rpc::Reply reply);
  void on_time(Time now);
  Time deadline() const { return timers_.next(); }
  // Also deletes the socket.
  void close_all();
  bool is_gone() const { return handles_count_ == 0; }
  std::size_t clients_count() const { return clients_.size(); }
  const ControlRejects& rejects() const { return rejects_; }  // since the start
  // Nothing is queued for any client.
  bool is_flushed() const;

 private:
  struct Client;
  struct SentLine;
  enum class Wait : std::uint8_t { idle, lines };
  using TimerKey = std::pair<Wait, ClientId>;

  static void on_connection(uv_stream_t* server, int status) noexcept;
  static void on_alloc(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer) noexcept;
  static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept;
  static void on_sent(uv_write_t* request, int status) noexcept;
  static void on_doomed(uv_idle_t* handle) noexcept;

  void make_listener();
  void accept(uv_stream_t* server);
  void take_lines(Time now, ClientId id);
  void touch(Time now, Client& client);
  void pause(Client& client, Time until);
  void count(ControlReject why) { ++rejects_.at(static_cast<std::size_t>(why)); }
  void doom(Client& client);
  void drop(ClientId id);
  void discard(std::unique_ptr<Client> client);
  Client* find(ClientId id);

  uv_loop_t* loop_;
  const MonotonicClock& clock_;
  Inputs& inputs_;
  ControlLimits limits_;
  std::string path_;  // of a socket that is ours to delete
  std::unique_ptr<uv_pipe_t> listener_;
  std::unique_ptr<uv_idle_t> dooming_;  // runs while a client is to be dropped
  std::vector<ClientId> doomed_;
  std::map<ClientId, std::unique_ptr<Client>> clients_;
  std::uint64_t clients_next_ = 1;
  Timers<TimerKey> timers_;
  std::vector<char> read_buffer_;
  std::size_t handles_count_ = 0;
  ControlRejects rejects_{};
};

// Makes `path` and its parents with mode 0700, and checks that the last belongs to us and lets
// nobody else in. Errors: denied, io.
Result<void> make_private_directory(const std::string& path);

}  // namespace peernet::daemon
