#include "cli/completion.h"

#include "test/cli/stage.h"

namespace peernet::cli {
namespace {

Grammar grammar() {
  Grammar app{.name = "peernet",
              .aliases = {},
              .help = {},
              .options = {},
              .positionals = {},
              .commands = {}};
  app.options = {{{"--home"}, "TEXT", "the node"}, {{"--json"}, {}, {}}};
  Grammar fetch = app;
  fetch.name = "fetch";
  fetch.aliases = {"get"};
  fetch.options = {{{"-o", "--output"}, "DIR", {}}};
  fetch.positionals = {{.name = "LINK"}};
  Grammar ls = app;
  ls.name = "ls";
  ls.options.clear();
  ls.positionals = {{.name = "ID"}};
  Grammar config = app;
  config.name = "config";
  config.options.clear();
  Grammar get = ls;
  get.name = "get";
  get.positionals = {{.name = "KEY"}};
  config.commands = {get};
  app.commands = {fetch, ls, config};
  return app;
}

std::string offered(Stage& stage, const std::vector<std::string>& words) {
  std::string text;
  for (const Candidate& candidate : candidates(grammar(), words, stage.session())) {
    text += candidate.text + " ";
  }
  return text;
}

TEST_CASE("commands, options and files are offered without asking anybody", "[cli]") {
  Stage stage;
  CHECK(offered(stage, {""}) == "fetch ls config ");
  CHECK(offered(stage, {"l"}) == "ls ");
  CHECK(offered(stage, {"config", ""}) == "get ");
  CHECK(offered(stage, {"--home", "/x", "f"}) == "fetch ");
  CHECK(offered(stage, {"get", "-"}) == "--output --home --json ");
  CHECK(offered(stage, {"fetch", "-o", ""}) == ":files ");
  CHECK(offered(stage, {"fetch", ""}).empty());
  CHECK(stage.asked().empty());
}

TEST_CASE("ids and config keys come from the daemon", "[cli]") {
  Stage stage;
  stage.will_answer(
      R"({"shares":[{"id":"sabcdefghijk","name":"x"},{"id":"szyxwvutsrqp"}],"count":2})");
  CHECK(offered(stage, {"ls", "sa"}) == "sabcdefg ");
  stage.will_answer(R"({"config":{"listen":[],"limits":{"up":null,"down":null}}})");
  CHECK(offered(stage, {"config", "get", "limits."}) == "limits.up limits.down ");
}

TEST_CASE("without a daemon nothing is offered and nothing is said", "[cli]") {
  Stage stage;
  stage.will_go_away();
  CHECK(offered(stage, {"ls", "s"}).empty());
  CHECK(stage.err.text().empty());
  CHECK(home_of({"--home", "/x", "ls"}) == "/x");
  CHECK_FALSE(home_of({"ls", "--home"}));
}

TEST_CASE("there is a script for each of three shells", "[cli]") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    CHECK(completion_script(shell).find("_complete --") != std::string::npos);
  }
  CHECK(completion_script("tcsh").empty());
}

}  // namespace
}  // namespace peernet::cli
