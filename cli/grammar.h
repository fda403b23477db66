#pragma once

// What may be typed, as main.cpp declares it: tab completion walks it, and peernet(1) is made of
// it.

#include <string>
#include <vector>

namespace peernet::cli {

struct Grammar {
  struct Option {
    std::vector<std::string> names;  // "-o", "--output"
    std::string value;               // what stands after it, such as "DIR"; empty: a flag
    std::string help;
  };
  struct Positional {
    std::string name;  // "ID", "PATH"
    std::string help{};
    bool is_required = false;
    bool is_repeated = false;
  };
  std::string name;
  std::vector<std::string> aliases;
  std::string help;
  std::vector<Option> options;
  std::vector<Positional> positionals;
  std::vector<Grammar> commands;
};

}  // namespace peernet::cli
