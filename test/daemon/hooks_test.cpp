#include "daemon/uv/hooks.h"

#include <catch2/catch.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <uv.h>

#include <csignal>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/check.h"
#include "test/daemon/temp.h"

namespace peernet::daemon {
namespace {

using namespace std::chrono_literals;

// Real programs on a loop of their own, with the timer that the daemon's loop would keep.
struct Stage final : Hooks::Inputs {
  explicit Stage(HookPrograms programs) {
    PN_CHECK(uv_loop_init(&loop) == 0);
    PN_CHECK(uv_timer_init(&loop, &timer) == 0);
    uv_timer_start(
        &timer, [](uv_timer_t*) {}, 10, 10);
    hooks.configure(std::move(programs));
  }
  ~Stage() {
    hooks.stop();
    run_until([this] { return hooks.is_idle(); });
    uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    PN_CHECK(uv_loop_close(&loop) == 0);
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  void on_hook(JobId job, HookResult result) override { results.emplace(job, std::move(result)); }
  void carry_out() override {}

  void start(std::uint64_t job, const std::string& path) {
    hooks.start({JobId{job}, Hook::scan, ShareId{}, "name", path, 7});
  }
  template <class Predicate>
  void run_until(Predicate is_done) {
    while (!is_done()) {
      uv_run(&loop, UV_RUN_ONCE);
      hooks.on_time(clock.now());
    }
  }
  const HookResult& result_of(std::uint64_t job) {
    run_until([&] { return results.contains(JobId{job}); });
    return results.at(JobId{job});
  }

  uv_loop_t loop{};
  uv_timer_t timer{};
  MonotonicClock clock;
  std::ostringstream said;
  Log log{"hooks", std::make_shared<spdlog::sinks::ostream_sink_mt>(said)};
  std::map<JobId, HookResult> results;
  Hooks hooks{&loop, clock, log, *this};
};

HookPrograms scan_with(const std::string& script, Duration timeout = 30s) {
  return {{}, {"/bin/sh", "-c", script, "sh", "{path}"}, timeout};
}

TEST_CASE("a hook is told the path, as an argument and in its environment", "[daemon]") {
  Stage stage(scan_with(R"(echo "$1|$PEERNET_PATH|$PEERNET_NAME|$PEERNET_SIZE|$HOME"; exit 3)"));
  stage.start(1, "/a; $(b)\n*");
  const HookResult& result = stage.result_of(1);
  REQUIRE(result);
  CHECK(result->exit_status == 3);
  CHECK(result->said == "/a; $(b)");
  CHECK(stage.said.str().find("*|/a; $(b)") != std::string::npos);
  CHECK(stage.said.str().find("*|name|7|") != std::string::npos);
}

TEST_CASE("a hook that hangs is killed with all that it started", "[daemon]") {
  const test::TempDirectory dir;
  Stage stage(scan_with("sleep 100 & echo $! >\"$1\"; wait", 300ms));
  stage.start(1, dir / "pid");
  const HookResult& result = stage.result_of(1);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::timed_out);
  const pid_t pid = std::stoi(test::read_file(dir / "pid"));
  // A zombie until somebody reaps it, whoever that is here.
  stage.run_until([&] {
    return kill(pid, 0) != 0 ||
           test::read_file("/proc/" + std::to_string(pid) + "/stat").find(") Z ") !=
               std::string::npos;
  });
}

TEST_CASE("what a hook leaves running does not hold up its end", "[daemon]") {
  Stage stage(scan_with("setsid sleep 5 & exit 0"));
  stage.start(1, "/p");
  const Time begun = stage.clock.now();
  const HookResult& result = stage.result_of(1);
  REQUIRE(result);
  CHECK(result->exit_status == 0);
  CHECK(stage.clock.now() - begun < 4s);
}

TEST_CASE("of what a hook says little is kept, and it never stops for that", "[daemon]") {
  Stage stage(scan_with("head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; yes line | head -1000"));
  stage.start(1, "/p");
  const HookResult& result = stage.result_of(1);
  REQUIRE(result);
  CHECK(result->exit_status == 0);
  CHECK(result->said.size() == kHookLineSizeMax);
  CHECK(stage.said.str().size() < kHookOutputMax);
}

TEST_CASE("so many hooks run at a time, and the others wait", "[daemon]") {
  const test::TempDirectory dir;
  Stage stage(scan_with("echo >\"$1\"; while [ -e \"$1\" ]; do sleep 0.01; done"));
  const auto path = [&](std::uint64_t job) { return dir / ("h" + std::to_string(job)); };
  for (std::uint64_t job = 0; job <= kHooksMax; ++job) stage.start(job, path(job));
  stage.run_until([&] {
    for (std::uint64_t job = 0; job < kHooksMax; ++job) {
      if (!std::filesystem::exists(path(job))) return false;
    }
    return true;
  });
  CHECK_FALSE(std::filesystem::exists(path(kHooksMax)));
  std::filesystem::remove(path(0));
  stage.run_until([&] { return std::filesystem::exists(path(kHooksMax)); });
  CHECK(stage.results.size() == 1);
}

TEST_CASE("a stop kills the hooks that run and answers those that wait", "[daemon]") {
  Stage stage(scan_with("sleep 100"));
  for (std::uint64_t job = 0; job <= kHooksMax; ++job) stage.start(job, "/p");
  stage.hooks.stop();
  for (std::uint64_t job = 0; job <= kHooksMax; ++job) {
    const HookResult& result = stage.result_of(job);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::cancelled);
  }
}

TEST_CASE("a program that is not there is an error, and so is one that may not be run",
          "[daemon]") {
  Stage absent({{}, {"/nonexistent/scanner"}, 1s});
  absent.start(1, "/p");
  CHECK(absent.result_of(1).error().code == Errc::not_found);
  Stage denied({{}, {"/etc/passwd"}, 1s});
  denied.start(1, "/p");
  CHECK(denied.result_of(1).error().code == Errc::denied);
}

}  // namespace
}  // namespace peernet::daemon
