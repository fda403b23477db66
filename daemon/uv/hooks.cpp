#include "daemon/uv/hooks.h"

#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "core/check.h"
#include "core/escape.h"
#include "core/identity.h"
#include "daemon/uv/beneath.h"
#include "daemon/uv/handles.h"

namespace peernet::daemon {
namespace {

std::string_view name_of(Hook hook) {
  return hook == Hook::scan ? "scan" : "completed";
}

// Lines of what a program said, as far as they may be shown.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() < kHookLinesMax) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty()) lines.emplace_back(line.substr(0, kHookLineSizeMax));
  }
  return lines;
}

std::vector<std::string> environment_of(const RunHook& wanted) {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "LANG=C.UTF-8",
          "PEERNET_HOOK=" + std::string(name_of(wanted.hook)),
          "PEERNET_ID=" + to_text(wanted.id),
          "PEERNET_NAME=" + wanted.name,
          "PEERNET_PATH=" + wanted.path,
          "PEERNET_SIZE=" + std::to_string(wanted.size)};
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

Error start_error(int status, const std::string& program) {
  const Errc code = status == UV_ENOENT   ? Errc::not_found
                    : status == UV_EACCES ? Errc::denied
                                          : Errc::io;
  return {code, "cannot run " + program + ": " + uv_strerror(status),
          "look at hooks in the config"};
}

}  // namespace

struct Hooks::Run {
  Hooks* hooks = nullptr;
  RunHook wanted;
  uv_process_t process{};
  uv_pipe_t output{};
  std::array<char, 4096> buffer{};
  std::string said;
  std::int64_t exit_status = 0;
  int exit_signal = 0;
  bool has_started = false;
  bool is_late = false;
  bool is_exited = false;
  bool is_output_closing = false;
  int handles_count = 0;
};

Hooks::Hooks(uv_loop_t* loop, const MonotonicClock& clock, Log& log, Inputs& inputs)
    : loop_(loop), clock_(clock), log_(log), inputs_(inputs) {}

Hooks::~Hooks() {
  PN_CHECK(running_.empty());
}

void Hooks::start(RunHook wanted) {
  waiting_.push_back(std::move(wanted));
  start_waiting();
}

void Hooks::start_waiting() {
  while (!waiting_.empty() && running_.size() < kHooksMax) {
    RunHook wanted = std::move(waiting_.front());
    waiting_.pop_front();
    if (is_stopping_) {
      answers_.emplace_back(wanted.job, Error{Errc::cancelled, "the daemon is stopping", ""});
    } else {
      launch(std::move(wanted));
    }
  }
}

void Hooks::launch(RunHook wanted) {
  std::vector<std::string> arguments =
      wanted.hook == Hook::scan ? programs_.scan : programs_.completed;
  PN_CHECK(!arguments.empty());
  std::ranges::replace(arguments, kHookPathPlace, wanted.path);
  std::vector<std::string> variables = environment_of(wanted);
  std::vector<char*> argument_pointers = pointers_to(arguments);
  std::vector<char*> variable_pointers = pointers_to(variables);

  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    answers_.emplace_back(wanted.job, system_error(errno, "cannot make a pipe"));
    return;
  }
  Fd reading(ends[0]);
  const Fd writing(ends[1]);

  std::array<uv_stdio_container_t, 3> stdio{};
  stdio[0].flags = UV_IGNORE;
  for (std::size_t i : {1U, 2U}) {
    stdio[i].flags = UV_INHERIT_FD;
    stdio[i].data.fd = writing.get();
  }
  uv_process_options_t options{};
  options.file = argument_pointers.front();
  options.args = argument_pointers.data();
  options.env = variable_pointers.data();
  options.cwd = "/";
  options.stdio = stdio.data();
  options.stdio_count = static_cast<int>(stdio.size());
  options.exit_cb = on_exit;
  // In a group of its own: what it starts ends with it.
  options.flags = UV_PROCESS_DETACHED;

  const JobId job = wanted.job;
  auto run = std::make_unique<Run>();
  run->hooks = this;
  run->wanted = std::move(wanted);
  run->process.data = run.get();
  run->output.data = run.get();
  run->handles_count = 2;
  uv_pipe_init(loop_, &run->output, 0);
  uv_pipe_open(&run->output, reading.release());
  Run& started = *running_.emplace(job, std::move(run)).first->second;
  const int status = uv_spawn(loop_, &started.process, &options);
  if (status != 0) {
    answers_.emplace_back(job, start_error(status, arguments.front()));
    started.is_exited = true;
    uv_close(as_handle(&started.process), on_handle_closed);
    close_output(started);
    return;
  }
  started.has_started = true;
  timers_.set(job, clock_.now() + programs_.timeout);
  uv_read_start(as_stream(&started.output), on_alloc, on_read);
}

