#include <nlohmann/json.hpp>

#include <utility>

#include "core/identity.h"
#include "daemon/rpc.h"
#include "daemon/rpc_values.h"

// share.verify: answered when everything is hashed; its progress and its end are events too.

namespace peernet::daemon {

Rpc::Answer Rpc::share_verify(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  const auto begun = call.node.verify(call.now, *id, flag_of(call.params, "repair"), call.out);
  if (!begun) return Result<Json>(begun.error());
  PendingVerify pending;
  pending.client = call.client;
  pending.id = call.id;
  pending.started = call.now;
  pending.told = call.now;
  verifications_.emplace(*id, std::move(pending));
  ++clients_[call.client].pending_count;
  return std::nullopt;
}

void Rpc::on_verify_progress(Time now, const transfer::VerifyProgress& event) {
  const auto place = verifications_.find(event.id);
  if (place == verifications_.end()) return;
  PendingVerify& verify = place->second;
  if (now - verify.told < kImportProgressInterval) return;
  verify.told = now;
  const double elapsed = seconds(now - verify.started);
  const double rate = elapsed > 0 ? static_cast<double>(event.done) / elapsed : 0;
  publish(now, EventKind::verify_progress,
          Json::object({{"id", to_text(event.id)},
                        {"done", event.done},
                        {"total", event.total},
                        {"rate", whole_rate(rate)},
                        {"damaged", event.damaged}}),
          false);
}

void Rpc::on_verified(Time now, const transfer::Verified& event) {
  const std::string id = to_text(event.id);
  publish(
      now, EventKind::verified,
      Json::object({{"id", id},
                    {"damaged_count", event.result ? event.result->damaged_count : 0},
                    {"error", event.result ? Json(nullptr) : error_json(event.result.error())}}),
      true);
  const auto place = verifications_.find(event.id);
  if (place == verifications_.end()) return;
  const PendingVerify pending = std::move(place->second);
  verifications_.erase(place);
  if (!event.result) {
    answer_pending(pending, event.result.error());
    return;
  }
  const transfer::VerifyOutcome& outcome = *event.result;
  Json damaged = Json::array();
  for (const transfer::DamagedRange& range : outcome.damaged) {
    damaged.push_back(
        Json::object({{"path", range.path}, {"offset", range.offset}, {"size", range.size}}));
  }
  answer_pending(
      pending, Json::object({{"id", id},
                             {"size", outcome.bytes},
                             {"damaged_size", outcome.damaged_bytes},
                             {"damaged_count", outcome.damaged_count},
                             {"damaged", std::move(damaged)},
                             {"is_repairing", outcome.is_repairing || outcome.is_fetched_again}}));
}

}  // namespace peernet::daemon
