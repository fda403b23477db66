#include "daemon/config_edit.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <optional>

#include "core/nearest.h"
#include "daemon/json.h"

namespace peernet::daemon {
namespace {

constexpr std::array<std::string_view, 9> kTakenOver{
    "limits.up", "limits.down", "limits.peer_up", "limits.peer_down", "limits.lan",
    "log.level", "log.shares",  "log.peers",      "paths.downloads"};

// Walks over a text that was found to be valid: JSON with // comments.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) {}

  std::size_t after_blank(std::size_t at) const {
    while (at < text_.size()) {
      if (text_.substr(at).starts_with("//")) {
        at = std::min(text_.find('\n', at), text_.size());
      } else if (std::string_view(" \t\r\n").find(text_[at]) != std::string_view::npos) {
        ++at;
      } else {
        break;
      }
    }
    return at;
  }

  std::size_t after_string(std::size_t at) const {
    for (++at; at < text_.size() && text_[at] != '"'; ++at) {
      if (text_[at] == '\\') ++at;
    }
    return std::min(at + 1, text_.size());
  }

  std::size_t after_value(std::size_t at) const {
    if (at < text_.size() && text_[at] == '"') return after_string(at);
    if (at >= text_.size() || (text_[at] != '{' && text_[at] != '[')) {
      while (at < text_.size() &&
             std::string_view(",]} \t\r\n/").find(text_[at]) == std::string_view::npos) {
        ++at;
      }
      return at;
    }
    int depth = 0;
    do {
      at = after_blank(at);
      if (at >= text_.size()) break;
      const char c = text_[at];
      if (c == '"') {
        at = after_string(at);
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      ++at;
    } while (depth > 0);
    return at;
  }

  struct Object {
    std::size_t close = 0;                   // of its brace
    std::optional<std::size_t> last_end;     // of its last member's value
    std::optional<std::size_t> value_begin;  // of the member asked for
    std::size_t value_end = 0;
  };
  // `at`: its opening brace.
  Object object(std::size_t at, std::string_view name) const {
    Object found;
    at = after_blank(at + 1);
    while (at < text_.size() && text_[at] == '"') {
      const std::size_t key_end = after_string(at);
      const std::string_view key = text_.substr(at + 1, key_end - at - 2);
      const std::size_t begin = after_blank(after_blank(key_end) + 1);  // after the colon
      const std::size_t end = after_value(begin);
      if (key == name) {
        found.value_begin = begin;
        found.value_end = end;
      }
      found.last_end = end;
      at = after_blank(end);
      if (at < text_.size() && text_[at] == ',') at = after_blank(at + 1);
    }
    found.close = at;
    return found;
  }

 private:
  std::string_view text_;
};

// Adds a member at the end of an object, on a line of its own.
void insert_member(std::string& text, const Walker::Object& object, const std::string& member,
                   std::size_t depth) {
  const std::string indent(2 * depth, ' ');
  const std::string closing(2 * (depth - 1), ' ');
  // The line break that is there already stays before the brace.
  std::size_t place = object.close;
  while (place > 0 && (text[place - 1] == ' ' || text[place - 1] == '\t')) --place;
  const bool has_line = place > 0 && text[place - 1] == '\n';
  text.insert(has_line ? place : object.close,
              has_line ? indent + member + "\n" : "\n" + indent + member + "\n" + closing);
  if (object.last_end) text.insert(*object.last_end, ",");
}

std::string with_value(std::string text, std::string_view key, const std::string& value) {
  std::size_t brace = Walker(text).after_blank(0);
  if (brace >= text.size()) {
    text += "{\n}\n";
    brace = Walker(text).after_blank(0);
  }
  std::size_t depth = 1;
  while (true) {
    const std::size_t dot = key.find('.');
    const std::string_view name = key.substr(0, dot);
    const bool is_last = dot == std::string_view::npos;
    const Walker::Object object = Walker(text).object(brace, name);
    if (!object.value_begin) {
      std::string member = "\"" + std::string(name) + "\": ";
      if (is_last) {
        member += value;
      } else {
        member += "{ \"" + std::string(key.substr(dot + 1)) + "\": " + value + " }";
      }
      insert_member(text, object, member, depth);
      return text;
    }
    if (is_last) {
      text.replace(*object.value_begin, object.value_end - *object.value_begin, value);
      return text;
    }
    brace = *object.value_begin;
    key.remove_prefix(dot + 1);
    ++depth;
  }
}

Json value_at(const Json& json, std::string_view key) {
  const std::size_t dot = key.find('.');
  const Json* member = json_find(json, key.substr(0, dot));
  if (member == nullptr) return {};
  return dot == std::string_view::npos ? *member : value_at(*member, key.substr(dot + 1));
}

Json json_of(const DaemonConfig& config) {
  auto json = parse_json(config_to_json(config), {});
  return json ? *std::move(json) : Json::object();
}

}  // namespace

Result<std::string> edit_config(std::string_view text, std::string_view key,
                                std::string_view value) {
  std::vector<std::string_view> names;
  for (const ConfigKeyRow& row : config_keys()) names.push_back(row.key);
  if (std::find(names.begin(), names.end(), key) == names.end()) {
    return Error{Errc::not_found, "there is no key \"" + std::string(key.substr(0, 64)) + "\"",
                 "did you mean \"" + std::string(nearest(key, names)) + "\"?"};
  }
  if (const auto before = parse_config(text); !before) return before.error();
  const std::string as_text = dump_json(Json(std::string(value)));
  std::string edited;
  std::optional<Error> refusal;
  if (const auto json = parse_json(value, {.depth_max = kConfigDepthMax})) {
    edited = with_value(std::string(text), key, dump_json(*json));
    const auto config = parse_config(edited);
    if (config) return edited;
    refusal = config.error();
  }
  edited = with_value(std::string(text), key, as_text);
  const auto config = parse_config(edited);
  if (config) return edited;
  return refusal ? *refusal : config.error();
}

std::vector<std::string> changed_keys(const DaemonConfig& before, const DaemonConfig& after) {
  const Json old_json = json_of(before);
  const Json new_json = json_of(after);
  std::vector<std::string> changed;
  for (const ConfigKeyRow& row : config_keys()) {
    if (value_at(old_json, row.key) != value_at(new_json, row.key)) changed.emplace_back(row.key);
  }
  return changed;
}

bool needs_restart(std::string_view key) {
  return std::find(kTakenOver.begin(), kTakenOver.end(), key) == kTakenOver.end();
}

void take_over(DaemonConfig& config, const DaemonConfig& fresh) {
  config.limit_up = fresh.limit_up;
  config.limit_down = fresh.limit_down;
  config.peer_limits = fresh.peer_limits;
  config.log_levels = fresh.log_levels;
  config.downloads = fresh.downloads;
}

}  // namespace peernet::daemon
