#include "daemon/uv/udp.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/check.h"
#include "daemon/uv/address.h"

namespace peernet::daemon {

struct Udp::Socket {
  uv_poll_t handle{};
  Udp* udp = nullptr;
  Fd fd;
  Endpoint endpoint;
};

// Where a batch arrives. One byte more than is allowed shows that a datagram was too long.
struct Udp::Arrivals {
  std::array<std::array<std::uint8_t, kDatagramSizeMax + 1>, kDatagramBatch> bytes;
  std::array<sockaddr_storage, kDatagramBatch> sources;
  std::array<iovec, kDatagramBatch> parts;
  std::array<mmsghdr, kDatagramBatch> messages;
};

namespace {

Result<void> set_options(int fd, bool is_v6) {
  const int on = 1;
  if (is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
    return network_error(-errno, "cannot make an IPv6 socket");
  }
  // Forged messages about path sizes must not change what we send. Kernels without it are no worse
  // than before.
  const int omit = IP_PMTUDISC_OMIT;  // the same number for IPv6
  static_assert(IP_PMTUDISC_OMIT == IPV6_PMTUDISC_OMIT);
  setsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
             &omit, sizeof(omit));
  // The kernel gives what it allows.
  const int size = kReceiveBufferSize;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  return {};
}

}  // namespace

Udp::Udp(uv_loop_t* loop, Inputs& inputs)
    : loop_(loop), inputs_(inputs), arrivals_(std::make_unique<Arrivals>()) {}

Udp::~Udp() {
  PN_CHECK(handles_count_ == 0);
}

Result<Endpoint> Udp::listen(const Endpoint& endpoint) {
  const std::string what = "cannot listen on " + endpoint.to_string() + " (UDP)";
  auto socket = std::make_unique<Socket>();
  socket->udp = this;
  socket->fd = Fd(
      ::socket(endpoint.is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket->fd) return network_error(-errno, what);
  auto set = set_options(socket->fd.get(), endpoint.is_v6);
  if (!set) return set.error();
  sockaddr_storage address{};
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = to_socket_address(endpoint, address);
  if (bind(socket->fd.get(), generic, size) != 0) return network_error(-errno, what);
  size = sizeof(address);
  if (getsockname(socket->fd.get(), generic, &size) != 0) return network_error(-errno, what);
  socket->endpoint = from_socket_address(generic);
  const int status = uv_poll_init(loop_, &socket->handle, socket->fd.get());
  if (status != 0) return network_error(status, what);
  ++handles_count_;
  socket->handle.data = socket.get();
  PN_CHECK(uv_poll_start(&socket->handle, UV_READABLE, on_readable) == 0);
  const Endpoint bound = socket->endpoint;
  sockets_.push_back(std::move(socket));
  return bound;
}

// ---- Receiving
// ----------------------------------------------------------------------------------

void Udp::on_readable(uv_poll_t* handle, int status, int) noexcept {
  auto& socket = *static_cast<Socket*>(handle->data);
  if (status < 0) {
    // libuv stops polling on an error. The error concerns one datagram: it is taken off.
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(socket.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    uv_poll_start(handle, UV_READABLE, on_readable);
    return;
  }
  socket.udp->receive(socket);
}

// What is left after the last batch is read in the next turn: the socket stays readable.
void Udp::receive(Socket& socket) {
  for (int i = 0; i < kDatagramBatchesMax; ++i) {
    const std::size_t count = receive_batch(socket.fd.get());
    if (count > 0) inputs_.carry_out();
    if (count < kDatagramBatch) return;
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&socket.handle)) != 0) return;
  }
}

std::size_t Udp::receive_batch(int fd) {
  Arrivals& arrivals = *arrivals_;
  for (std::size_t i = 0; i < kDatagramBatch; ++i) {
    arrivals.parts[i] = {arrivals.bytes[i].data(), arrivals.bytes[i].size()};
    arrivals.messages[i] = {};
    msghdr& header = arrivals.messages[i].msg_hdr;
    header.msg_name = &arrivals.sources[i];
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_iov = &arrivals.parts[i];
    header.msg_iovlen = 1;
  }
  const int got = recvmmsg(fd, arrivals.messages.data(), kDatagramBatch, MSG_DONTWAIT, nullptr);
  if (got <= 0) return 0;
  const auto count = static_cast<std::size_t>(got);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = arrivals.messages[i].msg_len;
    if (size > kDatagramSizeMax) {
      ++counts_.received_too_long;
      continue;
    }
    ++counts_.received;
    const auto from = from_socket_address(reinterpret_cast<sockaddr*>(&arrivals.sources[i]));
    inputs_.on_datagram(from, {arrivals.bytes[i].data(), size});
  }
  return count;
}

// ---- Sending
// ------------------------------------------------------------------------------------

void Udp::send(SendDatagram datagram) {
  if (unsent_.size() >= kUnsentDatagramsMax) {
    ++counts_.lost;
    return;
  }
  unsent_.push_back(std::move(datagram));
}

void Udp::flush() {
  if (unsent_.empty()) return;
  std::vector<SendDatagram> unsent;
  unsent.swap(unsent_);
  for (const bool is_v6 : {false, true}) {
    const auto socket = std::find_if(sockets_.begin(), sockets_.end(),
                                     [&](const auto& one) { return one->endpoint.is_v6 == is_v6; });
    std::vector<const SendDatagram*> datagrams;
    for (const SendDatagram& datagram : unsent) {
      if (datagram.to.is_v6 == is_v6) datagrams.push_back(&datagram);
    }
    if (socket == sockets_.end()) {
      counts_.lost += datagrams.size();
    } else {
      send_batch((*socket)->fd.get(), datagrams);
    }
  }
}

void Udp::send_batch(int fd, std::vector<const SendDatagram*>& datagrams) {
  std::array<sockaddr_storage, kDatagramBatch> addresses{};
  std::array<iovec, kDatagramBatch> parts{};
  std::array<mmsghdr, kDatagramBatch> messages{};
  std::size_t done = 0;
  while (done < datagrams.size()) {
    const std::size_t count = std::min(kDatagramBatch, datagrams.size() - done);
    for (std::size_t i = 0; i < count; ++i) {
      const SendDatagram& datagram = *datagrams[done + i];
      // sendmmsg only reads from it.
      parts[i] = {const_cast<std::uint8_t*>(datagram.bytes.data()), datagram.bytes.size()};
      messages[i] = {};
      msghdr& header = messages[i].msg_hdr;
      header.msg_name = &addresses[i];
      header.msg_namelen = to_socket_address(datagram.to, addresses[i]);
      header.msg_iov = &parts[i];
      header.msg_iovlen = 1;
    }
    const int sent =
        sendmmsg(fd, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      counts_.sent += static_cast<std::uint64_t>(sent);
      done += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      counts_.lost += datagrams.size() - done;
      return;
    }
    // Only the first of the batch is at fault (no route, not permitted, too long): it is lost.
    ++counts_.lost;
    ++done;
  }
}

void Udp::close_all() {
  for (auto& socket : sockets_) {
    uv_poll_stop(&socket->handle);
    Socket* closing = socket.release();
    uv_close(reinterpret_cast<uv_handle_t*>(&closing->handle), [](uv_handle_t* handle) {
      const std::unique_ptr<Socket> gone(static_cast<Socket*>(handle->data));
      --gone->udp->handles_count_;
    });
  }
  sockets_.clear();
}

}  // namespace peernet::daemon
