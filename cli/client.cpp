#include "cli/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "cli/exit_codes.h"
#include "core/check.h"

namespace peernet::cli {

constexpr int kExitCodeMax = 99;
constexpr std::int64_t kMethodNotFound = -32601;
constexpr std::int64_t kInvalidParams = -32602;

namespace {

Failure not_running(const std::string& socket_path, const std::string& start_command, int fault) {
  if (fault == EACCES || fault == EPERM) {
    return Failure{kExitNoDaemon, "denied", "the control socket may not be opened: " + socket_path,
                   "it belongs to the user who runs the daemon"};
  }
  return Failure{kExitNoDaemon, "unavailable",
                 "no daemon is running (nothing answers at " + socket_path + ")",
                 "start it with: " + start_command};
}

int exit_code_of(std::int64_t code) {
  if (code == kMethodNotFound || code == kInvalidParams) return kExitUsage;
  const std::int64_t exit_code = -32000 - code;
  return exit_code >= 1 && exit_code <= kExitCodeMax ? static_cast<int>(exit_code) : 1;
}

Message message_of(const std::string& line) {
  Message message;
  Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    message.kind = Message::Kind::lost;
    return message;
  }
  if (text_at(json, "method") == "event") {
    message.kind = Message::Kind::event;
    message.value = take(json, "params");
    return message;
  }
  message.kind = Message::Kind::answer;
  message.id = count_at(json, "id");
  message.value = take(json, "result");
  if (const Json& error = at(json, "error"); error.is_object()) message.failure = failure_of(error);
  return message;
}

}  // namespace

Failure connection_lost() {
  return Failure{kExitNoDaemon, "unavailable", "the connection to the daemon is lost",
                 "was it stopped? peernet status tells; what was durable is kept"};
}

Failure failure_of(const Json& error) {
  const Json& code = at(error, "code");
  const Json& data = at(error, "data");
  const Json& detail = data.is_object() ? data : error;
  Failure failure;
  failure.exit_code = exit_code_of(code.is_number_integer() ? code.get<std::int64_t>() : 0);
  failure.kind = text_at(detail, "kind");
  failure.message = text_at(error, "message");
  failure.hint = text_at(detail, "hint");
  return failure;
}

Outcome<Client> Client::connect(const std::string& socket_path, const std::string& start_command) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path)) {
    return Failure{kExitUsage, "too_large",
                   "the path of the control socket is too long: " + socket_path,
                   "choose a shorter --home"};
  }
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    return Failure{1, "io", std::string("no socket: ") + std::strerror(errno),
                   "are too many files open?"};
  }
  Client client(descriptor);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(descriptor, generic, sizeof(address)) != 0) {
    return not_running(socket_path, start_command, errno);
  }
  return client;
}

Client::~Client() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Client::Client(Client&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      wake_(other.wake_),
      last_id_(other.last_id_),
      buffer_(std::move(other.buffer_)),
      searched_(other.searched_),
      kept_(std::move(other.kept_)) {}

Client& Client::operator=(Client&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(wake_, other.wake_);
  std::swap(last_id_, other.last_id_);
  std::swap(buffer_, other.buffer_);
  std::swap(searched_, other.searched_);
  std::swap(kept_, other.kept_);
  return *this;
}

Outcome<Json> Client::call(std::string_view method, const Json& params) {
  const auto sent = send(method, params);
  if (const auto* failure = std::get_if<Failure>(&sent)) return *failure;
  const std::uint64_t id = std::get<std::uint64_t>(sent);
  while (true) {
    Message message = receive(kAnswerTimeout);
    switch (message.kind) {
      case Message::Kind::answer:
        if (message.id != id) break;
        if (message.failure) return *std::move(message.failure);
        return std::move(message.value);
      case Message::Kind::event: kept_.push_back(std::move(message)); break;
      case Message::Kind::lost: return connection_lost();
      case Message::Kind::interrupted: return Failure{1, "cancelled", "interrupted", {}};
      case Message::Kind::quiet:
        return Failure{kExitNoDaemon, "unavailable", "the daemon does not answer",
                       "it is overloaded, or cannot start; its log tells, with systemd: journalctl "
                       "-u peernetd (with --user for a node of your own)"};
    }
  }
}

Outcome<std::uint64_t> Client::send(std::string_view method, const Json& params) {
  const std::uint64_t id = ++last_id_;
  const Json request =
      Json::object({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
  const std::string line = to_line(request) + "\n";
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t size = ::send(descriptor_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return connection_lost();
    rest.remove_prefix(static_cast<std::size_t>(size));
  }
  return id;
}

Message Client::next(std::chrono::milliseconds timeout) {
  if (kept_.empty()) return receive(timeout);
  Message message = std::move(kept_.front());
  kept_.pop_front();
  return message;
}

void Client::drop_kept(std::string_view kind) {
  std::erase_if(kept_,
                [&](const Message& message) { return text_at(message.value, "kind") == kind; });
}

Message Client::receive(std::chrono::milliseconds timeout) {
  Message message;
  while (true) {
    if (const auto line = take_line()) {
      message = message_of(*line);
      if (!receive_payload(message)) message.kind = Message::Kind::lost;
      return message;
    }
    if (buffer_.size() > kLineSizeMax) {
      message.kind = Message::Kind::lost;
      return message;
    }
    std::array<pollfd, 2> watched{pollfd{descriptor_, POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
    const int ready = ::poll(watched.data(), watched.size(), static_cast<int>(timeout.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return message;
    if (watched[1].revents != 0) {
      message.kind = Message::Kind::interrupted;
      return message;
    }
    std::array<char, 65'536> bytes{};
    const ssize_t size = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      message.kind = Message::Kind::lost;
      return message;
    }
    buffer_.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

// The daemon has all of it before it says so: it comes without a pause.
bool Client::receive_payload(Message& message) {
  const std::uint64_t size = count_at(message.value, "payload");
  if (message.kind != Message::Kind::answer || size == 0) return true;
  if (size > kPayloadSizeMax) return false;
  const std::size_t here = std::min<std::size_t>(size, buffer_.size());
  message.payload.reserve(size);
  message.payload.assign(buffer_, 0, here);
  buffer_.erase(0, here);
  message.payload.resize(size);
  std::size_t filled = here;
  while (filled < size) {
    const ssize_t got = ::recv(descriptor_, message.payload.data() + filled, size - filled, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    filled += static_cast<std::size_t>(got);
  }
  return true;
}

std::optional<std::string> Client::take_line() {
  const std::size_t end = buffer_.find('\n', searched_);
  if (end == std::string::npos) {
    searched_ = buffer_.size();
    return std::nullopt;
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  searched_ = 0;
  return line;
}

}  // namespace peernet::cli
