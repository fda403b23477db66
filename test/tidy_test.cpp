// The house rules as an ordinary test that reads the tree: who may include whom, and what only
// certain rooms may do. Each rule is shown to fire on a tiny bad example. A rule bends only here,
// by name, with the reason beside it.

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/crypto.h"

namespace {

struct Source {
  std::string path;  // from the root
  std::string text;
};

struct Finding {
  std::string rule;
  std::string path;
  std::size_t line = 0;
  std::string what;
};
using Findings = std::vector<Finding>;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// ---- Reading
// -------------------------------------------------------------------------------------

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  return lines;
}

// The text with comments and the insides of literals replaced by blanks: what is left is code.
std::string code_of(std::string_view text) {
  std::string code(text);
  enum class In { plain, line, block, string, character } in = In::plain;
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    const char next = i + 1 < code.size() ? code[i + 1] : '\0';
    if (in == In::plain) {
      if (c == '/' && next == '/') in = In::line;
      if (c == '/' && next == '*') in = In::block;
      if (c == '"') in = In::string;
      // Not the separator in 1'000.
      if (c == '\'' && (i == 0 || !is_word(code[i - 1]))) in = In::character;
      if (in == In::line || in == In::block) code[i] = ' ';
      continue;
    }
    const bool is_end = (in == In::line && c == '\n') || (in == In::string && c == '"') ||
                        (in == In::character && c == '\'');
    if (is_end) {
      in = In::plain;
      continue;
    }
    if (in == In::block && c == '*' && next == '/') {
      code[i] = code[i + 1] = ' ';
      ++i;
      in = In::plain;
      continue;
    }
    if ((in == In::string || in == In::character) && c == '\\') code[i++] = ' ';
    if (i < code.size() && code[i] != '\n') code[i] = ' ';
  }
  return code;
}

bool is_under(const std::string& path, std::string_view folder) {
  return path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/';
}

bool is_one_of(const std::string& path, const std::vector<std::string>& paths) {
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& entry) {
    return path == entry || is_under(path, entry);
  });
}

std::vector<Source> read_tree() {
  namespace fs = std::filesystem;
  std::vector<Source> sources;
  const fs::path root = PEERNET_SOURCE_DIR;
  for (const char* folder : {"core", "dht", "transfer", "daemon", "cli", "test", "bench"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (!entry.is_regular_file() || (extension != ".h" && extension != ".cpp")) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      sources.push_back({fs::relative(entry.path(), root).generic_string(),
                         {std::istreambuf_iterator<char>(file), {}}});
    }
  }
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.path < b.path; });
  return sources;
}

// ---- Words that only certain rooms may use
// -------------------------------------------------------

struct Ban {
  const char* rule;
  const char* instead;
  // A word stands alone unless a * says that it may go on there.
  std::vector<std::string> words;
  std::vector<std::string> where;   // folders and files
  std::vector<std::string> except;  // likewise
  // A line that breaks it.
  const char* bad_path;
  const char* bad_line;
};

const std::vector<std::string> kAll = {"core", "dht", "transfer", "daemon", "cli", "test", "bench"};
const std::vector<std::string> kEngines = {"core", "dht", "transfer", "daemon/node.h",
                                           "daemon/node.cpp"};
const std::vector<std::string> kOurs = {"core", "dht", "transfer", "daemon", "cli"};

