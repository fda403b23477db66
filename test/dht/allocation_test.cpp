// The answer path reads a query without taking memory: this program counts what it takes.

#include <catch2/catch.hpp>

#include <cstdlib>
#include <new>
#include <vector>

#include "dht/krpc.h"
#include "test/dht/network.h"

namespace {

std::size_t allocations_count = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations_count;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations_count;
  return std::malloc(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace peernet::dht::test {

TEST_CASE("reading a query takes no memory, whatever it asks", "[dht]") {
  const Bytes value = to_bytes(as_bytes("11:hello world"));
  std::vector<QueryBody> bodies{Ping{},
                                FindNode{make_id(1)},
                                GetPeers{make_id(2)},
                                AnnouncePeer{make_id(3), 7000, false, as_bytes("token")},
                                Get{make_id(4), 5},
                                SampleInfohashes{make_id(5)}};
  Put put;
  put.value = value;
  put.token = as_bytes("token");
  put.key = PeerId{};
  bodies.emplace_back(put);
  std::vector<Bytes> datagrams;
  for (const QueryBody& body : bodies) {
    Query query;
    query.txid = as_bytes("aa");
    query.sender = make_id(9);
    query.want = {true, true};
    query.body = body;
    datagrams.push_back(encode(query));
  }
  datagrams.push_back(to_bytes(as_bytes("d1:q9:find_node1:t2:aa1:y1:qe")));
  // Its places for the values of a datagram are made once.
  Decoder decoder;
  std::size_t read = 0;
  for (const Bytes& datagram : datagrams) read += decoder.decode(datagram) ? 1U : 0U;
  REQUIRE(read == datagrams.size());
  const std::size_t before = allocations_count;
  for (const Bytes& datagram : datagrams) read += decoder.decode(datagram) ? 1U : 0U;
  const std::size_t taken = allocations_count - before;
  CHECK(read == 2 * datagrams.size());
  CHECK(taken == 0);
}

}  // namespace peernet::dht::test
