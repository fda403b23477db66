#include "core/paths.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>

namespace peernet {
namespace {

using Variables = std::map<std::string, std::string>;

Result<Paths> find(const std::optional<std::string>& home, const Variables& variables) {
  return find_paths(home, [&](const char* name) -> std::optional<std::string> {
    const auto place = variables.find(name);
    if (place == variables.end()) return std::nullopt;
    return place->second;
  });
}

TEST_CASE("a home directory holds everything", "[core]") {
  const auto paths = find("/srv/node/", {{"HOME", "/home/u"}, {"XDG_STATE_HOME", "/x"}});

  REQUIRE(paths);
  CHECK(paths->config == "/srv/node/config.json");
  CHECK(paths->state == "/srv/node");
  CHECK(paths->identity == "/srv/node/identity");
  CHECK(paths->database == "/srv/node/state.db");
  CHECK(paths->leaves == "/srv/node/leaves");
  CHECK(paths->socket == "/srv/node/peernet.sock");
  CHECK(paths->downloads == "/srv/node/downloads");
}

TEST_CASE("PEERNET_HOME counts where no home is given, and less than one that is", "[core]") {
  CHECK(find({}, {{"PEERNET_HOME", "/a"}, {"HOME", "/home/u"}})->socket == "/a/peernet.sock");
  CHECK(find("/b", {{"PEERNET_HOME", "/a"}})->socket == "/b/peernet.sock");
  CHECK(find({}, {{"PEERNET_HOME", ""}, {"HOME", "/home/u"}})->state ==
        "/home/u/.local/state/peernet");
}

TEST_CASE("without a home the XDG base directories are used", "[core]") {
  const auto paths = find({}, {{"HOME", "/home/u"},
                               {"XDG_CONFIG_HOME", "/c"},
                               {"XDG_STATE_HOME", "/s"},
                               {"XDG_RUNTIME_DIR", "/run/user/1000"}});

  REQUIRE(paths);
  CHECK(paths->config == "/c/peernet/config.json");
  CHECK(paths->state == "/s/peernet");
  CHECK(paths->identity == "/s/peernet/identity");
  CHECK(paths->socket == "/run/user/1000/peernet/peernet.sock");
  CHECK(paths->downloads == "/home/u/Downloads");
}

TEST_CASE("unset or relative XDG variables fall back to HOME", "[core]") {
  const auto paths = find({}, {{"HOME", "/home/u"}, {"XDG_CONFIG_HOME", "relative"}});

  REQUIRE(paths);
  CHECK(paths->config == "/home/u/.config/peernet/config.json");
  CHECK(paths->state == "/home/u/.local/state/peernet");
  CHECK(paths->socket == "/home/u/.local/state/peernet/peernet.sock");
}

TEST_CASE("a system service uses the directories systemd gives it", "[core]") {
  const auto paths = find({}, {{"STATE_DIRECTORY", "/var/lib/peernet:/var/lib/other"},
                               {"RUNTIME_DIRECTORY", "/run/peernet"},
                               {"CONFIGURATION_DIRECTORY", "/etc/peernet"}});

  REQUIRE(paths);
  CHECK(paths->config == "/etc/peernet/config.json");
  CHECK(paths->state == "/var/lib/peernet");
  CHECK(paths->socket == "/run/peernet/peernet.sock");
  CHECK(paths->downloads == "/var/lib/peernet/downloads");
}

TEST_CASE("a relative home, or none at all, is an error with a hint", "[core]") {
  const auto relative = find("node", {});
  REQUIRE_FALSE(relative);
  CHECK(relative.error().code == Errc::malformed);
  CHECK_FALSE(relative.error().hint.empty());

  CHECK(find({}, {{"PEERNET_HOME", "node"}}).error().code == Errc::malformed);
  CHECK(find("", {}).error().code == Errc::malformed);
  CHECK(find({}, {}).error().code == Errc::malformed);
}

TEST_CASE("the path of the socket fits a Unix socket address, or is refused", "[core]") {
  const std::string name = "/peernet.sock";
  const std::string fits = "/" + std::string(107 - name.size() - 1, 'd');

  REQUIRE(find(fits, {}));
  CHECK(find(fits, {})->socket.size() == 107);
  CHECK(find(fits + "d", {}).error().code == Errc::too_large);
}

}  // namespace
}  // namespace peernet
