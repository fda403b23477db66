#pragma once

// What tests of the picker are written with: peers by number, time in seconds, sets of pieces.

#include <chrono>
#include <list>
#include <vector>

#include "transfer/picker.h"

namespace peernet::transfer {

inline constexpr std::uint32_t k64KiB = 64U << 10U;

inline ConnId conn(std::uint64_t number) {
  return ConnId{number};
}

inline Time at(int seconds) {
  return Time{} + std::chrono::seconds(seconds);
}

inline Layout layout_of(std::uint32_t pieces, std::uint32_t piece_length = k64KiB) {
  return Layout(piece_length, std::vector<std::uint64_t>{std::uint64_t{pieces} * piece_length});
}

inline Bitfield bits(std::uint32_t size, const std::vector<std::uint32_t>& set) {
  Bitfield result(size);
  for (const std::uint32_t index : set) result.set(index);
  return result;
}

inline Bitfield full(std::uint32_t size) {
  Bitfield result(size);
  result.set_all();
  return result;
}

inline Picker make_picker(std::uint32_t pieces, std::uint32_t piece_length = k64KiB,
                          std::uint64_t seed = 1) {
  static std::list<Layout> layouts;  // which outlive their pickers
  layouts.push_back(layout_of(pieces, piece_length));
  return {layouts.back(), Bitfield(pieces), Rng(seed).draw_seed()};
}

inline std::uint32_t blocks_in(const std::vector<BlockRun>& runs) {
  std::uint32_t count = 0;
  for (const BlockRun& run : runs) count += run.count;
  return count;
}

}  // namespace peernet::transfer
