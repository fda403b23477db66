// peernetd: reads its config, locks its state, loads, runs, saves.

#include <sodium.h>
#include <spdlog/spdlog.h>

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/crypto.h"
#include "core/escape.h"
#include "core/paths.h"
#include "daemon/config.h"
#include "daemon/config_edit.h"
#include "daemon/key_file.h"
#include "daemon/man.h"
#include "daemon/node.h"
#include "daemon/rpc.h"
#include "daemon/rpc_table.h"
#include "daemon/rpc_values.h"
#include "daemon/store.h"
#include "daemon/uv/doctor.h"
#include "daemon/uv/journal.h"
#include "daemon/uv/loop.h"
#include "daemon/uv/process.h"

namespace peernet::daemon {
namespace {

constexpr int kExitUsage = 2;
// Descriptors beside those of peers: strangers in their handshake, closed connections that flush,
// control clients, open files, and what libraries hold.
std::uint64_t other_descriptors(const DaemonConfig& config) {
  return config.half_open + kLingeringMax + config.control_clients + kOpenFilesMax + 64;
}
constexpr std::uint32_t kConnectionsMin = 8;

struct Arguments {
  std::optional<std::string> home;
  std::optional<std::string> config;
  bool is_system = false;
  bool is_detached = false;
  bool are_paths_printed = false;
  std::optional<std::string> man_page;
  std::vector<std::string> edit;  // a key and its value
};

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

std::string error_text(const Error& error) {
  std::string text = "peernetd: " + escape(Untrusted{error.what}) + "\n";
  if (!error.hint.empty()) text += "hint: " + escape(Untrusted{error.hint}) + "\n";
  return text;
}

void print_paths(const Paths& paths) {
  std::printf("config %s\nstate %s\nidentity %s\ndatabase %s\nleaves %s\nsocket %s\ndownloads %s\n",
              paths.config.c_str(), paths.state.c_str(), paths.identity.c_str(),
              paths.database.c_str(), paths.leaves.c_str(), paths.socket.c_str(),
              paths.downloads.c_str());
}

// A missing file is an empty config, unless it was named.
Result<DaemonConfig> load_config(const Paths& paths, bool is_named) {
  auto text = read_text_file(paths.config, kConfigSizeMax);
  if (!text && (is_named || text.error().code != Errc::not_found)) return text.error();
  auto config = parse_config(text ? *text : "");
  if (config) return config;
  Error error = config.error();
  error.what = paths.config + ": " + error.what;
  return error;
}

// The place where fetched shares go is the user's, not ours alone.
Result<void> make_downloads(const std::string& path, mode_t user_umask) {
  if (mkdir(path.c_str(), S_IRWXU) != 0) {
    if (errno == EEXIST) return {};
    return system_error(errno, "cannot make the directory " + path);
  }
  if (chmod(path.c_str(), (S_IRWXU | S_IRWXG | S_IRWXO) & ~user_umask) != 0) {
    return system_error(errno, "cannot set the mode of " + path);
  }
  return {};
}

Rng make_rng() {
  Rng::Seed seed{};
  randombytes_buf(seed.data(), seed.size());
  Rng rng(seed);
  wipe(seed);
  return rng;
}

// nullopt: the public network.
Result<std::optional<Key>> load_network_key(const DaemonConfig& config) {
  if (!config.network_key_file) return std::optional<Key>();
  auto key = load_key(*config.network_key_file);
  if (key) return std::optional<Key>(*key);
  Error error = key.error();
  error.what = "network.key_file: " + error.what;
  if (error.hint.empty()) {
    error.hint = "put the network's key there, or set network.key_file to null";
  }
  return error;
}

NodeConfig node_config(const DaemonConfig& config, const std::optional<Key>& network_key,
                       std::uint16_t port, Log& log) {
  NodeConfig result;
  result.is_dht_enabled = config.dht;
  result.dht.bootstrap = config.bootstrap;
  const auto is_v6 = [](const Endpoint& endpoint) { return endpoint.is_v6; };
  result.dht.has_v6 = std::any_of(config.listen.begin(), config.listen.end(), is_v6);
  result.dht.has_v4 = !std::all_of(config.listen.begin(), config.listen.end(), is_v6);
  result.dht.special_use_is_global = config.special_use_is_global;
  result.dht.store = config.dht_store;
  transfer::Config& transfer = result.transfer;
  transfer.name = config.name;
  transfer.listen_port = port;
  transfer.special_use_is_global = config.special_use_is_global;
  transfer.upload_slots = config.upload_slots;
  transfer.limits = {config.limit_up, config.limit_down};
  transfer.peer_limits = config.peer_limits;
  transfer.memory_max = config.memory;
  transfer.hooks = {!config.hooks.scan.empty(), !config.hooks.completed.empty()};
  transfer.has_lan = config.lan;
  transfer.has_pex = config.pex;
  transfer.network_key = network_key;
  result.dht.network_key = network_key;
  transfer.connections_max = config.connections;
  transfer.half_open_max = config.half_open;
  transfer.dials_per_second = config.dials;
  transfer.handshakes_per_second = config.handshakes;
  transfer.manifest = {config.manifest_size, config.manifest_entries};
  const std::uint64_t descriptors = descriptors_max();
  const std::uint64_t others = other_descriptors(config);
  if (descriptors < others + config.connections) {
    const std::uint64_t left = descriptors > others ? descriptors - others : 0;
    transfer.connections_max = std::max(kConnectionsMin, static_cast<std::uint32_t>(left));
    log.warn("only {} file descriptors are allowed: at most {} connections instead of {}",
             descriptors, transfer.connections_max, config.connections);
  }
  return result;
}

bool is_same(const std::optional<Key>& a, const std::optional<Key>& b) {
  if (!a || !b) return !a && !b;
  return secure_equal(a->view(), b->view());
}

class Daemon {
 public:
  Daemon(Arguments arguments, Paths paths, Fd control, mode_t user_umask)
      : arguments_(std::move(arguments)),
        paths_(std::move(paths)),
        control_(std::move(control)),
        user_umask_(user_umask) {}

