#include "daemon/uv/tcp.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "daemon/uv/address.h"
#include "daemon/uv/handles.h"

namespace peernet::daemon {
namespace {

// Of what a socket did not take, this much is given to libuv at a time, so that progress shows.
constexpr std::size_t kChunkSize = 128 * 1024;
constexpr std::size_t kBuffersMax = 256;  // in one call

uv_buf_t as_buffer(const Bytes& bytes, std::size_t begin) {
  // libuv only reads from it.
  auto* data = const_cast<std::uint8_t*>(bytes.data() + begin);
  return uv_buf_init(reinterpret_cast<char*>(data), static_cast<unsigned>(bytes.size() - begin));
}

}  // namespace

struct Tcp::Connection {
  uv_tcp_t handle{};
  Tcp* tcp = nullptr;
  ConnId id{};
  uv_connect_t connect_request{};
  uv_write_t write_request{};
  uv_shutdown_t shutdown_request{};

  std::deque<Bytes> queue;  // not yet given to libuv; the first from first_begin on
  std::size_t first_begin = 0;
  std::deque<Bytes> in_flight;  // given to libuv, until on_write_done
  std::size_t in_flight_begin = 0;
  std::size_t unsent = 0;      // bytes in both
  std::size_t told = 0;        // the last on_sent
  std::size_t drain_mark = 0;  // of libuv's queue when the drain timer was set
  Endpoint to;
  std::optional<Error> failure;  // to be reported
  std::uint64_t lingering_number = 0;
  bool is_connected = false;
  bool is_writing = false;  // write_request is in use
  bool is_reading = false;
  bool is_paused = false;
  bool is_unflushed = false;
  bool is_unreported = false;
  bool is_sent_due = false;  // an on_sent is owed
  bool is_lingering = false;
  bool is_shut = false;
};

Tcp::Tcp(uv_loop_t* loop, const MonotonicClock& clock, Inputs& inputs)
    : loop_(loop),
      clock_(clock),
      inputs_(inputs),
      listeners_(loop, clock, *this),
      idle_(std::make_unique<uv_idle_t>()),
      read_buffer_(kReadBufferSize) {
  PN_CHECK(uv_idle_init(loop, idle_.get()) == 0);
  idle_->data = this;
  ++handles_count_;
}

Tcp::~Tcp() {
  PN_CHECK(handles_count_ == 0);
}

// ---- Accepting
// ----------------------------------------------------------------------------------

void Tcp::on_incoming(uv_stream_t* listener) {
  auto connection = make_connection();
  sockaddr_storage address{};
  int size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool is_accepted = uv_accept(listener, as_stream(&connection->handle)) == 0 &&
                           uv_tcp_getpeername(&connection->handle, generic, &size) == 0;
  std::optional<ConnId> id;
  if (is_accepted) id = inputs_.on_accepted(from_socket_address(generic));
  if (!id) {
    discard(std::move(connection));
    inputs_.carry_out();
    return;
  }
  connection->id = *id;
  connection->is_connected = true;
  uv_tcp_nodelay(&connection->handle, 1);
  start_reading(*connection);
  connections_.emplace(*id, std::move(connection));
  inputs_.carry_out();
}

// ---- Connecting
// ---------------------------------------------------------------------------------

std::unique_ptr<Tcp::Connection> Tcp::make_connection() {
  auto connection = std::make_unique<Connection>();
  connection->tcp = this;
  uv_tcp_init(loop_, &connection->handle);
  connection->handle.data = connection.get();
  connection->connect_request.data = connection.get();
  connection->write_request.data = connection.get();
  connection->shutdown_request.data = connection.get();
  ++handles_count_;
  return connection;
}

void Tcp::connect(Time now, ConnId conn, const Endpoint& to) {
  auto owned = make_connection();
  Connection& connection = *owned;
  connection.id = conn;
  connection.to = to;
  const bool is_new = connections_.emplace(conn, std::move(owned)).second;
  PN_CHECK(is_new);
  sockaddr_storage address{};
  to_socket_address(to, address);
  const int status = uv_tcp_connect(&connection.connect_request, &connection.handle,
                                    reinterpret_cast<sockaddr*>(&address), on_connect_done);
  if (status != 0) {
    fail_later(connection, network_error(status, "cannot connect to " + to.to_string()));
    return;
  }
  timers_.set({Wait::connecting, static_cast<std::uint64_t>(conn)}, now + kConnectTimeout);
}

void Tcp::on_connect_done(uv_connect_t* request, int status) noexcept {
  auto& connection = *static_cast<Connection*>(request->data);
  Tcp& self = *connection.tcp;
  if (uv_is_closing(as_handle(&connection.handle)) != 0) return;
  const ConnId conn = connection.id;
  self.timers_.cancel({Wait::connecting, static_cast<std::uint64_t>(conn)});
  if (status != 0) {
    self.fail(conn, network_error(status, "cannot connect to " + connection.to.to_string()));
  } else {
    connection.is_connected = true;
    uv_tcp_nodelay(&connection.handle, 1);
    self.start_reading(connection);
    // What was written before goes with the next flush.
    if (!connection.queue.empty() && !std::exchange(connection.is_unflushed, true)) {
      self.unflushed_.push_back(conn);
    }
    self.inputs_.on_connected(conn);
  }
  self.inputs_.carry_out();
}

// ---- Reading
// ------------------------------------------------------------------------------------

void Tcp::start_reading(Connection& connection) {
  if (connection.is_reading || !connection.is_connected || connection.failure) return;
  if (connection.is_paused && !connection.is_lingering) return;
  connection.is_reading = true;
  const int status = uv_read_start(as_stream(&connection.handle), on_alloc, on_read);
  if (status != 0 && !connection.is_lingering) {
    fail_later(connection, network_error(status, "cannot read"));
  }
}

// Alloc and read come back to back on one thread, so that one buffer serves all connections.
void Tcp::on_alloc(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
  Bytes& shared = static_cast<Connection*>(handle->data)->tcp->read_buffer_;
  *buffer =
      uv_buf_init(reinterpret_cast<char*>(shared.data()), static_cast<unsigned>(shared.size()));
}

void Tcp::on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept {
  auto& connection = *static_cast<Connection*>(stream->data);
  Tcp& self = *connection.tcp;
  if (size == 0) return;  // nothing to read after all
  if (connection.is_lingering) {
    if (size < 0) self.end_lingering(connection);
    return;
  }
  const ConnId conn = connection.id;
  if (size < 0) {
    self.fail(conn, network_error(static_cast<int>(size), "the connection ended"));
  } else {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(buffer->base);
    self.inputs_.on_bytes(conn, {bytes, static_cast<std::size_t>(size)});
  }
  self.inputs_.carry_out();
}

void Tcp::pause(ConnId conn) {
  Connection* connection = find(conn);
  if (connection == nullptr) return;
  connection->is_paused = true;
  if (!std::exchange(connection->is_reading, false)) return;
  uv_read_stop(as_stream(&connection->handle));
}

void Tcp::resume(ConnId conn) {
  Connection* connection = find(conn);
  if (connection == nullptr) return;
  connection->is_paused = false;
  start_reading(*connection);
}

// ---- Writing
// ------------------------------------------------------------------------------------

void Tcp::write(ConnId conn, Bytes bytes) {
  Connection* connection = find(conn);
  if (connection == nullptr || connection->failure) return;
  connection->unsent += bytes.size();
  if (!bytes.empty()) connection->queue.push_back(std::move(bytes));
  if (std::exchange(connection->is_unflushed, true)) return;
  unflushed_.push_back(conn);
}

void Tcp::flush(Time now) {
  std::vector<ConnId> unflushed;
  unflushed.swap(unflushed_);
  for (const ConnId conn : unflushed) {
    Connection* connection = find(conn);
    if (connection == nullptr || connection->failure) continue;
    connection->is_unflushed = false;
    connection->is_sent_due = true;
    if (!connection->is_connected) {
      report_later(*connection);
      continue;
    }
    send(now, *connection);
    if (!connection->failure) report_later(*connection);
  }
}

// Gives the socket all it takes now, and libuv the next part of the rest.
void Tcp::send(Time now, Connection& connection) {
  if (connection.is_writing || connection.queue.empty()) return;
  const int status = send_now(connection);
  if (status != 0) {
    if (connection.is_lingering) {
      end_lingering(connection);
    } else {
      fail_later(connection, network_error(status, "cannot write"));
    }
    return;
  }
  if (!connection.queue.empty()) send_rest(connection);
  if (!connection.is_lingering) set_drain_timer(now, connection);
}

int Tcp::send_now(Connection& connection) {
  while (!connection.queue.empty()) {
    std::vector<uv_buf_t> buffers;
    std::size_t begin = connection.first_begin;
    std::size_t offered = 0;
    for (const Bytes& bytes : connection.queue) {
      if (buffers.size() == kBuffersMax) break;
      buffers.push_back(as_buffer(bytes, std::exchange(begin, 0)));
      offered += buffers.back().len;
    }
    const int sent = uv_try_write(as_stream(&connection.handle), buffers.data(),
                                  static_cast<unsigned>(buffers.size()));
    if (sent == UV_EAGAIN) return 0;
    if (sent < 0) return sent;
    auto rest = static_cast<std::size_t>(sent);
    connection.unsent -= rest;
    while (rest > 0) {
      const std::size_t left = connection.queue.front().size() - connection.first_begin;
      if (rest < left) {
        connection.first_begin += rest;
        break;
      }
      rest -= left;
      connection.queue.pop_front();
      connection.first_begin = 0;
    }
    if (static_cast<std::size_t>(sent) < offered) return 0;
  }
  return 0;
}

void Tcp::send_rest(Connection& connection) {
  std::vector<uv_buf_t> buffers;
  std::size_t size = 0;
  connection.in_flight_begin = std::exchange(connection.first_begin, 0);
  while (!connection.queue.empty() && size < kChunkSize && buffers.size() < kBuffersMax) {
    connection.in_flight.push_back(std::move(connection.queue.front()));
    connection.queue.pop_front();
    const std::size_t begin = buffers.empty() ? connection.in_flight_begin : 0;
    buffers.push_back(as_buffer(connection.in_flight.back(), begin));
    size += buffers.back().len;
  }
  const int status = uv_write(&connection.write_request, as_stream(&connection.handle),
                              buffers.data(), static_cast<unsigned>(buffers.size()), on_write_done);
  if (status != 0) {
    if (!connection.is_lingering) fail_later(connection, network_error(status, "cannot write"));
    return;
  }
  connection.is_writing = true;
}

void Tcp::on_write_done(uv_write_t* request, int status) noexcept {
  auto& connection = *static_cast<Connection*>(request->data);
  Tcp& self = *connection.tcp;
  if (uv_is_closing(as_handle(&connection.handle)) != 0) return;
  self.on_written(self.clock_.now(), connection, status);
  self.inputs_.carry_out();
}

void Tcp::on_written(Time now, Connection& connection, int status) {
  connection.is_writing = false;
  std::size_t sent = 0;
  for (const Bytes& bytes : connection.in_flight) sent += bytes.size();
  sent -= std::exchange(connection.in_flight_begin, 0);
  connection.in_flight.clear();
  connection.unsent -= sent;
  if (status != 0) {
    if (connection.is_lingering) {
      end_lingering(connection);
    } else {
      fail(connection.id, network_error(status, "cannot write"));
    }
    return;
  }
  timers_.cancel({Wait::draining, static_cast<std::uint64_t>(connection.id)});
  // A lingering connection may end in send(): it is looked up again.
  const std::uint64_t number = connection.lingering_number;
  const bool is_lingering = connection.is_lingering;
  send(now, connection);
  if (is_lingering) {
    if (lingering_.contains(number)) shut_down(connection);
    return;
  }
  if (connection.failure) return;
  if (connection.unsent == 0 || connection.unsent < connection.told / 2) {
    connection.is_sent_due = true;
    report_later(connection);
  }
}

// A peer that takes nothing for so long is gone, or wants our memory.
void Tcp::set_drain_timer(Time now, Connection& connection) {
  const TimerKey key{Wait::draining, static_cast<std::uint64_t>(connection.id)};
  if (!connection.is_writing) {
    timers_.cancel(key);
  } else if (!timers_.contains(key)) {
    connection.drain_mark = uv_stream_get_write_queue_size(as_stream(&connection.handle));
    timers_.set(key, now + kDrainTimeout);
  }
}

void Tcp::on_drain_timer(Time now, ConnId conn) {
  Connection* connection = find(conn);
  if (connection == nullptr) return;
  if (uv_stream_get_write_queue_size(as_stream(&connection->handle)) < connection->drain_mark) {
    set_drain_timer(now, *connection);
  } else {
    fail(conn, {Errc::timed_out, "took no bytes for 30 s", ""});
  }
}

// ---- Reports that must not come from within a command
// -------------------------------------------

void Tcp::report_later(Connection& connection) {
  if (std::exchange(connection.is_unreported, true)) return;
  unreported_.push_back(connection.id);
  uv_idle_start(idle_.get(), on_idle);
}

void Tcp::fail_later(Connection& connection, Error why) {
  if (connection.failure) return;
  connection.failure = std::move(why);
  report_later(connection);
}

void Tcp::on_idle(uv_idle_t* handle) noexcept {
  auto& self = *static_cast<Tcp*>(handle->data);
  self.report();
  self.inputs_.carry_out();
}

void Tcp::report() {
  uv_idle_stop(idle_.get());
  std::vector<ConnId> unreported;
  unreported.swap(unreported_);
  for (const ConnId conn : unreported) {
    Connection* connection = find(conn);
    if (connection == nullptr) continue;
    connection->is_unreported = false;
    if (connection->failure) {
      const Error why = *connection->failure;
      fail(conn, why);
    } else if (std::exchange(connection->is_sent_due, false)) {
      connection->told = connection->unsent;
      inputs_.on_sent(conn, connection->unsent);
    }
  }
}

// ---- Closing
// ------------------------------------------------------------------------------------

void Tcp::fail(ConnId conn, const Error& why) {
  auto found = connections_.find(conn);
  if (found == connections_.end()) return;
  auto connection = std::move(found->second);
  connections_.erase(found);
  discard(std::move(connection));
  inputs_.on_closed(conn, why);
}

void Tcp::close(Time now, ConnId conn) {
  auto found = connections_.find(conn);
  if (found == connections_.end()) return;  // its end is not reported any more either
  auto connection = std::move(found->second);
  connections_.erase(found);
  if (!connection->is_connected || connection->failure || lingering_.size() >= kLingeringMax) {
    discard(std::move(connection));
  } else {
    linger(now, std::move(connection));
  }
}

// Flushes, says that no more comes, and waits for the other side to do so too: a socket closed with
// bytes unread would be reset, and our last words lost.
void Tcp::linger(Time now, std::unique_ptr<Connection> owned) {
  Connection& connection = *owned;
  timers_.cancel({Wait::draining, static_cast<std::uint64_t>(connection.id)});
  connection.is_lingering = true;
  connection.lingering_number = lingering_next_++;
  const std::uint64_t number = connection.lingering_number;
  lingering_.emplace(number, std::move(owned));
  timers_.set({Wait::lingering, number}, now + kLingerMax);
  start_reading(connection);
  send(now, connection);
  if (lingering_.contains(number)) shut_down(connection);
}

void Tcp::shut_down(Connection& connection) {
  if (connection.is_shut || connection.is_writing || !connection.queue.empty()) return;
  connection.is_shut = true;
  const int status =
      uv_shutdown(&connection.shutdown_request, as_stream(&connection.handle), on_shutdown_done);
  if (status != 0) end_lingering(connection);
}

void Tcp::on_shutdown_done(uv_shutdown_t* request, int status) noexcept {
  auto& connection = *static_cast<Connection*>(request->data);
  if (uv_is_closing(as_handle(&connection.handle)) != 0) return;
  if (status != 0) connection.tcp->end_lingering(connection);
}

void Tcp::end_lingering(Connection& connection) {
  auto found = lingering_.find(connection.lingering_number);
  if (found == lingering_.end()) return;
  timers_.cancel({Wait::lingering, found->first});
  auto owned = std::move(found->second);
  lingering_.erase(found);
  discard(std::move(owned));
}

// The memory lives until libuv is done with the handle.
void Tcp::discard(std::unique_ptr<Connection> connection) {
  const auto id = static_cast<std::uint64_t>(connection->id);
  if (!connection->is_lingering && connection->id != ConnId{}) {
    timers_.cancel({Wait::connecting, id});
    timers_.cancel({Wait::draining, id});
  }
  Connection* closing = connection.release();
  uv_close(as_handle(&closing->handle), on_handle_closed);
}

void Tcp::on_handle_closed(uv_handle_t* handle) noexcept {
  const std::unique_ptr<Connection> gone(static_cast<Connection*>(handle->data));
  --gone->tcp->handles_count_;
}

void Tcp::on_time(Time now) {
  listeners_.on_time(now);
  while (auto key = timers_.pop_expired(now)) {
    const auto [wait, number] = *key;
    switch (wait) {
      case Wait::connecting:
        fail(ConnId{number}, {Errc::timed_out, "no answer in 10 s", ""});
        break;
      case Wait::draining: on_drain_timer(now, ConnId{number}); break;
      case Wait::lingering:
        if (auto found = lingering_.find(number); found != lingering_.end()) {
          end_lingering(*found->second);
        }
        break;
    }
  }
}

void Tcp::close_all() {
  listeners_.stop();
  while (!connections_.empty()) {
    auto connection = std::move(connections_.begin()->second);
    connections_.erase(connections_.begin());
    discard(std::move(connection));
  }
  while (!lingering_.empty()) end_lingering(*lingering_.begin()->second);
  if (idle_ == nullptr) return;
  uv_close(as_handle(idle_.release()), [](uv_handle_t* handle) {
    auto* idle = reinterpret_cast<uv_idle_t*>(handle);
    --static_cast<Tcp*>(idle->data)->handles_count_;
    delete idle;
  });
}

Tcp::Connection* Tcp::find(ConnId conn) {
  auto found = connections_.find(conn);
  return found == connections_.end() ? nullptr : found->second.get();
}

}  // namespace peernet::daemon
