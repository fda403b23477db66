#include "cli/man.h"

#include <array>
#include <utility>

#include "core/roff.h"

namespace peernet::cli {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kExitCodes{{
    {"0", "done"},
    {"1", "anything else"},
    {"2", "wrong usage"},
    {"3", "not found: no such id, no provider"},
    {"4", "the daemon cannot be reached"},
    {"5", "timed out or stalled"},
    {"6", "network"},
    {"7", "unfinished, the progress is kept"},
    {"8", "integrity"},
    {"9", "no space"},
    {"10", "denied"},
    {"13", "the target exists"},
}};

void tell_options(ManPage& page, const Grammar& grammar, bool is_program = false) {
  for (const Grammar::Positional& positional : grammar.positionals) {
    page.item(positional.name, positional.help);
  }
  for (const Grammar::Option& option : grammar.options) {
    if (option.names.back() == "--help" && !is_program) continue;  // told once
    std::string term;
    for (const std::string& name : option.names) term += (term.empty() ? "" : ", ") + name;
    page.item(term + (option.value.empty() ? "" : " " + option.value), option.help);
  }
}

void tell_command(ManPage& page, const std::string& before, const Grammar& command) {
  const std::string name = before + " " + command.name;
  std::string synopsis = name;
  for (const Grammar::Positional& positional : command.positionals) {
    const std::string term = positional.name + (positional.is_repeated ? "..." : "");
    synopsis += positional.is_required ? " " + term : " [" + term + "]";
  }
  page.subheading(synopsis);
  std::string text = command.help + ".";
  for (const std::string& alias : command.aliases) text += " Also: " + alias + ".";
  page.paragraph(text);
  tell_options(page, command);
  for (const Grammar& one : command.commands) tell_command(page, name, one);
}

}  // namespace

std::string man_page(const Grammar& grammar, std::string_view version) {
  ManPage page("peernet", 1, version, "share files between machines without any server");
  page.heading("SYNOPSIS").paragraph("peernet [OPTIONS] COMMAND ...");
  page.heading("DESCRIPTION")
      .paragraph(
          "peernet asks the daemon of this user, peernetd(8), and prints what it says. add shares "
          "a "
          "file or a directory and prints its link; fetch, on any other machine, gets what the "
          "link "
          "names from everyone who has a part of it, verified and encrypted; status and why tell "
          "how "
          "it goes.")
      .paragraph(
          "The answer is on standard output, the story on standard error. Whoever has the link can "
          "fetch; whoever has not can find out nothing.");
  page.heading("EXAMPLES")
      .example(
          "$ peernet add survey.tar\n"
          "peernet:s7q2mfx4...?dn=survey.tar&xl=5261334528\n"
          "$ peernet fetch peernet:s7q2mfx4...");
  page.heading("OPTIONS");
  tell_options(page, grammar, /*is_program=*/true);
  page.heading("COMMANDS");
  for (const Grammar& command : grammar.commands) tell_command(page, grammar.name, command);
  page.heading("EXIT STATUS");
  for (const auto& [code, meaning] : kExitCodes) page.item(code, meaning);
  page.heading("ENVIRONMENT")
      .item("PEERNET_HOME", "the directory of the node, as --home gives it")
      .item("NO_COLOR", "no colours when it is set and not empty");
  page.heading("SEE ALSO").paragraph("peernetd(8), peernet-config(5), peernet-rpc(7)");
  return page.text();
}

}  // namespace peernet::cli
