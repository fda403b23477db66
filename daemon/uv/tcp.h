#pragma once

// Tcp owns every TCP handle: engines know connections by ConnId only. What is
// written in one turn leaves in one call; what the socket does not take is queued. Handles live
// until libuv has closed them. It never calls its Inputs from within a command.

#include <uv.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/effects.h"
#include "core/timers.h"
#include "daemon/uv/clock.h"
#include "daemon/uv/tcp_listeners.h"

namespace peernet::daemon {

inline constexpr std::size_t kReadBufferSize = 256 * 1024;  // shared by all connections
inline constexpr Duration kConnectTimeout = std::chrono::seconds(10);
inline constexpr Duration kLingerMax = std::chrono::seconds(2);
inline constexpr Duration kDrainTimeout = std::chrono::seconds(30);
// Connections that were closed and may still flush; beyond this they are cut at once.
inline constexpr std::size_t kLingeringMax = 256;

class Tcp final : private TcpListeners::Inputs {
 public:
  class Inputs {
   public:
    virtual std::optional<ConnId> on_accepted(const Endpoint& from) = 0;
    virtual void on_connected(ConnId conn) = 0;
    virtual void on_bytes(ConnId conn, BytesView bytes) = 0;
    virtual void on_sent(ConnId conn, std::size_t bytes_unsent) = 0;
    virtual void on_closed(ConnId conn, const Error& why) = 0;
    // After one or more inputs.
    virtual void carry_out() = 0;

   protected:
    ~Inputs() = default;
  };

  Tcp(uv_loop_t* loop, const MonotonicClock& clock, Inputs& inputs);
  // Requires: close_all() was called and the loop has run until is_gone().
  ~Tcp();
  Tcp(const Tcp&) = delete;
  Tcp& operator=(const Tcp&) = delete;

  // Gives the endpoint that was bound: port 0 stands for any free one.
  Result<Endpoint> listen(const Endpoint& endpoint) { return listeners_.listen(endpoint); }
  void stop_listening() { listeners_.stop(); }
  std::vector<Endpoint> listeners() const { return listeners_.endpoints(); }

  // The effects of the same names.
  void connect(Time now, ConnId conn, const Endpoint& to);
  void write(ConnId conn, Bytes bytes);
  void close(Time now, ConnId conn);
  void pause(ConnId conn);
  void resume(ConnId conn);
  // Sends what was written since the last flush.
  void flush(Time now);

  void on_time(Time now);
  Time deadline() const { return std::min(timers_.next(), listeners_.deadline()); }

  // Closes all, at once and without a word to anyone.
  void close_all();
  bool is_gone() const { return handles_count_ == 0 && listeners_.is_gone(); }
  std::size_t connections_count() const { return connections_.size(); }
  std::size_t lingering_count() const { return lingering_.size(); }

 private:
  struct Connection;
  // What a timer is for: a connection, or a lingering one by its number.
  enum class Wait : std::uint8_t { connecting, draining, lingering };
  using TimerKey = std::pair<Wait, std::uint64_t>;

  void on_incoming(uv_stream_t* listener) override;
  void on_waiting() override { inputs_.carry_out(); }
  static void on_connect_done(uv_connect_t* request, int status) noexcept;
  static void on_alloc(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer) noexcept;
  static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept;
  static void on_write_done(uv_write_t* request, int status) noexcept;
  static void on_shutdown_done(uv_shutdown_t* request, int status) noexcept;
  static void on_idle(uv_idle_t* handle) noexcept;
  static void on_handle_closed(uv_handle_t* handle) noexcept;

  std::unique_ptr<Connection> make_connection();
  void start_reading(Connection& connection);
  void send(Time now, Connection& connection);
  int send_now(Connection& connection);
  void send_rest(Connection& connection);
  void on_written(Time now, Connection& connection, int status);
  void set_drain_timer(Time now, Connection& connection);
  void on_drain_timer(Time now, ConnId conn);
  void report_later(Connection& connection);
  void fail_later(Connection& connection, Error why);
  void fail(ConnId conn, const Error& why);
  void report();
  void linger(Time now, std::unique_ptr<Connection> connection);
  void shut_down(Connection& connection);
  void discard(std::unique_ptr<Connection> connection);
  void end_lingering(Connection& connection);
  Connection* find(ConnId conn);

  uv_loop_t* loop_;
  const MonotonicClock& clock_;
  Inputs& inputs_;
  TcpListeners listeners_;
  std::map<ConnId, std::unique_ptr<Connection>> connections_;
  std::map<std::uint64_t, std::unique_ptr<Connection>> lingering_;  // closed for the engine
  std::uint64_t lingering_next_ = 0;
  Timers<TimerKey> timers_;
  std::vector<ConnId> unflushed_;    // written to since the last flush
  std::vector<ConnId> unreported_;   // on_sent or on_closed is due
  std::unique_ptr<uv_idle_t> idle_;  // runs while something is unreported
  std::size_t handles_count_ = 0;
  Bytes read_buffer_;
};

}  // namespace peernet::daemon
