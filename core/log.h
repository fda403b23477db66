#pragma once

// The logger an engine may write to, at trace and debug only; the shell creates it. spdlog's
// headers are heavy, so that this header only names it: include <spdlog/spdlog.h> where you write.

#include <memory>

namespace spdlog {
class logger;
}

namespace peernet {
using Log = spdlog::logger;
}
