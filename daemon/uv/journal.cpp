#include "daemon/uv/journal.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <string_view>
#include <utility>
#include <variant>

#include "core/escape.h"
#include "core/identity.h"

namespace peernet::daemon {
namespace {

// The message as the inside of a JSON string. Messages are ASCII or were escaped; what is not is
// replaced, so that every line parses.
class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    for (const char c : std::string_view(message.payload.data(), message.payload.size())) {
      const bool is_plain = c >= ' ' && c <= '~';
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(is_plain ? c : '?');
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

std::unique_ptr<spdlog::formatter> make_formatter(const std::string& format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<JsonMessage>('*');
  formatter->set_pattern(format == "json"
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%*"})"
                             : "%Y-%m-%d %H:%M:%S.%eZ %l: %v");
  return formatter;
}

std::string shown(const std::string& text) {
  return escape(Untrusted{text});
}

std::string name_of(const Node& node, Time now, const ShareId& id) {
  const auto share = node.share(now, id);
  return to_short_text(id) + (share && !share->name.empty() ? " " + shown(share->name) : "");
}

}  // namespace

Journal::Journal(const LogLevels& levels, const std::string& format, const std::string& file,
                 std::uint64_t size) {
  spdlog::sink_ptr sink;
  if (file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
        file, static_cast<std::size_t>(size) / kLogFilesMax, kLogFilesMax - 1);
  }
  sink->set_formatter(make_formatter(format));
  for (auto* log : {&log_, &shares_, &peers_}) {
    *log = std::make_shared<Log>("peernetd", sink);
    (*log)->flush_on(spdlog::level::info);
  }
  set_levels(levels);
}

Journal::~Journal() {
  log_->flush();
}

void Journal::set_levels(const LogLevels& levels) {
  log_->set_level(spdlog::level::from_str(levels.all));
  shares_->set_level(spdlog::level::from_str(levels.shares.value_or(levels.all)));
  peers_->set_level(spdlog::level::from_str(levels.peers.value_or(levels.all)));
}

void Journal::tell(Time now, const transfer::Event& event, const Node& node) {
  std::visit(Overloaded{
                 [&](const transfer::Imported& one) {
                   shares_->info("{}: {}", one.was_known ? "shared already" : "shared",
                                 name_of(node, now, one.id));
                   if (!one.left_out.empty()) {
                     shares_->info("left out of {}: {} entries that cannot be shared",
                                   to_short_text(one.id), one.left_out.size());
                   }
                 },
                 [&](const transfer::ImportFailed& one) {
                   shares_->info("not shared: {}", shown(one.error.what));
                 },
                 [&](const transfer::ManifestKnown& one) {
                   shares_->info("known what it is: {}", name_of(node, now, one.id));
                 },
                 [&](const transfer::Completed& one) {
                   shares_->info("complete: {}", name_of(node, now, one.id));
                 },
                 [&](const transfer::StateChanged& one) { tell_state(now, one, node); },
                 [&](const transfer::Removed& one) {
                   shares_->info("removed: {}{}", to_short_text(one.id),
                                 one.result ? "" : " (" + shown(one.result.error().what) + ")");
                 },
                 [&](const transfer::PeerJoined&) { tell_peer(now, event); },
                 [&](const transfer::PeerLeft&) { tell_peer(now, event); },
                 [&](const transfer::PeerBanned&) { tell_peer(now, event); },
                 [](const auto&) {},
             },
             event);
}

void Journal::tell_state(Time now, const transfer::StateChanged& event, const Node& node) {
  if (event.state == transfer::ShareState::failed ||
      event.state == transfer::ShareState::quarantined) {
    shares_->warn("stopped: {}: {}", name_of(node, now, event.id), shown(event.reason));
  } else {
    shares_->debug("state {} of {}: {}", static_cast<int>(event.state), to_short_text(event.id),
                   shown(event.reason));
  }
}

void Journal::tell_peer(Time now, const transfer::Event& event) {
  if (const auto* joined = std::get_if<transfer::PeerJoined>(&event)) {
    if (!peers_->should_log(spdlog::level::debug)) return;
    if (const auto more = may_tell(now, PeerLine::joined, joined->peer)) {
      peers_->debug("peer {} joined from {}{}", to_short_text(joined->peer),
                    joined->endpoint.to_string(), *more);
    }
  } else if (const auto* left = std::get_if<transfer::PeerLeft>(&event)) {
    if (!peers_->should_log(spdlog::level::debug)) return;
    if (const auto more = may_tell(now, PeerLine::left, left->peer)) {
      peers_->debug("peer {} left ({}): {}{}", to_short_text(left->peer),
                    left->endpoint.to_string(), shown(left->reason), *more);
    }
  } else if (const auto* banned = std::get_if<transfer::PeerBanned>(&event)) {
    if (const auto more = may_tell(now, PeerLine::banned, banned->peer)) {
      peers_->info("peer {} banned: {}{}", to_short_text(banned->peer), shown(banned->reason),
                   *more);
      peers_->debug("banned address {}", banned->endpoint.to_string());
    }
  }
}

std::optional<std::string> Journal::may_tell(Time now, PeerLine line, const PeerId& peer) {
  const auto place = lines_.find({peer, line});
  if (place == lines_.end() && lines_.size() >= kPeerLinesMax) {
    // Identities cost nothing: those whose second is over make room, else nobody new is told.
    for (const auto& [key, lines] : lines_) suppressed_ += now >= lines.next ? lines.suppressed : 0;
    std::erase_if(lines_, [&](const auto& one) { return now >= one.second.next; });
    if (lines_.size() >= kPeerLinesMax) {
      ++suppressed_;
      return std::nullopt;
    }
  }
  Lines& lines = lines_[{peer, line}];
  if (now < lines.next) {
    ++lines.suppressed;
    return std::nullopt;
  }
  lines.next = now + kPeerLineInterval;
  const std::uint64_t count = std::exchange(lines.suppressed, 0) + std::exchange(suppressed_, 0);
  return count == 0 ? "" : " (suppressed " + std::to_string(count) + ")";
}

}  // namespace peernet::daemon
