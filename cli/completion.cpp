#include "cli/completion.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/render.h"
#include "cli/text.h"

namespace peernet::cli {
namespace {

constexpr std::string_view kBash = R"(# bash completion of peernet
_peernet() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files)
        compopt -o filenames 2>/dev/null
        while IFS= read -r line; do COMPREPLY+=("$line"); done \
          < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}") ;;
      ?*)
        line=${line%%$'\t'*}
        [[ $line == */ ]] && compopt -o nospace 2>/dev/null
        printf -v line %q "$line"
        COMPREPLY+=("$line") ;;
    esac
  done < <("${COMP_WORDS[0]}" _complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _peernet peernet
)";

constexpr std::string_view kZsh = R"(#compdef peernet
_peernet() {
  local line
  local -a found
  for line in "${(@f)$(${words[1]} _complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :files) _files ;;
      ?*) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done
  (( $#found )) && _describe peernet found
}
compdef _peernet peernet
# As an autoloaded file this is its first call.
[[ ${funcstack[1]} == _peernet ]] && _peernet "$@"
)";

constexpr std::string_view kFish = R"(# fish completion of peernet
function __peernet_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] _complete -- $words[2..-1] 2>/dev/null)
    if test "$line" = ':files'
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c peernet -f -a '(__peernet_complete)'
)";

constexpr std::size_t kFilesOfferedMax = 1000;

const Grammar* find_command(const Grammar& grammar, const std::string& word) {
  for (const Grammar& command : grammar.commands) {
    const auto& aliases = command.aliases;
    const bool is_alias = std::find(aliases.begin(), aliases.end(), word) != aliases.end();
    if (command.name == word || is_alias) return &command;
  }
  return nullptr;
}

// Where the words lead: the command, and what the last word is.
struct Place {
  std::vector<const Grammar*> path;  // from the program down to the command
  std::size_t positionals = 0;       // given before
  std::optional<std::string> value;  // of this option
};

const Grammar::Option* find_option(const std::vector<const Grammar*>& path,
                                   const std::string& word) {
  for (const Grammar* grammar : path) {
    for (const Grammar::Option& option : grammar->options) {
      if (std::find(option.names.begin(), option.names.end(), word) != option.names.end()) {
        return &option;
      }
    }
  }
  return nullptr;
}

Place follow(const Grammar& grammar, const std::vector<std::string>& words) {
  Place place;
  place.path.push_back(&grammar);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    place.value.reset();
    if (words[i].starts_with('-')) {
      const auto* const option = find_option(place.path, words[i]);
      if (option == nullptr || option->value.empty()) continue;
      if (i + 2 == words.size()) {
        place.value = option->value;
      } else {
        ++i;
      }
      continue;
    }
    if (const Grammar* command = find_command(*place.path.back(), words[i])) {
      place.path.push_back(command);
    } else {
      ++place.positionals;
    }
  }
  return place;
}

using Candidates = std::vector<Candidate>;

void add_shares(Session& session, Candidates& found) {
  const auto shares = session.call_all("share.list", "shares");
  const auto* all = std::get_if<std::vector<Json>>(&shares);
  if (all == nullptr) return;
  for (const Json& share : *all) {
    found.push_back({short_id(text_at(share, "id")),
                     shown(text_at(share, "name")) + ", " + shown(text_at(share, "state"))});
  }
}

// "s7q2mfx4/path": the files of that share.
void add_files(Session& session, const std::string& word, Candidates& found) {
  const std::string id = word.substr(0, word.find('/'));
  const auto files =
      session.call("share.files", Json::object({{"id", id}, {"limit", kFilesOfferedMax}}));
  const auto* answer = std::get_if<Json>(&files);
  if (answer == nullptr) return;
  for (const Json& file : at(*answer, "files")) {
    found.push_back({id + "/" + shown(text_at(file, "path")), size_text(count_at(file, "size"))});
  }
}

void add_peers(Session& session, Candidates& found) {
  const auto peers = session.call_all("peer.list", "peers");
  if (const auto* all = std::get_if<std::vector<Json>>(&peers)) {
    for (const Json& peer : *all) {
      found.push_back({short_id(text_at(peer, "id")), shown(text_at(peer, "endpoint"))});
    }
  }
}

