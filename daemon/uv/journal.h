#pragma once

// Journal is the daemon's log: how lines look and where they go, and which events of Node a person
// wants to read there. Text from outside passes escape(); addresses of others stay at debug; no
// line is written more than once a second for one kind of event that strangers can cause.

#include <cstdint>
#include <memory>
#include <string>

#include "core/log.h"
#include "core/time.h"
#include "daemon/node.h"

namespace peernet::daemon {

inline constexpr std::size_t kLogFileSize = 10 * 1024 * 1024;
inline constexpr std::size_t kLogFilesMax = 5;  // so that all logs together hold 50 MiB
inline constexpr Duration kStrangersLineInterval = std::chrono::seconds(1);

class Journal {
 public:
  // `file` empty: standard error. Requires: a level and format that the config has accepted.
  Journal(const std::string& level, const std::string& format, const std::string& file);
  ~Journal();

  Log& log() { return *log_; }
  void set_level(const std::string& level);
  void tell(Time now, const transfer::Event& event, const Node& node);

 private:
  // Lines about what strangers do: the rest of a second is counted and said with the next.
  struct Strangers {
    Time next{};
    std::uint64_t suppressed = 0;
  };
  void tell_state(Time now, const transfer::StateChanged& event, const Node& node);
  void tell_banned(Time now, const transfer::PeerBanned& event);

  std::shared_ptr<Log> log_;  // spdlog's loggers are made shared
  Strangers bans_;
};

}  // namespace peernet::daemon
