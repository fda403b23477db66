#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config.h"
#include "daemon/rpc_table.h"

// The tables of daemon/README.md are made from the tables in the code. After a change of those,
// `daemon_test '[readme]'` writes them anew.

namespace peernet::daemon {
namespace {

const std::string kReadme = std::string(PEERNET_SOURCE_DIR) + "/daemon/README.md";

std::string read_readme() {
  std::ifstream file(kReadme, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string begin_mark(const std::string& section) {
  return "<!-- " + section + ": made from the code -->\n";
}
std::string end_mark(const std::string& section) {
  return "<!-- end of " + section + " -->\n";
}

std::string code(std::string_view text) {
  return "`" + std::string(text) + "`";
}

std::string names_of(std::span<const Field> fields) {
  std::string text;
  for (const Field& field : fields) {
    if (!text.empty()) text += ", ";
    text += code(std::string(field.name) + (field.presence == Presence::optional ? "?" : ""));
    if (field.shape != nullptr && field.type == FieldType::list_of_objects) {
      text += " (" + std::string(field.shape->name) + ")";
    }
  }
  return text;
}

// Shapes of many members are named in the table and told below it.
constexpr std::size_t kMembersInline = 10;

std::string result_of(const Shape& shape) {
  if (shape.name == "openrpc") return "an OpenRPC document";
  if (shape.fields.empty()) return "-";
  if (shape.fields.size() > kMembersInline) return "*" + std::string(shape.name) + "*";
  return names_of(shape.fields);
}

std::string methods_text() {
  std::string text = "| method | parameters | result | errors |\n| --- | --- | --- | --- |\n";
  std::vector<const Shape*> told;
  for (const Method& method : methods()) {
    std::string errors;
    for (const Errc error : method.errors) {
      errors += (errors.empty() ? "" : ", ") + std::string(error_kind(error));
    }
    text += "| " + code(method.name) + " " + std::string(method.doc) + " | " +
            (method.params.empty() ? "-" : names_of(method.params)) + " | " +
            result_of(*method.result) + " | " + (errors.empty() ? "-" : errors) + " |\n";
    const Shape* shape = method.result;
    std::vector<const Shape*> candidates{shape};
    for (const Field& field : shape->fields) {
      if (field.shape != nullptr) candidates.push_back(field.shape);
    }
    for (const Shape* candidate : candidates) {
      const bool is_long = candidate->fields.size() > kMembersInline;
      const bool is_new = std::find(told.begin(), told.end(), candidate) == told.end();
      if (is_long && is_new) told.push_back(candidate);
    }
  }
  for (const Shape* shape : told) {
    text += "\n*" + std::string(shape->name) + "*: " + names_of(shape->fields) + ".\n";
  }
  return text;
}

std::string events_text() {
  std::string text = "| kind | when | members | kept |\n| --- | --- | --- | --- |\n";
  for (const EventRow& row : event_rows()) {
    text += "| " + code(row.name) + " | " + std::string(row.doc) + " | " +
            names_of(row.shape->fields) + " | " + (row.is_kept ? "yes" : "no") + " |\n";
  }
  return text;
}

std::string config_text() {
  std::string text = "| key | value | meaning |\n| --- | --- | --- |\n";
  for (const ConfigKeyRow& row : config_keys()) {
    text += "| " + code(row.key) + " | " + std::string(row.expects) + " | " +
            std::string(row.meaning) + (row.is_built ? "" : " (not built yet)") + " |\n";
  }
  return text;
}

struct Section {
  std::string name;
  std::string text;
};

std::vector<Section> sections() {
  return {{"methods", methods_text()}, {"events", events_text()}, {"config", config_text()}};
}

TEST_CASE("daemon/README.md shows the methods, events and config keys that there are", "[daemon]") {
  const std::string readme = read_readme();
  for (const Section& section : sections()) {
    CAPTURE(section.name);
    const std::string whole = begin_mark(section.name) + section.text + end_mark(section.name);
    CHECK(readme.find(whole) != std::string::npos);
  }
}

TEST_CASE("writes the tables of daemon/README.md anew", "[.][readme]") {
  std::string readme = read_readme();
  for (const Section& section : sections()) {
    const std::size_t begin = readme.find(begin_mark(section.name));
    const std::size_t end = readme.find(end_mark(section.name));
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    const std::size_t text_begin = begin + begin_mark(section.name).size();
    readme.replace(text_begin, end - text_begin, section.text);
  }
  std::ofstream(kReadme, std::ios::binary) << readme;
}

}  // namespace
}  // namespace peernet::daemon
