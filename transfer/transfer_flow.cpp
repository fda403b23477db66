// Blocks in and out: as much is asked of each peer and sealed for it as its connection, the memory
// and the rate limits take.

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "transfer/transfer.h"

namespace peernet::transfer {
namespace {

// Sealed and not yet sent: 100 ms of what the peer takes, within these bounds.
constexpr std::size_t kUnsentGoalMax = std::size_t{512} << 10U;
constexpr std::size_t kRecordsOverhead = 2048;  // lengths, headers and tags around so many blocks
constexpr std::uint16_t kReadBlocksMax = 16;    // in one disk job

// While a peer declines, all are looked at so often: others may have it by now, or it again.
constexpr Duration kDeclinedInterval = std::chrono::milliseconds(100);

// Under a download limit a twentieth of a second's worth is asked for at a time.
constexpr std::uint64_t kLimitedAskShare = 20;
constexpr Duration kLimitedAskInterval = std::chrono::milliseconds(20);

}  // namespace

std::uint64_t Transfer::block_bytes_held() const {
  std::uint64_t bytes = load_.writing;
  for (const auto& [conn, peer] : peers_) {
    bytes += std::uint64_t{peer.pipeline.in_flight()} * kBlockSize + peer.upload.bytes_ahead();
  }
  return bytes;
}

void Transfer::settle(Turn& t, Peer& peer) {
  if (peer.phase() != Peer::Phase::open) return;
  fill(t, peer);
  steer(t, peer);
  pump(t, peer);
  peer.flush(t.out);
}

void Transfer::steer(Turn& t, Peer& peer) {
  if (peer.is_choked) return;
  for (auto& [id, share] : peer.shares()) {
    if (Swarm* swarm = share.is_interested ? find_swarm(id) : nullptr) swarm->steer(t, peer, share);
  }
}

// Keeps the peer's request window full, its shares taking turns.
void Transfer::fill(Turn& t, Peer& peer) {
  if (peer.phase() != Peer::Phase::open || peer.is_choking || is_stopping_) return;
  std::uint32_t room = peer.pipeline.room();
  if (room == 0) return;
  // Whole runs: a remainder would be a message and a read of its own.
  if (room > kRunBlocksMax) room -= room % kRunBlocksMax;
  if (!peer.is_interesting()) return;
  room = blocks_allowed(t, peer, room);
  if (room == 0) return;
  TokenBucket& of_node = limits_for(peer).down;
  TokenBucket& of_peer = peer.limits.down;
  room = blocks_within(of_node, blocks_within(of_peer, room));
  bool is_limited = of_node.is_limited() || of_peer.is_limited();

  std::vector<ShareId> turns;
  for (const auto& [id, share] : peer.shares()) {
    if (share.is_interesting) turns.push_back(id);
  }
  const auto first = std::ranges::upper_bound(turns, peer.fill_turn);
  std::rotate(turns.begin(), first, turns.end());
  for (const ShareId& id : turns) {
    if (room == 0) break;
    Swarm* swarm = find_swarm(id);
    PeerShare* share = peer.find_share(id);
    if (swarm == nullptr || share == nullptr) continue;
    if (const auto until = swarm->await_disk(t.now)) {
      wait_for_limit(*until);
      continue;
    }
    TokenBucket& of_share = limits_for(peer, *swarm).down;
    if (!of_share.may_take(t.now)) {
      swarm->on_limited(t.now, Cause::limited, of_share.rate());
      wait_for_limit(of_share.ready_at(t.now));
      continue;
    }
    is_limited = is_limited || of_share.is_limited();
    // None has more than its part of what is out: a share that comes slowly, for its limit at the
    // other end, would else fill the window sooner or later.
    const auto shares_count = static_cast<std::uint32_t>(turns.size());
    const std::uint32_t part = std::max(1U, peer.pipeline.window() / shares_count);
    const std::uint32_t out = shares_count == 1 ? 0 : swarm->outstanding(peer.conn());
    if (out >= part) continue;
    const std::uint32_t wanted = shares_count == 1 ? room : std::min(room, part - out);
    const std::uint32_t asked = swarm->request(t, peer, *share, blocks_within(of_share, wanted));
    if (swarm->is_declined_by(peer.conn())) wait_for_limit(t.now + kDeclinedInterval);
    swarm->flush_writes(t);  // leaf hashes that needed no asking
    if (asked == 0) continue;
    held_at_most_ += std::uint64_t{asked} * kBlockSize;
    room -= std::min(room, asked);
    for (TokenBucket* limit : {&of_node, &of_peer, &of_share}) {
      limit->take(t.now, std::uint64_t{asked} * kBlockSize);
    }
    peer.fill_turn = id;
    // Little is asked for at a time, so it is asked for often.
    if (is_limited) wait_for_limit(t.now + kLimitedAskInterval);
  }
  peer.flush(t.out);
}

// How many of so many blocks memory lets us ask for; none while a limit of the node or of the peer
// stands in the way. Then the shares are told why, and the peer is looked at again.
std::uint32_t Transfer::blocks_allowed(Turn& t, Peer& peer, std::uint32_t wanted) {
  const auto tell_shares = [&](const auto& tell) {
    for (const auto& [id, share] : peer.shares()) {
      Swarm* swarm = share.is_interesting ? find_swarm(id) : nullptr;
      if (swarm != nullptr) tell(*swarm);
    }
  };
  for (TokenBucket* limit : {&limits_for(peer).down, &peer.limits.down}) {
    if (limit->may_take(t.now)) continue;
    const Cause cause = limit == &peer.limits.down ? Cause::peer_limited : Cause::limited;
    tell_shares([&](Swarm& swarm) { swarm.on_limited(t.now, cause, limit->rate()); });
    wait_for_limit(limit->ready_at(t.now));
    return 0;
  }
  const std::uint64_t wanted_bytes = std::uint64_t{wanted} * kBlockSize;
  // All peers are looked at only where what was taken since the last look might be too much.
  if (load_.writing + held_at_most_ + wanted_bytes > config_.memory_max) {
    held_at_most_ = block_bytes_held() - load_.writing;
  }
  const std::uint64_t held = load_.writing + held_at_most_;
  if (held < config_.memory_max) {
    const std::uint64_t allowed = (config_.memory_max - held) / kBlockSize;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, allowed));
  }
  is_memory_short_ = true;
  tell_shares([&](Swarm& swarm) { swarm.on_memory_short(t.now); });
  return 0;
}