// ---- What comes of it

void Hooks::on_exit(uv_process_t* process, std::int64_t status, int signal) noexcept {
  Run& run = *static_cast<Run*>(process->data);
  run.is_exited = true;
  run.exit_status = status;
  run.exit_signal = signal;
  // What it left behind would hold its output open.
  kill_group(run);
  run.hooks->timers_.set(run.wanted.job, run.hooks->clock_.now() + kHookOutputPatience);
  uv_close(as_handle(process), on_handle_closed);
  run.hooks->inputs_.carry_out();  // sets the loop's timer
}

void Hooks::on_alloc(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
  auto& space = static_cast<Run*>(handle->data)->buffer;
  *buffer = uv_buf_init(space.data(), static_cast<unsigned>(space.size()));
}

void Hooks::on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept {
  Run& run = *static_cast<Run*>(stream->data);
  if (size < 0) {
    run.hooks->close_output(run);
    return;
  }
  const std::size_t room = kHookOutputMax - run.said.size();
  run.said.append(buffer->base, std::min(room, static_cast<std::size_t>(size)));
}

void Hooks::close_output(Run& run) {
  if (std::exchange(run.is_output_closing, true)) return;
  uv_close(as_handle(&run.output), on_handle_closed);
}

// NOLINTNEXTLINE(bugprone-exception-escape): an exception would end the process, as it should
void Hooks::on_handle_closed(uv_handle_t* handle) noexcept {
  Run& run = *static_cast<Run*>(handle->data);
  if (--run.handles_count == 0) run.hooks->finish(run.wanted.job);
}

void Hooks::finish(JobId job) {
  timers_.cancel(job);
  const auto place = running_.find(job);
  const std::unique_ptr<Run> run = std::move(place->second);
  running_.erase(place);
  if (run->has_started) {
    tell(*run);
    inputs_.on_hook(job, result_of(*run));
  }
  start_waiting();
  inputs_.carry_out();
}

HookResult Hooks::result_of(const Run& run) const {
  if (is_stopping_) return Error{Errc::cancelled, "the daemon is stopping", ""};
  const std::string& program =
      (run.wanted.hook == Hook::scan ? programs_.scan : programs_.completed).front();
  if (run.is_late) {
    return Error{Errc::timed_out, program + " did not end in time", "hooks.timeout says how long"};
  }
  if (run.exit_signal != 0) {
    return Error{Errc::closed, program + " was ended by signal " + std::to_string(run.exit_signal),
                 ""};
  }
  HookDone done;
  done.exit_status = static_cast<int>(run.exit_status);
  if (const auto lines = lines_of(run.said); !lines.empty()) done.said = lines.front();
  return done;
}

void Hooks::tell(const Run& run) const {
  const std::string who =
      "hook " + std::string(name_of(run.wanted.hook)) + " of " + to_short_text(run.wanted.id);
  for (const std::string& line : lines_of(run.said)) {
    log_.info("{}: {}", who, escape(Untrusted{line}));
  }
  if (run.exit_status != 0 || run.exit_signal != 0) {
    log_.warn("{}: ended with status {}, signal {}", who, run.exit_status, run.exit_signal);
  }
}

// ---- Time, and the end

void Hooks::on_time(Time now) {
  while (const auto job = timers_.pop_expired(now)) {
    Run& run = *running_.at(*job);
    if (run.is_exited) {
      close_output(run);
    } else {
      run.is_late = true;
      kill_group(run);
    }
  }
  for (auto& [job, result] : std::exchange(answers_, {})) {
    inputs_.on_hook(job, std::move(result));
  }
}

Time Hooks::deadline() const {
  return answers_.empty() ? timers_.next() : Time{};
}

void Hooks::kill_group(const Run& run) {
  PN_CHECK(run.process.pid > 1);
  kill(-run.process.pid, SIGKILL);
}

void Hooks::stop() {
  is_stopping_ = true;
  for (const auto& [job, run] : running_) {
    if (!run->is_exited) kill_group(*run);
  }
  for (const RunHook& wanted : std::exchange(waiting_, {})) {
    answers_.emplace_back(wanted.job, Error{Errc::cancelled, "the daemon is stopping", ""});
  }
}

}  // namespace peernet::daemon
