// The streams of Network: from a write to the access link, the wire, the inbox and the reader.

#include <algorithm>

#include "core/check.h"
#include "test/sim/network.h"

namespace peernet::sim {
namespace {

constexpr Duration kBlockedRetry = std::chrono::milliseconds(250);
constexpr Duration kDeadRetry = std::chrono::seconds(5);

std::size_t segment_size(std::uint64_t rate) {
  if (rate == 0) return kSegmentMax;
  // What the link carries in 4 ms.
  return std::clamp<std::size_t>(rate / 250, kSegmentMin, kSegmentMax);
}

}  // namespace

bool Network::write(HostIndex host, ConnId conn, BytesView bytes) {
  StreamId id = 0;
  int side = 0;
  Side* mine = find(host, conn, &id, &side);
  if (mine == nullptr) return false;
  if (bytes.empty()) return true;
  mine->queued.push_back(to_bytes(bytes));
  mine->unsent += bytes.size();
  make_ready(id, side);
  return true;
}

bool Network::close(HostIndex host, ConnId conn) {
  StreamId id = 0;
  int side = 0;
  Side* mine = find(host, conn, &id, &side);
  if (mine == nullptr) return false;
  hosts_[host].conns.erase(conn);
  mine->is_open = false;
  mine->is_closing = true;
  mine->inbox.clear();
  make_ready(id, side);
  timeline_.after(kLingerTimeout, [this, id, side] {
    Stream* stream = find(id);
    if (stream == nullptr || stream->sides[side].is_finished) return;
    stream->sides[side].queued.clear();
    stream->sides[side].is_finished = true;
    reached_dead_end(id, 1 - side);
  });
  forget_if_over(id);
  return true;
}

bool Network::pause(HostIndex host, ConnId conn) {
  Side* mine = find(host, conn);
  if (mine == nullptr) return false;
  mine->is_paused = true;
  return true;
}

bool Network::resume(HostIndex host, ConnId conn) {
  StreamId id = 0;
  int side = 0;
  Side* mine = find(host, conn, &id, &side);
  if (mine == nullptr) return false;
  mine->is_paused = false;
  if (!mine->inbox.empty()) plan_drain(id, side, Duration{0});
  return true;
}

void Network::reset_some(double share) {
  std::vector<StreamId> chosen;
  for (StreamId id = 0; id < streams_.size(); ++id) {
    if (streams_[id] != nullptr && chance(share)) chosen.push_back(id);
  }
  for (const StreamId id : chosen) reset(id);
}

void Network::make_ready(StreamId id, int side) {
  Stream& stream = stream_at(id);
  Side& mine = stream.sides[side];
  const bool has_work = !mine.queued.empty() || (mine.is_closing && !mine.is_finished);
  if (mine.is_ready || !has_work || !stream.is_connected) return;
  mine.is_ready = true;
  hosts_[mine.host].ready.emplace_back(id, side);
  plan_pump(mine.host);
}

void Network::plan_pump(HostIndex index) {
  Host& host = hosts_[index];
  if (host.is_pump_planned || host.ready.empty()) return;
  host.is_pump_planned = true;
  timeline_.at(std::max(host.up_free, timeline_.now()), [this, index] {
    hosts_[index].is_pump_planned = false;
    pump(index);
  });
}

// The streams of a host take turns, a segment each.
void Network::pump(HostIndex index) {
  Host& host = hosts_[index];
  if (!host.is_up && host.down == Down::machine) return;
  if (host.up_free <= timeline_.now() && !host.ready.empty()) {
    const auto [id, side] = host.ready.front();
    host.ready.pop_front();
    if (Stream* stream = find(id)) {
      stream->sides[side].is_ready = false;
      if (send_segment(id, side) && find(id) != nullptr) make_ready(id, side);
    }
  }
  plan_pump(index);
}

// False when the stream must wait for its reader, or has nothing left to send.
bool Network::send_segment(StreamId id, int side) {
  Side& mine = stream_at(id).sides[side];
  if (mine.queued.empty()) {
    if (mine.is_closing && !mine.is_finished) {
      mine.is_finished = true;
      put_on_wire(id, side, {.bytes = {}, .is_last = true, .arrives = {}}, Duration{0});
    }
    return false;
  }
  Host& host = hosts_[mine.host];
  const std::size_t window = options.window > mine.in_flight ? options.window - mine.in_flight : 0;
  const std::size_t size_max = std::min(window, segment_size(host.link.up));
  if (size_max == 0) return false;
  Bytes bytes;
  while (bytes.size() < size_max && !mine.queued.empty()) {
    const BytesView front = BytesView(mine.queued.front()).subspan(mine.queued_begin);
    const std::size_t taken = std::min(front.size(), size_max - bytes.size());
    append(bytes, front.first(taken));
    mine.queued_begin += taken;
    if (taken < front.size()) break;
    mine.queued.pop_front();
    mine.queued_begin = 0;
  }
  mine.in_flight += bytes.size();
  host.bytes_up += bytes.size();
  if (host.link.up == 0) {
    segment_left(id, side, std::move(bytes));
    return true;
  }
  host.up_free = timeline_.now() +
                 Duration{static_cast<std::int64_t>(bytes.size() * 1'000'000 / host.link.up)};
  timeline_.at(host.up_free, [this, id, side, segment = std::move(bytes)]() mutable {
    segment_left(id, side, std::move(segment));
  });
  return true;
}

void Network::segment_left(StreamId id, int side, Bytes bytes) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  Side& mine = stream->sides[side];
  mine.unsent -= std::min(mine.unsent, bytes.size());
  if (chance(options.reset)) {
    reset(id);
    return;
  }
  Duration extra{0};
  if (chance(options.stall)) {
    extra = Duration{200'000 + static_cast<std::int64_t>(rng_.below(2'800'000))};
  }
  put_on_wire(id, side, {.bytes = std::move(bytes), .is_last = false, .arrives = {}}, extra);
  if (mine.is_open) receiver_.sent(mine.host, mine.conn, mine.unsent);
}

void Network::put_on_wire(StreamId id, int side, Segment segment, Duration extra) {
  Stream& stream = stream_at(id);
  Side& mine = stream.sides[side];
  const Time natural =
      timeline_.now() + delay(mine.host, stream.sides[1 - side].host) + jitter() + extra;
  mine.last_arrival = std::max(mine.last_arrival, natural);
  segment.arrives = mine.last_arrival;
  mine.wire.push_back(std::move(segment));
  if (mine.wire.size() == 1) {
    timeline_.at(mine.last_arrival, [this, id, side] { wire_arrives(id, side); });
  }
}

void Network::wire_arrives(StreamId id, int side) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->sides[side].wire.empty()) return;
  Side& mine = stream->sides[side];
  Side& other = stream->sides[1 - side];
  if (is_blocked(mine.host, other.host)) {
    if (!mine.blocked_since) mine.blocked_since = timeline_.now();
    if (timeline_.now() - *mine.blocked_since >= kSilenceTimeout) {
      // What this side still had to say is lost; whoever writes to it later learns so.
      mine.wire.clear();
      mine.is_closing = false;
      mine.is_finished = false;
      tell_closed(id, side, Errc::timed_out, "no answer for a minute");
      return;
    }
    timeline_.after(kBlockedRetry, [this, id, side] { wire_arrives(id, side); });
    return;
  }
  mine.blocked_since.reset();
  Segment segment = std::move(mine.wire.front());
  mine.wire.pop_front();
  if (!mine.wire.empty()) {
    timeline_.at(mine.wire.front().arrives, [this, id, side] { wire_arrives(id, side); });
  }
  if (!other.is_open) {
    // Either it closed, and its FIN is under way, or it is gone without a word.
    if (!other.is_closing && !other.is_finished) reached_dead_end(id, side);
    return;
  }
  Host& host = hosts_[other.host];
  host.bytes_down += segment.bytes.size();
  if (host.link.down != 0) {
    host.down_free =
        std::max(host.down_free, timeline_.now()) +
        Duration{static_cast<std::int64_t>(segment.bytes.size() * 1'000'000 / host.link.down)};
  }
  if (host.down_free > timeline_.now()) {
    timeline_.at(host.down_free, [this, id, side, late = std::move(segment)]() mutable {
      Stream* still = find(id);
      if (still == nullptr || !still->sides[1 - side].is_open) return;
      still->sides[1 - side].inbox.push_back(std::move(late));
      if (!still->sides[1 - side].is_draining) drain(id, 1 - side);
    });
    return;
  }
  other.inbox.push_back(std::move(segment));
  if (!other.is_draining) drain(id, 1 - side);
}