const std::vector<Ban>& bans() {
  static const std::vector<Ban> all = {
      {"clock",
       "the `now` you were given",
       {"system_clock", "steady_clock", "high_resolution_clock", "time(", "uv_now", "uv_hrtime",
        "clock_gettime", "gettimeofday", "localtime*", "sleep_for", "sleep("},
       kAll,
       // session.cpp waits for a daemon that starts, on behalf of a person.
       {"daemon/uv", "bench", "test/e2e", "cli/session.cpp"},
       "transfer/peer.cpp",
       "const auto now = std::chrono::steady_clock::now();"},
      {"chance",
       "Rng",
       {"rand(", "srand(", "random_device", "mt19937*", "randombytes*", "*_distribution",
        "std::shuffle", "getrandom", "crypto_sign_keypair(", "crypto_box_keypair(",
        "crypto_kx_keypair("},
       kAll,
       // The two programs that have a real system around them.
       {"daemon/main.cpp", "bench/dhtnode.cpp"},
       "dht/lookup.cpp",
       "std::shuffle(nodes.begin(), nodes.end(), engine);"},
      {"libuv",
       "an effect",
       {"uv_*"},
       kOurs,
       {"daemon/uv"},
       "daemon/node.cpp",
       "uv_timer_start(&timer, on_timer, 10, 0);"},
      {"I/O",
       "an effect",
       {"fopen(", "ofstream", "ifstream", "fstream", "std::cout", "std::cerr", "std::filesystem",
        "printf(", "fprintf(", "puts(", "fputs(", "::open(", "::read(", "::write(", "::close(",
        "socket(", "std::thread", "std::mutex"},
       {"core", "dht", "transfer", "daemon"},
       // A check that fails says so; the store and the key files are files.
       {"core/check.h", "daemon/database.cpp", "daemon/key_file.cpp", "daemon/uv",
        "daemon/main.cpp"},
       "transfer/importer.cpp",
       "std::ifstream file(path);"},
      {"ownership",
       "a value in a map",
       {"shared_ptr", "make_shared", "weak_ptr", "new", "delete", "virtual"},
       kEngines,
       {"core/bytes.h"},  // placement new, of the allocator that leaves bytes as they are
       "dht/dht.h",
       "std::shared_ptr<Lookup> lookup_;"},
      {"order",
       "std::map, or a sorted vector",
       {"unordered_map", "unordered_set", "unordered_multimap", "unordered_multiset", "std::hash"},
       kEngines,
       {},
       "transfer/swarm.h",
       "std::unordered_map<ConnId, Peer> peers_;"},
      {"raw bytes",
       "Reader and Writer",
       {"reinterpret_cast", "memcpy", "memmove"},
       {"dht", "transfer"},
       {},
       "dht/krpc.cpp",
       "std::memcpy(&port, bytes.data(), 2);"},
      {"secrets",
       "secure_equal of core/bytes.h",
       {"memcmp", "std::equal", "std::ranges::equal"},
       {"core", "dht", "transfer", "daemon"},
       // The typing check of an id, the prefix of an address, the parts of a manifest: all public.
       {"core/identity.cpp", "core/endpoint.cpp", "transfer/metadata.cpp"},
       "dht/tokens.cpp",
       "return std::memcmp(token.data(), expected.data(), 16) == 0;"},
      {"exceptions",
       "Result<T>",
       {"throw"},
       kOurs,
       {},
       "core/bencode.cpp",
       "throw std::runtime_error(what);"},
      {"engine log",
       "debug or trace; the owner of the engine says the rest",
       {"log_.info(", "log_.warn(", "log_.error(", "log_.critical(", "log_->info(", "log_->warn(",
        "log_->error(", "log_->critical("},
       kEngines,
       {},
       "dht/dht.cpp",
       "log_->info(\"joined\");"},
      {"namespaces",
       "names",
       {"using namespace std;"},
       kAll,
       {},
       "cli/main.cpp",
       "using namespace std;"},
  };
  return all;
}

bool stands_at(std::string_view line, std::size_t at, const std::string& word) {
  std::string_view core = word;
  const bool goes_back = core.starts_with('*');
  const bool goes_on = core.ends_with('*');
  if (goes_back) core.remove_prefix(1);
  if (goes_on) core.remove_suffix(1);
  if (line.substr(at, core.size()) != core) return false;
  const std::size_t end = at + core.size();
  const bool begins = goes_back || at == 0 || !is_word(line[at - 1]);
  const bool ends = goes_on || end >= line.size() || !is_word(core.back()) || !is_word(line[end]);
  return begins && ends;
}

bool has_word(std::string_view line, const std::string& word) {
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (stands_at(line, at, word)) return true;
  }
  return false;
}

void check_words(const Source& source, Findings& findings) {
  const std::vector<std::string> lines = lines_of(code_of(source.text));
  for (const Ban& ban : bans()) {
    if (!is_one_of(source.path, ban.where) || is_one_of(source.path, ban.except)) continue;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i].empty() || lines[i].starts_with("#include")) continue;
      // A function that is deleted is not memory that is.
      std::string line = lines[i];
      if (const auto at = line.find("= delete"); at != std::string::npos) line.erase(at, 8);
      // A seed makes a key pair that can be made again.
      if (const auto at = line.find("crypto_sign_seed_keypair("); at != std::string::npos) {
        line.erase(at, 25);
      }
      for (const std::string& word : ban.words) {
        if (has_word(line, word)) {
          findings.push_back({ban.rule, source.path, i + 1, word + ": use " + ban.instead});
        }
      }
    }
  }
}

