#include "daemon/uv/file_io.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "core/merkle.h"
#include "daemon/uv/beneath.h"

namespace peernet::daemon {

Result<bool> read_fully(int fd, std::uint8_t* to, std::size_t size, std::uint64_t offset) {
  while (size > 0) {
    const ssize_t got = pread(fd, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "cannot read");
    if (got == 0) return false;
    to += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool read_at_once(int fd, Bytes& to, std::uint64_t offset) {
  const iovec whole{to.data(), to.size()};
  const ssize_t got = preadv2(fd, &whole, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  return got >= 0 && static_cast<std::size_t>(got) == to.size();
}

Result<void> write_fully(int fd, std::vector<iovec>& parts, std::uint64_t offset) {
  std::size_t first = 0;
  while (first < parts.size()) {
    const auto count = static_cast<int>(std::min<std::size_t>(parts.size() - first, IOV_MAX));
    const ssize_t put = pwritev(fd, &parts[first], count, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error(errno, "cannot write");
    if (put == 0) return system_error(EIO, "cannot write");
    offset += static_cast<std::uint64_t>(put);
    auto rest = static_cast<std::size_t>(put);
    while (first < parts.size() && rest >= parts[first].iov_len) rest -= parts[first++].iov_len;
    if (rest > 0) {
      parts[first].iov_base = static_cast<std::uint8_t*>(parts[first].iov_base) + rest;
      parts[first].iov_len -= rest;
    }
  }
  return {};
}

iovec part(const std::uint8_t* from, std::size_t size) {
  // pwritev only reads from it.
  return {const_cast<std::uint8_t*>(from), size};
}

std::uint64_t leaves_in(std::uint64_t size) {
  return (size + merkle::kBlockSize - 1) / merkle::kBlockSize;
}

std::vector<BytesView> blocks_of(BytesView bytes) {
  std::vector<BytesView> blocks;
  blocks.reserve(leaves_in(bytes.size()));
  for (; !bytes.empty(); bytes = bytes.subspan(blocks.back().size())) {
    blocks.push_back(bytes.first(std::min<std::size_t>(merkle::kBlockSize, bytes.size())));
  }
  return blocks;
}

Error with_path(Error error, const std::string& path) {
  error.what = path + ": " + error.what;
  return error;
}

}  // namespace peernet::daemon
