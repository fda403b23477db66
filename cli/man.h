#pragma once

// peernet(1), made from what may be typed.

#include <string>
#include <string_view>

#include "cli/grammar.h"

namespace peernet::cli {

std::string man_page(const Grammar& grammar, std::string_view version);

}  // namespace peernet::cli
