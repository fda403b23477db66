#include "cli/session.h"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace peernet::cli {
namespace {

// Both ends of the pipe that the signal handler writes to; -1 while nobody listens.
std::array<int, 2> interrupt_pipe{-1, -1};

extern "C" void on_interrupt(int /*signal*/) {
  const int fault = errno;
  const char byte = 0;
  static_cast<void>(!::write(interrupt_pipe[1], &byte, 1));
  errno = fault;
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

Session::Session(Screen& screen, Paths paths, std::string start_command)
    : screen_(screen), paths_(std::move(paths)), start_command_(std::move(start_command)) {}

Session::Session(Screen& screen, Paths paths, Client client)
    : screen_(screen), paths_(std::move(paths)), client_(std::move(client)) {}

Outcome<Client*> Session::client() {
  if (!client_) {
    auto made = Client::connect(paths_.socket, start_command_);
    if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
    client_.emplace(std::move(std::get<Client>(made)));
  }
  return &*client_;
}

Outcome<Json> Session::call(std::string_view method, const Json& params) {
  const auto connection = client();
  if (const auto* failure = std::get_if<Failure>(&connection)) return *failure;
  return std::get<Client*>(connection)->call(method, params);
}

Outcome<std::vector<Json>> Session::call_all(std::string_view method, std::string_view list,
                                             Json params) {
  std::vector<Json> all;
  while (true) {
    params["offset"] = all.size();
    auto answer = call(method, params);
    if (auto* failure = std::get_if<Failure>(&answer)) return std::move(*failure);
    Json& page = std::get<Json>(answer);
    Json items = take(page, list);
    for (Json& item : items) all.push_back(std::move(item));
    if (items.empty() || all.size() >= count_at(page, "count")) return all;
  }
}

Interrupt::Interrupt() {
  if (::pipe2(interrupt_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
  handle(on_interrupt);
}

Interrupt::~Interrupt() {
  if (interrupt_pipe[0] < 0) return;
  handle(SIG_DFL);
  ::close(interrupt_pipe[0]);
  ::close(interrupt_pipe[1]);
  interrupt_pipe = {-1, -1};
}

int Interrupt::descriptor() const {
  return interrupt_pipe[0];
}

double seconds_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace peernet::cli
