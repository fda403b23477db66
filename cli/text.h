#pragma once

// Text as people read it: sizes with binary units, rates, times, and cells that keep their width
// on a terminal. Every string that may come from outside goes through shown() first, and widths
// are counted on what it gives.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace peernet::cli {

std::string size_text(std::uint64_t bytes);                      // "4.9 GiB"
std::string rate_text(std::uint64_t bytes_per_second);           // "41.2 MiB/s"
std::string done_text(std::uint64_t done, std::uint64_t total);  // "2.8/4.9 GiB"
std::string countdown_text(std::uint64_t seconds);               // "0:52", "1:02:03", "3 d"
std::string age_text(std::uint64_t seconds);                     // "52 s", "2 h 14 m", "3 d"
// Whole percent, rounded down: 100 only when all is done. nullopt while the total is unknown.
std::optional<unsigned> percent(std::uint64_t done, std::optional<std::uint64_t> total);

// "65536", "64KiB", "8MB": whole bytes, or units up to TiB and TB. nullopt on anything else.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
// "10s", "5m", "2h", "1d", or seconds without a unit. nullopt on anything else.
std::optional<std::uint64_t> parse_seconds(std::string_view text);

// Untrusted text, escaped: what a terminal may show.
std::string shown(std::string_view untrusted);

// Columns of a terminal that the text takes: none for combining marks, two for wide characters.
// Invalid UTF-8 counts as one column a byte.
std::size_t width_of(std::string_view text);
// Cut to at most `width` columns, the last of which then is "…".
std::string cut(std::string_view text, std::size_t width);
std::string pad_left(std::string_view text, std::size_t width);
std::string pad_right(std::string_view text, std::size_t width);

// Lines of at most `width` columns (0: no limit), the first of which has `begun` columns already
// and the others get `indent` spaces. A part that alone is too long stays whole. No newline at the
// end.
struct Folding {
  std::size_t width = 0;
  std::size_t begun = 0;
  std::size_t indent = 0;
  std::string_view gap = " ";  // between parts on one line
};
std::string folded(const std::vector<std::string>& parts, const Folding& folding);
// The same of words.
std::string folded(std::string_view text, const Folding& folding);

// The commands of peernet that a text names, as they must be typed for one node: `node` is
// "--home DIR", "--system", or empty where a command alone asks the right one.
std::string called(std::string_view text, std::string_view node);

// For a command line that is shown to be copied: quoted where a shell would need it.
std::string shell_quoted(std::string_view argument);

}  // namespace peernet::cli
