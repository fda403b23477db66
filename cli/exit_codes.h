#pragma once

// What `peernet` exits with (cli/README.md).

namespace peernet::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitOther = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitNoDaemon = 4;
inline constexpr int kExitTimedOut = 5;
inline constexpr int kExitNetwork = 6;
inline constexpr int kExitUnfinished = 7;
inline constexpr int kExitCorrupt = 8;

}  // namespace peernet::cli