// ---- Includes
// ------------------------------------------------------------------------------------

// The folder whose rule holds for a file.
std::string room_of(const std::string& path) {
  if (path == "daemon/main.cpp" || is_under(path, "daemon/uv")) return "daemon/uv";
  if (is_under(path, "test/sim")) return "test/sim";
  return path.substr(0, path.find('/'));
}

// What each room may include of ours. `test` and `bench` may include anything.
const std::map<std::string, std::vector<std::string>>& rooms() {
  static const std::map<std::string, std::vector<std::string>> all = {
      {"core", {"core"}},
      {"dht", {"core", "dht"}},
      {"transfer", {"core", "transfer"}},
      {"daemon", {"core", "dht", "transfer", "daemon"}},
      {"daemon/uv", {"core", "dht", "transfer", "daemon"}},
      {"cli",
       {"core/result.h", "core/check.h", "core/bytes.h", "core/escape.h", "core/nearest.h",
        "core/paths.h", "core/roff.h", "cli"}},
      {"test/sim", {"core", "dht", "transfer", "daemon", "test/sim", "test/support"}},
  };
  return all;
}

// Libraries, and the files that may see them. Everything else outside the standard library is the
// system's.
struct Library {
  const char* begins;
  std::vector<std::string> where;
};
const std::vector<Library>& libraries() {
  static const std::vector<Library> all = {
      {"sodium.h", {"core/rng.cpp", "core/crypto.cpp", "core/identity.cpp", "daemon/main.cpp"}},
      {"openssl/", {"core/hash.cpp", "core/aead.cpp"}},
      {"immintrin.h", {"core/sha256_lanes.cpp"}},
      {"sqlite3.h", {"daemon/database.cpp"}},
      {"uv.h", {"daemon/uv"}},
      {"CLI/", {"cli/main.cpp", "daemon/main.cpp"}},
      {"nlohmann/json_fwd.hpp", {"daemon", "cli"}},
      {"nlohmann/",
       {"daemon/rpc.cpp", "daemon/rpc_dht.cpp", "daemon/rpc_methods.cpp", "daemon/rpc_values.cpp",
        "daemon/rpc_events.cpp", "daemon/rpc_discover.cpp", "daemon/rpc_why.cpp",
        "daemon/rpc_metrics.cpp", "daemon/rpc_config.cpp", "daemon/rpc_peers.cpp",
        "daemon/rpc_preview.cpp", "daemon/rpc_read.cpp", "daemon/rpc_verify.cpp",
        "daemon/config_edit.cpp", "daemon/config.cpp", "daemon/json.cpp", "cli"}},
      // Heavy: where something is written, never in a header.
      {"spdlog/", {"dht", "transfer", "daemon"}},
  };
  return all;
}
const std::vector<std::string> kSystemRooms = {"daemon/uv", "daemon/main.cpp",
                                               "daemon/database.cpp", "daemon/key_file.cpp", "cli"};
// Standard headers that an engine has no use for.
const std::set<std::string> kNotInEngines = {
    "iostream", "fstream", "filesystem",         "thread", "mutex", "shared_mutex",
    "atomic",   "random",  "condition_variable", "future", "ctime", "unordered_map"};

struct Include {
  std::string name;
  bool is_ours = false;
  std::size_t line = 0;
};

std::vector<Include> includes_of(const Source& source) {
  std::vector<Include> includes;
  const auto lines = lines_of(source.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].starts_with("#include ")) continue;
    const std::size_t open = lines[i].find_first_of("<\"");
    if (open == std::string::npos) continue;
    const std::size_t close = lines[i].find_first_of(">\"", open + 1);
    if (close == std::string::npos) continue;
    includes.push_back({lines[i].substr(open + 1, close - open - 1), lines[i][open] == '"', i + 1});
  }
  return includes;
}

bool may_include_ours(const std::string& path, const std::string& name) {
  const std::string room = room_of(path);
  const auto found = rooms().find(room);
  if (found == rooms().end()) return true;
  if (is_under(name, "daemon/uv") && room != "daemon/uv") return false;
  return is_one_of(name, found->second);
}

