#include "daemon/uv/multicast.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "daemon/uv/address.h"
#include "daemon/uv/handles.h"
#include "daemon/uv/interfaces.h"

namespace peernet::daemon {

struct Multicast::Socket {
  uv_poll_t handle{};
  Multicast* owner = nullptr;
  Fd fd;
  Place place;
};

namespace {

// Of the scopes that end at the site and at the link (RFC 2365, RFC 4291).
constexpr std::uint32_t kGroupV4 = 0xefff4929;  // 239.255.73.41
constexpr std::array<std::uint8_t, 16> kGroupV6{0xff, 0x12, 0, 0, 0, 0, 0,    0,
                                                0,    0,    0, 0, 0, 0, 0x73, 0x41};

template <class Value>
bool set_option(int fd, int level, int name, const Value& value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

bool is_link_local_v6(const Endpoint& endpoint) {
  return endpoint.is_v6 && endpoint.address[0] == 0xfe && (endpoint.address[1] & 0xc0U) == 0x80;
}

// Every option that keeps a datagram on its link must hold, or the socket is not used.
bool confine(int fd, const Endpoint& address, std::uint32_t interface_index, bool is_loopback) {
  const int on = 1;
  const int off = 0;
  const int hops = is_loopback ? 0 : 1;
  if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, on)) return false;
  if (address.is_v6) {
    ipv6_mreq group{};
    std::memcpy(&group.ipv6mr_multiaddr, kGroupV6.data(), kGroupV6.size());
    group.ipv6mr_interface = interface_index;
    const int index = static_cast<int>(interface_index);
    // Who hears us is to dial the source: a link-local address would not do without its link.
    in6_pktinfo source{};
    std::memcpy(&source.ipi6_addr, address.address.data(), address.address.size());
    source.ipi6_ifindex = interface_index;
    return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, on) &&
           set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, off) &&
           set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops) &&
           set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, on) &&
           set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index) &&
           set_option(fd, IPPROTO_IPV6, IPV6_PKTINFO, source) &&
           set_option(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, group);
  }
  ip_mreqn group{};
  group.imr_multiaddr.s_addr = htonl(kGroupV4);
  std::memcpy(&group.imr_address, address.address.data(), sizeof(group.imr_address));
  group.imr_ifindex = static_cast<int>(interface_index);
  return set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, off) &&
         set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, hops) &&
         set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, on) &&
         set_option(fd, IPPROTO_IP, IP_MULTICAST_IF, group) &&
         set_option(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, group);
}

socklen_t group_address(bool is_v6, std::uint32_t interface_index, sockaddr_storage& out) {
  const Endpoint group =
      is_v6 ? Endpoint::v6(kGroupV6, kMulticastPort) : Endpoint::v4(kGroupV4, kMulticastPort);
  const socklen_t size = to_socket_address(group, out);
  if (is_v6) reinterpret_cast<sockaddr_in6*>(&out)->sin6_scope_id = interface_index;
  return size;
}

}  // namespace

Multicast::Multicast(uv_loop_t* loop, Inputs& inputs) : loop_(loop), inputs_(inputs) {}

Multicast::~Multicast() {
  PN_CHECK(handles_count_ == 0);
}

void Multicast::start(const std::vector<Endpoint>& listeners) {
  listeners_ = listeners;
  refresh();
}

// The first address of each interface and family that a listener has.
std::vector<Multicast::Place> Multicast::places() const {
  std::vector<Place> places;
  for (const InterfaceAddress& own : interface_addresses()) {
    const Place place{own.address, own.interface_index, own.is_loopback};
    if (is_link_local_v6(place.address)) continue;
    const auto is_listened_on = [&](const Endpoint& listener) {
      if (listener.is_v6 != place.address.is_v6) return false;
      if (listener.address == Endpoint{}.address) return own.can_multicast && !place.is_loopback;
      if (place.is_loopback) return listener.locality() == Locality::loopback;
      return own.can_multicast && listener.address == place.address.address;
    };
    const auto is_same_link = [&](const Place& known) {
      return known.interface_index == place.interface_index &&
             known.address.is_v6 == place.address.is_v6;
    };
    if (std::none_of(listeners_.begin(), listeners_.end(), is_listened_on)) continue;
    if (std::any_of(places.begin(), places.end(), is_same_link)) continue;
    if (places.size() < kMulticastInterfacesMax) places.push_back(place);
  }
  return places;
}