bool Transfer::is_exempt(const Peer& peer) const {
  return !config_.peer_limits.is_lan_limited && peer.endpoint().locality() != Locality::global;
}

std::uint32_t Transfer::blocks_within(const TokenBucket& limit, std::uint32_t room) {
  if (!limit.is_limited()) return room;
  const std::uint64_t blocks = *limit.rate() / kLimitedAskShare / kBlockSize;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(blocks, 1, room));
}

void Transfer::wait_for_limit(Time at) {
  limit_wait_ = std::min(limit_wait_, at);
}

// What a limit lets through goes to the first that is looked at: after each turn that is the one
// behind the first that got something.
void Transfer::settle_in_turn(Turn& t) {
  limit_wait_ = kNever;
  std::optional<ConnId> first_served;
  auto at = peers_.upper_bound(limit_turn_);
  for (std::size_t i = 0; i < peers_.size(); ++i, ++at) {
    if (at == peers_.end()) at = peers_.begin();
    Peer& peer = at->second;
    const auto served = [&peer] { return std::pair(peer.sent.total(), peer.pipeline.in_flight()); };
    const auto before = served();
    settle(t, peer);
    if (!first_served && served() != before) first_served = at->first;
  }
  if (first_served) limit_turn_ = *first_served;
}

// Seals what is ready as far as the connection and the limit take it, and reads ahead.
void Transfer::pump(Turn& t, Peer& peer) {
  const std::size_t goal = std::clamp(static_cast<std::size_t>(peer.sent.rate(t.now, 1) / 10),
                                      kUnsentGoalMin, kUnsentGoalMax);
  if (peer.unsent() < goal && peer.upload.has_ready()) {
    const std::uint64_t room = goal - peer.unsent() + kBlockSize;
    peer.expect(std::min<std::uint64_t>(room, peer.upload.ready_bytes()) + kRecordsOverhead);
  }
  std::set<wire::ShareChannel> held;  // shares at their own limit
  TokenBucket& of_node = limits_for(peer).up;
  TokenBucket& of_peer = peer.limits.up;
  while (peer.unsent() < goal && of_node.may_take(t.now) && of_peer.may_take(t.now)) {
    const auto ready = peer.upload.ready(held);
    if (!ready) break;
    const UploadQueue::Block& block = *ready;
    PeerShare* share = peer.find_channel(block.channel);
    if (share != nullptr && share->channel) {
      Swarm* swarm = find_swarm(share->id);
      const UploadRun run{block.channel, {block.piece, block.block, 1}};
      const auto declined =
          swarm == nullptr ? std::nullopt : swarm->decline(t.now, peer, run.blocks);
      if (declined && declined->all()) {
        peer.upload.pop_ready(block.channel);
        reject(peer, run);
        continue;
      }
      TokenBucket& of_share = swarm == nullptr ? unlimited_.up : limits_for(peer, *swarm).up;
      if (!of_share.may_take(t.now)) {
        wait_for_limit(of_share.ready_at(t.now));
        held.insert(block.channel);
        continue;
      }
      peer.send_block(block, *share->channel);
      counted_.blocks_out += block.data.size();
      for (TokenBucket* limit : {&of_node, &of_peer, &of_share}) {
        limit->take(t.now, block.data.size());
      }
      peer.sent.add(t.now, block.data.size());
      if (!peer.is_in_debt && peer.sent.total() >= peer.debt_at) want_rechoke(t.now);
      if (swarm != nullptr) {
        swarm->on_sent_block(t.now, peer, block.piece, block.block, block.data.size());
      }
    }
    peer.upload.pop_ready(block.channel);
  }
  if (peer.upload.has_ready()) {
    for (TokenBucket* limit : {&of_node, &of_peer}) {
      if (!limit->may_take(t.now)) wait_for_limit(limit->ready_at(t.now));
    }
  }
  read_ahead(t, peer);
}

