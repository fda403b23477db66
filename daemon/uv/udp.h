#pragma once

// Udp is the datagram sockets, one for each endpoint listened on, read and written in batches. A
// datagram that cannot be sent now is lost and counted: nothing is queued (SECURITY.md 4.7).

#include <uv.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/effects.h"
#include "daemon/uv/beneath.h"

namespace peernet::daemon {

inline constexpr std::size_t kDatagramSizeMax = 1500;  // longer ones are dropped
inline constexpr std::size_t kDatagramBatch = 64;      // in one call
inline constexpr int kDatagramBatchesMax = 4;          // in one turn of the loop and socket
inline constexpr std::size_t kUnsentDatagramsMax = 4096;
inline constexpr int kReceiveBufferSize = 4 * 1024 * 1024;

class Udp {
 public:
  class Inputs {
   public:
    virtual void on_datagram(const Endpoint& from, BytesView bytes) = 0;
    // After one or more inputs.
    virtual void carry_out() = 0;

   protected:
    ~Inputs() = default;
  };
  struct Counts {
    std::uint64_t received = 0;
    std::uint64_t received_too_long = 0;
    std::uint64_t sent = 0;
    std::uint64_t lost = 0;  // before they left this machine
  };

  Udp(uv_loop_t* loop, Inputs& inputs);
  // Requires: close_all() was called and the loop has run until is_gone().
  ~Udp();
  Udp(const Udp&) = delete;
  Udp& operator=(const Udp&) = delete;

  Result<Endpoint> listen(const Endpoint& endpoint);
  // Collects; flush() sends.
  void send(SendDatagram datagram);
  void flush();
  void close_all();
  bool is_gone() const { return handles_count_ == 0; }
  const Counts& counts() const { return counts_; }

 private:
  struct Socket;
  struct Arrivals;

  static void on_readable(uv_poll_t* handle, int status, int events) noexcept;
  void receive(Socket& socket);
  std::size_t receive_batch(int fd);
  void send_batch(int fd, std::vector<const SendDatagram*>& datagrams);

  uv_loop_t* loop_;
  Inputs& inputs_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::vector<SendDatagram> unsent_;
  std::unique_ptr<Arrivals> arrivals_;
  std::size_t handles_count_ = 0;
  Counts counts_;
};

}  // namespace peernet::daemon
