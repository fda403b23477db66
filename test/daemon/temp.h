#pragma once

// What the shell's tests need of the machine: a directory that goes away, small files, and a loop
// that runs until something is true.

#include <uv.h>

#include <poll.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "core/bytes.h"
#include "core/check.h"

namespace peernet::test {

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = "/tmp/peernet-test-XXXXXX";
    PN_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, BytesView bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << as_text(bytes);
  file.close();
  PN_CHECK(file.good());
}
inline void write_file(const std::string& path, std::string_view text) {
  write_file(path, as_bytes(text));
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline mode_t mode_of(const std::string& path) {
  struct stat status {};
  PN_CHECK(lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

inline bool exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

// A loop of libuv. run_until() gives up after 20 s of real time: then false.
class TestLoop {
 public:
  TestLoop() {
    PN_CHECK(uv_loop_init(&loop_) == 0);
    uv_timer_init(&loop_, &timer_);
    timer_.data = this;
  }
  TestLoop(const TestLoop&) = delete;
  TestLoop& operator=(const TestLoop&) = delete;
  // Whatever was opened must be closed by now: a loop that cannot close is a leak.
  ~TestLoop() {
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    PN_CHECK(uv_loop_close(&loop_) == 0);
  }

  uv_loop_t* get() { return &loop_; }
  bool run_until(const std::function<bool()>& is_done) {
    constexpr std::uint64_t give_up_ms = 20'000;
    is_late_ = false;
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { static_cast<TestLoop*>(timer->data)->is_late_ = true; },
        give_up_ms, 0);
    while (!is_done() && !is_late_) {
      uv_run(&loop_, UV_RUN_NOWAIT);
      // The condition may come true outside of the loop: it is asked again soon.
      pollfd backend{uv_backend_fd(&loop_), POLLIN, 0};
      poll(&backend, 1, 1);
    }
    uv_timer_stop(&timer_);
    return !is_late_;
  }

 private:
  uv_loop_t loop_{};
  uv_timer_t timer_{};
  bool is_late_ = false;
};

}  // namespace peernet::test