void Multicast::refresh() {
  const std::vector<Place> wanted = places();
  for (auto& socket : sockets_) {
    if (std::find(wanted.begin(), wanted.end(), socket->place) == wanted.end()) {
      close(std::move(socket));
    }
  }
  std::erase(sockets_, nullptr);
  for (const Place& place : wanted) {
    const bool is_open = std::any_of(sockets_.begin(), sockets_.end(),
                                     [&](const auto& socket) { return socket->place == place; });
    if (!is_open) open(place);
  }
}

void Multicast::open(const Place& place) {
  auto socket = std::make_unique<Socket>();
  socket->owner = this;
  socket->place = place;
  const bool is_v6 = place.address.is_v6;
  socket->fd =
      Fd(::socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket->fd) return;
  if (!confine(socket->fd.get(), place.address, place.interface_index, place.is_loopback)) return;
  // To the group's own address: what is sent to us alone does not come here.
  sockaddr_storage address{};
  const socklen_t size = group_address(is_v6, place.interface_index, address);
  if (bind(socket->fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return;
  if (uv_poll_init(loop_, &socket->handle, socket->fd.get()) != 0) return;
  ++handles_count_;
  socket->handle.data = socket.get();
  PN_CHECK(uv_poll_start(&socket->handle, UV_READABLE, on_readable) == 0);
  sockets_.push_back(std::move(socket));
}

// One that cannot leave is lost, as any datagram may be.
void Multicast::send(BytesView bytes) {
  for (const auto& socket : sockets_) {
    sockaddr_storage address{};
    const socklen_t size =
        group_address(socket->place.address.is_v6, socket->place.interface_index, address);
    iovec data{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = size;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    // The kernel would send from the link-local address, at which nobody can be dialled.
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
    if (socket->place.address.is_v6) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = IPPROTO_IPV6;
      header->cmsg_type = IPV6_PKTINFO;
      header->cmsg_len = CMSG_LEN(sizeof(in6_pktinfo));
      in6_pktinfo source{};
      std::memcpy(&source.ipi6_addr, socket->place.address.address.data(), sizeof(in6_addr));
      source.ipi6_ifindex = socket->place.interface_index;
      std::memcpy(CMSG_DATA(header), &source, sizeof(source));
    }
    static_cast<void>(sendmsg(socket->fd.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL));
  }
}

void Multicast::on_readable(uv_poll_t* handle, int status, int) noexcept {
  const auto& socket = *static_cast<Socket*>(handle->data);
  if (status < 0) {
    // libuv stops polling on an error, which concerns one datagram: it is taken off.
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(socket.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    uv_poll_start(handle, UV_READABLE, on_readable);
    return;
  }
  socket.owner->receive(socket);
}

void Multicast::receive(const Socket& socket) {
  // One byte more than is allowed shows that a datagram was too long.
  std::array<std::uint8_t, kMulticastSizeMax + 1> buffer;  // NOLINT: filled by recvfrom
  const int fd = socket.fd.get();
  bool has_inputs = false;
  for (int i = 0; i < kMulticastReadsMax; ++i) {
    sockaddr_storage source{};
    socklen_t size = sizeof(source);
    const ssize_t got = recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&source), &size);
    if (got < 0) break;
    const Endpoint from = from_socket_address(reinterpret_cast<sockaddr*>(&source));
    if (static_cast<std::size_t>(got) > kMulticastSizeMax || is_link_local_v6(from)) continue;
    inputs_.on_multicast(from, {buffer.data(), static_cast<std::size_t>(got)});
    has_inputs = true;
  }
  if (has_inputs) inputs_.carry_out();
}

void Multicast::close(std::unique_ptr<Socket> socket) {
  uv_poll_stop(&socket->handle);
  uv_close(as_handle(&socket.release()->handle), [](uv_handle_t* handle) {
    const std::unique_ptr<Socket> gone(static_cast<Socket*>(handle->data));
    --gone->owner->handles_count_;
  });
}

void Multicast::close_all() {
  for (auto& socket : sockets_) close(std::move(socket));
  sockets_.clear();
}

}  // namespace peernet::daemon
