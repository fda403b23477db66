#include "daemon/uv/loop.h"

#include <catch2/catch.hpp>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "core/crypto.h"
#include "daemon/config.h"
#include "daemon/uv/address.h"
#include "test/daemon/temp.h"

namespace peernet::daemon {
namespace {

using test::TempDirectory;

const Endpoint kAny = Endpoint::v4(0x7f000001, 0);

// One blocking call over the control socket, as the CLI makes it.
std::string call(const std::string& path, const std::string& line) {
  const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{20, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return "";
  const std::string text = line + "\n";
  if (send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return "";
  std::string heard;
  while (heard.empty() || heard.back() != '\n') {
    char part[4096];
    const ssize_t got = recv(fd.get(), part, sizeof(part), 0);
    if (got <= 0) break;
    heard.append(part, static_cast<std::size_t>(got));
  }
  return heard;
}

// A whole daemon in this process, but for its arguments.
struct Fixture {
  Fixture() : log("test", std::make_shared<spdlog::sinks::null_sink_mt>()) {
    crypto_start();
    std::signal(SIGPIPE, SIG_IGN);
    std::filesystem::create_directory(dir / "leaves");
    std::filesystem::create_directory(dir / "downloads");
    auto opened = Store::open(dir / "state.db");
    REQUIRE(opened);
    store = std::make_unique<Store>(*std::move(opened));
    loop = std::make_unique<Loop>(StoragePlace{dir / "leaves", 022}, ControlLimits{}, log);
  }

  // Runs until something stops it; `client` is another program meanwhile.
  Loop::Ending run(const std::function<void()>& client) {
    auto port = loop->listen({kAny}, false);
    REQUIRE(port);
    REQUIRE(loop->listen_control(socket_path()));
    auto saved = store->load();
    REQUIRE(saved);
    NodeConfig config;
    config.transfer.listen_port = *port;
    Rng rng(7);
    Node node(config, Identity::make(rng), rng.fork(), log);
    Rpc rpc(RpcContext{"0.0.0", Paths{"", dir.path(), "", "", "", "", dir / "downloads"}, "{}"});
    Loop::Parts parts{&node, &rpc, store.get(), nullptr, nullptr, nullptr, nullptr, {}};
    std::thread other;
    parts.on_ready = [&] { other = std::thread(client); };
    parts.on_event = [&](Time, const transfer::Event& event) {
      if (std::holds_alternative<transfer::Imported>(event)) is_imported = true;
    };
    const Loop::Ending ending = loop->run(parts, *saved);
    other.join();
    return ending;
  }
  std::string socket_path() const { return dir / "run/peernet.sock"; }

  TempDirectory dir;
  Log log;
  std::unique_ptr<Store> store;
  std::unique_ptr<Loop> loop;
  bool is_imported = false;
};

const std::string kShutdown = R"({"jsonrpc":"2.0","id":9,"method":"daemon.shutdown"})";

}  // namespace

TEST_CASE("a daemon answers over its socket and stops when asked", "[daemon]") {
  Fixture f;
  std::string status;
  std::string last;
  const auto ending = f.run([&] {
    status = call(f.socket_path(), R"({"jsonrpc":"2.0","id":1,"method":"daemon.status"})");
    last = call(f.socket_path(), kShutdown);
  });
  CHECK(ending == Loop::Ending::clean);
  CHECK(status.find("\"version\":\"0.0.0\"") != std::string::npos);
  CHECK(last.find("\"result\"") != std::string::npos);
  CHECK_FALSE(test::exists(f.socket_path()));
}

TEST_CASE("a signal stops a daemon cleanly", "[daemon]") {
  const int number = GENERATE(SIGTERM, SIGINT);
  Fixture f;
  CHECK(f.run([&] { kill(getpid(), number); }) == Loop::Ending::clean);
}

TEST_CASE("what is added is hashed, saved, and known after a restart", "[daemon]") {
  TempDirectory content;
  test::write_file(content / "file", std::string(100'000, 'x'));
  const std::string add = R"({"jsonrpc":"2.0","id":1,"method":"share.add","params":{"path":")" +
                          (content / "file") + "\"}}";
  Fixture f;
  std::string added;
  CHECK(f.run([&] {
    added = call(f.socket_path(), add);
    call(f.socket_path(), kShutdown);
  }) == Loop::Ending::clean);
  INFO(added);
  CHECK(added.find("peernet:s") != std::string::npos);
  CHECK(f.is_imported);

  f.loop = std::make_unique<Loop>(StoragePlace{f.dir / "leaves", 022}, ControlLimits{}, f.log);
  const auto saved = f.store->load();
  REQUIRE(saved);
  REQUIRE(saved->shares.size() == 1);
  CHECK(saved->shares[0].parent == content.path());
  std::string listed;
  CHECK(f.run([&] {
    listed = call(f.socket_path(), R"({"jsonrpc":"2.0","id":1,"method":"share.list"})");
    call(f.socket_path(), kShutdown);
  }) == Loop::Ending::clean);
  CHECK(listed.find("\"file\"") != std::string::npos);
}

TEST_CASE("a free port is the same number for TCP and UDP in both families", "[daemon]") {
  Fixture f;
  const auto port = f.loop->listen({Endpoint::v4(0, 0), Endpoint::v6({}, 0)}, true);
  REQUIRE(port);
  CHECK(*port != 0);
  for (const Endpoint& listener : f.loop->listeners()) CHECK(listener.port == *port);
  const Fd udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  const socklen_t size = to_socket_address(Endpoint::v4(0, *port), address);
  CHECK(bind(udp.get(), reinterpret_cast<sockaddr*>(&address), size) != 0);
}

TEST_CASE("a port that another program has is an error that names it", "[daemon]") {
  Fixture f;
  Fixture other;
  const auto port = other.loop->listen({kAny}, false);
  REQUIRE(port);
  Endpoint taken = kAny;
  taken.port = *port;
  const auto second = f.loop->listen({taken}, true);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::exists);
  CHECK(second.error().what.find(taken.to_string()) != std::string::npos);
}

}  // namespace peernet::daemon