  Result<void> start(Background& background);
  int run(Background& background);

 private:
  Result<void> open_state();
  void tell_ready(Background& background);
  Result<ConfigChange> reload(Time now, Effects& out);
  Result<std::string> make_network(const std::string& path);

  Arguments arguments_;
  Paths paths_;
  Fd control_;  // the socket, where the service manager handed it over, until the loop has it
  mode_t user_umask_;
  std::string downloads_by_default_;
  DaemonConfig config_;  // what counts now
  Fd lock_;
  std::unique_ptr<Journal> journal_;
  std::optional<Rng> rng_;
  std::optional<Identity> identity_;
  std::optional<Key> network_key_;
  std::optional<Store> store_;
  Saved saved_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Rpc> rpc_;
  std::uint16_t port_ = 0;
};

Result<void> Daemon::start(Background& background) {
  auto config = load_config(paths_, arguments_.config.has_value());
  if (!config) return config.error();
  config_ = *std::move(config);
  downloads_by_default_ = paths_.downloads;
  if (config_.downloads) paths_.downloads = *config_.downloads;

  auto network_key = load_network_key(config_);
  if (!network_key) return network_key.error();
  network_key_ = *std::move(network_key);
  auto opened = open_state();
  if (!opened) return opened;
  const std::string log_file =
      config_.log_file.value_or(background.is_detached() ? paths_.state + "/peernetd.log" : "");
  journal_ =
      std::make_unique<Journal>(config_.log_levels, config_.log_format, log_file, config_.log_size);
  auto made = make_downloads(paths_.downloads, user_umask_);
  if (!made) journal_->log().warn("{}", escape(Untrusted{made.error().what}));

  loop_ = std::make_unique<Loop>(StoragePlace{paths_.leaves, user_umask_},
                                 ControlLimits{config_.control_clients, config_.control_requests},
                                 journal_->log());
  loop_->use_hooks(config_.hooks);
  auto port = loop_->listen(config_.listen, config_.listen_is_default);
  if (!port) {
    Error error = port.error();
    if (error.code == Errc::exists) error.hint += " (" + paths_.config + ")";
    return error;
  }
  port_ = *port;
  if (config_.lan) loop_->join_multicast();
  node_ = std::make_unique<Node>(node_config(config_, network_key_, port_, journal_->log()),
                                 *identity_, rng_->fork(), journal_->log());
  if (control_) {
    auto path = loop_->adopt_control(std::move(control_));
    if (!path) return path.error();
    paths_.socket = *std::move(path);
  } else if (auto control = loop_->listen_control(paths_.socket); !control) {
    return control;
  }
  RpcHooks hooks;
  hooks.reload = [this](Time now, Effects& out) { return reload(now, out); };
  hooks.make_network = [this](const std::string& path) { return make_network(path); };
  hooks.process = [this] {
    ProcessFacts facts = process_facts();
    facts.loop_lag_p99 = loop_->lag_p99();
    facts.control_rejects = loop_->control_rejects();
    return facts;
  };
  hooks.doctor = [this] {
    return examine(paths_, loop_->listeners(), other_descriptors(config_) + config_.connections);
  };
  rpc_ = std::make_unique<Rpc>(
      RpcContext{PEERNET_VERSION, paths_, config_to_json(config_), std::move(hooks)});
  return {};
}

Result<void> Daemon::open_state() {
  auto made = make_private_directory(paths_.state);
  if (!made) return made;
  auto lock = lock_state(paths_.state + "/lock");
  if (!lock) return lock.error();
  lock_ = *std::move(lock);
  made = make_private_directory(paths_.leaves);
  if (!made) return made;
  rng_ = make_rng();
  auto identity = load_or_make_identity(paths_.identity, *rng_);
  if (!identity) return identity.error();
  identity_ = *std::move(identity);
  auto store = Store::open(paths_.database);
  if (!store) return store.error();
  store_ = *std::move(store);
  auto saved = store_->load();
  if (!saved) return saved.error();
  saved_ = *std::move(saved);
  return {};
}

void Daemon::tell_ready(Background& background) {
  const std::string line = "peernetd ready: node " + to_short_text(identity_->id()) +
                           ", TCP and UDP port " + std::to_string(port_) + ", control " +
                           escape(Untrusted{paths_.socket});
  if (background.is_detached()) {
    journal_->log().info("{}", line);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  notify_service_manager("READY=1");
  background.tell_ready();
}

// By SIGHUP or by RPC. Says in the log, and to whoever asked, what was taken over and what needs a
// restart; transfers go on.
Result<ConfigChange> Daemon::reload(Time now, Effects& out) {
  const auto fresh = load_config(paths_, arguments_.config.has_value());
  if (!fresh) {
    journal_->log().error("the config was not reloaded: {}", escape(Untrusted{fresh.error().what}));
    return fresh.error();
  }
  const auto network_key = load_network_key(*fresh);
  if (!network_key) {
    journal_->log().error("the config was not reloaded: {}",
                          escape(Untrusted{network_key.error().what}));
    return network_key.error();
  }
  std::vector<std::string> changed = changed_keys(config_, *fresh);
  // The same file may hold another key by now.
  const std::string key_file = "network.key_file";
  if (!is_same(network_key_, *network_key) &&
      std::ranges::find(changed, key_file) == changed.end()) {
    changed.push_back(key_file);
  }
  ConfigChange change;
  std::string taken;
  std::string waiting;
  for (const std::string& key : changed) {
    const bool is_late = needs_restart(key);
    (is_late ? change.need_restart : change.taken_over).push_back(key);
    std::string& list = is_late ? waiting : taken;
    list += (list.empty() ? "" : ", ") + key;
  }
  take_over(config_, *fresh);
  journal_->set_levels(config_.log_levels);
  if (config_.downloads) {
    paths_.downloads = *config_.downloads;
    auto made = make_downloads(paths_.downloads, user_umask_);
    if (!made) journal_->log().warn("{}", escape(Untrusted{made.error().what}));
  } else {
    paths_.downloads = downloads_by_default_;
  }
  const auto touches = [&change](std::initializer_list<std::string_view> keys) {
    return std::ranges::any_of(change.taken_over, [keys](const std::string& key) {
      return std::ranges::find(keys, key) != keys.end();
    });
  };
  if (touches({"limits.up", "limits.down"})) {
    node_->set_limits(now, {config_.limit_up, config_.limit_down}, out);
  }
  if (touches({"limits.peer_up", "limits.peer_down", "limits.lan"})) {
    node_->set_peer_limits(now, config_.peer_limits, out);
  }
  rpc_->on_config(config_to_json(config_), paths_.downloads);
  journal_->log().info("config reloaded{}{}", taken.empty() ? "" : ", now in force: ", taken);
  if (!waiting.empty()) journal_->log().warn("these need a restart: {}", waiting);
  return change;
}

Result<std::string> Daemon::make_network(const std::string& path) {
  Key key;
  rng_->fill(key.mutable_view());
  auto made = make_key_file(path, key);
  if (!made) return made.error();
  return transfer::network_name(key);
}

int Daemon::run(Background& background) {
  Loop::Parts parts;
  parts.node = node_.get();
  parts.rpc = rpc_.get();
  parts.store = &*store_;
  parts.on_ready = [&] { tell_ready(background); };
  parts.on_reload = [this](Time now, Effects& out) { static_cast<void>(reload(now, out)); };
  parts.on_event = [this](Time now, const transfer::Event& event) {
    journal_->tell(now, event, *node_);
  };
  if (const auto interval = watchdog_interval()) {
    parts.alive_interval = *interval;
    parts.on_alive = [] { notify_service_manager("WATCHDOG=1"); };
  }
  const Loop::Ending ending = loop_->run(std::move(parts), std::exchange(saved_, {}));
  notify_service_manager("STOPPING=1");
  if (ending == Loop::Ending::clean) return 0;
  journal_->log().flush();
  _exit(ending == Loop::Ending::disk_hangs ? 1 : 0);
}

void declare(CLI::App& app, Arguments& arguments) {
  app.set_version_flag("--version", std::string("peernetd ") + PEERNET_VERSION);
  CLI::Option* const home = app.add_option("--home", arguments.home,
                                           "One directory for config, state, socket and downloads")
                                ->type_name("DIR");
  app.add_flag("--system", arguments.is_system,
               "Be the node of the machine: /etc/peernet, /var/lib/peernet, /run/peernet")
      ->excludes(home);
  app.add_option("--config", arguments.config, "The config file")->type_name("FILE");
  app.add_flag("--detach", arguments.is_detached, "Go to the background once it is ready");
  app.add_flag("--print-paths", arguments.are_paths_printed, "Print where things are, and end");
  app.add_option("--man-page", arguments.man_page)->group("");  // for the build
  // For `peernet config set` while no daemon runs: the file comes on standard input.
  // A value in [] is one value.
  app.add_option("--edit-config", arguments.edit)->expected(2)->allow_extra_args(false)->group("");
}

// Of the text on standard input.
std::string edited_config(const std::string& key, const std::string& value) {
  std::string text;
  std::array<char, 65'536> part{};
  while (text.size() <= kConfigSizeMax) {
    const std::size_t size = std::fread(part.data(), 1, part.size(), stdin);
    if (size == 0) break;
    text.append(part.data(), size);
  }
  return config_edit_line(text, key, value);
}

// A page of the manual, or nothing if there is none of that name.
std::string man_page(const CLI::App& app, const std::string& name) {
  if (name == "peernetd") {
    OptionRows options;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_group().empty()) continue;  // hidden
      const bool takes_value = option->get_items_expected_max() > 0;
      options.emplace_back(
          option->get_name(false, true) + (takes_value ? " " + option->get_type_name() : ""),
          option->get_description());
    }
    return daemon_man_page(PEERNET_VERSION, options);
  }
  if (name == "peernet-config") return config_man_page(PEERNET_VERSION);
  if (name == "peernet-rpc") return rpc_man_page(PEERNET_VERSION);
  return {};
}

std::optional<Arguments> parse_arguments(int argc, char** argv, int& exit_code) {
  Arguments arguments;
  CLI::App app("The PeerNet daemon: shares and fetches files, driven by the peernet command.");
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      exit_code = app.exit(error);  // --help and --version
    } else {
      exit_code = kExitUsage;
      std::fputs(error_text({Errc::malformed, error.what(), "peernetd --help"}).c_str(), stderr);
    }
    return std::nullopt;
  }
  if (arguments.man_page) {
    std::fputs(man_page(app, *arguments.man_page).c_str(), stdout);
    return std::nullopt;
  }
  if (!arguments.edit.empty()) {
    std::puts(edited_config(arguments.edit.front(), arguments.edit.back()).c_str());
    return std::nullopt;
  }
  return arguments;
}

