#pragma once

// Hooks runs the user's programs for a share: without a shell, in an environment of their own, with
// no descriptor of ours, for a limited time and few at once. What one says goes to the log, escaped
// and bounded. The loop never waits for one.

#include <uv.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/log.h"
#include "core/time.h"
#include "core/timers.h"
#include "daemon/config.h"
#include "daemon/uv/clock.h"

namespace peernet::daemon {

inline constexpr std::size_t kHooksMax = 4;  // at a time; the rest waits, two a share at most
inline constexpr std::size_t kHookOutputMax = 4096;   // bytes of what one says that are kept
inline constexpr std::size_t kHookLinesMax = 20;      // of it in the log
inline constexpr std::size_t kHookLineSizeMax = 200;  // bytes
// How long the output of a program that has ended may stay open.
inline constexpr Duration kHookOutputPatience = std::chrono::seconds(1);

class Hooks {
 public:
  class Inputs {
   public:
    virtual void on_hook(JobId job, HookResult result) = 0;
    // After one or more inputs.
    virtual void carry_out() = 0;

   protected:
    ~Inputs() = default;
  };

  Hooks(uv_loop_t* loop, const MonotonicClock& clock, Log& log, Inputs& inputs);
  // Requires: stop() was called and the loop has run until is_idle().
  ~Hooks();
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  // Before the first start().
  void configure(HookPrograms programs) { programs_ = std::move(programs); }
  // Answered by on_hook, never before this returns.
  void start(RunHook wanted);
  void on_time(Time now);
  Time deadline() const;
  // Kills what runs and starts nothing more; all is answered.
  void stop();
  // Nothing runs and nothing waits.
  bool is_idle() const { return running_.empty() && waiting_.empty() && answers_.empty(); }

 private:
  struct Run;

  static void on_exit(uv_process_t* process, std::int64_t status, int signal) noexcept;
  static void on_alloc(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer) noexcept;
  static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept;
  static void on_handle_closed(uv_handle_t* handle) noexcept;

  void start_waiting();
  void launch(RunHook wanted);
  static void kill_group(const Run& run);
  void close_output(Run& run);
  // Answers and forgets a run of which nothing is left.
  void finish(JobId job);
  void tell(const Run& run) const;
  HookResult result_of(const Run& run) const;

  uv_loop_t* loop_;
  const MonotonicClock& clock_;
  Log& log_;
  Inputs& inputs_;
  HookPrograms programs_;
  std::deque<RunHook> waiting_;
  std::map<JobId, std::unique_ptr<Run>> running_;
  std::vector<std::pair<JobId, HookResult>> answers_;  // of those that could not be started
  Timers<JobId> timers_;
  bool is_stopping_ = false;
};

}  // namespace peernet::daemon
