#include "daemon/uv/process.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "test/daemon/temp.h"

namespace peernet::daemon {

TEST_CASE("a second daemon on one state hears who holds it", "[daemon]") {
  test::TempDirectory dir;
  {
    const auto first = lock_state(dir / "lock");
    REQUIRE(first);
    const auto second = lock_state(dir / "lock");
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::refused);
    CHECK(second.error().what.find(std::to_string(getpid())) != std::string::npos);
  }
  CHECK(lock_state(dir / "lock"));
}

TEST_CASE("a text file is read up to its limit", "[daemon]") {
  test::TempDirectory dir;
  test::write_file(dir / "text", "12345");
  CHECK(*read_text_file(dir / "text", 5) == "12345");
  CHECK(read_text_file(dir / "text", 4).error().code == Errc::too_large);
  CHECK(read_text_file(dir / "none", 4).error().code == Errc::not_found);
  CHECK(read_text_file(dir.path(), 4).error().code == Errc::denied);
}

TEST_CASE("the service manager hears what it asked for", "[daemon]") {
  test::TempDirectory dir;
  const std::string path = dir / "notify";
  const Fd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  REQUIRE(bind(manager.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  notify_service_manager("READY=1");
  unsetenv("NOTIFY_SOCKET");
  notify_service_manager("nobody hears this");
  std::string heard(100, '\0');
  const ssize_t size = recv(manager.get(), heard.data(), heard.size(), 0);
  REQUIRE(size > 0);
  CHECK(heard.substr(0, static_cast<std::size_t>(size)) == "READY=1");
  CHECK(recv(manager.get(), heard.data(), heard.size(), 0) < 0);
}

TEST_CASE("the watchdog is fed twice as often as it bites", "[daemon]") {
  unsetenv("WATCHDOG_USEC");
  CHECK_FALSE(watchdog_interval());
  setenv("WATCHDOG_USEC", "30000000", 1);
  CHECK(watchdog_interval() == std::chrono::seconds(15));
  setenv("WATCHDOG_USEC", "soon", 1);
  CHECK_FALSE(watchdog_interval());
  unsetenv("WATCHDOG_USEC");
}

TEST_CASE("the first process leaves with the word of the second", "[daemon]") {
  enum class Word { ready, failed, death };
  const Word word = GENERATE(Word::ready, Word::failed, Word::death);
  const pid_t first = fork();
  if (first == 0) {
    auto background = Background::start();
    // Here is the second process only.
    if (!background) _exit(50);
    if (word == Word::ready) background->tell_ready();
    if (word == Word::failed) background->tell_failed(10, "");
    _exit(word == Word::death ? 3 : 0);
  }
  int status = 0;
  REQUIRE(waitpid(first, &status, 0) == first);
  REQUIRE(WIFEXITED(status));
  const int expected = word == Word::ready ? 0 : word == Word::failed ? 10 : 3;
  CHECK(WEXITSTATUS(status) == expected);
}

}  // namespace peernet::daemon