int fail(Background& background, const Error& error) {
  const std::string text = error_text(error);
  const int code = error.code == Errc::malformed ? kExitUsage : exit_code(error.code);
  if (background.is_detached()) {
    background.tell_failed(code, text);
  } else {
    std::fputs(text.c_str(), stderr);
  }
  return code;
}

int run(int argc, char** argv) {
  int code = 0;
  auto arguments = parse_arguments(argc, argv, code);
  if (!arguments) return code;
  const mode_t user_umask = harden_process();
  Background background;
  auto control = passed_socket();
  if (!control) return fail(background, control.error());
  auto paths = arguments->is_system ? Result<Paths>(system_paths())
                                    : find_paths(arguments->home, environment);
  if (!paths) return fail(background, paths.error());
  if (arguments->config) paths->config = *arguments->config;
  if (arguments->are_paths_printed) {
    print_paths(*paths);
    return 0;
  }
  set_pool_size();
  keep_free_memory();
  if (arguments->is_detached) {
    auto started = Background::start();
    if (!started) return fail(background, started.error());
    background = *std::move(started);
  }
  crypto_start();
  Daemon daemon(*std::move(arguments), *std::move(paths), *std::move(control), user_umask);
  auto started = daemon.start(background);
  if (!started) return fail(background, started.error());
  return daemon.run(background);
}

}  // namespace
}  // namespace peernet::daemon

int main(int argc, char** argv) {
  try {
    return peernet::daemon::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peernetd: %s\n", error.what());
    return 1;
  }
}
