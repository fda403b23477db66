#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "core/identity.h"
#include "daemon/rpc.h"
#include "daemon/rpc_values.h"

// share.read: bytes of a file, which follow the line of the answer as they are.

namespace peernet::daemon {

transfer::ReaderId reader_of(ClientId client) {
  return transfer::ReaderId{static_cast<std::uint64_t>(client)};
}

Rpc::Answer Rpc::share_read(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  const bool is_reading = std::ranges::any_of(
      reads_, [&](const auto& entry) { return entry.second.client == call.client; });
  if (is_reading) {
    return Result<Json>(Error{Errc::refused, "this connection already waits for a share.read",
                              "one at a time; the next begins where this one ends"});
  }
  transfer::ReadRequest request;
  request.id = *id;
  request.reader = reader_of(call.client);
  request.path = text_of(call.params, "path");
  request.offset = integer_of(call.params, "offset").value_or(0);
  request.size =
      static_cast<std::uint32_t>(integer_of(call.params, "size").value_or(transfer::kReadSizeMax));
  const std::uint64_t offset = request.offset;
  const auto read = call.node.read(call.now, std::move(request), call.out);
  if (!read) return Result<Json>(read.error());
  PendingRead pending;
  pending.client = call.client;
  pending.id = call.id;
  pending.share = *id;
  pending.offset = offset;
  reads_.emplace(*read, std::move(pending));
  ++clients_[call.client].pending_count;
  return std::nullopt;
}

void Rpc::on_file_read(const transfer::FileRead& event) {
  const auto place = reads_.find(event.read);
  if (place == reads_.end()) return;
  const PendingRead pending = std::move(place->second);
  reads_.erase(place);
  if (!event.result) {
    answer_pending(pending, event.result.error());
    return;
  }
  const transfer::FileBytes& file = *event.result;
  answer_pending(pending, Json::object({{"id", to_text(pending.share)},
                                        {"offset", pending.offset},
                                        {"file_size", file.file_size},
                                        {"payload", file.bytes.size()}}));
  // Whoever wants no answer gets no bytes either.
  if (pending.id && clients_.contains(pending.client)) replies_.back().payload = file.bytes;
}

}  // namespace peernet::daemon
