#pragma once

// Table lays cells out in columns that fit a terminal: numbers to the right, words to the left,
// the last column takes what is left. When there is not enough room, columns are left out in the
// order of their rank.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace peernet::cli {

// What the place that is written to can show.
struct Look {
  std::size_t width = 0;  // columns; 0: no limit (a file, a pipe)
  bool is_colored = false;
  std::string node{};  // of commands that are named: see called() in text.h
};

enum class Color { none, bold, dim, green, yellow, red, cyan };

// The text in that colour, if the look has colours.
std::string colored(const std::string& text, Color color, const Look& look);

struct Column {
  std::string title;
  bool is_right = false;
  unsigned rank = 0;  // 0: never left out; the highest goes first
};

struct Cell {
  std::string text;  // already fit to be shown
  Color color = Color::none;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // Requires: as many cells as columns.
  void add(std::vector<Cell> cells);
  // Lines, each with a newline; the titles first.
  std::string render(const Look& look) const;

 private:
  std::vector<std::size_t> widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace peernet::cli
