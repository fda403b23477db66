#include "cli/selection.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cctype>

#include "cli/commands.h"
#include "cli/text.h"
#include "core/nearest.h"

namespace peernet::cli {
namespace {

struct Filter {
  std::string key;
  std::string sign;
  std::string value;
};

constexpr std::array kSigns{"!=", "<=", ">=", "=", "<", ">", "~"};

// The first sign in the text; of two that begin there, the longer.
std::optional<Filter> parse_filter(const std::string& text) {
  const std::size_t at = text.find_first_of("!<>=~");
  if (at == std::string::npos || at == 0) return std::nullopt;
  for (const char* sign : kSigns) {
    const std::string word = sign;
    if (text.compare(at, word.size(), word) != 0) continue;
    return Filter{text.substr(0, at), word, text.substr(at + word.size())};
  }
  return std::nullopt;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string plain_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "null" : to_line(value);
}

// "12", "0.5", "1GiB".
std::optional<double> number_of(const std::string& text) {
  if (const auto bytes = parse_bytes(text)) return static_cast<double>(*bytes);
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return text.empty() || *end != '\0' ? std::nullopt : std::optional(number);
}

// Of a member that is a number, by what is none. Where it may be null too, that can be asked for.
bool is_senseless(const Filter& filter, const Json& value) {
  return value.is_number() && filter.sign != "~" && filter.value != "null" &&
         !number_of(filter.value);
}

bool holds(const Filter& filter, const Json& value) {
  const std::string text = plain_text(value);
  if (filter.sign == "~") return lower(text).find(lower(filter.value)) != std::string::npos;
  if (value.is_number() && filter.value != "null") {
    const double have = value.get<double>();
    const double wanted = number_of(filter.value).value_or(0);
    if (filter.sign == "=") return have == wanted;
    if (filter.sign == "!=") return have != wanted;
    if (filter.sign == "<") return have < wanted;
    if (filter.sign == "<=") return have <= wanted;
    return filter.sign == ">" ? have > wanted : have >= wanted;
  }
  if (filter.sign == "=") return text == filter.value;
  if (filter.sign == "!=") return text != filter.value;
  if (value.is_null()) return false;
  // Texts in their order: right for times too.
  if (filter.sign == "<") return text < filter.value;
  if (filter.sign == "<=") return text <= filter.value;
  return filter.sign == ">" ? text > filter.value : text >= filter.value;
}

std::optional<Failure> unknown_member(const std::string& name, const Json& row) {
  if (row.contains(name)) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& item : row.items()) names.push_back(item.key());
  const std::vector<std::string_view> views(names.begin(), names.end());
  std::string all;
  for (const std::string& one : names) all += (all.empty() ? "" : ", ") + one;
  return Failure{kExitUsage, "malformed",
                 "there is no field \"" + name + "\"; did you mean \"" +
                     std::string(nearest(name, views)) + "\"?",
                 "the fields are " + all};
}

}  // namespace

void ask_for(const Selection& selection, Json& params) {
  if (selection.fields.empty()) return;
  Json names = selection.fields;
  for (const std::string& text : selection.filters) {
    if (const auto filter = parse_filter(text)) names.push_back(filter->key);
  }
  params["fields"] = std::move(names);
}

Outcome<std::vector<Json>> select(const Selection& selection, std::vector<Json> rows) {
  std::vector<Filter> filters;
  for (const std::string& text : selection.filters) {
    auto filter = parse_filter(text);
    if (!filter) {
      return Failure{kExitUsage, "malformed", "this is not a filter: " + text,
                     "such as state=fetching, name~linux or 'size>1GiB'"};
    }
    filters.push_back(*std::move(filter));
  }
  if (!rows.empty()) {
    for (const Filter& filter : filters) {
      if (auto failure = unknown_member(filter.key, rows.front())) return *std::move(failure);
    }
    for (const std::string& name : selection.fields) {
      if (auto failure = unknown_member(name, rows.front())) return *std::move(failure);
    }
  }
  std::vector<Json> chosen;
  for (Json& row : rows) {
    for (const Filter& filter : filters) {
      if (!is_senseless(filter, at(row, filter.key))) continue;
      return Failure{kExitUsage, "malformed",
                     filter.key + " is a number, and \"" + filter.value + "\" is none",
                     "such as 'size>1GiB', done=0 or 'ratio<0.5'"};
    }
    const bool is_wanted = std::all_of(filters.begin(), filters.end(), [&](const Filter& filter) {
      return holds(filter, at(row, filter.key));
    });
    if (!is_wanted) continue;
    if (selection.fields.empty()) {
      chosen.push_back(std::move(row));
      continue;
    }
    Json sparse = Json::object();
    for (const std::string& name : selection.fields) sparse[name] = at(row, name);
    chosen.push_back(std::move(sparse));
  }
  return chosen;
}

std::string render_selected(const Selection& selection, const std::vector<Json>& rows,
                            const Look& look) {
  std::vector<Column> columns;
  for (const std::string& name : selection.fields) {
    std::string title = name;
    std::transform(title.begin(), title.end(), title.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const bool is_number = std::any_of(rows.begin(), rows.end(),
                                       [&](const Json& row) { return at(row, name).is_number(); });
    columns.push_back({shown(title), is_number});
  }
  Table table(std::move(columns));
  for (const Json& row : rows) {
    std::vector<Cell> cells;
    for (const std::string& name : selection.fields) {
      const Json& value = at(row, name);
      cells.push_back({value.is_null() ? "-" : shown(plain_text(value))});
    }
    table.add(std::move(cells));
  }
  return table.render(look);
}

}  // namespace peernet::cli
