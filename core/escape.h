#pragma once

// Text from outside (names, peers' words, error texts) is Untrusted. escape() is the only way from
// it to a terminal or a log: control characters (C0, C1, DEL), newlines, bidi and zero-width
// controls and invalid UTF-8 become visible \x or \u escapes, the backslash becomes two.

#include <string>
#include <string_view>

namespace peernet {

struct Untrusted {
  std::string_view text;
};

std::string escape(Untrusted text);

// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates.
bool is_valid_utf8(std::string_view text);
// Takes one code point off the front; U+FFFD and one byte for an invalid sequence.
char32_t next_code_point(std::string_view& text);
// C0, C1, DEL, line and paragraph separators, bidi controls, zero-width and other invisible format
// characters: what may never be in a name or reach a terminal.
bool is_dangerous(char32_t code_point);

}  // namespace peernet
