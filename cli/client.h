#pragma once

// Client is one connection to the daemon: a line of JSON out, lines of JSON in. Events that arrive
// while an answer is awaited are kept and given later, in order. It owns its socket.

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "cli/json.h"

namespace peernet::cli {

// What went wrong, ready to be told: the exit code of DESIGN.md 7, one sentence, and what to do.
struct Failure {
  int exit_code = 1;
  std::string kind;  // a word for programs, such as "not_found"
  std::string message;
  std::string hint;
};

template <class T>
using Outcome = std::variant<T, Failure>;

// Of an error object of the daemon: {code, message, data: {kind, hint}} in an answer, or {code,
// kind, message, hint} in the state of a share.
Failure failure_of(const Json& error);
// The daemon went away in the middle.
Failure connection_lost();

inline constexpr std::size_t kLineSizeMax = 64U << 20U;  // of one answer; larger is a fault
inline constexpr std::size_t kPayloadSizeMax = 4U << 20U;
inline constexpr std::chrono::milliseconds kAnswerTimeout{30'000};

// NOLINTNEXTLINE(bugprone-exception-escape): moving JSON does not throw
struct Message {
  enum class Kind {
    event,
    answer,
    quiet,        // nothing came in time
    interrupted,  // the descriptor given to wake_on became readable
    lost,         // the daemon is gone
  };
  Kind kind = Kind::quiet;
  std::uint64_t id = 0;  // of an answer: what send() gave
  Json value;            // params of an event, or the result of a good answer
  std::string payload;   // the bytes that followed an answer
  std::optional<Failure> failure;
};

class Client {
 public:
  // `start_command`: what starts a daemon for this socket, for the hint when there is none.
  static Outcome<Client> connect(const std::string& socket_path, const std::string& start_command);
  explicit Client(int descriptor) : descriptor_(descriptor) {}
  ~Client();
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;

  // Readable: whatever waits ends with `interrupted`. -1: nothing does.
  void wake_on(int descriptor) { wake_ = descriptor; }

  // Asks and waits for the answer; events meanwhile are kept. The daemon answers at once: no answer
  // within kAnswerTimeout is a failure.
  Outcome<Json> call(std::string_view method, const Json& params = Json::object());

  // For calls that are answered later: the number of the answer to wait for.
  Outcome<std::uint64_t> send(std::string_view method, const Json& params);
  // The next event or answer; kept events first.
  Message next(std::chrono::milliseconds timeout);
  // Forgets kept events of this kind: an answer that came after them says more than they do.
  void drop_kept(std::string_view kind);

 private:
  Message receive(std::chrono::milliseconds timeout);
  std::optional<std::string> take_line();
  bool receive_payload(Message& message);

  int descriptor_ = -1;
  int wake_ = -1;
  std::uint64_t last_id_ = 0;
  std::string buffer_;
  std::size_t searched_ = 0;  // bytes of buffer_ known to hold no newline
  std::deque<Message> kept_;
};

}  // namespace peernet::cli
