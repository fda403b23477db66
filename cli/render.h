#pragma once

// What the daemon said, as text for people: pure functions from JSON and a Look to lines. Every
// name, reason and message goes through shown() here.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/json.h"
#include "cli/table.h"

namespace peernet::cli {

// The first 8 characters of an id, which name it on the command line.
std::string short_id(const std::string& id);

// `peernet status`: one line on the node, then a table of shares.
std::string render_node(const Json& node, const Look& look);
std::string render_shares(const std::vector<Json>& shares, const Look& look);
// `peernet status ID`: every fact of one share, a line each.
std::string render_share(const Json& share, const Look& look);
// `peernet why ID`: the cause, and the chain of facts behind it.
std::string render_why(const Json& why, std::optional<std::uint64_t> since_seconds,
                       const Look& look);
// `peernet ls`, `peernet ls ID`, `peernet peers`.
std::string render_list(const std::vector<Json>& shares, const Look& look);
std::string render_files(const std::vector<Json>& files, const std::string& name, const Look& look);
std::string render_peers(const std::vector<Json>& peers, const Look& look);
// `peernet config path`: from the names and paths of an object.
std::string render_paths(const Json& paths);
// `peernet rpc`: the methods of an OpenRPC document.
std::string render_methods(const Json& document, const Look& look);

// `peernet doctor`: a line for each check, and under it what to do.
std::string render_checks(const Json& checks, const Look& look);

// `peernet dht`: the figures, then the table by distance.
std::string render_dht(const Json& stats, const Look& look);
// `peernet dht lookup --trace`: a line for each query, in the order in which they were sent.
std::string render_steps(const Json& steps, const Look& look);

struct Fact {
  std::string name;
  std::string value;  // already fit to be shown
};
// A line each, the values in one column.
std::string render_facts(const std::vector<Fact>& facts);

// Bytes of what is to be fetched: of all, or of the files that are wanted.
std::optional<std::uint64_t> wanted_size(const Json& share);
// Nothing that is wanted is missing.
bool is_done_state(const std::string& state);
std::string plural(std::uint64_t number, const std::string& word);

// `peernet add`, on one line: the hashing of `name`. `rate`: bytes a second.
std::string hashing_line(const std::string& name, std::uint64_t done, std::uint64_t total,
                         std::uint64_t rate, const Look& look);
// `peernet fetch`: what is fetched and from whom, once it is known.
std::string fetch_head(const Json& share, const Look& look);
// The moving line under it. `dht_nodes`: the size of the DHT's table, where it is known.
std::string fetch_line(const Json& share, std::optional<std::uint64_t> dht_nodes, const Look& look);
// The same for a log: no bar.
std::string fetch_plain(const Json& share, std::optional<std::uint64_t> dht_nodes);

}  // namespace peernet::cli