void add_banned(Session& session, Candidates& found) {
  const auto bans = session.call_all("peer.bans", "bans");
  if (const auto* all = std::get_if<std::vector<Json>>(&bans)) {
    for (const Json& ban : *all) found.push_back({short_id(text_at(ban, "id")), "banned"});
  }
}

void add_keys(const Json& config, const std::string& before, Candidates& found) {
  for (const auto& item : config.items()) {
    if (item.value().is_object()) {
      add_keys(item.value(), before + item.key() + ".", found);
    } else {
      found.push_back({shown(before + item.key()), to_line(item.value())});
    }
  }
}

void add_config_keys(Session& session, Candidates& found) {
  const auto answer = session.call("daemon.config");
  if (const auto* config = std::get_if<Json>(&answer)) add_keys(at(*config, "config"), {}, found);
}

void add_described(Session& session, const char* list, const char* name, Candidates& found) {
  const auto answer = session.call("rpc.discover");
  const auto* document = std::get_if<Json>(&answer);
  if (document == nullptr) return;
  for (const Json& row : at(*document, list)) {
    found.push_back({shown(text_at(row, name)), shown(text_at(row, "summary"))});
  }
}

void add_commands(const Grammar& grammar, Candidates& found) {
  for (const Grammar& command : grammar.commands) found.push_back({command.name, command.help});
}

void add_values(const Grammar& grammar, const std::string& value, const std::string& word,
                Session& session, Candidates& found) {
  if (value == "ID") add_shares(session, found);
  if (value == "ID[/PATH]") {
    if (word.find('/') == std::string::npos) {
      add_shares(session, found);
    } else {
      add_files(session, word, found);
    }
  }
  if (value == "PEER") add_peers(session, found);
  if (value == "BANNED") add_banned(session, found);
  if (value == "KEY") add_config_keys(session, found);
  if (value == "METHOD") add_described(session, "methods", "name", found);
  if (value == "KIND") add_described(session, "x-events", "kind", found);
  if (value == "COMMAND") add_commands(grammar, found);
  if (value == "SHELL") {
    for (const char* shell : {"bash", "zsh", "fish"}) found.push_back({shell, {}});
  }
  if (value == "PATH" || value == "DIR" || value == "FILE") found.push_back({":files", {}});
}

}  // namespace

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return std::string(kBash);
  if (shell == "zsh") return std::string(kZsh);
  if (shell == "fish") return std::string(kFish);
  return {};
}

std::vector<Candidate> candidates(const Grammar& grammar, const std::vector<std::string>& words,
                                  Session& session) {
  const std::string word = words.empty() ? std::string() : words.back();
  const Place place = follow(grammar, words);
  const Grammar& command = *place.path.back();
  Candidates found;
  if (place.value) {
    add_values(grammar, *place.value, word, session, found);
  } else if (word.starts_with('-')) {
    // The command's own before those that all take.
    for (auto above = place.path.rbegin(); above != place.path.rend(); ++above) {
      for (const Grammar::Option& option : (*above)->options) {
        const std::string& name = option.names.back();
        const bool is_known = std::any_of(
            found.begin(), found.end(), [&](const Candidate& known) { return known.text == name; });
        if (!is_known) found.push_back({name, option.help});
      }
    }
  } else if (!command.commands.empty()) {
    add_commands(command, found);
  } else if (!command.positionals.empty()) {
    // The last one may stand several times.
    const std::size_t at = std::min(place.positionals, command.positionals.size() - 1);
    add_values(grammar, command.positionals[at].name, word, session, found);
  }
  std::erase_if(found, [&](const Candidate& candidate) {
    return candidate.text != ":files" && !candidate.text.starts_with(word);
  });
  return found;
}

std::optional<std::string> home_of(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i + 2 < words.size(); ++i) {
    if (words[i] == "--home") return words[i + 1];
  }
  return std::nullopt;
}

}  // namespace peernet::cli
