#pragma once

// Network is the simulated internet: datagrams that are lost, doubled and overtaken, streams that
// stay ordered but are cut at random places, stalled and reset, and an access link for each host
// that takes its time. The delay of a pair comes from a hash of the pair and the seed, so that no
// state is kept for pairs. Streams are as loss-free pipes with a bounded window: congestion control
// is not modelled. Network never calls its Receiver from inside a call, only from a happening.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/effects.h"
#include "core/endpoint.h"
#include "core/result.h"
#include "core/rng.h"
#include "test/sim/timeline.h"

namespace peernet::sim {

using HostIndex = std::uint32_t;

inline constexpr std::size_t kSegmentMax = 64 * 1024;  // bytes that travel as one happening
inline constexpr std::size_t kSegmentMin = 4 * 1460;
inline constexpr std::size_t kDefaultWindow = 1 << 20;  // bytes sent and not yet read
inline constexpr Duration kConnectTimeout = std::chrono::seconds(10);
inline constexpr Duration kLingerTimeout = std::chrono::seconds(2);    // Close, effects.h
inline constexpr Duration kSilenceTimeout = std::chrono::seconds(60);  // a kernel giving up
inline constexpr Duration kDatagramQueueMax = std::chrono::milliseconds(500);
inline constexpr Duration kNatMemory = std::chrono::seconds(120);

struct NetworkOptions {
  Duration round_trip{40'000};  // median over the pairs; they differ by a factor of 16
  Duration jitter{2'000};       // one way, uniform
  double loss = 0;              // of a datagram
  double duplicate = 0;
  double reorder = 0;  // of a datagram: arrives up to 200 ms late
  double cut = 0.05;   // of a delivery of stream bytes: handed over in several parts
  double stall = 0;    // of a stream segment: it and all behind it wait 0.2 to 3 s
  double reset = 0;    // of a stream segment: the connection is reset
  std::size_t window = kDefaultWindow;
};

enum class Nat : std::uint8_t {
  none,
  restricted,  // nobody gets in who was not written to from inside
};

struct LinkOptions {
  std::uint64_t up = 0;  // bytes a second; 0: no limit
  std::uint64_t down = 0;
  Nat nat = Nat::none;
};

enum class Down : std::uint8_t {
  process,  // the machine still answers: connections are reset, new ones refused
  machine,  // silence
};

class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void datagram(HostIndex host, const Endpoint& from, BytesView bytes) = 0;
  // The number the host's engine gives to the connection; nullopt: it does not want it. What the
  // engine wants done about it waits for registered().
  virtual std::optional<ConnId> accepted(HostIndex host, const Endpoint& from) = 0;
  virtual void registered(HostIndex host) = 0;
  virtual void connected(HostIndex host, ConnId conn) = 0;
  virtual void received(HostIndex host, ConnId conn, BytesView bytes) = 0;
  virtual void sent(HostIndex host, ConnId conn, std::size_t bytes_unsent) = 0;
  virtual void closed(HostIndex host, ConnId conn, const Error& why) = 0;
};

class Network {
 public:
  // from, to: true when nothing gets through in this direction.
  using Blocked = std::function<bool(HostIndex from, HostIndex to)>;

  Network(Timeline& timeline, std::uint64_t seed, Receiver& receiver);

  // A new host is up. Its address must be new.
  HostIndex add_host(const Endpoint& address, const LinkOptions& link);
  void up(HostIndex host);
  // All its connections are gone; it hears nothing of them.
  void down(HostIndex host, Down how);
  bool is_up(HostIndex host) const { return hosts_[host].is_up; }

  // The effects. False when `conn` is not a live connection of this host: the engine's mistake.
  void send(HostIndex host, const Endpoint& to, BytesView bytes);
  bool connect(HostIndex host, ConnId conn, const Endpoint& to);
  bool write(HostIndex host, ConnId conn, BytesView bytes);
  bool close(HostIndex host, ConnId conn);
  bool pause(HostIndex host, ConnId conn);
  bool resume(HostIndex host, ConnId conn);

  // Faults, which may change at any time.
  NetworkOptions options;
  Blocked blocked;  // empty: nobody is cut off
  void reset_some(double share);

