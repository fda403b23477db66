#include "daemon/uv/worker.h"

#include <utility>

#include "core/check.h"
#include "daemon/uv/handles.h"

namespace peernet::daemon {

Worker::Worker(uv_loop_t* loop, std::function<void()> settle)
    : wake_(std::make_unique<uv_async_t>()), settle_(std::move(settle)) {
  PN_CHECK(uv_async_init(loop, wake_.get(), on_wake) == 0);
  wake_->data = this;
  thread_ = std::thread([this] { run(); });
}

Worker::~Worker() {
  PN_CHECK(is_closed_);
}

void Worker::post(Task task) {
  PN_CHECK(!is_closed_);
  ++waiting_count_;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  condition_.notify_one();
}

void Worker::close() {
  if (is_closed_) return;
  is_closed_ = true;
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  condition_.notify_one();
  thread_.join();
  uv_close(as_handle(wake_.release()),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_async_t*>(handle); });
}

void Worker::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    condition_.wait(lock, [this] { return !tasks_.empty() || is_ending_; });
    if (tasks_.empty()) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task.work();
    lock.lock();
    ended_.push_back(std::move(task));
    uv_async_send(wake_.get());
  }
}

// Wake-ups may be merged into one: all that has ended is handed over.
void Worker::on_wake(uv_async_t* handle) noexcept {
  auto& self = *static_cast<Worker*>(handle->data);
  std::vector<Task> ended;
  {
    const std::lock_guard lock(self.mutex_);
    ended.swap(self.ended_);
  }
  for (Task& task : ended) {
    --self.waiting_count_;
    task.done();
  }
  self.settle_();
}

}  // namespace peernet::daemon