// Nobody stands at the other end of what `side` sends. A machine that is up says so; from one that
// is down there is silence, until the kernel of the sender gives up.
void Network::reached_dead_end(StreamId id, int side) {
  const Side& mine = stream_at(id).sides[side];
  const Side& other = stream_at(id).sides[1 - side];
  if (!mine.is_open) return;
  const HostIndex there = other.host;
  if ((hosts_[there].is_up || hosts_[there].down == Down::process) &&
      !is_blocked(there, mine.host)) {
    timeline_.after(delay(there, mine.host),
                    [this, id, side] { tell_closed(id, side, Errc::closed, "connection reset"); });
    return;
  }
  Side& silent = stream_at(id).sides[side];
  if (!silent.blocked_since) silent.blocked_since = timeline_.now();
  if (timeline_.now() - *silent.blocked_since >= kSilenceTimeout) {
    tell_closed(id, side, Errc::timed_out, "no answer for a minute");
    return;
  }
  timeline_.after(kDeadRetry, [this, id, side] {
    if (find(id) != nullptr) reached_dead_end(id, side);
  });
}

void Network::plan_drain(StreamId id, int side, Duration delay) {
  Side& mine = stream_at(id).sides[side];
  if (mine.is_draining) return;
  mine.is_draining = true;
  timeline_.after(delay, [this, id, side] {
    if (Stream* stream = find(id)) {
      stream->sides[side].is_draining = false;
      drain(id, side);
    }
  });
}

