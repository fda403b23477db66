#include "daemon/uv/file_cache.h"

namespace peernet::daemon {

FileCache::SharedFd FileCache::find(StorageId storage, std::uint32_t file) {
  const std::lock_guard lock(mutex_);
  auto found = files_.find({storage, file});
  if (found == files_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second.place);
  return found->second.fd;
}

FileCache::SharedFd FileCache::put(StorageId storage, std::uint32_t file, Fd fd) {
  // Closed after the lock is released: close() may wait for a slow file system.
  SharedFd oldest;
  auto fresh = std::make_shared<const Fd>(std::move(fd));
  const std::lock_guard lock(mutex_);
  const Key key{storage, file};
  if (auto found = files_.find(key); found != files_.end()) return found->second.fd;
  if (files_.size() >= files_max_) {
    auto last = files_.find(order_.back());
    oldest = std::move(last->second.fd);
    files_.erase(last);
    order_.pop_back();
  }
  order_.push_front(key);
  files_.emplace(key, Open{fresh, order_.begin()});
  return fresh;
}

void FileCache::drop(StorageId storage, std::uint32_t file) {
  const std::lock_guard lock(mutex_);
  auto found = files_.find({storage, file});
  if (found == files_.end()) return;
  order_.erase(found->second.place);
  files_.erase(found);
}

void FileCache::drop(StorageId storage) {
  const std::lock_guard lock(mutex_);
  auto next = files_.lower_bound({storage, 0});
  while (next != files_.end() && next->first.first == storage) {
    order_.erase(next->second.place);
    next = files_.erase(next);
  }
}

std::size_t FileCache::size() const {
  const std::lock_guard lock(mutex_);
  return files_.size();
}

}  // namespace peernet::daemon
