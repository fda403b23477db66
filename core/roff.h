#pragma once

// A manual page in roff's man macros, built from plain text: whatever the text holds is shown as it
// is written, never run as a request.

#include <string>
#include <string_view>

namespace peernet {

class ManPage {
 public:
  // `about` is the line of NAME, such as "share files between machines".
  ManPage(std::string_view name, int section, std::string_view version, std::string_view about);

  ManPage& heading(std::string_view title);
  ManPage& subheading(std::string_view title);
  ManPage& paragraph(std::string_view text);
  // A term in bold with its explanation indented below it.
  ManPage& item(std::string_view term, std::string_view text);
  // Lines as they are, indented.
  ManPage& example(std::string_view lines);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Text as roff shows it, lines kept: nothing in it is a request or an escape.
std::string roff_text(std::string_view text);

}  // namespace peernet
