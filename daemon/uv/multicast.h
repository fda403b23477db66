#pragma once

// Multicast is the group of the local network: one socket for each address family and interface
// that we listen on, and no other interface ever hears of us. A node that listens on loopback
// addresses alone speaks on loopback alone; "any address" means every interface that can multicast,
// loopback excepted. Nothing is routed further: the hop limit is 1, and 0 on loopback. Interfaces
// that come and go are seen by refresh().

#include <uv.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/endpoint.h"
#include "daemon/uv/beneath.h"

namespace peernet::daemon {

inline constexpr std::uint16_t kMulticastPort = 7340;
inline constexpr std::size_t kMulticastSizeMax = 1500;      // longer ones are dropped
inline constexpr std::size_t kMulticastInterfacesMax = 32;  // of both families together
inline constexpr int kMulticastReadsMax = 64;               // in one turn of the loop and socket

class Multicast {
 public:
  class Inputs {
   public:
    virtual void on_multicast(const Endpoint& from, BytesView bytes) = 0;
    virtual void carry_out() = 0;  // after one or more inputs

   protected:
    ~Inputs() = default;
  };

  Multicast(uv_loop_t* loop, Inputs& inputs);
  // Requires: close_all() was called and the loop has run.
  ~Multicast();
  Multicast(const Multicast&) = delete;
  Multicast& operator=(const Multicast&) = delete;

  // Speaks for what listens at these endpoints. An interface that cannot be used is left out.
  void start(const std::vector<Endpoint>& listeners);
  void refresh();
  void send(BytesView bytes);
  void close_all();
  bool is_started() const { return !listeners_.empty(); }
  std::size_t sockets_count() const { return sockets_.size(); }

 private:
  struct Socket;
  // One address of ours, and the interface that has it.
  struct Place {
    Endpoint address;  // of port 0
    std::uint32_t interface_index = 0;
    bool is_loopback = false;
    bool operator==(const Place&) const = default;
  };
  std::vector<Place> places() const;
  void open(const Place& place);
  void close(std::unique_ptr<Socket> socket);
  static void on_readable(uv_poll_t* handle, int status, int events) noexcept;
  void receive(const Socket& socket);

  uv_loop_t* loop_;
  Inputs& inputs_;
  std::vector<Endpoint> listeners_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::size_t handles_count_ = 0;
};

}  // namespace peernet::daemon
