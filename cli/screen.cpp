#include "cli/screen.h"

#include <nlohmann/json.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "cli/text.h"

namespace peernet::cli {

constexpr std::size_t kWidthDefault = 80;

namespace {

bool is_terminal(std::FILE* stream) {
  const int descriptor = ::fileno(stream);
  return descriptor >= 0 && ::isatty(descriptor) == 1;
}

// Asked anew each time: a terminal changes its size.
std::size_t width_of_terminal(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kWidthDefault;
  return size.ws_col;
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
  // From the top left corner; each line wipes its own rest, the end wipes what is below: nothing
  // flickers.
  std::string text = has_drawn_ ? "\x1b[H" : "\x1b[2J\x1b[H";
  for (const char c : lines) {
    if (c == '\n') text += "\x1b[K";
    text += c;
  }
  has_drawn_ = true;
  answer(text + "\x1b[J");
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
  put(err_, back_to_moving_line() + std::string(line) + "\x1b[K");
  std::fflush(err_);
  moving_width_ = width_of(line);
}

void Screen::end_moving_line(bool is_kept) {
  if (!moving_width_) return;
  put(err_, is_kept ? "\n" : back_to_moving_line() + "\x1b[K");
  std::fflush(err_);
  moving_width_.reset();
}

// A terminal that has become narrower has folded the line: it begins some rows further up, and
// those are wiped. Else it is written over: nothing flickers.
std::string Screen::back_to_moving_line() const {
  const std::size_t used = std::max<std::size_t>(moving_width_.value_or(0), 1);
  const std::size_t rows_above = (used - 1) / width_of_terminal(err_);
  if (rows_above == 0) return "\r";
  return "\r\x1b[" + std::to_string(rows_above) + "A\x1b[J";
}

int Screen::fail(const Failure& failure) {
  end_moving_line(true);
  const std::string hint = called(failure.hint, options_.node);
  story("peernet: " + shown(failure.message));
  if (!hint.empty()) story("hint: " + shown(hint));
  if (options_.is_json) {
    answer_json(Json::object({{"error", Json::object({{"exit_code", failure.exit_code},
                                                      {"kind", failure.kind},
                                                      {"message", failure.message},
                                                      {"hint", hint}})}}));
  }
  return failure.exit_code;
}

}  // namespace peernet::cli
