#pragma once

// Reads and writes of a file at a place that are done whole or not at all, as calls that block, and
// the blocks that its bytes fall into.

#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace peernet::daemon {

// Reads exactly `size` bytes. False at the end of the file.
Result<bool> read_fully(int fd, std::uint8_t* to, std::size_t size, std::uint64_t offset);

// Only what the page cache has: false when any of it would have to come from the disk.
bool read_at_once(int fd, Bytes& to, std::uint64_t offset);

// Writes all parts one after the other; `parts` is used up.
Result<void> write_fully(int fd, std::vector<iovec>& parts, std::uint64_t offset);
iovec part(const std::uint8_t* from, std::size_t size);

// How many leaf hashes so many bytes of a file have.
std::uint64_t leaves_in(std::uint64_t size);
// Of bytes that begin at a block.
std::vector<BytesView> blocks_of(BytesView bytes);

// The error of a call that does not know what the file is called.
Error with_path(Error error, const std::string& path);

}  // namespace peernet::daemon
