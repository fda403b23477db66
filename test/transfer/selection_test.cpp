#include "transfer/selection.h"

#include <catch2/catch.hpp>

#include <string>

#include "transfer/glob.h"

namespace peernet::transfer {
namespace {

TEST_CASE("skip takes from what only names, and no pattern at all names everything", "[transfer]") {
  CHECK(is_selected({}, "a"));
  CHECK(is_selected({{{"*.txt", "b"}, {}}}, "b/c"));
  CHECK_FALSE(is_selected({{{"*.txt", "b"}, {}}}, "c"));
  CHECK_FALSE(is_selected({{{"b"}, {"c"}}}, "b/c"));
  CHECK(is_selected({{{}, {"c"}}}, "b/d"));
}

TEST_CASE("a file that any selection names is wanted", "[transfer]") {
  const std::vector<Selection> selections = {{{"docs"}, {"*.bak"}}, {{"a.bak"}, {}}};
  CHECK(is_selected(selections, "docs/x"));
  CHECK_FALSE(is_selected(selections, "docs/x.bak"));
  CHECK(is_selected(selections, "docs/a.bak"));
}

TEST_CASE("patterns have limits, and are paths below the top", "[transfer]") {
  std::vector<std::string> globs(kGlobsMax, std::string(kGlobSizeMax, 'a'));
  CHECK(check_globs(globs).has_value());
  globs.emplace_back("a");
  CHECK(check_globs(globs).error().code == Errc::too_large);
  CHECK(check_globs({std::string(kGlobSizeMax + 1, 'a')}).error().code == Errc::too_large);
  CHECK(check_globs({""}).error().code == Errc::malformed);
  CHECK(check_globs({"/a"}).error().code == Errc::malformed);
}

TEST_CASE("the pieces of the selected files are wanted, and no others", "[transfer]") {
  constexpr std::uint32_t kPiece = 65'536;
  std::vector<ManifestFile> files;
  for (const char* path : {"a.txt", "b/c.txt", "b/d.bin"}) {
    ManifestFile file;
    file.path = path;
    file.size = 2 * kPiece;
    file.pieces_root.bytes.fill(1);
    files.push_back(file);
  }
  const auto manifest = Manifest::build("top", kPiece, std::move(files), {});
  REQUIRE(manifest);
  const auto wanted = selected_files({{{"b"}, {"*.bin"}}}, *manifest);
  CHECK(wanted == std::vector<bool>{false, true, false});
  const Bitfield pieces = pieces_of(wanted, manifest->layout());
  CHECK(pieces.count_set() == 2);
  CHECK(pieces.test(2));
  CHECK(pieces.test(3));
}

}  // namespace
}  // namespace peernet::transfer
