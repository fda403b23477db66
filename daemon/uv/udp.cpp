#include "daemon/uv/udp.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "daemon/uv/address.h"
#include "daemon/uv/handles.h"

namespace peernet::daemon {

struct Udp::Socket {
  uv_poll_t handle{};
  Udp* udp = nullptr;
  Fd fd;
  Endpoint endpoint;
  bool is_for_all = false;  // bound to every address of its family
};

namespace {

// Room for one control message with the local address, of either family.
constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(in6_pktinfo));
static_assert(sizeof(in6_pktinfo) >= sizeof(in_pktinfo));

struct alignas(cmsghdr) Control {
  std::array<std::uint8_t, kControlSize> bytes;
};

}  // namespace

// Where a batch arrives. One byte more than is allowed shows that a datagram was too long.
struct Udp::Arrivals {
  std::array<std::array<std::uint8_t, kDatagramSizeMax + 1>, kDatagramBatch> bytes;
  std::array<sockaddr_storage, kDatagramBatch> sources;
  std::array<Control, kDatagramBatch> controls;
  std::array<iovec, kDatagramBatch> parts;
  std::array<mmsghdr, kDatagramBatch> messages;
};

// What one call sends.
struct Udp::Departures {
  std::array<sockaddr_storage, kDatagramBatch> destinations;
  std::array<Control, kDatagramBatch> controls;
  std::array<iovec, kDatagramBatch> parts;
  std::array<mmsghdr, kDatagramBatch> messages;
};

namespace {

template <class Value>
bool set_option(int fd, int level, int name, const Value& value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

Result<void> set_options(int fd, bool is_v6) {
  const int on = 1;
  if (is_v6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, on)) {
    return network_error(-errno, "cannot make an IPv6 socket");
  }
  const int level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  // Without it the kernel chooses the address that answers leave from.
  set_option(fd, level, is_v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, on);
  // Forged messages about path sizes must not change what we send. Kernels without it are no worse
  // than before.
  const int omit = IP_PMTUDISC_OMIT;  // the same number for IPv6
  static_assert(IP_PMTUDISC_OMIT == IPV6_PMTUDISC_OMIT);
  set_option(fd, level, is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, omit);
  set_option(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBufferSize);
  set_option(fd, SOL_SOCKET, SO_SNDBUF, kSendBufferSize);
  return {};
}

bool is_link_local(const Endpoint& address) {
  return address.is_v6 && address.address[0] == 0xfe && (address.address[1] & 0xc0U) == 0x80;
}

struct LocalAddress {
  Endpoint address;
  std::uint32_t interface_index = 0;
};

// The address of ours that a datagram was sent to.
std::optional<LocalAddress> local_of(msghdr& header) {
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
    if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof(info));
      // Of a broadcast this is the address of the interface.
      return LocalAddress{Endpoint::v4(ntohl(info.ipi_spec_dst.s_addr), 0), 0};
    }
    if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof(info));
      if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) return std::nullopt;
      LocalAddress local;
      local.address.is_v6 = true;
      std::memcpy(local.address.address.data(), &info.ipi6_addr, sizeof(info.ipi6_addr));
      // The same link-local address may be on several links; any other is reached by the route.
      if (is_link_local(local.address)) {
        local.interface_index = static_cast<std::uint32_t>(info.ipi6_ifindex);
      }
      return local;
    }
  }
  return std::nullopt;
}

template <class Packet>
std::size_t put_control(int level, int type, const Packet& packet, Control& control) {
  cmsghdr header{};
  header.cmsg_level = level;
  header.cmsg_type = type;
  header.cmsg_len = CMSG_LEN(sizeof(packet));
  control = {};
  std::memcpy(control.bytes.data(), &header, sizeof(header));
  std::memcpy(control.bytes.data() + CMSG_LEN(0), &packet, sizeof(packet));
  return CMSG_SPACE(sizeof(packet));
}

// Gives the bytes used.
std::size_t put_local(const Endpoint& local, std::uint32_t interface_index, Control& control) {
  if (local.is_v6) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, local.address.data(), sizeof(info.ipi6_addr));
    info.ipi6_ifindex = interface_index;
    return put_control(IPPROTO_IPV6, IPV6_PKTINFO, info, control);
  }
  in_pktinfo info{};
  std::memcpy(&info.ipi_spec_dst, local.address.data(), sizeof(info.ipi_spec_dst));
  return put_control(IPPROTO_IP, IP_PKTINFO, info, control);
}

}  // namespace

Udp::Udp(uv_loop_t* loop, Inputs& inputs)
    : loop_(loop),
      inputs_(inputs),
      arrivals_(std::make_unique<Arrivals>()),
      departures_(std::make_unique<Departures>()) {
  asked_.reserve(kDatagramBatch);
}

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
  socket->is_for_all = socket->endpoint.address == Endpoint{}.address;
  const int status = uv_poll_init(loop_, &socket->handle, socket->fd.get());
  if (status != 0) return network_error(status, what);
  ++handles_count_;
  socket->handle.data = socket.get();
  PN_CHECK(uv_poll_start(&socket->handle, UV_READABLE, on_readable) == 0);
  const Endpoint bound = socket->endpoint;
  sockets_.push_back(std::move(socket));
  return bound;
}

