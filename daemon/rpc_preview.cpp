#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "core/identity.h"
#include "daemon/rpc.h"
#include "daemon/rpc_values.h"
#include "transfer/link.h"

// share.preview: what a link names, without fetching it. The share lives as long as its client.

namespace peernet::daemon {

Rpc::Answer Rpc::share_preview(Call& call) {
  auto link = transfer::parse_link(text_of(call.params, "link"));
  if (!link) return Result<Json>(link.error());
  const bool has_one = std::ranges::any_of(
      previews_, [&](const auto& preview) { return preview.client == call.client; });
  if (has_one) {
    return Result<Json>(Error{Errc::refused, "this connection has previewed a share already",
                              "one for each connection"});
  }
  transfer::FetchRequest request;
  request.link = *std::move(link);
  request.directory = context_.paths.downloads;
  request.allow_unportable = true;
  auto selection = selection_of(call.params);
  if (!selection) return Result<Json>(selection.error());
  request.selection = *std::move(selection);
  const auto is_known = call.node.list(call.now, request, call.out);
  if (!is_known) return Result<Json>(is_known.error());
  PendingPreview preview;
  preview.client = call.client;
  preview.id = call.id;
  preview.share = request.link.id;
  preview.is_known = *is_known;
  previews_.push_back(std::move(preview));
  ++clients_[call.client].pending_count;
  on_preview(call.now, request.link.id, call.node, std::nullopt);
  return std::nullopt;
}

// The manifest may be here now; or it is known that it cannot be used.
void Rpc::on_preview(Time now, const ShareId& id, const Node& node,
                     const std::optional<Error>& error) {
  const auto share = node.share(now, id);
  for (PendingPreview& preview : previews_) {
    if (preview.share != id || preview.is_answered) continue;
    if (share && share->files_count > 0) {
      answer_pending(preview, Json::object({{"id", to_text(id)},
                                            {"name", share->name},
                                            {"size", share->size},
                                            {"files_count", share->files_count},
                                            {"is_known", preview.is_known}}));
    } else if (error) {
      answer_pending(preview, *error);
    } else {
      continue;
    }
    preview.is_answered = true;
  }
}

}  // namespace peernet::daemon
