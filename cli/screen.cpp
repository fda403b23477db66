#include "cli/screen.h"

#include <nlohmann/json.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "cli/text.h"

namespace peernet::cli {

constexpr std::size_t kWidthDefault = 80;
constexpr std::size_t kRowsDefault = 24;

namespace {

bool is_terminal(std::FILE* stream) {
  const int descriptor = ::fileno(stream);
  return descriptor >= 0 && ::isatty(descriptor) == 1;
}

struct Size {
  std::size_t columns = kWidthDefault;
  std::size_t rows = kRowsDefault;
};

// Asked anew each time: a terminal changes its size.
Size size_of_terminal(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
  return {size.ws_col, size.ws_row == 0 ? kRowsDefault : size.ws_row};
}

std::size_t width_of_terminal(std::FILE* stream) {
  return size_of_terminal(stream).columns;
}

void put(std::FILE* stream, std::string_view text) {
  // A reader that went away ends the program by SIGPIPE; nothing else is left to be told.
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stream));
}

}  // namespace

Screen::Screen(std::FILE* out, std::FILE* err, Options options)
    : out_(out),
      err_(err),
      options_(options),
      is_out_terminal_(is_terminal(out)),
      is_err_terminal_(is_terminal(err)) {}

Screen::~Screen() {
  end_moving_line(false);
  std::fflush(out_);
}

Look Screen::out_look() const {
  if (!is_out_terminal_) return {0, false, options_.node};
  return {width_of_terminal(out_), options_.is_color_wanted, options_.node};
}

Look Screen::err_look() const {
  if (!is_err_terminal_) return {0, false, options_.node};
  return {width_of_terminal(err_), options_.is_color_wanted, options_.node};
}

void Screen::answer(std::string_view lines) {
  end_moving_line(true);
  put(out_, lines);
  std::fflush(out_);
}

void Screen::answer_json(const Json& value) {
  answer(to_lines(value) + "\n");
}

void Screen::answer_json_line(const Json& value) {
  answer(to_line(value) + "\n");
}

void Screen::answer_text(std::string_view text) {
  answer((is_out_terminal_ ? shown(text) : std::string(text)) + "\n");
}

void Screen::redraw(const std::string& lines) {
  if (!is_out_terminal_) {
    answer(lines + "\n");
    return;
  }
  // From the top left corner; each line wipes its row first (after a full one its end would go),
  // the end what is below: nothing flickers. A line is a row and no more are drawn than fit:
  // nothing wraps or scrolls.
  std::string text = has_drawn_ ? "\x1b[?7l\x1b[H" : "\x1b[?7l\x1b[2J\x1b[H";
  const auto count = static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
  const std::size_t room = std::max<std::size_t>(size_of_terminal(out_).rows, 3) - 1;
  std::string_view rest = lines;
  for (std::size_t left = count; left > 0; --left) {
    const bool is_last_row = count > room && count - left + 1 == room;
    const std::size_t size = rest.find('\n') + 1;
    text.append("\x1b[K");
    if (is_last_row) {
      text += "and " + std::to_string(left) + " more\n";
      break;
    }
    text.append(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  has_drawn_ = true;
  answer(text + "\x1b[J\x1b[?7h");
}

void Screen::story(std::string_view line) {
  end_moving_line(false);
  put(err_, std::string(line) + "\n");
  std::fflush(err_);
}

void Screen::story_json(const Json& value) {
  story(to_line(value));
}

void Screen::moving_line(std::string_view line) {
  if (!is_err_terminal_) return;
  put(err_, wiped_moving_line() + std::string(line));
  std::fflush(err_);
  moving_width_ = width_of(line);
}

void Screen::end_moving_line(bool is_kept) {
  if (!moving_width_) return;
  put(err_, is_kept ? "\n" : wiped_moving_line());
  std::fflush(err_);
  moving_width_.reset();
}

// A terminal that has become narrower has folded the line: it begins some rows further up.
std::string Screen::wiped_moving_line() const {
  const std::size_t used = std::max<std::size_t>(moving_width_.value_or(0), 1);
  const std::size_t rows_above = (used - 1) / width_of_terminal(err_);
  if (rows_above == 0) return "\r\x1b[K";
  return "\r\x1b[" + std::to_string(rows_above) + "A\x1b[J";
}

int Screen::fail(const Failure& failure) {
  end_moving_line(true);
  const std::string hint = called(failure.hint, options_.node);
  story("peernet: " + shown(failure.message));
  if (!hint.empty()) story("hint: " + called(shown(failure.hint), options_.node));
  if (options_.is_json) {
    answer_json(Json::object({{"error", Json::object({{"exit_code", failure.exit_code},
                                                      {"kind", failure.kind},
                                                      {"message", failure.message},
                                                      {"hint", hint}})}}));
  }
  return failure.exit_code;
}

}  // namespace peernet::cli
