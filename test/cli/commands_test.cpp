#include "cli/commands.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/render.h"
#include "test/cli/stage.h"

// The commands against a daemon that has said everything beforehand.

namespace peernet::cli {
namespace {

const std::string kShareId = "s7q2mfx4aaaa";

std::string share_json(const std::string& state, const std::string& more = "") {
  return R"({"id":")" + kShareId + R"(","state":")" + state +
         R"(","reason":"","error":null,"name":"a.bin","path":"/d/a.bin","size":100,"done":50,)"
         R"("rate_down":10,"rate_up":0,"peers_connected":1,"peers_known":1)" +
         more + "}";
}

TEST_CASE("add prints the link alone on stdout and the story on stderr", "[cli]") {
  Stage stage;
  stage.will_answer("{}");
  stage.will_tell(
      R"({"seq":0,"kind":"import_progress","path":"/data/a.bin","done":50,"total":100,"rate":7})");
  stage.will_answer(R"({"id":"s1","link":"peernet:s1?dn=a.bin","name":"a.bin","size":100,)"
                    R"("was_known":false,"left_out":[{"path":"l\u001b","reason":"symlink"}],)"
                    R"("left_out_count":3})");

  CHECK(add(stage.session(), {{"/data/a.bin"}, "1MiB", true, {}, false, {}}) == 0);

  CHECK(stage.out.text() == "peernet:s1?dn=a.bin\n");
  CHECK(stage.err.text() ==
        "hashing   a.bin   100 B   7 B/s   100%\n"
        "left out (a share holds only files, and not what is excluded):\n"
        "  l\\x1b  (symlink)\n"
        "  and 2 more\n");
  const auto asked = stage.asked();
  REQUIRE(asked.size() == 2);
  CHECK(asked[0]["method"] == "events.subscribe");
  CHECK(asked[1]["params"]["path"] == "/data/a.bin");
  CHECK(asked[1]["params"]["piece_length"] == 1'048'576);
  CHECK(asked[1]["params"]["allow_unportable"] == true);
}

TEST_CASE("a refusal becomes one line, a hint and the exit code in the error", "[cli]") {
  Stage stage;
  stage.will_refuse(
      R"({"code":-32003,"message":"no share begins with saaaaaaaa","data":{"kind":"not_found","hint":"peernet ls"}})");

  CHECK(link(stage.session(), "saaaaaaaa") == 3);
  CHECK(stage.out.text().empty());
  CHECK(stage.err.text() ==
        "peernet: no share begins with saaaaaaaa\n"
        "hint: peernet ls\n");
}

TEST_CASE("with --json a refusal is a document too", "[cli]") {
  Stage stage(true);
  stage.will_refuse(
      R"({"code":-32602,"message":"no","data":{"kind":"invalid_params","hint":"h"}})");

  CHECK(identity(stage.session()) == 2);
  const Json document = Json::parse(stage.out.text());
  CHECK(document["error"]["exit_code"] == 2);
  CHECK(document["error"]["kind"] == "invalid_params");
}

TEST_CASE("fetch follows the share and prints where it stands", "[cli]") {
  Stage stage;
  stage.will_answer("{}");                               // events.subscribe
  stage.will_answer(R"({"id":")" + kShareId + R"("})");  // share.fetch
  stage.will_answer(share_json("fetching"));             // share.status
  stage.will_tell(R"({"kind":"progress","share":)" + share_json("fetching") + "}");
  stage.will_tell(R"({"kind":"progress","share":{"id":"another","state":"failed"}})");
  stage.will_tell(R"({"kind":"completed","id":")" + kShareId + R"("})");
  stage.will_answer(share_json("seeding"));

  CHECK(fetch(stage.session(), {.link = "peernet:s1"}) == 0);
  CHECK(stage.out.text() == "/d/a.bin\n");
  CHECK(stage.err.text() ==
        "a.bin  100 B   1 connected\n"
        "50%  50/100 B   10 B/s   1 peer\n"
        "complete  a.bin  100 B\n");
}

TEST_CASE("a fetch that fails ends with the exit code of its fault", "[cli]") {
  for (const auto& [code, exit_code] :
       {std::pair{-32013, 13}, std::pair{-32009, 9}, std::pair{-32010, 10}, std::pair{-32008, 8}}) {
    Stage stage;
    stage.will_answer("{}");
    stage.will_answer(R"({"id":")" + kShareId + R"("})");
    Json failed = Json::parse(share_json("failed"));
    failed["error"] = Json::object(
        {{"code", code}, {"kind", "k"}, {"message", "it cannot be"}, {"hint", "do this"}});
    stage.will_answer(failed.dump());

    CHECK(fetch(stage.session(), {.link = "peernet:s1"}) == exit_code);
    CHECK(stage.out.text().empty());
    CHECK(stage.err.text() == "peernet: it cannot be\nhint: do this\n");
  }
}

TEST_CASE("a detached fetch prints the id and does not wait", "[cli]") {
  Stage stage;
  stage.will_answer(R"({"id":")" + kShareId + R"("})");

  CHECK(fetch(stage.session(), {.link = "peernet:s1", .directory = "/d", .is_detached = true}) ==
        0);
  CHECK(stage.out.text() == kShareId + "\n");
  CHECK(stage.err.text() == "fetching in the background: peernet status s7q2mfx4\n");
  CHECK(stage.asked().at(0)["params"]["directory"] == "/d");
}

