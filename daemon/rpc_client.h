#pragma once

// Who asked through the control socket, and a call of his that is not answered yet.

#include <cstdint>
#include <optional>
#include <string>

#include "transfer/readers.h"

namespace peernet::daemon {

enum class ClientId : std::uint64_t {};

// As the engine knows a client that reads.
transfer::ReaderId reader_of(ClientId client);

// `id` is the request's id as JSON; nullopt for a notification, which gets no answer.
struct PendingCall {
  ClientId client{};
  std::optional<std::string> id;
};

}  // namespace peernet::daemon
