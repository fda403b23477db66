#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/control.h"
#include "cli/man.h"
#include "cli/text.h"
#include "core/nearest.h"

// The command line: what may be said, and which command it means. The commands are
// in commands.h.

namespace peernet::cli {
namespace {

struct Arguments {
  std::optional<std::string> home;
  bool is_system = false;
  bool is_json = false;
  bool is_color_off = false;
  bool is_man_page_wanted = false;

  AddOptions add;
  FetchOptions fetch;
  StatusOptions status;
  std::optional<std::string> id;  // of ls
  Selection selection;            // likewise
  PeersOptions peers;
  std::optional<std::string> doctor_peer;
  std::string shell;
  std::string needed_id;  // of rm, pause, resume and link
  CatOptions cat;
  bool is_data_deleted = false;
  bool is_repair = false;
  std::optional<std::string> rpc_method;
  std::optional<std::string> rpc_params;
  DhtOptions dht;
  std::string help_for;
  std::string config_key;
  std::string config_value;
  std::string network_file;
  LimitOptions limit;
  LogOptions log;
};

constexpr const char* kIdHelp = "a share id, or 8 or more of its first characters";

void declare_selection(CLI::App& command, Selection& selection) {
  command
      .add_option("--fields", selection.fields, "only these, such as id,name,done; --json has all")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--filter", selection.filters,
                  "only what this holds for, such as state=fetching, name~linux, 'size>1GiB'")
      ->allow_extra_args(false);
}

void declare_transfers(CLI::App& app, Arguments& arguments) {
  CLI::App& add = *app.add_subcommand("add", "Share a file or a directory; prints its link");
  add.add_option("PATH", arguments.add.paths,
                 "what to share, one share each; it stays where it is");
  add.add_option("--exclude", arguments.add.exclude,
                 "leave these out of a directory: *.tmp, .git, build/**; may be repeated")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  add.add_flag("--stdin", arguments.add.is_stdin,
               "share what comes on standard input; it is kept in the downloads directory");
  add.add_option("--name", arguments.add.name, "the name of what comes by --stdin");
  add.add_option("--piece-length", arguments.add.piece_length,
                 "a power of two from 16KiB to 16MiB; by default it grows with the size");
  add.add_flag("--allow-unportable", arguments.add.allow_unportable,
               "share names that some systems cannot hold");

  CLI::App& fetch = *app.add_subcommand("fetch", "Get what a link names; prints where it is");
  fetch.alias("get");
  fetch.add_option("LINK", arguments.fetch.link, "peernet:s..., or the share id alone")->required();
  fetch
      .add_option("-o,--output", arguments.fetch.directory,
                  "the directory to put it in; by default the downloads directory")
      ->type_name("DIR");
  fetch.add_flag("-d,--detach", arguments.fetch.is_detached, "do not wait for it");
  fetch.add_option("--timeout", arguments.fetch.timeout,
                   "wait no longer than this, such as 10m; it goes on in the background");
  fetch.add_option("--stall", arguments.fetch.stall,
                   "wait no longer when nothing came for so long; it goes on in the background");
  fetch.add_flag("-n,--dry-run", arguments.fetch.is_preview,
                 "only show what would be fetched; leaves nothing behind");
  fetch
      .add_option("--only", arguments.fetch.only,
                  "only the files of a directory that this pattern names, such as 'docs/*.pdf'; a "
                  "fetch with other patterns adds to it")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  fetch.add_option("--skip", arguments.fetch.skip, "all, or of --only, but what this names")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  fetch.add_flag("--sequential", arguments.fetch.is_sequential,
                 "pieces in their order, not the rarest first");
  fetch.add_flag("--allow-unportable", arguments.fetch.allow_unportable,
                 "accept names that some systems cannot hold");

  CLI::App& cat = *app.add_subcommand("cat", "Write a file of a share to stdout while it comes");
  cat.add_option("ID[/PATH]", arguments.cat.what, "a share id or a link, then /PATH in a directory")
      ->required();
  cat.add_option("--range", arguments.cat.range, "only bytes A to B, such as 0-99 or 1000-");
  cat.add_option("--timeout", arguments.cat.timeout, "end after so long, such as 10m (exit 5)");
  cat.add_option("--stall", arguments.cat.stall, "end when nothing came for so long (exit 5)");

  CLI::App& status = *app.add_subcommand("status", "How the node and its shares are");
  status.alias("ps");
  status.add_option("ID", arguments.status.id, kIdHelp);
  status.add_flag("-w,--watch", arguments.status.is_watched, "go on showing it");
  declare_selection(status, arguments.status.selection);
}

void declare_peers(CLI::App& peers, PeersOptions& options) {
  peers.add_option("ID", options.id, "only those of this share");
  declare_selection(peers, options.selection);
  CLI::Option_group& one = *peers.add_option_group("one peer");
  one.require_option(0, 1);
  one.add_option("--connect", options.connect, "to HOST:PORT, or to the peer that a link names");
  one.add_option("--drop", options.drop, "close the connection; it may come again")
      ->type_name("PEER");
  CLI::Option* const ban =
      one.add_option("--ban", options.ban, "no connection with it any more, also after a restart")
          ->type_name("PEER");
  one.add_option("--unban", options.unban, "lift a ban, whatever it was for")->type_name("BANNED");
  one.add_flag("--banned", options.are_banned, "list those that are banned");
  peers.add_option("--for", options.duration, "how long a ban lasts, such as 2h")->needs(ban);
}

void declare_shares(CLI::App& app, Arguments& arguments) {
  const auto with_id = [&](const char* name, const char* help) -> CLI::App& {
    CLI::App& command = *app.add_subcommand(name, help);
    command.add_option("ID", arguments.needed_id, kIdHelp)->required();
    return command;
  };
  CLI::App& list = *app.add_subcommand("ls", "The shares, or the files of one")->alias("list");
  list.add_option("ID", arguments.id, kIdHelp);
  declare_selection(list, arguments.selection);
  declare_peers(*app.add_subcommand("peers", "The connected peers; connect, drop, ban one"),
                arguments.peers);
  with_id("rm", "Forget a share; its files stay")
      .add_flag("--data", arguments.is_data_deleted, "delete its files too");
  with_id("verify", "Hash again what is here of a share; tells what is damaged")
      .add_flag("--repair", arguments.is_repair, "fetch again, into its place, what is damaged");
  with_id("pause", "Neither fetch nor serve a share for now");
  with_id("resume", "Go on with a paused share, or try a failed one again");
  with_id("accept", "Take a quarantined share as it is");
  with_id("link", "The link of a share");
  with_id("why", "Why a share is not further, with the facts behind it");
}

void declare_dht(CLI::App& app, DhtOptions& options) {
  CLI::App& dht = *app.add_subcommand("dht", "The DHT: its table, and raw keys for tools");
  dht.require_subcommand(0, 1);
  const auto with_key = [&](const char* name, const char* help) -> CLI::App& {
    CLI::App& command = *dht.add_subcommand(name, help);
    command.add_option("KEYHEX", options.key, "40 hex digits, such as an info-hash")->required();
    command.add_flag("--trace", options.is_traced, "tell what became of each query");
    return command;
  };
  with_key("lookup", "Peers under a key; prints their addresses");
  with_key("announce", "Announce a port of this machine under a key, once")
      .add_option("PORT", options.port, "where peers are to connect")
      ->required();
  dht.add_subcommand("ping", "Is a DHT node there? Prints its id")
      ->add_option("HOST:PORT", options.endpoint, "the host may be a name")
      ->required();
  CLI::App& put = *dht.add_subcommand("put", "Store an item (BEP 44); prints its target");
  put.add_option("VALUE", options.value, "the text to store")->required();
  put.add_flag("--hex", options.is_hex, "VALUE is bencoded already, as hex digits");
  put.add_option("--key-file", options.key_file,
                 "make it mutable: signed by the Ed25519 key in this file");
  put.add_option("--salt", options.salt, "tells several items of one key apart");
  put.add_option("--seq", options.seq, "the sequence number; by default now, in seconds");
  put.add_option("--cas", options.cas, "only where this sequence number is stored now");
  CLI::App& get = *dht.add_subcommand("get", "An item (BEP 44); prints its value");
  get.add_option("TARGET", options.key, "40 hex digits, or the 64 of a public key")->required();
  get.add_option("--salt", options.salt, "as it was given to put");
}

int run_dht(const CLI::App& command, Session& session, const DhtOptions& options) {
  if (command.got_subcommand("lookup")) return dht_lookup(session, options);
  if (command.got_subcommand("announce")) return dht_announce(session, options);
  if (command.got_subcommand("ping")) return dht_ping(session, options);
  if (command.got_subcommand("put")) return dht_put(session, options);
  if (command.got_subcommand("get")) return dht_get(session, options);
  return dht(session);
}

void declare_control(CLI::App& app, Arguments& arguments) {
  CLI::App& limit = *app.add_subcommand("limit", "Show or set rate limits, now");
  limit.add_option("ID", arguments.limit.id, "of this share; by default of the node");
  limit.add_option("--down", arguments.limit.down, "such as 8MB/s, or none");
  limit.add_option("--up", arguments.limit.up, "such as 8MB/s, or none");
  limit.add_option("--for", arguments.limit.duration, "and then back, such as 2h");
  app.add_subcommand("metrics", "Counters in Prometheus' text format");
  CLI::App& log = *app.add_subcommand("log", "What has happened");
  log.add_flag("-f,--follow", arguments.log.is_followed, "go on telling");
  log.add_option("--since", arguments.log.since, "an age such as 10m, or an event's number");
  log.add_option("--kind", arguments.log.kinds, "only these kinds, such as state,completed")
      ->type_name("KIND")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_subcommand("doctor", "Is this node well? Each line says how to mend what is not")
      ->add_option("--peer", arguments.doctor_peer,
                   "dial HOST:PORT, or the peer that a link names, and tell each step");
}

void declare_rest(CLI::App& app, Arguments& arguments) {
  app.add_subcommand("id", "The peer id of this node");
  CLI::App& config = *app.add_subcommand("config", "Where things are, and the effective config");
  config.require_subcommand(1);
  config.add_subcommand("path", "The paths of this node");
  config.add_subcommand("show", "Every effective value of the config");
  config.add_subcommand("check", "Is the file valid, and does the daemon run by it?");
  config.add_subcommand("get", "One effective value")
      ->add_option("KEY", arguments.config_key, "such as limits.up")
      ->required();
  CLI::App& set = *config.add_subcommand("set", "Write one value; counts at once where it can");
  set.add_option("KEY", arguments.config_key, "such as limits.up")->required();
  set.add_option("VALUE", arguments.config_value, "such as 8MB/s, true, null")->required();
  CLI::App& network = *app.add_subcommand("network", "A private network: who has its key is in it");
  network.require_subcommand(1);
  network.add_subcommand("new", "Make a network key in a new file; prints the file's path")
      ->add_option("FILE", arguments.network_file, "where nothing stands yet")
      ->required();
  CLI::App& rpc = *app.add_subcommand("rpc", "Call a method of the daemon; alone: list them");
  rpc.add_option("METHOD", arguments.rpc_method, "such as share.status");
  rpc.add_option("JSON", arguments.rpc_params, R"(parameters, such as '{"id": "s7q2mfx4"}')");
  app.add_subcommand("shutdown", "Stop the daemon");
  app.add_subcommand("completion", "The script for tab completion in bash, zsh or fish")
      ->add_option("SHELL", arguments.shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  app.add_subcommand("version", "The version of this program");
  app.add_subcommand("help", "These commands; or one of them; or all")
      ->add_option("COMMAND", arguments.help_for, "the command to explain, or all");
}

void declare(CLI::App& app, Arguments& arguments) {
  CLI::Option* const home =
      app.add_option("--home", arguments.home, "the directory of the node; PEERNET_HOME otherwise")
          ->type_name("DIR");
  app.add_flag("--system", arguments.is_system,
               "the node of the machine, run by its service manager; for root and the user peernet")
      ->excludes(home);
  app.add_flag("--json", arguments.is_json, "answer with one JSON document");
  app.add_flag("--no-color", arguments.is_color_off, "no colours; NO_COLOR does the same");
  app.set_version_flag("--version", std::string("peernet " PEERNET_VERSION));
  app.add_flag("--man-page", arguments.is_man_page_wanted)->group("");  // for the build
  app.require_subcommand(0, 1);
  app.fallthrough();
  declare_transfers(app, arguments);
  declare_shares(app, arguments);
  declare_dht(app, arguments.dht);
  declare_control(app, arguments);
  declare_rest(app, arguments);
}

int run(const std::string& name, const CLI::App& command, Session& session,
        const Arguments& arguments) {
  if (name == "add") return add(session, arguments.add);
  if (name == "fetch") {
    return arguments.fetch.is_preview ? preview(session, arguments.fetch)
                                      : fetch(session, arguments.fetch);
  }
  if (name == "cat") return cat(session, arguments.cat);
  if (name == "status") return status(session, arguments.status);
  if (name == "ls") return list(session, arguments.id, arguments.selection);
  if (name == "peers") return peers(session, arguments.peers);
  if (name == "rm") return remove(session, arguments.needed_id, arguments.is_data_deleted);
  if (name == "verify") return verify(session, arguments.needed_id, arguments.is_repair);
  if (name == "pause") return pause(session, arguments.needed_id);
  if (name == "resume") return resume(session, arguments.needed_id);
  if (name == "accept") return accept(session, arguments.needed_id);
  if (name == "link") return link(session, arguments.needed_id);
  if (name == "limit") return limit(session, arguments.limit);
  if (name == "metrics") return metrics(session);
  if (name == "log") return log(session, arguments.log);
  if (name == "doctor") {
    return arguments.doctor_peer ? doctor_peer(session, *arguments.doctor_peer) : doctor(session);
  }
  if (name == "why") return why(session, arguments.needed_id);
  if (name == "id") return identity(session);
  if (name == "dht") return run_dht(command, session, arguments.dht);
  if (name == "rpc") return rpc(session, arguments.rpc_method, arguments.rpc_params);
  if (name == "shutdown") return shutdown(session);
  if (name == "network") return network_new(session, arguments.network_file);
  if (name == "config") {
    if (command.got_subcommand("set")) {
      return config_set(session, arguments.config_key, arguments.config_value);
    }
    if (command.got_subcommand("get")) return config_get(session, arguments.config_key);
    if (command.got_subcommand("check")) return config_check(session);
    return command.got_subcommand("show") ? config_show(session) : config_path(session);
  }
  return version(session);
}

int usage(Screen& screen, const CLI::App& app, const CLI::ParseError& error) {
  Failure failure{kExitUsage, "usage", error.what(), "peernet help"};
  const auto given = app.get_subcommands();
  if (!given.empty()) {
    failure.hint += " " + given.front()->get_name();
  } else if (const auto rest = app.remaining(); !rest.empty() && !rest.front().starts_with('-')) {
    const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
    std::vector<std::string_view> names;
    names.reserve(commands.size());
    for (const CLI::App* command : commands) names.push_back(command->get_name());
    failure.message = "there is no command \"" + rest.front() + "\"";
    failure.hint = "did you mean \"" + std::string(nearest(rest.front(), names)) +
                   "\"? peernet help lists them";
  }
  return screen.fail(failure);
}

// What a newcomer needs.
std::string first_help(const CLI::App& app) {
  constexpr std::array kFirst{"add", "fetch", "status", "why",    "ls",
                              "rm",  "pause", "resume", "config", "doctor"};
  constexpr std::size_t kWidth = 10;
  std::string text = app.get_description() + "\n\nUsage: peernet COMMAND ...\n\n";
  for (const char* name : kFirst) {
    const CLI::App* const command = app.get_subcommand(name);
    text += "  " + pad_right(name, kWidth) + command->get_description() + "\n";
  }
  return text +
         "\nThe daemon must run: peernetd --detach\n"
         "peernet help COMMAND explains one, peernet help all lists every command.\n";
}

// Lines of CLI11, whose explanations begin in one column, go on in that column.
std::string fitted(const std::string& text, const Look& look) {
  constexpr std::size_t kTextBegin = 30;
  std::string result;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    if (line.starts_with(' ') && line.size() > kTextBegin) {
      result += line.substr(0, kTextBegin) +
                folded(line.substr(kTextBegin), {look.width, kTextBegin, kTextBegin}) + "\n";
    } else {
      result += line + "\n";
    }
    begin = end + 1;
  }
  return result;
}

int help(Screen& screen, const CLI::App& app, const std::string& name) {
  if (name.empty()) {
    screen.answer(first_help(app));
    return kExitDone;
  }
  if (name == "all") {
    // app.help() would explain the command that was given, which is this one.
    screen.answer(
        fitted(app.get_formatter()->make_help(&app, "peernet", CLI::AppFormatMode::Normal),
               screen.out_look()));
    return kExitDone;
  }
  const auto commands = app.get_subcommands([&](const CLI::App* c) { return c->check_name(name); });
  if (commands.empty()) {
    return screen.fail(
        {kExitUsage, "usage", "there is no command \"" + name + "\"", "peernet help"});
  }
  screen.answer(fitted(commands.front()->help("peernet"), screen.out_look()));
  return kExitDone;
}

std::optional<std::string> environment(const char* variable) {
  const char* const value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

// The node that was named, as another command would have to name it from any directory.
std::string node_option(const Arguments& arguments) {
  if (arguments.is_system) return "--system";
  if (!arguments.home) return {};
  const auto absolute = absolute_path(*arguments.home);
  const auto* const home = std::get_if<std::string>(&absolute);
  return home == nullptr ? std::string() : "--home " + shell_quoted(*home);
}

// With the paths of the node, a command can start.
int enter(Screen& screen, const CLI::App& command, const Arguments& arguments) {
  std::optional<std::string> home;
  if (arguments.home) {
    const auto absolute = absolute_path(*arguments.home);
    if (const auto* failure = std::get_if<Failure>(&absolute)) return screen.fail(*failure);
    home = std::get<std::string>(absolute);
  }
  std::string start_command = arguments.is_system ? "systemctl start peernetd.socket"
                              : home              ? "peernetd " + screen.node() + " --detach"
                                                  : "peernetd --detach";
  auto paths = arguments.is_system ? Result<Paths>(system_paths()) : find_paths(home, environment);
  if (!paths) {
    return screen.fail({kExitUsage, "usage", paths.error().what, paths.error().hint});
  }
  Session session(screen, *std::move(paths), std::move(start_command));
  return run(command.get_name(), command, session, arguments);
}

Grammar grammar_of(const CLI::App& app) {
  Grammar grammar;
  grammar.name = app.get_name();
  grammar.aliases = app.get_aliases();
  grammar.help = app.get_description();
  const auto add_options = [&](const CLI::App& from) {
    for (const CLI::Option* option : from.get_options()) {
      if (option->get_group().empty()) continue;  // hidden
      if (option->get_positional()) {
        grammar.positionals.push_back({option->get_name(true), option->get_description(),
                                       option->get_required(),
                                       option->get_items_expected_max() > 1});
        continue;
      }
      Grammar::Option row;
      for (const std::string& name : option->get_snames()) row.names.push_back("-" + name);
      for (const std::string& name : option->get_lnames()) row.names.push_back("--" + name);
      if (option->get_items_expected_max() > 0) row.value = option->get_type_name();
      row.help = option->get_description();
      grammar.options.push_back(std::move(row));
    }
  };
  add_options(app);
  for (const CLI::App* part : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (part->get_name().empty()) {
      add_options(*part);  // a group of options
    } else {
      grammar.commands.push_back(grammar_of(*part));
    }
  }
  return grammar;
}

// `peernet _complete -- WORDS...`, called by the scripts: whatever goes wrong is silent.
int complete(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 2; i < argc; ++i) {
    if (i > 2 || std::string(argv[i]) != "--") words.emplace_back(argv[i]);
  }
  auto paths = find_paths(home_of(words), environment);
  std::FILE* const nowhere = std::fopen("/dev/null", "w");
  if (!paths || nowhere == nullptr) return kExitOther;
  Screen screen(nowhere, nowhere, {});
  Session session(screen, *std::move(paths), {});
  for (const Candidate& candidate : candidates(grammar_of(app), words, session)) {
    std::string line = candidate.text;
    if (!candidate.help.empty()) line += "\t" + candidate.help;
    std::puts(line.c_str());
  }
  return kExitDone;
}

// What was typed, last word first, as CLI11 wants it. It takes a word in [] for a list where
// several may stand, and "[a] b [c]" is a name that people give: "./" before it makes it the same
// path.
std::vector<std::string> words_of(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto commands = app.get_subcommands([](const CLI::App* /*any*/) { return true; });
  const auto command = std::find_if(words.begin(), words.end(), [&](const std::string& word) {
    return std::any_of(commands.begin(), commands.end(),
                       [&](const CLI::App* one) { return one->check_name(word); });
  });
  const bool is_add = command != words.end() && *command == "add";
  for (auto word = command; is_add && word != words.end(); ++word) {
    const bool is_list = word->starts_with('[') && word->ends_with(']');
    if (!is_list) continue;
    const std::string& previous = *std::prev(word);
    const CLI::Option* const before = previous.starts_with('-')
                                          ? app.get_subcommand("add")->get_option_no_throw(previous)
                                          : nullptr;
    const bool is_value = before != nullptr && before->get_items_expected_max() > 0;
    if (!is_value) word->insert(0, "./");
  }
  std::reverse(words.begin(), words.end());
  return words;
}

int start(int argc, char** argv) {
  CLI::App app("PeerNet: share files between machines without any server", "peernet");
  Arguments arguments;
  declare(app, arguments);
  if (argc > 1 && std::string(argv[1]) == "_complete") return complete(app, argc, argv);
  const auto make_options = [&](std::string node = {}) {
    const std::string no_color = environment("NO_COLOR").value_or("");
    return Screen::Options{arguments.is_json, !arguments.is_color_off && no_color.empty(),
                           std::move(node)};
  };
  try {
    app.parse(words_of(app, argc, argv));
  } catch (const CLI::CallForVersion&) {
    Screen(stdout, stderr, make_options()).answer("peernet " PEERNET_VERSION "\n");
    return kExitDone;
  } catch (const CLI::Success&) {
    Screen screen(stdout, stderr, make_options());
    const auto given = app.get_subcommands();
    return help(screen, app, given.empty() ? std::string() : given.front()->get_name());
  } catch (const CLI::ParseError& error) {
    Screen screen(stdout, stderr, make_options());
    return usage(screen, app, error);
  }
  Screen screen(stdout, stderr, make_options(node_option(arguments)));
  const auto given = app.get_subcommands();
  if (arguments.is_man_page_wanted) {
    screen.answer(man_page(grammar_of(app), PEERNET_VERSION));
    return kExitDone;
  }
  if (given.empty()) return help(screen, app, {});
  if (given.front()->get_name() == "help") return help(screen, app, arguments.help_for);
  if (given.front()->get_name() == "completion") {
    screen.answer(completion_script(arguments.shell));
    return kExitDone;
  }
  return enter(screen, *given.front(), arguments);
}

}  // namespace
}  // namespace peernet::cli

int main(int argc, char** argv) {
  try {
    return peernet::cli::start(argc, argv);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "peernet: %s\n", peernet::cli::shown(fault.what()).c_str());
    return peernet::cli::kExitOther;
  }
}
