#pragma once

// One function for each command: parse what is left to parse, ask the daemon, print. Each gives the
// exit code of DESIGN.md 7. Those that ask once are in commands.cpp, the others in files of their
// own, of the command's name.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/exit_codes.h"
#include "cli/selection.h"
#include "cli/session.h"

namespace peernet::cli {

struct AddOptions {
  std::vector<std::string> paths;           // one share each
  std::optional<std::string> piece_length;  // "1MiB", or bytes
  bool allow_unportable = false;
  std::vector<std::string> exclude;  // globs
  bool is_stdin = false;             // instead of paths
  std::optional<std::string> name;   // of what comes on standard input
};
int add(Session& session, const AddOptions& options);

// Standard input as a file of that name in the downloads directory; gives its path.
Outcome<std::string> keep_stdin(Session& session, const std::string& name);

struct FetchOptions {
  std::string link;
  std::optional<std::string> directory{};
  std::optional<std::string> timeout{};  // "10m"
  std::optional<std::string> stall{};    // likewise, in which nothing comes
  bool is_detached = false;
  bool is_preview = false;
  bool is_sequential = false;
  std::vector<std::string> only{};  // globs
  std::vector<std::string> skip{};
  bool allow_unportable = false;
};
int fetch(Session& session, const FetchOptions& options);
// fetch -n: what the link names, without fetching it.
int preview(Session& session, const FetchOptions& options);

// Hashes all of a share that is here. kExitCorrupt when something is damaged and not repaired.
int verify(Session& session, const std::string& id, bool is_repair);
// Until the share is whole again: the rest of `verify --repair`.
int follow_repair(Session& session, Client& client, const Interrupt& interrupt,
                  const std::string& id);

struct CatOptions {
  std::string what;                    // ID|LINK[/PATH]
  std::optional<std::string> range;    // "A-B", both included; "A-"
  std::optional<std::string> timeout;  // "10m"
  std::optional<std::string> stall;    // likewise, without a byte
};
int cat(Session& session, const CatOptions& options);

struct StatusOptions {
  std::optional<std::string> id;
  bool is_watched = false;
  Selection selection;
};
int status(Session& session, const StatusOptions& options);

int why(Session& session, const std::string& id);
int list(Session& session, const std::optional<std::string>& id, const Selection& selection);

struct PeersOptions {
  std::optional<std::string> id;  // of a share
  Selection selection;
  // One of these at most; without any the peers are listed.
  std::optional<std::string> connect;  // HOST:PORT, or a link that names a peer
  std::optional<std::string> drop;     // a peer id
  std::optional<std::string> ban;
  std::optional<std::string> unban;
  bool are_banned = false;
  std::optional<std::string> duration;  // of a ban
};
int peers(Session& session, const PeersOptions& options);

// A list as the answer: what the selection leaves of it, under `name` or as a table.
using RenderList = std::function<std::string(const std::vector<Json>&, const Look&)>;
int answer_list(Screen& screen, const Selection& selection, const std::string& name,
                std::vector<Json> rows, const RenderList& render);

int remove(Session& session, const std::string& id, bool is_data_deleted);
int pause(Session& session, const std::string& id);
int resume(Session& session, const std::string& id);
int accept(Session& session, const std::string& id);
int identity(Session& session);
int link(Session& session, const std::string& id);
int config_path(Session& session);
int config_show(Session& session);
// Without a method: the list of methods.
int rpc(Session& session, const std::optional<std::string>& method,
        const std::optional<std::string>& params);
int shutdown(Session& session);
int version(Session& session);

struct DhtOptions {
  std::string key;       // of lookup and announce; of get a target or a public key
  std::string port;      // of announce
  std::string endpoint;  // of ping
  std::string value;     // of put
  bool is_traced = false;
  bool is_hex = false;                  // of put: the value is bencoded, as hex digits
  std::optional<std::string> key_file;  // of put
  std::optional<std::string> salt;
  std::optional<std::string> seq;
  std::optional<std::string> cas;
};
int dht(Session& session);
int dht_lookup(Session& session, const DhtOptions& options);
int dht_announce(Session& session, const DhtOptions& options);
int dht_ping(Session& session, const DhtOptions& options);
int dht_put(Session& session, const DhtOptions& options);
int dht_get(Session& session, const DhtOptions& options);

// An absolute path for the daemon, which has another working directory. The last part is kept as it
// is (it may be a symlink, which is for the daemon to judge).
Outcome<std::string> absolute_path(const std::string& path);

}  // namespace peernet::cli
