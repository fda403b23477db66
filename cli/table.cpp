#include "cli/table.h"

#include <algorithm>

#include "cli/text.h"
#include "core/check.h"

namespace peernet::cli {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLastWidthMin = 12;

namespace {

const char* code_of(Color color) {
  switch (color) {
    case Color::bold: return "\x1b[1m";
    case Color::dim: return "\x1b[2m";
    case Color::green: return "\x1b[32m";
    case Color::yellow: return "\x1b[33m";
    case Color::red: return "\x1b[31m";
    case Color::cyan: return "\x1b[36m";
    case Color::none: break;
  }
  return "";
}

}  // namespace

std::string colored(const std::string& text, Color color, const Look& look) {
  if (!look.is_colored || color == Color::none || text.empty()) return text;
  return code_of(color) + text + "\x1b[0m";
}

void Table::add(std::vector<Cell> cells) {
  PN_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, width_of(row[i].text));
    widths.push_back(width);
  }
  return widths;
}

std::string Table::render(const Look& look) const {
  if (columns_.empty()) return {};
  const std::vector<std::size_t> width = widths();
  const std::size_t last = columns_.size() - 1;
  std::vector<bool> is_shown(columns_.size(), true);
  const auto room_before_last = [&] {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < last; ++i) sum += is_shown[i] ? width[i] + kGap : 0;
    return sum;
  };
  const std::size_t last_wanted = std::min(width[last], kLastWidthMin);
  while (look.width != 0 && room_before_last() + last_wanted > look.width) {
    std::size_t victim = last;
    for (std::size_t i = 0; i < last; ++i) {
      const bool is_worse = is_shown[i] && columns_[i].rank > 0 &&
                            (victim == last || columns_[i].rank > columns_[victim].rank);
      if (is_worse) victim = i;
    }
    if (victim == last) break;
    is_shown[victim] = false;
  }

  const std::size_t used = room_before_last();
  std::string text;
  const auto put_row = [&](const std::vector<Cell>& row) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!is_shown[i]) continue;
      const Cell& cell = row[i];
      if (i != last) {
        const std::string padded =
            columns_[i].is_right ? pad_left(cell.text, width[i]) : pad_right(cell.text, width[i]);
        text += colored(padded, cell.color, look) + std::string(kGap, ' ');
        continue;
      }
      std::string fitted = columns_[i].is_right ? pad_left(cell.text, width[i]) : cell.text;
      if (look.width != 0) fitted = cut(fitted, look.width > used ? look.width - used : 0);
      text += colored(fitted, cell.color, look);
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    text += '\n';
  };
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.push_back({column.title, Color::bold});
  put_row(titles);
  for (const auto& row : rows_) put_row(row);
  return text;
}

}  // namespace peernet::cli