bool may_include_other(const std::string& path, const std::string& name) {
  const std::string room = room_of(path);
  if (room == "test" || room == "bench" || room == "test/sim")
    return name != "uv.h" || room != "test/sim";
  for (const Library& library : libraries()) {
    if (!name.starts_with(library.begins)) continue;
    const bool is_header = path.ends_with(".h");
    if (std::string_view(library.begins) == "spdlog/" && is_header) return false;
    return is_one_of(path, library.where);
  }
  const bool is_standard = name.find_first_of("./") == std::string::npos;
  if (is_standard) return !is_one_of(path, kEngines) || !kNotInEngines.contains(name);
  return is_one_of(path, kSystemRooms);
}

void check_includes(const Source& source, Findings& findings) {
  for (const Include& include : includes_of(source)) {
    const bool is_allowed = include.is_ours ? may_include_ours(source.path, include.name)
                                            : may_include_other(source.path, include.name);
    if (!is_allowed) {
      findings.push_back(
          {"includes", source.path, include.line, include.name + " may not be included here"});
    }
  }
}

void check_cycles(const std::vector<Source>& sources, Findings& findings) {
  std::map<std::string, std::vector<std::string>> graph;
  for (const Source& source : sources) {
    for (const Include& include : includes_of(source)) {
      if (include.is_ours) graph[source.path].push_back(include.name);
    }
  }
  std::set<std::string> done;
  std::vector<std::string> path;
  const std::function<void(const std::string&)> visit = [&](const std::string& file) {
    if (done.contains(file)) return;
    if (std::find(path.begin(), path.end(), file) != path.end()) {
      findings.push_back({"cycles", file, 0, "includes itself by way of " + path.back()});
      return;
    }
    path.push_back(file);
    for (const std::string& next : graph[file]) visit(next);
    path.pop_back();
    done.insert(file);
  };
  for (const Source& source : sources) visit(source.path);
}

// ---- Shape
// ---------------------------------------------------------------------------------------

void check_shape(const Source& source, Findings& findings) {
  if (source.path.ends_with(".h") && !source.text.starts_with("#pragma once\n")) {
    findings.push_back({"shape", source.path, 1, "a header begins with #pragma once"});
  }
  const auto lines = lines_of(source.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    // Written apart, so that this line does not find itself.
    for (const char* word : {"TO"
                             "DO",
                             "FIX"
                             "ME"}) {
      if (has_word(lines[i], word)) {
        findings.push_back({"shape", source.path, i + 1, "an open end without an issue"});
      }
    }
  }
}

Findings check(const std::vector<Source>& sources) {
  Findings findings;
  for (const Source& source : sources) {
    check_words(source, findings);
    check_includes(source, findings);
    check_shape(source, findings);
  }
  check_cycles(sources, findings);
  return findings;
}

bool fires(const Findings& findings, std::string_view rule) {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const Finding& finding) { return finding.rule == rule; });
}

// ---- Tests
// ---------------------------------------------------------------------------------------

TEST_CASE("the tree keeps the house rules", "[tidy]") {
  const std::vector<Source> sources = read_tree();
  REQUIRE(sources.size() > 100);
  std::string report;
  for (const Finding& finding : check(sources)) {
    report += finding.path + ":" + std::to_string(finding.line) + ": [" + finding.rule + "] " +
              finding.what + "\n";
  }
  INFO(report);
  CHECK(report.empty());
}

TEST_CASE("each ban fires on a bad line, and not where it does not hold", "[tidy]") {
  for (const Ban& ban : bans()) {
    CAPTURE(ban.rule);
    const std::string line = std::string(ban.bad_line) + "\n";
    CHECK(fires(check({{ban.bad_path, line}}), ban.rule));
    CHECK_FALSE(fires(check({{ban.bad_path, "// " + line}}), ban.rule));
    CHECK_FALSE(fires(
        check({{ban.bad_path, "const char* text = \"" + std::string(ban.words[0]) + "\";\n"}}),
        ban.rule));
    if (!ban.except.empty()) {
      const std::string& room = ban.except.front();
      const std::string path = room.find('.') == std::string::npos ? room + "/x.cpp" : room;
      CHECK_FALSE(fires(check({{path, line}}), ban.rule));
    }
  }
}

TEST_CASE("every banned word is seen, and its neighbours are not", "[tidy]") {
  for (const Ban& ban : bans()) {
    for (const std::string& word : ban.words) {
      CAPTURE(ban.rule, word);
      std::string line = word;
      for (std::size_t at = line.find('*'); at != std::string::npos; at = line.find('*')) {
        line.replace(at, 1, "xyz");
      }
      CHECK(fires(check({{ban.bad_path, "  " + line + "\n"}}), ban.rule));
      if (is_word(word.front())) {
        CHECK_FALSE(has_word("my_" + line, word));
      }
    }
  }
}

