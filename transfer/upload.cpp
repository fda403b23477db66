#include "transfer/upload.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/merkle.h"

namespace peernet::transfer {

bool UploadQueue::add(const UploadRun& run) {
  if (run.blocks.count == 0 || run.blocks.count > kBlocksMax - blocks_count_) return false;
  if (requests_count() >= kRequestsMax) return false;
  queued_[run.channel].push_back(run);
  blocks_count_ += run.blocks.count;
  return true;
}

std::vector<UploadRun> UploadQueue::cancel(const UploadRun& run) {
  std::vector<UploadRun> cancelled;
  const auto found = queued_.find(run.channel);
  if (found == queued_.end()) return cancelled;
  const std::uint32_t from = run.blocks.first_block;
  const std::uint32_t to = from + run.blocks.count;
  std::deque<UploadRun> kept;
  for (const UploadRun& queued : found->second) {
    const std::uint32_t begin = queued.blocks.first_block;
    const std::uint32_t end = begin + queued.blocks.count;
    if (queued.blocks.piece != run.blocks.piece || end <= from || to <= begin) {
      kept.push_back(queued);
      continue;
    }
    const auto part = [&queued](std::uint32_t first, std::uint32_t last) {
      return UploadRun{queued.channel,
                       {queued.blocks.piece, static_cast<std::uint16_t>(first),
                        static_cast<std::uint16_t>(last - first)}};
    };
    if (begin < from) kept.push_back(part(begin, from));
    cancelled.push_back(part(std::max(begin, from), std::min(end, to)));
    if (to < end) kept.push_back(part(to, end));
  }
  for (const UploadRun& part : cancelled) blocks_count_ -= part.blocks.count;
  if (kept.empty()) {
    queued_.erase(found);
  } else {
    found->second = std::move(kept);
  }
  return cancelled;
}

std::optional<UploadRun> UploadQueue::next(std::uint16_t blocks_max) {
  if (blocks_max == 0 || bytes_ahead() >= kReadAheadAllMax) return std::nullopt;
  auto turn = queued_.upper_bound(last_queued_);
  for (std::size_t asked = 0;; ++asked, ++turn) {
    if (asked == queued_.size()) return std::nullopt;
    if (turn == queued_.end()) turn = queued_.begin();
    if (bytes_ahead_of(turn->first) < read_ahead_) break;
  }
  last_queued_ = turn->first;
  std::deque<UploadRun>& runs = turn->second;

  UploadRun result = runs.front();
  if (result.blocks.count > blocks_max) {
    result.blocks.count = blocks_max;
    runs.front().blocks.first_block =
        static_cast<std::uint16_t>(runs.front().blocks.first_block + blocks_max);
    runs.front().blocks.count = static_cast<std::uint16_t>(runs.front().blocks.count - blocks_max);
    return result;
  }
  runs.pop_front();
  // Requests that go on where this one ends are read with it.
  while (!runs.empty() && runs.front().blocks.piece == result.blocks.piece &&
         runs.front().blocks.first_block == result.blocks.first_block + result.blocks.count &&
         result.blocks.count + runs.front().blocks.count <= blocks_max) {
    result.blocks.count =
        static_cast<std::uint16_t>(result.blocks.count + runs.front().blocks.count);
    runs.pop_front();
  }
  if (runs.empty()) queued_.erase(turn);
  return result;
}

void UploadQueue::on_reading(JobId job, const UploadRun& run) {
  reading_.emplace(job, run);
  reading_blocks_ += run.blocks.count;
}

void UploadQueue::on_drained() {
  if (reading_.empty() || has_ready()) return;
  read_ahead_ = std::min(2 * read_ahead_, kReadAheadMax);
}

bool UploadQueue::on_read(JobId job, Bytes data) {
  const auto found = reading_.find(job);
  if (found == reading_.end()) return false;
  reading_blocks_ -= found->second.blocks.count;
  ready_bytes_ += data.size();
  ready_[found->second.channel].push_back({found->second, std::move(data), 0});
  reading_.erase(found);
  return true;
}

std::optional<UploadRun> UploadQueue::on_unreadable(JobId job) {
  const auto found = reading_.find(job);
  if (found == reading_.end()) return std::nullopt;
  const UploadRun run = found->second;
  reading_blocks_ -= run.blocks.count;
  blocks_count_ -= run.blocks.count;
  reading_.erase(found);
  return run;
}

std::optional<UploadQueue::Block> UploadQueue::ready(
    const std::set<wire::ShareChannel>& held) const {
  auto turn = ready_.upper_bound(last_ready_);
  for (std::size_t asked = 0;; ++asked, ++turn) {
    if (asked == ready_.size()) return std::nullopt;
    if (turn == ready_.end()) turn = ready_.begin();
    if (!held.contains(turn->first)) break;
  }
  const Ready& front = turn->second.front();
  const std::size_t begin = std::size_t{front.sent_count} * merkle::kBlockSize;
  const std::size_t size = std::min<std::size_t>(merkle::kBlockSize, front.data.size() - begin);
  return Block{front.run.channel, front.run.blocks.piece,
               static_cast<std::uint16_t>(front.run.blocks.first_block + front.sent_count),
               BytesView(front.data).subspan(begin, size)};
}

void UploadQueue::pop_ready(wire::ShareChannel channel) {
  const auto found = ready_.find(channel);
  PN_CHECK(found != ready_.end());
  last_ready_ = channel;
  Ready& front = found->second.front();
  ++front.sent_count;
  --blocks_count_;
  if (front.sent_count < front.run.blocks.count) return;
  ready_bytes_ -= front.data.size();
  found->second.pop_front();
  if (found->second.empty()) ready_.erase(found);
}

std::vector<UploadRun> UploadQueue::clear() {
  std::vector<UploadRun> cleared;
  std::vector<std::uint16_t> channels;
  for (const auto& [channel, runs] : queued_) channels.push_back(channel);
  for (const auto& [job, run] : reading_) channels.push_back(run.channel);
  for (const auto& [channel, runs] : ready_) channels.push_back(channel);
  std::ranges::sort(channels);
  channels.erase(std::unique(channels.begin(), channels.end()), channels.end());
  for (const std::uint16_t channel : channels) {
    const auto runs = clear_channel(channel);
    cleared.insert(cleared.end(), runs.begin(), runs.end());
  }
  return cleared;
}

std::vector<UploadRun> UploadQueue::clear_channel(std::uint16_t channel) {
  std::vector<UploadRun> cleared;
  if (const auto found = queued_.find(channel); found != queued_.end()) {
    cleared.assign(found->second.begin(), found->second.end());
    queued_.erase(found);
  }
  for (auto it = reading_.begin(); it != reading_.end();) {
    if (it->second.channel != channel) {
      ++it;
      continue;
    }
    cleared.push_back(it->second);
    reading_blocks_ -= it->second.blocks.count;
    it = reading_.erase(it);
  }
  if (const auto found = ready_.find(channel); found != ready_.end()) {
    for (const Ready& ready : found->second) {
      UploadRun rest = ready.run;
      rest.blocks.first_block =
          static_cast<std::uint16_t>(rest.blocks.first_block + ready.sent_count);
      rest.blocks.count = static_cast<std::uint16_t>(rest.blocks.count - ready.sent_count);
      cleared.push_back(rest);
      ready_bytes_ -= ready.data.size();
    }
    ready_.erase(found);
  }
  for (const UploadRun& run : cleared) blocks_count_ -= run.blocks.count;
  return cleared;
}

std::size_t UploadQueue::requests_count() const {
  std::size_t count = reading_.size();
  for (const auto& [channel, runs] : queued_) count += runs.size();
  for (const auto& [channel, runs] : ready_) count += runs.size();
  return count;
}

std::uint64_t UploadQueue::bytes_ahead_of(wire::ShareChannel channel) const {
  std::uint64_t bytes = 0;
  for (const auto& [job, run] : reading_) {
    if (run.channel == channel) bytes += std::uint64_t{run.blocks.count} * merkle::kBlockSize;
  }
  if (const auto found = ready_.find(channel); found != ready_.end()) {
    for (const Ready& ready : found->second) bytes += ready.data.size();
  }
  return bytes;
}

std::uint64_t UploadQueue::bytes_ahead() const {
  return std::uint64_t{reading_blocks_} * merkle::kBlockSize + ready_bytes_;
}

}  // namespace peernet::transfer
