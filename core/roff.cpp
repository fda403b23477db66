#include "core/roff.h"

namespace peernet {

namespace {

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

// An argument of a macro.
std::string quoted(std::string_view text) {
  return "\"" + roff_text(text) + "\"";
}

}  // namespace

std::string roff_text(std::string_view text) {
  std::string result;
  bool is_at_start = true;
  for (const char c : text) {
    switch (c) {
      case '\\': result += "\\e"; break;
      case '-': result += "\\-"; break;
      case '"': result += "\\(dq"; break;
      case '`': result += "\\(ga"; break;
      case '^': result += "\\(ha"; break;
      case '~': result += "\\(ti"; break;
      case '\'': result += "\\(aq"; break;
      case '.': result += is_at_start ? "\\&." : "."; break;
      default: result += c;
    }
    is_at_start = c == '\n';
  }
  return result;
}

ManPage::ManPage(std::string_view name, int section, std::string_view version,
                 std::string_view about)
    : text_(".TH " + quoted(upper(name)) + " " + std::to_string(section) + " \"\" " +
            quoted("PeerNet " + std::string(version)) + " \"PeerNet\"\n.nh\n.ad l\n.SH NAME\n" +
            roff_text(name) + " \\- " + roff_text(about) + "\n") {}

ManPage& ManPage::heading(std::string_view title) {
  text_ += ".SH " + quoted(title) + "\n";
  return *this;
}

ManPage& ManPage::subheading(std::string_view title) {
  text_ += ".SS " + quoted(title) + "\n";
  return *this;
}

ManPage& ManPage::paragraph(std::string_view text) {
  text_ += ".PP\n" + roff_text(text) + "\n";
  return *this;
}

ManPage& ManPage::item(std::string_view term, std::string_view text) {
  text_ += ".TP\n.B " + quoted(term) + "\n" + (text.empty() ? "\\&" : roff_text(text)) + "\n";
  return *this;
}

ManPage& ManPage::example(std::string_view lines) {
  text_ += ".PP\n.RS 4\n.nf\n" + roff_text(lines) + "\n.fi\n.RE\n";
  return *this;
}

}  // namespace peernet
