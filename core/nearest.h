#pragma once

// What a mistyped name was meant to be: every refusal of an unknown key, method, parameter or
// command names the closest valid one.

#include <cstddef>
#include <span>
#include <string_view>

namespace peernet {

// Words longer than this are compared by their first kNearestSizeMax bytes, so that a stranger's
// long name costs little.
inline constexpr std::size_t kNearestSizeMax = 64;

// Insertions, removals, replacements and swaps of neighbours that turn one into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the smallest distance; of several the first. For dotted candidates
// ("limits.up") the part after the last dot is compared too. Empty if there are no candidates.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace peernet
