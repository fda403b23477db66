#include "test/sim/network.h"

#include <algorithm>

#include "core/check.h"
#include "test/sim/digest.h"

namespace peernet::sim {
namespace {

constexpr std::size_t kDatagramMax = 65'507;
constexpr std::size_t kDatagramHeader = 28;  // IPv4 and UDP
constexpr std::size_t kSpokenToMax = 4096;

Endpoint host_key(const Endpoint& endpoint) {
  Endpoint key = endpoint;
  key.port = 0;
  return key;
}

Duration transmission(std::size_t size, std::uint64_t rate) {
  if (rate == 0) return Duration{0};
  return Duration{static_cast<std::int64_t>(size * 1'000'000 / rate)};
}

}  // namespace

Network::Network(Timeline& timeline, std::uint64_t seed, Receiver& receiver)
    : timeline_(timeline), seed_(mix(seed)), rng_(mix(seed ^ 0x6e6574)), receiver_(receiver) {}

HostIndex Network::add_host(const Endpoint& address, const LinkOptions& link) {
  const auto index = static_cast<HostIndex>(hosts_.size());
  PN_CHECK(by_address_.emplace(host_key(address), index).second);
  hosts_.emplace_back();
  hosts_.back().address = address;
  hosts_.back().link = link;
  return index;
}

void Network::up(HostIndex host) {
  hosts_[host].is_up = true;
  plan_pump(host);
}

void Network::down(HostIndex index, Down how) {
  Host& host = hosts_[index];
  host.is_up = false;
  host.down = how;
  std::vector<std::pair<ConnId, Place>> conns(host.conns.begin(), host.conns.end());
  std::sort(conns.begin(), conns.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  host.conns.clear();
  for (const auto& [conn, place] : conns) {
    Side& mine = place.stream->sides[place.side];
    mine.is_open = false;
    mine.queued.clear();
    mine.unsent = 0;
    mine.inbox.clear();
    if (how == Down::process) reached_dead_end(place.id, 1 - place.side);
    forget_if_over(place.id);
  }
}

Duration Network::delay(HostIndex from, HostIndex to) const {
  const HostIndex low = std::min(from, to);
  const HostIndex high = std::max(from, to);
  if (low == high) return Duration{50};
  const std::uint64_t draw = mix(seed_ ^ mix(std::uint64_t{low} << 32U | high));
  // A quarter of the median up to four times it: the octave from two bits, the place within it from
  // ten more. Whole numbers, so that every compiler agrees.
  const auto median = static_cast<std::uint64_t>(options.round_trip.count()) / 2;
  const std::uint64_t octave = draw & 3U;
  const std::uint64_t place = draw >> 2U & 1023U;
  return Duration{static_cast<std::int64_t>((median * (1024 + place) << octave) / 4096)};
}

Duration Network::jitter() {
  if (options.jitter.count() <= 0) return Duration{0};
  return Duration{static_cast<std::int64_t>(
      rng_.below(static_cast<std::uint64_t>(options.jitter.count()) + 1))};
}

bool Network::is_let_in(HostIndex host, const Endpoint& from) const {
  if (hosts_[host].link.nat == Nat::none) return true;
  const auto found = hosts_[host].spoken_to.find(from);
  return found != hosts_[host].spoken_to.end() && timeline_.now() - found->second < kNatMemory;
}

void Network::send(HostIndex index, const Endpoint& to, BytesView bytes) {
  Host& host = hosts_[index];
  ++datagrams_count_;
  if (host.link.nat != Nat::none) {
    if (host.spoken_to.size() >= kSpokenToMax) host.spoken_to.clear();
    host.spoken_to[to] = timeline_.now();
  }
  const auto target = by_address_.find(host_key(to));
  if (bytes.size() > kDatagramMax || host.up_free > timeline_.now() + kDatagramQueueMax) return;
  host.up_free = std::max(host.up_free, timeline_.now()) +
                 transmission(bytes.size() + kDatagramHeader, host.link.up);
  host.bytes_up += bytes.size() + kDatagramHeader;
  if (target == by_address_.end() || hosts_[target->second].address.port != to.port) return;
  if (is_blocked(index, target->second)) return;
  const int copies = chance(options.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (chance(options.loss)) continue;
    Time arrives = host.up_free + delay(index, target->second) + jitter();
    if (chance(options.reorder))
      arrives += Duration{static_cast<std::int64_t>(rng_.below(200'000))};
    timeline_.at(arrives, [this, from = host.address, at = target->second, copy = to_bytes(bytes)] {
      datagram_arrives(from, at, copy);
    });
  }
}

void Network::datagram_arrives(const Endpoint& from, HostIndex to, const Bytes& bytes) {
  if (!hosts_[to].is_up || !is_let_in(to, from)) return;
  hosts_[to].bytes_down += bytes.size() + kDatagramHeader;
  receiver_.datagram(to, from, bytes);
}

Network::Side* Network::find(HostIndex host, ConnId conn, StreamId* id, int* side) {
  const auto found = hosts_[host].conns.find(conn);
  if (found == hosts_[host].conns.end()) return nullptr;
  const Place& place = found->second;
  if (id != nullptr) *id = place.id;
  if (side != nullptr) *side = place.side;
  return &place.stream->sides[place.side];
}

Network::Stream* Network::find(StreamId id) {
  return id < streams_.size() ? streams_[id].get() : nullptr;
}

Network::Stream& Network::stream_at(StreamId id) {
  Stream* const stream = find(id);
  PN_CHECK(stream != nullptr);
  return *stream;
}

void Network::forget(StreamId id) {
  streams_[id].reset();
  --streams_count_;
}

std::size_t Network::unsent(HostIndex host, ConnId conn) const {
  const auto found = hosts_[host].conns.find(conn);
  if (found == hosts_[host].conns.end()) return 0;
  return found->second.stream->sides[found->second.side].unsent;
}

bool Network::connect(HostIndex index, ConnId conn, const Endpoint& to) {
  Host& host = hosts_[index];
  if (host.conns.contains(conn)) return false;
  const StreamId id = streams_.size();
  Stream& stream = *streams_.emplace_back(std::make_unique<Stream>());
  ++streams_count_;
  host.conns.emplace(conn, Place{&stream, id, 0});
  stream.sides[0].host = index;
  stream.sides[0].conn = conn;
  stream.sides[0].is_open = true;

  host.port_next =
      host.port_next == 60'999 ? 32'768 : static_cast<std::uint16_t>(host.port_next + 1);
  Endpoint from = host.address;
  from.port = host.port_next;
  const auto target = by_address_.find(host_key(to));
  if (target == by_address_.end() || is_blocked(index, target->second) ||
      is_blocked(target->second, index)) {
    fail_connect(id, kConnectTimeout, Errc::timed_out, "no answer");
    return true;
  }
  const HostIndex there = target->second;
  stream.sides[1].host = there;
  const bool is_refused = hosts_[there].is_up ? hosts_[there].address.port != to.port
                                              : hosts_[there].down == Down::process;
  if (is_refused) {
    fail_connect(id, 2 * delay(index, there), Errc::refused, "connection refused");
    return true;
  }
  // A lost SYN is sent again after a second.
  const Duration again = chance(options.loss) ? std::chrono::seconds(1) : Duration{0};
  timeline_.after(delay(index, there) + jitter() + again,
                  [this, id, there, from] { syn_arrives(id, there, from); });
  return true;
}

void Network::fail_connect(StreamId id, Duration delay, Errc code, const char* what) {
  timeline_.after(delay, [this, id, code, what] { tell_closed(id, 0, code, what); });
}

void Network::syn_arrives(StreamId id, HostIndex to, const Endpoint& from) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (!stream->sides[0].is_open) {  // given up meanwhile
    forget(id);
    return;
  }
  Endpoint source = from;
  source.port = hosts_[stream->sides[0].host].address.port;
  if (!hosts_[to].is_up || !is_let_in(to, source)) {
    fail_connect(id, kConnectTimeout, Errc::timed_out, "no answer");
    return;
  }
  const std::optional<ConnId> conn = receiver_.accepted(to, from);
  stream = find(id);
  if (stream == nullptr) return;
  if (conn) {
    PN_CHECK(hosts_[to].conns.emplace(*conn, Place{stream, id, 1}).second);
    stream->sides[1].conn = *conn;
    stream->sides[1].is_open = true;
  }
  const Duration back = delay(to, stream->sides[0].host) + jitter();
  stream->sides[1].last_arrival = timeline_.now() + back;
  timeline_.after(back,
                  [this, id, is_accepted = conn.has_value()] { answer_connect(id, is_accepted); });
  receiver_.registered(to);
}

void Network::answer_connect(StreamId id, bool is_accepted) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->is_connected = true;
  Side& mine = stream->sides[0];
  if (mine.is_open) receiver_.connected(mine.host, mine.conn);
  if (find(id) == nullptr) return;
  if (!is_accepted) {
    tell_closed(id, 0, Errc::closed, "closed by the other side");
    return;
  }
  make_ready(id, 0);
  if (find(id) != nullptr) make_ready(id, 1);
}

}  // namespace peernet::sim
