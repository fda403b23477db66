#pragma once

// What can be settled while no daemon runs: peernetd, the program that knows every key of the
// config, is run once to change a text, and ends. It is the one beside this program, or else the
// one that a shell would find.

#include <string>

#include "cli/client.h"

namespace peernet::cli {

struct ConfigEdit {
  std::string text;  // of the config file
  std::string key;
  std::string value;
};

// The answer that config.edit would give. Failures: what is wrong with key, value or text; other
// (the program cannot be run).
Outcome<Json> edit_without_daemon(const ConfigEdit& edit);

// Does a daemon hold the node whose state is in this directory? One that does may still not answer.
bool is_held(const std::string& state);

}  // namespace peernet::cli