// Blocks that are declined now, and those that could be served when they were asked for and cannot
// any more, are rejected; the others are read. Either way as many together as there are.
void Transfer::read_ahead(Turn& t, Peer& peer) {
  std::optional<UploadRun> rejected;  // and not said yet
  const auto add_rejected = [&](const UploadRun& run) {
    peer.upload.drop(run);
    const wire::BlockRun& more = run.blocks;
    if (rejected && rejected->channel == run.channel && rejected->blocks.piece == more.piece &&
        rejected->blocks.first_block + rejected->blocks.count == more.first_block) {
      rejected->blocks.count = static_cast<std::uint16_t>(rejected->blocks.count + more.count);
      return;
    }
    if (rejected) reject(peer, *rejected);
    rejected = run;
  };
  while (const auto run = peer.upload.next(kReadBlocksMax)) {
    const PeerShare* share = peer.find_channel(run->channel);
    Swarm* swarm = share == nullptr ? nullptr : find_swarm(share->id);
    if (swarm == nullptr || !swarm->can_serve(run->blocks)) {
      add_rejected(*run);
      continue;
    }
    const auto declined = swarm->decline(t.now, peer, run->blocks);
    for (std::uint16_t first = 0; first < run->blocks.count;) {
      const bool is_declined = declined && declined->test(first);
      std::uint16_t end = first;
      while (end < run->blocks.count && (declined && declined->test(end)) == is_declined) ++end;
      UploadRun part = *run;
      part.blocks.first_block = static_cast<std::uint16_t>(run->blocks.first_block + first);
      part.blocks.count = static_cast<std::uint16_t>(end - first);
      first = end;
      if (is_declined) {
        add_rejected(part);
        continue;
      }
      peer.upload.on_reading(swarm->read(t, peer.conn(), part.blocks), part);
      held_at_most_ += std::uint64_t{part.blocks.count} * kBlockSize;
    }
  }
  if (rejected) reject(peer, *rejected);
}

void Transfer::reject(Peer& peer, const UploadRun& run) {
  const PeerShare* share = peer.find_channel(run.channel);
  if (share == nullptr || !share->channel) return;
  peer.send(wire::Reject{*share->channel, run.blocks});
}

}  // namespace peernet::transfer
