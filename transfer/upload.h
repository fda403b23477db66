#pragma once

// UploadQueue holds what one peer asked us for, from the request to the sealed record: queued,
// being read from disk, ready to send. Shares take turns, block by block; one that must wait holds
// nobody else back. Invariant: every block accepted by add()
// leaves by exactly one of pop_ready(), drop(), on_unreadable(), cancel() or clear(), so that it is
// answered once.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/bytes.h"
#include "core/effects.h"
#include "transfer/wire.h"

namespace peernet::transfer {

// A run of the share with this channel (the number the other side gave it).
struct UploadRun {
  wire::ShareChannel channel = 0;
  wire::BlockRun blocks;
};

class UploadQueue {
 public:
  // SECURITY.md 1.4: refused beyond, not queued. What is left of a request counts as one, as does
  // each part that it was read or cancelled in.
  static constexpr std::uint32_t kRequestsMax = 256;
  static constexpr std::uint32_t kBlocksMax = 4096;  // of all of them

  // Bytes of one share that are being read or ready; with them a share at its limit is ready to go
  // on at once. The minimum while the disk keeps up (what it gave is then still in the processor's
  // cache when it is sealed, and little memory is touched), twice as much each time that it did
  // not.
  static constexpr std::uint64_t kReadAheadMin = 256ULL << 10U;
  static constexpr std::uint64_t kReadAheadMax = 1ULL << 20U;
  // Of all shares together: nobody makes us hold more by asking for much of many.
  static constexpr std::uint64_t kReadAheadAllMax = 4ULL << 20U;

  // False, and nothing is queued, when it would go over kRequestsMax or kBlocksMax.
  bool add(const UploadRun& run);
  // Forgets what is still queued of this run and gives those parts back; what is being read or is
  // ready is sent all the same.
  std::vector<UploadRun> cancel(const UploadRun& run);

  // The next run to read, of at most blocks_max blocks and of a share that has not read far enough
  // ahead. Follow with on_reading or drop.
  std::optional<UploadRun> next(std::uint16_t blocks_max);
  void on_reading(JobId job, const UploadRun& run);
  // Instead of on_reading: it cannot be read after all, or is declined.
  void drop(const UploadRun& run) { blocks_count_ -= run.blocks.count; }
  // The connection has sent everything. If that is because the disk is behind, more is read ahead.
  void on_drained();
  // False when the run was cleared meanwhile: the data is dropped.
  bool on_read(JobId job, Bytes data);
  // The run to reject, unless it was cleared meanwhile.
  std::optional<UploadRun> on_unreadable(JobId job);

  struct Block {
    std::uint16_t channel = 0;
    std::uint32_t piece = 0;
    std::uint16_t block = 0;
    BytesView data;  // valid until pop_ready
  };
  // The next block to send, but none of the shares in `held`.
  std::optional<Block> ready(const std::set<wire::ShareChannel>& held = {}) const;
  // Takes away the block of this share that ready() gave.
  void pop_ready(wire::ShareChannel channel);

  // Everything not yet sent, for rejects: after a choke (all), or when one share goes.
  std::vector<UploadRun> clear();
  std::vector<UploadRun> clear_channel(std::uint16_t channel);

  std::uint32_t blocks_count() const { return blocks_count_; }  // in all three states
  std::uint64_t bytes_ahead() const;  // being read or ready: what read-ahead holds
  bool has_queued() const { return !queued_.empty(); }
  bool has_ready() const { return !ready_.empty(); }
  std::uint64_t ready_bytes() const { return ready_bytes_; }  // whole runs: at least what is ready

 private:
  struct Ready {
    UploadRun run;
    Bytes data;
    std::uint16_t sent_count = 0;
  };

  std::size_t requests_count() const;
  std::uint64_t bytes_ahead_of(wire::ShareChannel channel) const;

  std::map<wire::ShareChannel, std::deque<UploadRun>> queued_;  // never an empty deque
  wire::ShareChannel last_queued_ = 0;                          // whose turn it was
  std::map<JobId, UploadRun> reading_;
  std::map<wire::ShareChannel, std::deque<Ready>> ready_;  // never an empty deque
  wire::ShareChannel last_ready_ = 0;
  std::uint32_t blocks_count_ = 0;
  std::uint32_t reading_blocks_ = 0;
  std::uint64_t ready_bytes_ = 0;
  std::uint64_t read_ahead_ = kReadAheadMin;  // of each share
};

}  // namespace peernet::transfer
