#include "dht/outlet.h"

#include <utility>

#include "core/check.h"
#include "dht/krpc.h"

namespace peernet::dht {

void Outlet::send(const Endpoint& to, Bytes bytes, Effects& out) {
  PN_CHECK(bytes.size() <= kPutOutMax);
  bytes_count_ += bytes.size();
  out.push_back(SendDatagram{to, std::move(bytes)});
}

}  // namespace peernet::dht
