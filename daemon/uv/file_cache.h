#pragma once

// The files that are open at the moment, over all storages: at most a fixed number, the one used
// longest ago is closed first. A job holds what it took, so that closing never hits a running job.
// Safe from several threads.

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "core/records.h"
#include "daemon/uv/beneath.h"

namespace peernet::daemon {

class FileCache {
 public:
  using SharedFd = std::shared_ptr<const Fd>;

  // Requires: files_max > 0.
  explicit FileCache(std::size_t files_max) : files_max_(files_max) {}

  // Null when it is not open.
  SharedFd find(StorageId storage, std::uint32_t file);
  // What was put first stays when two threads open the same file.
  SharedFd put(StorageId storage, std::uint32_t file, Fd fd);
  void drop(StorageId storage, std::uint32_t file);
  void drop(StorageId storage);
  std::size_t size() const;

 private:
  using Key = std::pair<StorageId, std::uint32_t>;
  struct Open {
    SharedFd fd;
    std::list<Key>::iterator place;
  };

  const std::size_t files_max_;
  mutable std::mutex mutex_;
  std::list<Key> order_;  // most recently used first
  std::map<Key, Open> files_;
};

}  // namespace peernet::daemon
