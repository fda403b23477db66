#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "core/identity.h"
#include "daemon/config_edit.h"
#include "daemon/rpc.h"
#include "daemon/rpc_values.h"

// What is settled for the node: config.*, network.*, limit.*.

namespace peernet::daemon {
namespace {

Json rate_or_null(const std::optional<std::uint64_t>& rate) {
  return rate ? Json(*rate) : Json(nullptr);
}

// nullopt: not given. 0 takes the limit away.
void read_rate(const Json& params, std::string_view name, std::optional<std::uint64_t>& into) {
  const Json* value = json_find(params, name);
  const auto rate = value == nullptr ? std::nullopt : json_integer(*value);
  if (!rate) return;
  into = *rate == 0 ? std::nullopt : rate;
}

}  // namespace

Rpc::Answer Rpc::config_check(Call& call) const {
  const auto fresh = parse_config(text_of(call.params, "text"));
  if (!fresh) return Result<Json>(fresh.error());
  const auto running = parse_config(context_.config_json);
  Json changed = Json::array();
  Json restart = Json::array();
  if (running) {
    for (const std::string& key : changed_keys(*running, *fresh)) {
      changed.push_back(key);
      if (needs_restart(key)) restart.push_back(key);
    }
  }
  return Result<Json>(
      Json::object({{"changed", std::move(changed)}, {"need_restart", std::move(restart)}}));
}

Rpc::Answer Rpc::config_edit(Call& call) const {
  const std::string key = text_of(call.params, "key");
  auto edited = edit_config(text_of(call.params, "text"), key, text_of(call.params, "value"));
  if (!edited) return Result<Json>(edited.error());
  return Result<Json>(
      Json::object({{"text", *std::move(edited)}, {"needs_restart", needs_restart(key)}}));
}

Rpc::Answer Rpc::config_reload(Call& call) {
  if (!context_.hooks.reload) {
    return Result<Json>(
        Json::object({{"taken_over", Json::array()}, {"need_restart", Json::array()}}));
  }
  const auto change = context_.hooks.reload(call.now, call.out);
  if (!change) return Result<Json>(change.error());
  return Result<Json>(
      Json::object({{"taken_over", change->taken_over}, {"need_restart", change->need_restart}}));
}

Rpc::Answer Rpc::network_new(Call& call) const {
  const auto path = clean_path(text_of(call.params, "path"));
  if (!path) return Result<Json>(path.error());
  if (!context_.hooks.make_network) {
    return Result<Json>(Error{Errc::io, "there is no disk here", {}});
  }
  const auto network = context_.hooks.make_network(*path);
  if (!network) return Result<Json>(network.error());
  return Result<Json>(Json::object({{"path", *path}, {"network", *network}}));
}

Rpc::Answer Rpc::limit_show(Call& call) {
  return limits_of(call, std::nullopt);
}

Rpc::Answer Rpc::limits_of(Call& call, std::optional<ShareId> id) {
  if (!id && !text_of(call.params, "id").empty()) {
    const auto found = call.node.find_share(text_of(call.params, "id"));
    if (!found) return Result<Json>(found.error());
    id = *found;
  }
  const auto limits = id ? call.node.share_limits(*id) : std::optional(call.node.limits());
  if (!limits) return Result<Json>(Error{Errc::not_found, "there is no such share", {}});
  const auto timed = std::find_if(timed_limits_.begin(), timed_limits_.end(),
                                  [&](const TimedLimit& t) { return t.share == id; });
  return Result<Json>(Json::object(
      {{"id", id ? Json(to_text(*id)) : Json(nullptr)},
       {"down", rate_or_null(limits->down)},
       {"up", rate_or_null(limits->up)},
       {"until",
        timed == timed_limits_.end() ? Json(nullptr) : Json(rfc3339(wall_at(timed->until)))}}));
}

Rpc::Answer Rpc::limit_set(Call& call) {
  std::optional<ShareId> id;
  if (const std::string prefix = text_of(call.params, "id"); !prefix.empty()) {
    const auto found = call.node.find_share(prefix);
    if (!found) return Result<Json>(found.error());
    id = *found;
  }
  const transfer::Limits before =
      id ? call.node.share_limits(*id).value_or(transfer::Limits{}) : call.node.limits();
  transfer::Limits wanted = before;
  read_rate(call.params, "down", wanted.down);
  read_rate(call.params, "up", wanted.up);
  const Json* seconds = json_find(call.params, "seconds");
  const auto duration = seconds == nullptr ? std::nullopt : json_integer(*seconds);
  const auto same = [&](const TimedLimit& t) { return t.share == id; };
  if (duration) {
    if (timed_limits_.size() >= kTimedLimitsMax) {
      return Result<Json>(Error{Errc::too_large, "too many limits wait for their end", {}});
    }
    const auto known = std::find_if(timed_limits_.begin(), timed_limits_.end(), same);
    const Time until = call.now + std::chrono::seconds(*duration);
    // What comes back is what was there before the first of them.
    if (known == timed_limits_.end()) {
      timed_limits_.push_back({id, until, before});
    } else {
      known->until = until;
    }
  } else {
    std::erase_if(timed_limits_, same);
  }
  apply_limits(call.now, id, wanted, call.node, call.out);
  return limits_of(call, id);
}

void Rpc::apply_limits(Time now, const std::optional<ShareId>& id, const transfer::Limits& limits,
                       Node& node, Effects& out) {
  if (!id) {
    node.set_limits(now, limits, out);
  } else {
    // A share that is gone meanwhile has no limits.
    static_cast<void>(node.set_share_limits(now, *id, limits, out));
  }
}

void Rpc::end_timed_limits(Time now, Node& node, Effects& out) {
  for (auto timed = timed_limits_.begin(); timed != timed_limits_.end();) {
    if (timed->until > now) {
      ++timed;
      continue;
    }
    apply_limits(now, timed->share, timed->before, node, out);
    timed = timed_limits_.erase(timed);
  }
}

}  // namespace peernet::daemon
