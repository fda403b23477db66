#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"

// peernet verify: the hashing is followed as that of add is, the repair as a fetch is.

namespace peernet::cli {
namespace {

constexpr std::chrono::milliseconds kTick{500};

// The damaged ranges: the path, the first and the last byte.
std::string damaged_lines(const Json& result, const std::string& name) {
  std::string text;
  for (const Json& range : at(result, "damaged")) {
    const std::string path = text_at(range, "path");
    const std::uint64_t offset = count_at(range, "offset");
    const std::uint64_t size = integer_at(range, "size").value_or(1);
    text += shown(path.empty() ? name : path) + "  " + std::to_string(offset) + "-" +
            std::to_string(offset + size - 1) + "\n";
  }
  return text;
}

int finish(Session& session, Client& client, const Interrupt& interrupt, const Json& result,
           const std::string& name) {
  Screen& screen = session.screen();
  screen.end_moving_line(false);
  const std::string id = text_at(result, "id");
  const std::uint64_t count = count_at(result, "damaged_count");
  const std::string size = size_text(count_at(result, "size"));
  const bool is_repairing = flag_at(result, "is_repairing");
  if (count == 0 && !is_repairing) {
    screen.story("intact  " + shown(name) + "  " + size);
    if (screen.is_json()) screen.answer_json(result);
    return kExitDone;
  }
  const std::string damage = plural(count, "piece") + " damaged, " +
                             size_text(count_at(result, "damaged_size")) + " of " + size;
  if (is_repairing) {
    screen.story(damage + "; fetched again now");
    if (!screen.is_json()) {
      for (const Json& range : at(result, "damaged")) {
        screen.story("  " + shown(text_at(range, "path")));
      }
    }
    return follow_repair(session, client, interrupt, id);
  }
  if (!screen.is_json()) screen.answer(damaged_lines(result, name));
  Failure failure{kExitCorrupt, "corrupt", damage,
                  "peernet verify --repair " + short_id(id) + " fetches it again"};
  if (!screen.is_json()) return screen.fail(failure);
  screen.answer_json(result);
  return kExitCorrupt;
}

}  // namespace

int verify(Session& session, const std::string& id, bool is_repair) {
  Screen& screen = session.screen();
  const auto share = session.call("share.status", Json::object({{"id", id}}));
  if (const auto* failure = std::get_if<Failure>(&share)) return screen.fail(*failure);
  const std::string whole_id = text_at(std::get<Json>(share), "id");
  const std::string name = text_at(std::get<Json>(share), "name");
  const auto connection = session.client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return screen.fail(*failure);
  Client& client = *std::get<Client*>(connection);
  const auto subscribed =
      client.call("events.subscribe", Json::object({{"kinds", Json::array({"verify_progress"})}}));
  if (const auto* failure = std::get_if<Failure>(&subscribed)) return screen.fail(*failure);
  const Interrupt interrupt;
  client.wake_on(interrupt.descriptor());
  const auto sent =
      client.send("share.verify", Json::object({{"id", whole_id}, {"repair", is_repair}}));
  if (const auto* failure = std::get_if<Failure>(&sent)) return screen.fail(*failure);
  while (true) {
    const Message message = client.next(kTick);
    switch (message.kind) {
      case Message::Kind::answer:
        if (message.failure) return screen.fail(*message.failure);
        return finish(session, client, interrupt, message.value, name);
      case Message::Kind::event: {
        const Json& event = message.value;
        if (text_at(event, "id") != whole_id) break;
        if (screen.is_json()) {
          screen.story_json(event);
          break;
        }
        screen.moving_line(hashing_line(name, count_at(event, "done"), count_at(event, "total"),
                                        count_at(event, "rate"), screen.err_look()));
        break;
      }
      case Message::Kind::quiet: break;
      case Message::Kind::interrupted:
        // Closing the connection ends it.
        return screen.fail({kExitOther, "cancelled",
                            "interrupted: what was found damaged is not served any more",
                            "peernet verify " + short_id(whole_id) + " begins again"});
      case Message::Kind::lost: return screen.fail(connection_lost());
    }
  }
}

}  // namespace peernet::cli
