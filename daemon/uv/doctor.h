#pragma once

// What a daemon can check of the machine it runs on: each with what was found and what to do. For
// people who ask; a few system calls, none of which waits for the disk.

#include <vector>

#include "core/endpoint.h"
#include "core/paths.h"
#include "core/time.h"
#include "daemon/rpc_hooks.h"

namespace peernet::daemon {

std::vector<DoctorCheck> examine(const Paths& paths, const std::vector<Endpoint>& listeners,
                                 std::uint64_t descriptors_wanted);
ProcessFacts process_facts();

}  // namespace peernet::daemon
