#pragma once

// Selection is what --fields and --filter say about a list: which rows are shown, and which members
// of them.

#include <optional>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/json.h"
#include "cli/table.h"

namespace peernet::cli {

struct Selection {
  std::vector<std::string> fields;   // empty: all
  std::vector<std::string> filters;  // "state=fetching", "size>1GiB", "name~linux": all must hold

  bool is_everything() const { return fields.empty() && filters.empty(); }
};

// What a list is asked for, as its parameter `fields`: the daemon then says no more than is shown
// or filtered by, and refuses a member that is none, also where there is no row that lacks it.
void ask_for(const Selection& selection, Json& params);

// Only the rows that every filter holds for, only the members that are wanted, in the order in
// which they were named. A failure: a filter that is none, a member that is not there.
Outcome<std::vector<Json>> select(const Selection& selection, std::vector<Json> rows);

// A column for each of the selection's fields, the values as the daemon said them.
std::string render_selected(const Selection& selection, const std::vector<Json>& rows,
                            const Look& look);

}  // namespace peernet::cli