  // Queries.
  const Endpoint& address(HostIndex host) const { return hosts_[host].address; }
  std::size_t conns_count(HostIndex host) const { return hosts_[host].conns.size(); }
  std::size_t unsent(HostIndex host, ConnId conn) const;
  Duration delay(HostIndex from, HostIndex to) const;  // one way, without jitter
  std::uint64_t bytes_up(HostIndex host) const { return hosts_[host].bytes_up; }
  std::uint64_t bytes_down(HostIndex host) const { return hosts_[host].bytes_down; }
  std::uint64_t datagrams_count() const { return datagrams_count_; }
  std::size_t streams_count() const { return streams_count_; }
  LinkOptions& link(HostIndex host) { return hosts_[host].link; }

 private:
  using StreamId = std::uint64_t;
  struct Segment {
    Bytes bytes;
    bool is_last = false;  // a FIN: nothing follows
    Time arrives;
  };
  // One end of a stream: who stands there, and what is on its way from there to the other end.
  struct Side {
    HostIndex host = 0;
    ConnId conn{};
    bool is_open = false;    // its engine knows the connection
    bool is_paused = false;  // its engine reads nothing

    std::deque<Bytes> queued;  // written, not yet on the wire
    std::size_t queued_begin = 0;
    std::size_t unsent = 0;
    bool is_ready = false;      // waits for its turn on the access link
    bool is_closing = false;    // a FIN follows what is queued
    bool is_finished = false;   // the FIN is on its way
    std::size_t in_flight = 0;  // left, and not yet read by the other engine
    std::deque<Segment> wire;   // towards the other side
    Time last_arrival{};
    std::deque<Segment> inbox;  // arrived here, not yet read
    bool is_draining = false;
    std::optional<Time> blocked_since;
  };
  struct Stream {
    Side sides[2];
    bool is_connected = false;
  };
  // Where a connection of a host is: a stream that is there as long as one of its sides is open.
  struct Place {
    Stream* stream = nullptr;
    StreamId id = 0;
    int side = 0;
  };
  struct Host {
    Endpoint address;
    LinkOptions link;
    bool is_up = true;
    Down down = Down::machine;
    std::unordered_map<ConnId, Place> conns;
    std::deque<std::pair<StreamId, int>> ready;
    bool is_pump_planned = false;
    Time up_free{};
    Time down_free{};
    std::uint64_t bytes_up = 0;
    std::uint64_t bytes_down = 0;
    std::uint16_t port_next = 32'768;
    std::map<Endpoint, Time> spoken_to;  // for Nat::restricted
  };

  Side* find(HostIndex host, ConnId conn, StreamId* id = nullptr, int* side = nullptr);
  Stream* find(StreamId id);
  Stream& stream_at(StreamId id);  // Requires: it is there.
  void forget(StreamId id);
  bool is_blocked(HostIndex from, HostIndex to) const { return blocked && blocked(from, to); }
  bool is_let_in(HostIndex host, const Endpoint& from) const;
  bool chance(double probability) { return probability > 0 && rng_.unit() < probability; }
  Duration jitter();

  void datagram_arrives(const Endpoint& from, HostIndex to, const Bytes& bytes);
  void syn_arrives(StreamId id, HostIndex to, const Endpoint& from);
  void answer_connect(StreamId id, bool is_accepted);
  void fail_connect(StreamId id, Duration delay, Errc code, const char* what);
  void make_ready(StreamId id, int side);
  void pump(HostIndex host);
  void plan_pump(HostIndex host);
  bool send_segment(StreamId id, int side);
  void segment_left(StreamId id, int side, Bytes bytes);
  void put_on_wire(StreamId id, int side, Segment segment, Duration extra);
  void wire_arrives(StreamId id, int side);
  void reached_dead_end(StreamId id, int side);
  void drain(StreamId id, int side);
  void plan_drain(StreamId id, int side, Duration delay);
  void reset(StreamId id);
  void tell_closed(StreamId id, int side, Errc code, const char* what);
  void forget_if_over(StreamId id);

  Timeline& timeline_;
  std::uint64_t seed_;
  Rng rng_;
  Receiver& receiver_;
  std::vector<Host> hosts_;
  std::map<Endpoint, HostIndex> by_address_;      // port 0
  std::vector<std::unique_ptr<Stream>> streams_;  // by number; null: it is over
  std::size_t streams_count_ = 0;                 // that are not over
  std::uint64_t datagrams_count_ = 0;
};

}  // namespace peernet::sim
