#pragma once

// What the engine has once for each address family: the nodes it knows there, its queries in
// flight, and its way out.

#include "dht/caller.h"
#include "dht/outlet.h"
#include "dht/routing_table.h"
#include "dht/size_estimate.h"

namespace peernet::dht {

struct Family {
  RoutingTable table;
  Caller caller;
  Outlet outlet;
  bool is_v6 = false;
  SizeEstimate size{};

  double network_size() const { return size.nodes(table.population()); }
  // False if too many queries are in flight.
  bool ask(Time now, const Contact& to, const QueryBody& body, Why why, Effects& out) {
    return caller.ask(now, to, body, why, table.soft_timeout(to), outlet, out);
  }
  bool ask(Time now, const Endpoint& to, const QueryBody& body, Why why, Effects& out) {
    return caller.ask(now, to, body, why, outlet, out);
  }
};

}  // namespace peernet::dht
