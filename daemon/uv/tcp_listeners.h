#pragma once

// TcpListeners are the sockets that connections come in on. One that cannot accept any more, as
// when the process has no descriptor left, closes and is opened again a second later.

#include <uv.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/endpoint.h"
#include "core/result.h"
#include "core/time.h"
#include "core/timers.h"
#include "daemon/uv/clock.h"

namespace peernet::daemon {

inline constexpr Duration kListenRetry = std::chrono::seconds(1);
inline constexpr int kListenBacklog = 511;

class TcpListeners {
 public:
  class Inputs {
   public:
    // A connection waits to be taken with uv_accept.
    virtual void on_incoming(uv_stream_t* listener) = 0;
    // The deadline has changed.
    virtual void on_waiting() = 0;

   protected:
    ~Inputs() = default;
  };

  TcpListeners(uv_loop_t* loop, const MonotonicClock& clock, Inputs& inputs);
  // Requires: stop() was called and the loop has run until is_gone().
  ~TcpListeners();
  TcpListeners(const TcpListeners&) = delete;
  TcpListeners& operator=(const TcpListeners&) = delete;

  // Gives the endpoint that was bound: port 0 stands for any free one.
  Result<Endpoint> listen(const Endpoint& endpoint);
  void stop();
  std::vector<Endpoint> endpoints() const;

  void on_time(Time now);
  Time deadline() const { return retries_.next(); }
  bool is_gone() const { return handles_count_ == 0; }

 private:
  struct Listener;

  static void on_connection(uv_stream_t* server, int status) noexcept;
  static void on_closed(uv_handle_t* handle) noexcept;
  int open(Listener& listener);
  static void close(Listener& listener);
  void drop(std::unique_ptr<Listener> listener);

  uv_loop_t* loop_;
  const MonotonicClock& clock_;
  Inputs& inputs_;
  std::map<std::uint64_t, std::unique_ptr<Listener>> listeners_;
  std::uint64_t next_number_ = 0;
  Timers<std::uint64_t> retries_;
  std::size_t handles_count_ = 0;
};

}  // namespace peernet::daemon
