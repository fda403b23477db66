#include "cli/selection.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace peernet::cli {
namespace {

std::vector<Json> rows() {
  return {
      Json::parse(R"({"name": "Linux.iso", "state": "seeding", "size": 1073741824, "eta": null})"),
      Json::parse(R"({"name": "notes", "state": "fetching", "size": 512, "eta": 7})")};
}

std::string names(const Selection& selection) {
  const auto chosen = select(selection, rows());
  if (const auto* failure = std::get_if<Failure>(&chosen)) return "fault: " + failure->message;
  std::string text;
  for (const Json& row : std::get<std::vector<Json>>(chosen)) text += text_at(row, "name") + " ";
  return text;
}

TEST_CASE("a filter compares words, numbers and sizes", "[cli]") {
  CHECK(names({}) == "Linux.iso notes ");
  CHECK(names({{}, {"state=seeding"}}) == "Linux.iso ");
  CHECK(names({{}, {"state!=seeding"}}) == "notes ");
  CHECK(names({{}, {"name~LINUX"}}) == "Linux.iso ");
  CHECK(names({{}, {"size>=1GiB"}}) == "Linux.iso ");
  CHECK(names({{}, {"size<1GiB"}}) == "notes ");
  CHECK(names({{}, {"size=512"}}) == "notes ");
  CHECK(names({{}, {"eta=null"}}) == "Linux.iso ");
  CHECK(names({{}, {"eta<10"}}) == "notes ");
  CHECK(names({{}, {"state=seeding", "size<1KiB"}}).empty());
}

TEST_CASE("what is no filter and what is no field is said, with what there is", "[cli]") {
  CHECK(names({{}, {"seeding"}}).starts_with("fault: this is not a filter"));
  CHECK(names({{}, {"=x"}}).starts_with("fault: this is not a filter"));
  CHECK(names({{}, {"stat=x"}}) == R"(fault: there is no field "stat"; did you mean "state"?)");
  CHECK(names({{}, {"size>10 MB"}}) == R"(fault: size is a number, and "10 MB" is none)");
  CHECK(names({{"nam"}, {}}) == R"(fault: there is no field "nam"; did you mean "name"?)");
}

TEST_CASE("fields are shown in the order in which they were named", "[cli]") {
  const Selection selection{{"eta", "name"}, {}};
  const auto chosen = select(selection, rows());
  const auto& all = std::get<std::vector<Json>>(chosen);
  CHECK(to_line(all[1]) == R"({"eta":7,"name":"notes"})");
  CHECK(render_selected(selection, all, {}) == "ETA  NAME\n  -  Linux.iso\n  7  notes\n");
}

}  // namespace
}  // namespace peernet::cli
