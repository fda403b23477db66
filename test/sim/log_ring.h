#pragma once

// LogRing keeps the last lines that the engines wrote, each stamped with virtual time and host. The
// World says before each input whose turn it is.

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "core/time.h"
#include "test/sim/timeline.h"

namespace peernet::sim {

inline constexpr std::size_t kLogLinesMax = 200;

class LogRing : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  void turn(Time now, std::uint32_t host) {
    now_ = now;
    host_ = host;
  }
  // Every line goes to stderr at once.
  bool is_loud = false;

  void print(std::FILE* to) const {
    for (const std::string& line : lines_) std::fprintf(to, "%s\n", line.c_str());
  }
  void add(std::string text) {
    char stamp[64];
    std::snprintf(stamp, sizeof(stamp), "%12.6f host %3u  ", seconds(now_ - kWorldStart), host_);
    if (is_loud) std::fprintf(stderr, "%s%s\n", stamp, text.c_str());
    lines_.push_back(stamp + std::move(text));
    if (lines_.size() > kLogLinesMax) lines_.pop_front();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    add(std::string(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

 private:
  Time now_{};
  std::uint32_t host_ = 0;
  std::deque<std::string> lines_;
};

}  // namespace peernet::sim
