#pragma once

// PN_CHECK states what is always true of our own code. It holds in every build type, prints the
// expression and the place, and stops the program: a peer or a user can never be the one who
// breaks it. Input that may be wrong is a Result, never a check.

#include <cstdio>
#include <cstdlib>

namespace peernet {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: this must always hold and did not: %s\n", file, line, expression);
  std::abort();
}

}  // namespace peernet

#define PN_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::peernet::check_failed(#condition, __FILE__, __LINE__))