// Hands over what has arrived, sometimes in parts down to one byte.
void Network::drain(StreamId id, int side) {
  for (Stream* stream = find(id); stream != nullptr; stream = find(id)) {
    Side& mine = stream->sides[side];
    Side& other = stream->sides[1 - side];
    if (!mine.is_open || mine.is_paused || mine.inbox.empty()) return;
    Segment& front = mine.inbox.front();
    if (front.is_last) {
      tell_closed(id, side, Errc::closed, "closed by the other side");
      return;
    }
    std::size_t taken = front.bytes.size();
    if (taken > 1 && chance(options.cut)) {
      const std::uint64_t kind = rng_.below(4);
      const std::uint64_t below = kind == 0 ? 1 : kind == 1 ? 64 : taken;
      taken = std::min<std::size_t>(taken, 1 + rng_.below(below));
    }
    const bool is_cut = taken < front.bytes.size();
    Bytes bytes;
    if (is_cut) {
      const auto middle = front.bytes.begin() + static_cast<std::ptrdiff_t>(taken);
      bytes.assign(front.bytes.begin(), middle);
      front.bytes.erase(front.bytes.begin(), middle);
    } else {
      bytes = std::move(front.bytes);
      mine.inbox.pop_front();
    }
    other.in_flight -= std::min(other.in_flight, bytes.size());
    make_ready(id, 1 - side);
    if (is_cut) plan_drain(id, side, Duration{static_cast<std::int64_t>(rng_.below(2000))});
    receiver_.received(mine.host, mine.conn, bytes);
    if (is_cut) return;
  }
}

// Both ends hear of it, each after the way there.
void Network::reset(StreamId id) {
  for (int side = 0; side < 2; ++side) {
    timeline_.after(Duration{static_cast<std::int64_t>(rng_.below(50'000))},
                    [this, id, side] { tell_closed(id, side, Errc::closed, "connection reset"); });
  }
}

void Network::tell_closed(StreamId id, int side, Errc code, const char* what) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  Side& mine = stream->sides[side];
  if (mine.is_open) {
    mine.is_open = false;
    mine.queued.clear();
    mine.unsent = 0;
    mine.inbox.clear();
    hosts_[mine.host].conns.erase(mine.conn);
    receiver_.closed(mine.host, mine.conn, {code, what, {}});
  }
  forget_if_over(id);
}

void Network::forget_if_over(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->sides[0].is_open || stream->sides[1].is_open) return;
  // A SYN that is still on its way finds nobody.
  forget(id);
}

}  // namespace peernet::sim
