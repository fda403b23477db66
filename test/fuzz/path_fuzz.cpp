// Lines as paths: what is taken leads nowhere else, folding is stable, trees are checked.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/check.h"
#include "core/escape.h"
#include "transfer/path.h"

using peernet::transfer::PathRules;
using peernet::transfer::ValidatedPath;

namespace {

void check_path(std::string_view text) {
  const auto strict = ValidatedPath::parse(text, PathRules{});
  const auto loose = ValidatedPath::parse(text, PathRules{.allow_unportable = true});
  PN_CHECK(!strict || loose);
  if (!loose) return;
  PN_CHECK(loose->str() == text && peernet::is_valid_utf8(text));
  PN_CHECK(text.size() <= peernet::transfer::kPathSizeMax);
  const auto components = loose->components();
  PN_CHECK(components.size() <= peernet::transfer::kPathDepthMax);
  std::size_t size = components.size() - 1;
  for (const std::string_view component : components) {
    PN_CHECK(!component.empty() && component != "." && component != "..");
    PN_CHECK(component.find('/') == std::string_view::npos);
    PN_CHECK(ValidatedPath::parse_name(component, PathRules{.allow_unportable = true}));
    size += component.size();
  }
  PN_CHECK(size == text.size());
  const std::string folded = peernet::transfer::fold_name(text);
  PN_CHECK(peernet::is_valid_utf8(folded));
  PN_CHECK(peernet::transfer::fold_name(folded) == folded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = peernet::as_text({data, size});
  std::vector<std::string_view> valid;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    check_path(line);
    if (ValidatedPath::parse(line, PathRules{})) valid.push_back(line);
  }
  const bool is_strict_tree = peernet::transfer::check_tree(valid, {}).has_value();
  const bool is_loose_tree =
      peernet::transfer::check_tree(valid, {.allow_unportable = true}).has_value();
  PN_CHECK(!is_strict_tree || is_loose_tree);
  return 0;
}