Udp::KernelFacts Udp::kernel_facts() const {
  KernelFacts facts;
  for (const auto& socket : sockets_) {
    std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
    socklen_t size = sizeof(memory);
    if (getsockopt(socket->fd.get(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0) continue;
    facts.dropped += memory[SK_MEMINFO_DROPS];
    const std::uint64_t given = memory[SK_MEMINFO_RCVBUF];
    const bool is_first = facts.receive_buffer_min == 0;
    facts.receive_buffer_min = is_first ? given : std::min(facts.receive_buffer_min, given);
  }
  return facts;
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
    const std::size_t count = receive_batch(socket);
    if (count > 0) inputs_.carry_out();
    asked_.clear();
    if (count < kDatagramBatch) return;
    if (uv_is_closing(as_handle(&socket.handle)) != 0) return;
  }
}

std::size_t Udp::receive_batch(Socket& socket) {
  Arrivals& arrivals = *arrivals_;
  for (std::size_t i = 0; i < kDatagramBatch; ++i) {
    arrivals.parts[i] = {arrivals.bytes[i].data(), arrivals.bytes[i].size()};
    arrivals.messages[i] = {};
    msghdr& header = arrivals.messages[i].msg_hdr;
    header.msg_name = &arrivals.sources[i];
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_iov = &arrivals.parts[i];
    header.msg_iovlen = 1;
    header.msg_control = &arrivals.controls[i];
    header.msg_controllen = sizeof(Control);
  }
  const int got =
      recvmmsg(socket.fd.get(), arrivals.messages.data(), kDatagramBatch, MSG_DONTWAIT, nullptr);
  if (got <= 0) return 0;
  const auto count = static_cast<std::size_t>(got);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = arrivals.messages[i].msg_len;
    if (size > kDatagramSizeMax) {
      ++counts_.received_too_long;
      continue;
    }
    ++counts_.received;
    Asked asked{from_socket_address(reinterpret_cast<sockaddr*>(&arrivals.sources[i])), {}};
    asked.way.socket = &socket;
    if (socket.is_for_all) {
      if (const auto local = local_of(arrivals.messages[i].msg_hdr)) {
        asked.way.local = local->address;
        asked.way.interface_index = local->interface_index;
      }
    }
    remember(asked);
    if (sockets_.empty()) return 0;  // closed meanwhile
    inputs_.on_datagram(asked.from, {arrivals.bytes[i].data(), size});
  }
  return count;
}

// One source has one way at a time: if it asked two addresses of ours, what it asked the first is
// answered before the second is looked at.
void Udp::remember(const Asked& asked) {
  // Nearly always everything came to the same address.
  if (!asked_.empty() && asked_.front().way != asked.way) {
    const bool is_two_ways = std::any_of(asked_.begin(), asked_.end(), [&](const Asked& one) {
      return one.from == asked.from && one.way != asked.way;
    });
    if (is_two_ways) {
      inputs_.carry_out();
      asked_.clear();
    }
  }
  if (asked_.empty()) asked_index_ = 0;
  asked_.push_back(asked);
}

// ---- Sending
// ------------------------------------------------------------------------------------

Udp::Way Udp::way_to(const Endpoint& to) {
  // Answers come in the order of the questions.
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    const std::size_t index = (asked_index_ + i) % asked_.size();
    if (asked_[index].from != to) continue;
    asked_index_ = index + 1;
    return asked_[index].way;
  }
  Way way;
  for (const auto& socket : sockets_) {
    if (socket->endpoint.is_v6 != to.is_v6) continue;
    const bool is_fit = socket->is_for_all || socket->endpoint.locality() == to.locality();
    if (way.socket == nullptr || is_fit) way.socket = socket.get();
    if (is_fit) break;
  }
  return way;
}

void Udp::send(SendDatagram datagram) {
  if (unsent_.size() >= kUnsentDatagramsMax) {
    ++counts_.lost;
    return;
  }
  const Way way = way_to(datagram.to);
  unsent_.push_back({std::move(datagram), way});
}

void Udp::flush() {
  if (unsent_.empty()) return;
  std::size_t with_way_count = 0;
  for (const auto& socket : sockets_) {
    departing_.clear();
    for (const Unsent& one : unsent_) {
      if (one.way.socket == socket.get()) departing_.push_back(&one);
    }
    with_way_count += departing_.size();
    if (!departing_.empty()) send_batch(*socket);
  }
  counts_.lost += unsent_.size() - with_way_count;
  departing_.clear();
  unsent_.clear();
}

void Udp::send_batch(const Socket& socket) {
  Departures& departures = *departures_;
  std::size_t done = 0;
  while (done < departing_.size()) {
    const std::size_t count = std::min(kDatagramBatch, departing_.size() - done);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [datagram, way] = *departing_[done + i];
      // sendmmsg only reads from it.
      departures.parts[i] = {const_cast<std::uint8_t*>(datagram.bytes.data()),
                             datagram.bytes.size()};
      departures.messages[i] = {};
      msghdr& header = departures.messages[i].msg_hdr;
      header.msg_name = &departures.destinations[i];
      header.msg_namelen = to_socket_address(datagram.to, departures.destinations[i]);
      header.msg_iov = &departures.parts[i];
      header.msg_iovlen = 1;
      if (way.local) {
        header.msg_control = &departures.controls[i];
        header.msg_controllen = put_local(*way.local, way.interface_index, departures.controls[i]);
      }
    }
    const int sent = sendmmsg(socket.fd.get(), departures.messages.data(),
                              static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      counts_.sent += static_cast<std::uint64_t>(sent);
      done += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      counts_.lost += departing_.size() - done;
      return;
    }
    // Only the first of the batch is at fault (no route, not permitted, too long, an address that
    // is no longer ours): it is lost.
    ++counts_.lost;
    ++done;
  }
}

void Udp::close_all() {
  for (auto& socket : sockets_) {
    uv_poll_stop(&socket->handle);
    Socket* closing = socket.release();
    uv_close(as_handle(&closing->handle), [](uv_handle_t* handle) {
      const std::unique_ptr<Socket> gone(static_cast<Socket*>(handle->data));
      --gone->udp->handles_count_;
    });
  }
  sockets_.clear();
  asked_.clear();
  unsent_.clear();
}

}  // namespace peernet::daemon
