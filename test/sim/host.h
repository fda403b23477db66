#pragma once

// Host is one simulated machine: its address and link (in Network, by index), its disk and its
// store, which outlive the process, and the Node that runs on it, which does not.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/identity.h"
#include "core/rng.h"
#include "daemon/node.h"
#include "test/sim/disk.h"
#include "test/sim/network.h"
#include "test/sim/store.h"

namespace peernet::sim {

inline constexpr const char* kSharedDirectory = "/shared";
inline constexpr const char* kDownloads = "/downloads";
inline constexpr std::uint16_t kPort = 7341;

struct HostOptions {
  std::string name;
  LinkOptions link;
  DiskOptions disk;
  StoreOptions store;
  transfer::Config transfer;           // name and listen_port are the world's to fill in
  std::vector<std::string> bootstrap;  // names known to the world, or addresses, without a port
  std::optional<Endpoint> address;     // nullopt: drawn
  std::int64_t clock_skew_ms = 0;
};

// What this host has said about a share, over all its lives.
struct ShareFacts {
  bool is_complete = false;
  std::optional<Time> fetched;  // when the command came
  std::optional<Time> completed;
  std::uint64_t durable = 0;
};

// What the oracle knows of a storage, from the effects that named it.
struct Holding {
  std::optional<ShareId> share;
  OpenStorage spec;  // `top` follows a rename
  bool is_opened = false;
  std::optional<std::string> target;                // of a FinishStorage that was asked for
  std::optional<std::vector<Selection>> finishing;  // what was wanted when it was recorded as whole
  std::vector<bool> claimed;                        // pieces that were said to be durable, and were
  std::set<std::pair<std::uint32_t, std::uint64_t>> claimed_blocks;  // likewise, of parts
  std::set<std::pair<std::uint32_t, std::uint64_t>> right_blocks;    // (file_index, offset)
  std::uint64_t right_bytes = 0;
};

struct Host {
  Host(HostIndex host_index, HostOptions host_options, Timeline& timeline, Rng host_rng,
       std::function<void(JobId, FileResult)> on_file,
       std::function<void(JobId, const Result<void>&)> on_saved)
      : index(host_index),
        options(std::move(host_options)),
        rng(host_rng),
        identity(Identity::make(rng)),
        disk(timeline, rng.fork(), std::move(on_file)),
        store(timeline, rng.fork(), std::move(on_saved)) {
    disk.options = options.disk;
    store.options = options.store;
  }

  bool is_running() const { return node != nullptr; }

  HostIndex index;
  HostOptions options;
  Rng rng;
  Identity identity;
  Disk disk;
  Store store;
  std::unique_ptr<daemon::Node> node;  // null: the process does not run
  std::uint64_t incarnation = 0;
  bool is_stopping = false;
  Effects out;
  Time wake_planned = kNever;

  std::map<ShareId, ShareFacts> shares;
  std::map<transfer::ImportId, std::string> imports;  // name of the content
  std::set<PeerId> banned;
  bool is_reading = false;
  std::uint64_t read_offset = 0;
  std::uint64_t read_bytes = 0;  // of the last read that was answered
  std::string read_content;      // its name
  std::uint64_t inputs_count = 0;
  std::uint64_t fetched_bytes = 0;  // of the blocks given to WriteBlocks, over all lives

  // The oracle's.
  std::map<StorageId, Holding> holdings;
  std::map<JobId, StorageId> write_jobs;
  std::map<JobId, WriteBlocks> writes;  // without the records
  std::map<JobId, FinishStorage> finishes;
  std::array<JobId, 256> last_job{};
  int stuck_count = 0;
  std::int64_t wakes_second = 0;
  std::uint32_t wakes_count = 0;
  bool is_tampered = false;
};

}  // namespace peernet::sim
