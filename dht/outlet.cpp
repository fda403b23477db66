#include "dht/outlet.h"

#include <utility>

#include "core/check.h"
#include "dht/krpc.h"

namespace peernet::dht {

void Outlet::send(Time now, const Endpoint& to, Direction direction, Bytes bytes, Effects& out) {
  const std::size_t size_max =
      direction == Direction::answer ? kDatagramOutMax : kPutOutMax + overhead();
  PN_CHECK(bytes.size() + overhead() <= size_max);
  if (seal_) bytes = seal_->close(now, direction, bytes);
  bytes_count_ += bytes.size();
  out.push_back(SendDatagram{to, std::move(bytes)});
}

}  // namespace peernet::dht
