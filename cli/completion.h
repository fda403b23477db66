#pragma once

// Tab completion. The scripts for the shells hold no list of anything: they ask the hidden
// `peernet _complete -- WORDS...`, which walks the same grammar that parses the command line and
// asks the daemon for what only it knows (shares, files, config keys, peers, methods). Without a
// daemon that part is silent.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/grammar.h"
#include "cli/session.h"

namespace peernet::cli {

// The script for bash, zsh or fish; empty for any other.
std::string completion_script(std::string_view shell);

// A candidate: what would be typed, and what it is.
struct Candidate {
  std::string text;
  std::string help;
};
// What may stand where the last of the words stands; the program's own name is not among them.
// ":files" alone: names of files, which the shell knows best.
std::vector<Candidate> candidates(const Grammar& grammar, const std::vector<std::string>& words,
                                  Session& session);

// --home among the words, as far as it is complete.
std::optional<std::string> home_of(const std::vector<std::string>& words);

}  // namespace peernet::cli
