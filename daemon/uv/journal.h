#pragma once

// Journal is the daemon's log: how lines look and where they go, and which events of Node a person
// wants to read there. Text from outside passes escape(); addresses of others stay at debug; what
// one peer causes is written once a second for each kind of event, with a count of the rest.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/log.h"
#include "core/time.h"
#include "daemon/config.h"
#include "daemon/node.h"

namespace peernet::daemon {

inline constexpr std::size_t kLogFilesMax = 5;
inline constexpr Duration kPeerLineInterval = std::chrono::seconds(1);
inline constexpr std::size_t kPeerLinesMax = 1024;  // remembered; beyond them none is written

class Journal {
 public:
  // `file` empty: standard error. `size` is of all files together. Requires: levels and a format
  // that the config has accepted.
  Journal(const LogLevels& levels, const std::string& format, const std::string& file,
          std::uint64_t size);
  ~Journal();

  Log& log() { return *log_; }
  void set_levels(const LogLevels& levels);
  void tell(Time now, const transfer::Event& event, const Node& node);

 private:
  // Lines about one kind of event of one peer: the rest of a second is counted and said with the
  // next.
  struct Lines {
    Time next{};
    std::uint64_t suppressed = 0;
  };
  enum class PeerLine : std::uint8_t { joined, left, banned };
  void tell_state(Time now, const transfer::StateChanged& event, const Node& node);
  void tell_peer(Time now, const transfer::Event& event);
  // nullopt: not now; else what to add to the line.
  std::optional<std::string> may_tell(Time now, PeerLine line, const PeerId& peer);

  // spdlog's loggers are made shared
  std::shared_ptr<Log> log_;
  std::shared_ptr<Log> shares_;
  std::shared_ptr<Log> peers_;
  std::map<std::pair<PeerId, PeerLine>, Lines> lines_;
  std::uint64_t suppressed_ = 0;  // beyond kPeerLinesMax
};

}  // namespace peernet::daemon
