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

Journal::Journal(const std::string& level, const std::string& format, const std::string& file) {
  spdlog::sink_ptr sink;
  if (file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(file, kLogFileSize,
                                                                  kLogFilesMax - 1);
  }
  log_ = std::make_shared<Log>("peernetd", std::move(sink));
  log_->set_formatter(make_formatter(format));
  log_->flush_on(spdlog::level::info);
  set_level(level);
}

Journal::~Journal() {
  log_->flush();
}

void Journal::set_level(const std::string& level) {
  log_->set_level(spdlog::level::from_str(level));
}

void Journal::tell(Time now, const transfer::Event& event, const Node& node) {
  std::visit(Overloaded{
                 [&](const transfer::Imported& one) {
                   log_->info("{}: {}", one.was_known ? "shared already" : "shared",
                              name_of(node, now, one.id));
                   if (!one.left_out.empty()) {
                     log_->info("left out of {}: {} entries that cannot be shared",
                                to_short_text(one.id), one.left_out.size());
                   }
                 },
                 [&](const transfer::ImportFailed& one) {
                   log_->info("not shared: {}", shown(one.error.what));
                 },
                 [&](const transfer::ManifestKnown& one) {
                   log_->info("known what it is: {}", name_of(node, now, one.id));
                 },
                 [&](const transfer::Completed& one) {
                   log_->info("complete: {}", name_of(node, now, one.id));
                 },
                 [&](const transfer::StateChanged& one) { tell_state(now, one, node); },
                 [&](const transfer::Removed& one) {
                   log_->info("removed: {}{}", to_short_text(one.id),
                              one.result ? "" : " (" + shown(one.result.error().what) + ")");
                 },
                 [&](const transfer::PeerJoined& one) {
                   log_->debug("peer {} joined from {}", to_short_text(one.peer),
                               one.endpoint.to_string());
                 },
                 [&](const transfer::PeerLeft& one) {
                   log_->debug("peer {} left ({}): {}", to_short_text(one.peer),
                               one.endpoint.to_string(), shown(one.reason));
                 },
                 [&](const transfer::PeerBanned& one) { tell_banned(now, one); },
                 [](const auto&) {},
             },
             event);
}

void Journal::tell_state(Time now, const transfer::StateChanged& event, const Node& node) {
  if (event.state == transfer::ShareState::failed) {
    log_->warn("stopped: {}: {}", name_of(node, now, event.id), shown(event.reason));
  } else {
    log_->debug("state {} of {}: {}", static_cast<int>(event.state), to_short_text(event.id),
                shown(event.reason));
  }
}

void Journal::tell_banned(Time now, const transfer::PeerBanned& event) {
  log_->debug("banned address {}", event.endpoint.to_string());
  if (now < bans_.next) {
    ++bans_.suppressed;
    return;
  }
  bans_.next = now + kStrangersLineInterval;
  const std::uint64_t suppressed = std::exchange(bans_.suppressed, 0);
  log_->info("peer {} banned: {}{}", to_short_text(event.peer), shown(event.reason),
             suppressed == 0 ? "" : " (suppressed " + std::to_string(suppressed) + " more)");
}

}  // namespace peernet::daemon