TEST_CASE("a fetch that is not done in time says whether anybody was found", "[cli]") {
  for (const auto& [known, exit_code] : {std::pair{"0", 3}, std::pair{"2", 5}}) {
    Stage stage;
    stage.will_answer("{}");
    stage.will_answer(R"({"id":")" + kShareId + R"("})");
    stage.will_answer(R"({"id":")" + kShareId + R"(","state":"finding","peers_known":)" + known +
                      R"(,"peers_connected":0})");
    stage.will_answer(R"({"is_enabled":true,"nodes_count":0})");

    CHECK(fetch(stage.session(), {.link = "peernet:s1", .timeout = "0s"}) == exit_code);
    CHECK(stage.err.text().find("peernet status s7q2mfx4") != std::string::npos);
  }
}

TEST_CASE("a daemon that goes away ends every command with 4", "[cli]") {
  Stage stage;
  stage.will_go_away();
  CHECK(status(stage.session(), {}) == 4);
  CHECK(stage.err.text().find("lost") != std::string::npos);

  Stage fetching;
  fetching.will_answer("{}");
  fetching.will_answer(R"({"id":")" + kShareId + R"("})");
  fetching.will_answer(share_json("fetching"));
  fetching.will_go_away();
  CHECK(fetch(fetching.session(), {.link = "peernet:s1"}) == 4);
}

TEST_CASE("shutdown waits until the daemon has closed the connection", "[cli]") {
  Stage stage;
  stage.will_answer("{}");
  stage.will_go_away();
  CHECK(shutdown(stage.session()) == 0);
  CHECK(stage.err.text() == "stopped\n");
}

TEST_CASE("lists are asked for until they are whole", "[cli]") {
  Stage stage(true);
  stage.will_answer(R"({"shares":[{"id":"s1"},{"id":"s2"}],"count":3})");
  stage.will_answer(R"({"shares":[{"id":"s3"}],"count":3})");

  CHECK(list(stage.session(), {}, {}) == 0);
  CHECK(Json::parse(stage.out.text())["shares"].size() == 3);
  CHECK(stage.asked().at(1)["params"]["offset"] == 2);
}

TEST_CASE("rm tells what became of the files", "[cli]") {
  Stage stage;
  stage.will_answer(share_json("seeding"));
  stage.will_answer(R"({"id":")" + kShareId + R"("})");
  CHECK(remove(stage.session(), "s7q2mfx4", true) == 0);
  CHECK(stage.err.text() == "removed s7q2mfx4  a.bin, with its files\n");
  CHECK(stage.asked().at(1)["params"]["delete_data"] == true);
}

TEST_CASE("no daemon: the message names the command that starts one", "[cli]") {
  Stream out;
  Stream err;
  Screen screen(out.file(), err.file(), {});
  Paths paths;
  paths.socket = "/nonexistent/peernet.sock";
  Session session(screen, paths, "peernetd --home /n --detach");

  CHECK(status(session, {}) == 4);
  CHECK(err.text() ==
        "peernet: no daemon is running (nothing answers at /nonexistent/peernet.sock)\n"
        "hint: start it with: peernetd --home /n --detach\n");
}

TEST_CASE("a hint names commands as they must be typed for the node that was asked", "[cli]") {
  Stream out;
  Stream err;
  Screen screen(out.file(), err.file(), {.node = "--system"});
  screen.fail(
      {1, "io", "peernet is ill", "peernet config set x y, or peernet why; not peernetd -h"});
  CHECK(err.text() ==
        "peernet: peernet is ill\n"
        "hint: peernet --system config set x y, or peernet --system why; not peernetd -h\n");
  const Look look{0, false, "--home '/a b'"};
  CHECK(render_shares({}, look) ==
        "no shares yet: peernet --home '/a b' add PATH, or peernet --home '/a b' fetch LINK\n");
}

TEST_CASE("a moving line that a narrower terminal has folded is wiped whole", "[cli]") {
  const int leader = ::posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE((leader >= 0 && ::grantpt(leader) == 0 && ::unlockpt(leader) == 0));
  std::FILE* const err = std::fopen(::ptsname(leader), "w");  // NOLINT(concurrency-mt-unsafe)
  REQUIRE(err != nullptr);
  const auto resize = [&](unsigned short columns) {
    const winsize size{24, columns, 0, 0};
    REQUIRE(::ioctl(leader, TIOCSWINSZ, &size) == 0);
  };
  const auto shown_now = [&] {
    std::array<char, 1024> bytes{};
    const ssize_t size = ::read(leader, bytes.data(), bytes.size());
    return std::string(bytes.data(), static_cast<std::size_t>(size));
  };
  Stream out;
  {
    Screen screen(out.file(), err, {});
    resize(100);
    screen.moving_line(std::string(95, '#'));
    CHECK(shown_now() == "\r\x1b[K" + std::string(95, '#'));
    resize(40);  // rows of 40, 40 and 15
    screen.moving_line("y");
    CHECK(shown_now() == "\r\x1b[2A\x1b[Jy");
    screen.moving_line(std::string(40, '#'));
    CHECK(shown_now() == "\r\x1b[K" + std::string(40, '#'));
    resize(20);
  }
  CHECK(shown_now() == "\r\x1b[1A\x1b[J");
  std::fclose(err);
  ::close(leader);
}

TEST_CASE("paths become absolute, and their last part stays what it is", "[cli]") {
  const auto absolute = [](const std::string& path) {
    return std::get<std::string>(absolute_path(path));
  };
  CHECK(absolute("/usr/../tmp/./x") == "/tmp/x");
  CHECK(absolute("/tmp/x/") == "/tmp/x");
  CHECK(absolute("/") == "/");
  CHECK(absolute("x").ends_with("/x"));
  CHECK(absolute("/tmp/..") == "/");
  CHECK(std::get<Failure>(absolute_path("")).exit_code == 2);
  CHECK(std::get<Failure>(absolute_path("/a\xff")).exit_code == 2);
}

}  // namespace
}  // namespace peernet::cli
