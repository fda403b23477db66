#pragma once

// Session is what every command is given: the screen, where the node lives, and a connection that
// is made when the first question is asked.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/client.h"
#include "cli/screen.h"
#include "core/paths.h"

namespace peernet::cli {

class Session {
 public:
  // `start_command`: what a person types to start the daemon of these paths.
  Session(Screen& screen, Paths paths, std::string start_command);
  // For tests: a connection that is there already.
  Session(Screen& screen, Paths paths, Client client);

  Screen& screen() { return screen_; }
  const Paths& paths() const { return paths_; }

  // The connection, made now if there is none yet.
  Outcome<Client*> client();
  // One question, one answer.
  Outcome<Json> call(std::string_view method, const Json& params = Json::object());
  // All pages of a list: `list` names the member that holds it.
  Outcome<std::vector<Json>> call_all(std::string_view method, std::string_view list,
                                      Json params = Json::object());

 private:
  Screen& screen_;
  Paths paths_;
  std::string start_command_;
  std::optional<Client> client_;
};

// From the first of these on, Ctrl-C does not end the program: the descriptor becomes readable.
// At most one at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  int descriptor() const;
};

// Seconds of the machine's monotonic clock, for time limits and rates of redrawing.
double seconds_now();

}  // namespace peernet::cli
