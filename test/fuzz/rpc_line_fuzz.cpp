// Any lines from three clients, one of which may go away: no line breaks the control surface, every
// reply is one line of ASCII that is JSON, and no more is answered than was asked or subscribed to.

#include <nlohmann/json.hpp>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/check.h"
#include "daemon/config.h"
#include "daemon/rpc.h"

namespace peernet::daemon {
namespace {

constexpr std::uint64_t kClients = 3;

void check_reply(const Rpc::Reply& reply) {
  for (const char c : reply.line) PN_CHECK(c >= ' ' && c <= '~');
  const Json json = Json::parse(reply.line, nullptr, /*allow_exceptions=*/false);
  PN_CHECK(json.is_object());
  const bool is_answer = json.contains("id") && json.contains("result") != json.contains("error");
  PN_CHECK(is_answer || json.contains("method"));
}

void feed(BytesView input) {
  static const bool is_started = (crypto_start(), true);
  static spdlog::logger log("fuzz", std::make_shared<spdlog::sinks::null_sink_mt>());
  static const Identity identity{Key{}};
  static const std::string config_json = config_to_json({});
  PN_CHECK(is_started);

  Paths paths;
  paths.downloads = "/d";
  Effects out;
  Time now{};
  Node node({}, identity, Rng(1), log);
  node.start(now, WallTime{1}, Saved{}, out);
  Rpc rpc({"0", paths, config_json});
  rpc.on_wall_clock(now, WallTime{1});

  std::string_view rest = as_text(input);
  for (std::uint64_t turn = 0; !rest.empty(); ++turn) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    now += std::chrono::milliseconds(100);
    rpc.on_line(now, ClientId{turn % kClients}, line, node, out);
    out.clear();
    while (const auto event = node.next_event()) rpc.on_event(now, *event, node);
    if (now >= rpc.deadline()) rpc.on_time(now, node, out);
    for (const Rpc::Reply& reply : rpc.take_replies()) check_reply(reply);
    if (turn % 8 == 7) rpc.on_client_gone(now, ClientId{turn % kClients}, node, out);
  }
}

}  // namespace
}  // namespace peernet::daemon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  peernet::daemon::feed({data, size});
  return 0;
}
