#pragma once

// Worker is one thread of its own for what may wait long for the disk (syncs, the store): tasks run
// in the order given, and each comes back on the loop's thread. It belongs to the loop's thread.

#include <uv.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace peernet::daemon {

class Worker {
 public:
  struct Task {
    std::function<void()> work;  // on the thread
    std::function<void()> done;  // on the loop, afterwards
  };
  // `settle` is called on the loop after one or more tasks were done.
  Worker(uv_loop_t* loop, std::function<void()> settle);
  // Requires: close() was called and the loop has run since.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void post(Task task);
  // Ends the thread once what was posted has run. What is done after this does not come back.
  void close();
  std::size_t waiting_count() const { return waiting_count_; }

 private:
  static void on_wake(uv_async_t* handle) noexcept;
  void run();

  std::unique_ptr<uv_async_t> wake_;
  std::function<void()> settle_;
  std::size_t waiting_count_ = 0;  // posted and not yet done

  std::mutex mutex_;
  std::condition_variable condition_;
  std::deque<Task> tasks_;   // under mutex_
  std::vector<Task> ended_;  // under mutex_
  bool is_ending_ = false;   // under mutex_
  bool is_closed_ = false;
  std::thread thread_;
};

}  // namespace peernet::daemon
