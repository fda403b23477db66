#pragma once

// Screen keeps the two voices apart: stdout is the answer, stderr is the story. It knows which of
// them is a terminal, how wide it is now, and whether colours are wanted, and it keeps at most one
// moving line at the bottom of the story.

#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "cli/client.h"
#include "cli/json.h"
#include "cli/table.h"

namespace peernet::cli {

class Screen {
 public:
  struct Options {
    bool is_json = false;
    bool is_color_wanted = true;  // false: --no-color, or NO_COLOR is set
    std::string node{};           // "--home DIR" or "--system", where that was said
  };
  // Borrows both streams.
  Screen(std::FILE* out, std::FILE* err, Options options);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  bool is_json() const { return options_.is_json; }
  // For called(), in text.h: every command that is named goes through it.
  const std::string& node() const { return options_.node; }
  // Does the story stand on a terminal: only then something may move.
  bool is_moving() const { return is_err_terminal_; }
  bool is_out_terminal() const { return is_out_terminal_; }
  Look out_look() const;
  Look err_look() const;

  // The answer: lines that were rendered, one JSON document, or a text given as it is to a program
  // and escaped to a terminal.
  void answer(std::string_view lines);
  void answer_json(const Json& value);
  void answer_json_line(const Json& value);
  void answer_text(std::string_view text);
  // Replaces what was drawn before (status -w); on anything but a terminal it is just added.
  void redraw(const std::string& lines);

  // The story. `line` is without a newline.
  void story(std::string_view line);
  void story_json(const Json& value);
  void moving_line(std::string_view line);
  // Leaves the moving line standing, or wipes it.
  void end_moving_line(bool is_kept);
  // "peernet: message", "hint: hint", the commands in it called(); with --json also {"error": ...}
  // as the answer. Gives the exit code.
  int fail(const Failure& failure);

 private:
  std::string wiped_moving_line() const;

  std::FILE* out_;
  std::FILE* err_;
  Options options_;
  bool is_out_terminal_;
  bool is_err_terminal_;
  std::optional<std::size_t> moving_width_;  // columns of the moving line that stands there
  bool has_drawn_ = false;
};

}  // namespace peernet::cli
