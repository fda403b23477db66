#pragma once

// Udp is the datagram sockets, one for each endpoint listened on, read and written in batches. A
// datagram that cannot be sent now is lost and counted: nothing is queued (SECURITY.md 4.7). What
// is sent to a source while its datagram is dealt with leaves by the same socket and from the
// address that was asked, also when the socket is bound to all addresses of a machine that has
// several.

#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/effects.h"
#include "daemon/uv/beneath.h"

namespace peernet::daemon {

inline constexpr std::size_t kDatagramSizeMax = 1500;  // longer ones are dropped
inline constexpr std::size_t kDatagramBatch = 64;      // in one call
inline constexpr int kDatagramBatchesMax = 4;          // in one turn of the loop and socket
inline constexpr std::size_t kUnsentDatagramsMax = 4096;
// What is asked for; the kernel gives what it allows. The first takes a burst of small datagrams,
// each of which costs several times its size in it; the second one turn of the loop.
inline constexpr int kReceiveBufferSize = 4 * 1024 * 1024;
inline constexpr int kSendBufferSize = 1024 * 1024;

class Udp {
 public:
  class Inputs {
   public:
    virtual void on_datagram(const Endpoint& from, BytesView bytes) = 0;
    // After one or more inputs. Answers to them are sent and flushed in here, not later.
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
  // What the kernel says of the sockets together.
  struct KernelFacts {
    std::uint64_t dropped = 0;             // came while a receive buffer was full
    std::uint64_t receive_buffer_min = 0;  // bytes, of the socket that was given the fewest
  };

  Udp(uv_loop_t* loop, Inputs& inputs);
  // Requires: close_all() was called and the loop has run until is_gone().
  ~Udp();
  Udp(const Udp&) = delete;
  Udp& operator=(const Udp&) = delete;

  Result<Endpoint> listen(const Endpoint& endpoint);
  // Collects; flush() sends. With several sockets, what is no answer leaves by one bound to all
  // addresses, or else by one as local as the destination.
  void send(SendDatagram datagram);
  void flush();
  void close_all();
  bool is_gone() const { return handles_count_ == 0; }
  const Counts& counts() const { return counts_; }
  KernelFacts kernel_facts() const;

 private:
  struct Socket;
  struct Arrivals;
  struct Departures;
  // The way a datagram came, and an answer to it goes.
  struct Way {
    Socket* socket = nullptr;           // null: there is none for this family
    std::optional<Endpoint> local;      // of port 0; absent: the kernel chooses
    std::uint32_t interface_index = 0;  // of link-local addresses only
    bool operator==(const Way&) const = default;
  };
  struct Unsent {
    SendDatagram datagram;
    Way way;
  };
  // A datagram of the batch that is being dealt with.
  struct Asked {
    Endpoint from;
    Way way;
  };

  static void on_readable(uv_poll_t* handle, int status, int events) noexcept;
  void receive(Socket& socket);
  std::size_t receive_batch(Socket& socket);
  void remember(const Asked& asked);
  Way way_to(const Endpoint& to);
  void send_batch(const Socket& socket);

  uv_loop_t* loop_;
  Inputs& inputs_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::vector<Unsent> unsent_;
  std::vector<Asked> asked_;     // at most kDatagramBatch
  std::size_t asked_index_ = 0;  // where the next answer's question is probably found
  std::unique_ptr<Arrivals> arrivals_;
  std::unique_ptr<Departures> departures_;
  std::vector<const Unsent*> departing_;  // while flush() runs
  std::size_t handles_count_ = 0;
  Counts counts_;
};

}  // namespace peernet::daemon