TEST_CASE("a forbidden include is seen in each room", "[tidy]") {
  struct Case {
    const char* path;
    const char* line;
    bool is_allowed;
  };
  const std::vector<Case> cases = {
      {"core/hash.cpp", "#include \"core/hash.h\"", true},
      {"core/hash.cpp", "#include <openssl/sha.h>", true},
      {"core/merkle.cpp", "#include <openssl/sha.h>", false},
      {"core/rng.cpp", "#include <sodium.h>", true},
      {"core/bytes.cpp", "#include <sodium.h>", false},
      {"core/bytes.h", "#include \"dht/dht.h\"", false},
      {"core/log.h", "#include <spdlog/spdlog.h>", false},
      {"core/paths.cpp", "#include <unistd.h>", false},
      {"dht/dht.cpp", "#include \"transfer/link.h\"", false},
      {"dht/dht.cpp", "#include <spdlog/spdlog.h>", true},
      {"dht/dht.h", "#include <spdlog/spdlog.h>", false},
      {"dht/dht.cpp", "#include <sys/socket.h>", false},
      {"transfer/peer.cpp", "#include \"dht/krpc.h\"", false},
      {"transfer/peer.cpp", "#include <thread>", false},
      {"daemon/node.cpp", "#include \"daemon/uv/loop.h\"", false},
      {"daemon/node.cpp", "#include \"dht/dht.h\"", true},
      {"daemon/node.cpp", "#include <nlohmann/json.hpp>", false},
      {"daemon/rpc.cpp", "#include <nlohmann/json.hpp>", true},
      {"daemon/rpc.h", "#include <nlohmann/json.hpp>", false},
      {"daemon/config.cpp", "#include <sqlite3.h>", false},
      {"daemon/rpc.cpp", "#include <unistd.h>", false},
      {"daemon/uv/tcp.cpp", "#include <uv.h>", true},
      {"daemon/main.cpp", "#include \"daemon/uv/loop.h\"", true},
      {"cli/render.cpp", "#include \"core/escape.h\"", true},
      {"cli/render.cpp", "#include \"core/noise.h\"", false},
      {"cli/render.cpp", "#include \"daemon/rpc.h\"", false},
      {"cli/render.cpp", "#include <uv.h>", false},
      {"test/sim/world.h", "#include \"daemon/node.h\"", true},
      {"test/sim/world.h", "#include \"daemon/uv/loop.h\"", false},
      {"test/sim/world.h", "#include <uv.h>", false},
      {"test/daemon/tcp_test.cpp", "#include \"daemon/uv/tcp.h\"", true},
  };
  for (const Case& one : cases) {
    CAPTURE(one.path, one.line);
    CHECK(fires(check({{one.path, std::string(one.line) + "\n"}}), "includes") != one.is_allowed);
  }
}

TEST_CASE("files that include each other in a ring are seen", "[tidy]") {
  const std::vector<Source> ring = {
      {"dht/a.h", "#pragma once\n#include \"dht/b.h\"\n"},
      {"dht/b.h", "#pragma once\n#include \"dht/c.h\"\n"},
      {"dht/c.h", "#pragma once\n#include \"dht/a.h\"\n"},
  };
  CHECK(fires(check(ring), "cycles"));
  CHECK_FALSE(fires(check({ring[0], ring[1], {"dht/c.h", "#pragma once\n"}}), "cycles"));
}

TEST_CASE("a header without its guard and an open end are seen", "[tidy]") {
  CHECK(fires(check({{"core/x.h", "#include <map>\n"}}), "shape"));
  CHECK(fires(check({{"core/x.cpp", std::string("// TO") + "DO: later\n"}}), "shape"));
  CHECK_FALSE(fires(check({{"core/x.h", "#pragma once\n"}}), "shape"));
}

TEST_CASE("comments and literals are not code", "[tidy]") {
  CHECK(code_of("a // b\nc").find('b') == std::string::npos);
  CHECK(code_of("a /* b\n b */ c") == "a     \n      c");
  CHECK(code_of("x(\"y \\\" z\") + 'w' + 1'000") == "x(\"      \") + ' ' + 1'000");
}

// `==` on a secret does not compile: there is nothing to forbid.
static_assert(!std::equality_comparable<peernet::Key>);
static_assert(!std::equality_comparable<peernet::Secret<64>>);

}  // namespace
