#pragma once

// Who asked through the control socket, and a call of his that is not answered yet.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "transfer/readers.h"

namespace peernet::daemon {

inline constexpr std::size_t kRpcPendingMax = 16;  // unanswered calls of one client

enum class ClientId : std::uint64_t {};

// As the engine knows a client that reads.
transfer::ReaderId reader_of(ClientId client);

// `id` is the request's id as JSON; nullopt for a notification, which gets no answer. `batch`: the
// number of the batch it came in; 0: it came alone.
struct PendingCall {
  ClientId client{};
  std::optional<std::string> id;
  std::uint64_t batch = 0;
};

}  // namespace peernet::daemon
