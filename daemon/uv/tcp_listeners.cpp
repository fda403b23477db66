#include "daemon/uv/tcp_listeners.h"

#include <utility>

#include "core/check.h"
#include "daemon/uv/address.h"
#include "daemon/uv/handles.h"

namespace peernet::daemon {
struct TcpListeners::Listener {
  uv_tcp_t handle{};
  TcpListeners* owner = nullptr;
  std::uint64_t number = 0;
  Endpoint endpoint;
  bool is_closed = false;  // libuv has let go of it; it waits for its timer
  bool is_wanted = true;
};

TcpListeners::TcpListeners(uv_loop_t* loop, const MonotonicClock& clock, Inputs& inputs)
    : loop_(loop), clock_(clock), inputs_(inputs) {}

TcpListeners::~TcpListeners() {
  PN_CHECK(handles_count_ == 0);
}

Result<Endpoint> TcpListeners::listen(const Endpoint& endpoint) {
  auto listener = std::make_unique<Listener>();
  listener->owner = this;
  listener->number = next_number_++;
  listener->endpoint = endpoint;
  const int status = open(*listener);
  if (status != 0) {
    drop(std::move(listener));
    return network_error(status, "cannot listen on " + endpoint.to_string() + " (TCP)");
  }
  const Endpoint bound = listener->endpoint;
  listeners_.emplace(listener->number, std::move(listener));
  return bound;
}

int TcpListeners::open(Listener& listener) {
  uv_tcp_init(loop_, &listener.handle);
  listener.handle.data = &listener;
  ++handles_count_;
  sockaddr_storage address{};
  to_socket_address(listener.endpoint, address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  // One socket a family, so that 0.0.0.0 and [::] can stand beside each other.
  const unsigned flags = listener.endpoint.is_v6 ? UV_TCP_IPV6ONLY : 0;
  int status = uv_tcp_bind(&listener.handle, generic, flags);
  if (status == 0) status = uv_listen(as_stream(&listener.handle), kListenBacklog, on_connection);
  int size = sizeof(address);
  if (status == 0) status = uv_tcp_getsockname(&listener.handle, generic, &size);
  if (status == 0) listener.endpoint = from_socket_address(generic);
  listener.is_closed = false;
  return status;
}

void TcpListeners::on_connection(uv_stream_t* server, int status) noexcept {
  auto& listener = *static_cast<Listener*>(server->data);
  if (status < 0) {
    // Out of descriptors, libuv would call back for ever.
    close(listener);
  } else {
    listener.owner->inputs_.on_incoming(server);
  }
}

void TcpListeners::close(Listener& listener) {
  if (uv_is_closing(as_handle(&listener.handle)) != 0) return;
  uv_close(as_handle(&listener.handle), on_closed);
}

void TcpListeners::on_closed(uv_handle_t* handle) noexcept {
  auto* listener = static_cast<Listener*>(handle->data);
  TcpListeners& self = *listener->owner;
  --self.handles_count_;
  listener->is_closed = true;
  if (!listener->is_wanted) {
    const std::unique_ptr<Listener> gone(listener);
    return;
  }
  self.retries_.set(listener->number, self.clock_.now() + kListenRetry);
  self.inputs_.on_waiting();
}

void TcpListeners::on_time(Time now) {
  while (const auto number = retries_.pop_expired(now)) {
    Listener& listener = *listeners_.at(*number);
    if (open(listener) != 0) close(listener);
  }
}

void TcpListeners::drop(std::unique_ptr<Listener> listener) {
  retries_.cancel(listener->number);
  if (listener->is_closed) return;
  listener->is_wanted = false;
  close(*listener.release());
}

void TcpListeners::stop() {
  for (auto& [number, listener] : listeners_) drop(std::move(listener));
  listeners_.clear();
}

std::vector<Endpoint> TcpListeners::endpoints() const {
  std::vector<Endpoint> result;
  for (const auto& [number, listener] : listeners_) result.push_back(listener->endpoint);
  return result;
}

}  // namespace peernet::daemon
