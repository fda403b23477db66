#include "daemon/uv/control.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/uv/beneath.h"
#include "test/daemon/temp.h"

namespace peernet::daemon {
namespace {

using namespace std::chrono_literals;
using test::TempDirectory;
using test::TestLoop;

// A client as another program would be: a plain socket.
class Peer {
 public:
  explicit Peer(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    is_connected = connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  // What fits into the socket.
  std::size_t say(std::string_view text) {
    const ssize_t put = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    return put < 0 ? 0 : static_cast<std::size_t>(put);
  }
  // All there is; `is_over` when the other side has closed.
  std::string hear() {
    std::string text(65536, '\0');
    const ssize_t got = recv(fd_.get(), text.data(), text.size(), 0);
    is_over = got == 0 || (got < 0 && errno == ECONNRESET);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  bool is_connected = false;
  bool is_over = false;

 private:
  Fd fd_;
};

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
struct Fixture final : Control::Inputs {
  Fixture() : control(loop.get(), clock, *this) {
    std::signal(SIGPIPE, SIG_IGN);
    const auto listening = control.listen(path());
    REQUIRE(listening);
  }
  ~Fixture() {
    control.close_all();
    REQUIRE(loop.run_until([this] { return control.is_gone(); }));
  }
  std::string path() const { return dir / "run/peernet.sock"; }

  void on_line(ClientId client, std::string_view line) override {
    last = client;
    lines.emplace_back(line);
  }
  void on_client_gone(ClientId client) override { gone.insert(client); }
  bool is_idle_allowed(ClientId client) const override { return patient.contains(client); }
  void carry_out() override {}
  void send(const std::string& line, bool is_closing = false) {
    control.send(clock.now(), {last, line, is_closing});
  }
  std::uint64_t rejects(ControlReject why) const {
    return control.rejects().at(static_cast<std::size_t>(why));
  }

  TempDirectory dir;
  TestLoop loop;
  MonotonicClock clock;
  Control control;
  ClientId last{};
  std::vector<std::string> lines;
  std::set<ClientId> gone;
  std::set<ClientId> patient;
};

}  // namespace

TEST_CASE("lines go in and answers come out", "[daemon]") {
  Fixture f;
  Peer peer(f.path());
  peer.say("one\ntw");
  REQUIRE(f.loop.run_until([&] { return f.lines.size() == 1; }));
  peer.say("o\n\nthree\n");
  REQUIRE(f.loop.run_until([&] { return f.lines.size() == 3; }));
  CHECK(f.lines == std::vector<std::string>{"one", "two", "three"});

  f.send("answer");
  std::string heard;
  REQUIRE(f.loop.run_until([&] {
    heard += peer.hear();
    return !heard.empty();
  }));
  CHECK(heard == "answer\n");
}

TEST_CASE("the socket and its directory are for this user only", "[daemon]") {
  Fixture f;
  CHECK(test::mode_of(f.path()) == 0600);
  CHECK(test::mode_of(f.dir / "run") == 0700);
}

TEST_CASE("another user is turned away by the kernel's word, not by the mode", "[daemon]") {
  if (geteuid() != 0) {
    WARN("needs root to become another user: not tested");
    return;
  }
  Fixture f;
  REQUIRE(chmod(f.dir.path().c_str(), 0755) == 0);
  REQUIRE(chmod((f.dir / "run").c_str(), 0755) == 0);
  REQUIRE(chmod(f.path().c_str(), 0666) == 0);
  const pid_t child = fork();
  if (child == 0) {
    constexpr uid_t nobody = 65534;
    if (setresuid(nobody, nobody, nobody) != 0) _exit(2);
    Peer peer(f.path());
    if (!peer.is_connected) _exit(3);
    peer.say("hello\n");
    for (int i = 0; i < 2000 && !peer.is_over; ++i) {
      usleep(1000);
      peer.hear();
    }
    _exit(peer.is_over ? 0 : 4);
  }
  int status = -1;
  REQUIRE(f.loop.run_until([&] { return waitpid(child, &status, WNOHANG) == child; }));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(f.lines.empty());
}

TEST_CASE("a line of 1 MiB is taken and a longer one ends the client", "[daemon]") {
  Fixture f;
  const std::size_t more = GENERATE(std::size_t{0}, std::size_t{1});
  Peer peer(f.path());
  std::string text(kLineSizeMax + more, 'x');
  text += '\n';
  std::size_t said = 0;
  REQUIRE(f.loop.run_until([&] {
    said += peer.say(std::string_view(text).substr(said));
    return !f.lines.empty() || !f.gone.empty();
  }));
  CHECK(f.lines.size() == (more == 0 ? 1 : 0));
}

TEST_CASE("bytes without a newline are not collected for ever", "[daemon]") {
  Fixture f;
  Peer peer(f.path());
  const std::string part(65536, 'x');
  REQUIRE(f.loop.run_until([&] {
    peer.say(part);
    return !f.gone.empty();
  }));
  CHECK(f.lines.empty());
}

TEST_CASE("one client more than allowed is closed, and there is room again later", "[daemon]") {
  Fixture f;
  std::vector<std::unique_ptr<Peer>> peers;
  for (std::size_t i = 0; i < ControlLimits{}.clients; ++i) {
    peers.push_back(std::make_unique<Peer>(f.path()));
    REQUIRE(f.loop.run_until([&] { return f.control.clients_count() == i + 1; }));
  }
  Peer more(f.path());
  REQUIRE(f.loop.run_until([&] {
    more.hear();
    return more.is_over;
  }));
  CHECK(f.control.clients_count() == ControlLimits{}.clients);
  CHECK(f.rejects(ControlReject::clients_limit) == 1);

  peers.pop_back();
  REQUIRE(
      f.loop.run_until([&] { return f.control.clients_count() == ControlLimits{}.clients - 1; }));
  Peer later(f.path());
  CHECK(f.loop.run_until([&] { return f.control.clients_count() == ControlLimits{}.clients; }));
}

TEST_CASE("a silent client is closed after 60 s unless it waits for something", "[daemon]") {
  Fixture f;
  Peer peer(f.path());
  peer.say("hello\n");
  REQUIRE(f.loop.run_until([&] { return !f.lines.empty(); }));
  const Time start = f.clock.now();
  f.patient.insert(f.last);
  f.control.on_time(start + 61s);
  CHECK(f.gone.empty());
  f.patient.clear();
  f.control.on_time(start + 100s);
  CHECK(f.gone.empty());
  f.control.on_time(start + 125s);
  CHECK(f.gone == std::set{f.last});
  CHECK(f.rejects(ControlReject::idle) == 1);
}

TEST_CASE("a client that asks too fast waits in its socket", "[daemon]") {
  Fixture f;
  Peer peer(f.path());
  std::string text;
  for (std::uint64_t i = 0; i < 4 * ControlLimits{}.requests; ++i) text += "x\n";
  peer.say(text);
  REQUIRE(f.loop.run_until([&] { return f.lines.size() >= 2 * ControlLimits{}.requests; }));
  CHECK(f.lines.size() < 4 * ControlLimits{}.requests);
  const Time resume = f.control.deadline();
  CHECK(resume < f.clock.now() + 2s);
  f.control.on_time(f.clock.now() + 10s);
  CHECK(f.loop.run_until([&] { return f.lines.size() == 4 * ControlLimits{}.requests; }));
}

TEST_CASE("a client that does not read its answers is dropped at 4 MiB", "[daemon]") {
  Fixture f;
  Peer peer(f.path());
  peer.say("hello\n");
  REQUIRE(f.loop.run_until([&] { return !f.lines.empty(); }));
  const std::string line((1U << 20U) - 1, 'x');
  for (int i = 0; i < 4; ++i) f.send(line);
  uv_run(f.loop.get(), UV_RUN_NOWAIT);
  CHECK(f.gone.empty());
  f.send(line);
  CHECK(f.gone.empty());  // never from within a command
  REQUIRE(f.loop.run_until([&] { return !f.gone.empty(); }));
  CHECK(f.rejects(ControlReject::unread) == 1);
}

TEST_CASE("after a closing answer the client has it and is gone", "[daemon]") {
  Fixture f;
  Peer peer(f.path());
  peer.say("bad\nmore\n");
  REQUIRE(f.loop.run_until([&] { return f.lines.size() == 2; }));
  f.send("error", true);
  std::string heard;
  REQUIRE(f.loop.run_until([&] {
    heard += peer.hear();
    return peer.is_over;
  }));
  CHECK(heard == "error\n");
  CHECK(f.gone.size() == 1);
}

TEST_CASE("the socket of a dead daemon is replaced and nothing else is", "[daemon]") {
  TempDirectory dir;
  TestLoop loop;
  MonotonicClock clock;
  std::filesystem::create_directory(dir / "run");
  chmod((dir / "run").c_str(), 0700);
  const std::string path = dir / "run/peernet.sock";
  // NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final
  struct Nothing final : Control::Inputs {
    void on_line(ClientId, std::string_view) override {}
    void on_client_gone(ClientId) override {}
    bool is_idle_allowed(ClientId) const override { return false; }
    void carry_out() override {}
  } inputs;
  {
    const Fd old(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    REQUIRE(bind(old.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  Control control(loop.get(), clock, inputs);
  SECTION("a socket") {
    CHECK(control.listen(path));
    control.close_all();
    CHECK_FALSE(test::exists(path));
  }
  SECTION("a file") {
    std::filesystem::remove(path);
    test::write_file(path, "precious");
    CHECK(control.listen(path).error().code == Errc::exists);
    control.close_all();
    CHECK(test::read_file(path) == "precious");
  }
  SECTION("a directory that others can enter") {
    chmod((dir / "run").c_str(), 0750);
    CHECK(control.listen(path).error().code == Errc::denied);
    control.close_all();
  }
  SECTION("a path that a socket address would cut") {
    const std::string room(kSocketPathMax + 1 - (dir / "run/").size(), 'x');
    CHECK(control.listen(dir / "run/" + room).error().code == Errc::too_large);
    CHECK(control.listen(dir / "run/" + room.substr(1)));
    control.close_all();
  }
  REQUIRE(loop.run_until([&] { return control.is_gone(); }));
}

}  // namespace peernet::daemon
