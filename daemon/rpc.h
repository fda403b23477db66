#pragma once

// Rpc is the control surface: a line of JSON in, lines of JSON out (JSON-RPC 2.0, one text a line,
// parameters by name). It owns no socket: the shell hands it lines and sends what take_replies()
// gives. It keeps the calls that are answered later (share.add, share.remove, most of dht), the
// subscriptions, and a bounded ring of events with rising numbers. What a client may do and gets is
// described in one table (daemon/rpc_table.h), from which rpc.discover and README.md are made.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/effects.h"
#include "core/paths.h"
#include "core/time.h"
#include "daemon/json.h"
#include "daemon/node.h"
#include "daemon/rpc_client.h"
#include "daemon/rpc_dht.h"
#include "daemon/rpc_hooks.h"
#include "daemon/rpc_table.h"

namespace peernet::daemon {

// The socket's limits (clients, lines, requests a second, unsent replies, idleness) are kept by
// daemon/uv/control.h, which makes a client wait; these are kept here.
inline constexpr std::size_t kRpcDepthMax = 32;
inline constexpr std::size_t kRpcIdSizeMax = 128;  // bytes of a request's id, as JSON
inline constexpr std::size_t kRpcBatchMax = 16;    // requests of a batch, which is one line
inline constexpr std::size_t kEventRingMax = 1000;
inline constexpr std::size_t kTimedLimitsMax = 1000;

inline constexpr Duration kProgressInterval = std::chrono::milliseconds(500);
inline constexpr Duration kImportProgressInterval = std::chrono::milliseconds(100);

struct RpcContext {
  std::string version;
  Paths paths;              // `downloads` is the effective one: the config's, if it names one
  std::string config_json;  // config_to_json of the effective config
  RpcHooks hooks{};         // what the program around it does; may all be missing
};

class Rpc {
 public:
  explicit Rpc(RpcContext context);
  ~Rpc();
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;

  // The config was read anew: what is effective from now on, and where fetch puts things.
  void on_config(std::string config_json, std::string downloads);

  // Inputs. The first is on_wall_clock, given again whenever Node is given it.
  void on_wall_clock(Time now, WallTime wall);
  // One line without its newline. Never throws; every request is answered once, now or later.
  void on_line(Time now, ClientId client, std::string_view line, Node& node, Effects& out);
  // Imports that this client waits for are cancelled.
  void on_client_gone(Time now, ClientId client, Node& node, Effects& out);
  // Each event of Node, in order.
  void on_event(Time now, const transfer::Event& event, const Node& node);
  void on_dht_event(Time now, const dht::Event& event);
  void on_time(Time now, Node& node, Effects& out);

  // What is to be sent, oldest first: a line without its newline. After one with `is_closing` the
  // shell closes the connection (once it is sent) and calls on_client_gone.
  struct Reply {
    ClientId client{};
    std::string line;
    bool is_closing = false;
    Bytes payload{};  // to be sent after the line and its newline
  };
  std::vector<Reply> take_replies();

  // Queries.
  Time deadline() const;  // kNever when nothing is followed and nothing waits
  bool is_shutdown_wanted() const { return is_shutdown_wanted_; }
  // Subscribed, or a call is pending: then silence is no reason to close.
  bool is_idle_allowed(ClientId client) const;

 private:
  struct Subscription {
    std::uint32_t kinds = 0;  // bits by EventKind
  };
  struct Client {
    std::optional<Subscription> subscription;
    std::size_t pending_count = 0;
    bool is_closing = false;
  };
  using Pending = PendingCall;
  struct PendingImport : Pending {
    std::string path;
    Time started{};
    Time told{};  // when its progress was last sent to subscribers
  };
  struct PendingRead : Pending {
    ShareId share;
    std::uint64_t offset = 0;
  };
  struct PendingVerify : Pending {
    Time started{};
    Time told{};  // when its progress was last sent to subscribers
  };
  struct PendingPreview : Pending {
    ShareId share;
    bool is_known = false;
    bool is_answered = false;  // kept until the client goes, with the list
  };
  struct KeptEvent {
    std::uint64_t seq = 0;
    EventKind kind{};
    std::string text;  // its JSON
  };
  // What a progress event last said of a share: told again only when something differs.
  struct Told {
    std::vector<std::uint64_t> numbers;
    std::string reason;
    bool operator==(const Told&) const = default;
  };
  struct Call {
    Time now{};
    ClientId client{};
    std::optional<std::string> id;
    std::uint64_t batch = 0;
    const Json& params;
    Node& node;
    Effects& out;
    PendingCall pending() const { return {client, id, batch}; }
  };
  // One line of several requests: answered by one line when all of them are.
  struct Batch {
    ClientId client{};
    std::size_t open_count = 0;  // requests that are not done
    std::string answers;         // with commas between them
  };
  // nullopt: the call is pending and answered later.
  using Answer = std::optional<Result<Json>>;

  void handle(Time now, ClientId client, std::string_view line, Node& node, Effects& out);
  void handle_batch(Time now, ClientId client, Json& requests, Node& node, Effects& out);
  void handle_one(Time now, ClientId client, std::uint64_t batch, Json& json, Node& node,
                  Effects& out);
  Answer dispatch(Call& call, MethodName method);
  Answer daemon_status(Call& call);
  Answer daemon_config(Call& call) const;
  Answer share_add(Call& call);
  Answer share_fetch(Call& call) const;
  Answer share_list(Call& call);
  Answer share_status(Call& call);
  Answer status_of(Call& call, const ShareId& id);
  Answer share_files(Call& call);
  Answer share_pause(Call& call);
  Answer share_resume(Call& call);
  Answer share_accept(Call& call);
  Answer share_remove(Call& call);
  Answer share_link(Call& call);
  Answer share_preview(Call& call);
  Answer share_read(Call& call);
  Answer share_verify(Call& call);
  Answer transfer_why(Call& call);
  Answer config_check(Call& call) const;
  Answer config_edit(Call& call) const;
  Answer config_reload(Call& call);
  Answer network_new(Call& call) const;
  Answer limit_show(Call& call);
  Answer limit_set(Call& call);
  Answer limits_of(Call& call, std::optional<ShareId> id);
  Answer metrics_get(Call& call);
  Answer node_doctor(Call& call);
  Answer peer_list(Call& call);
  Answer peer_connect(Call& call);
  Answer peer_drop(Call& call);
  Answer peer_ban(Call& call);
  Answer peer_unban(Call& call);
  Answer peer_bans(Call& call);
  Json ban_json(const transfer::Bans::Banned& ban) const;
  Answer dht_status(Call& call);
  Answer dht_stats(Call& call);
  using DhtCommand = Result<void> (DhtCalls::*)(const DhtCalls::Place& place, PendingCall call,
                                                const Json& params);
  Answer dht_call(Call& call, DhtCommand command);
  Answer identity_show(Call& call);
  Answer events_subscribe(Call& call);
  Answer events_unsubscribe(Call& call);

  void answer(const PendingCall& call, const Result<Json>& result);
  void answer_error(const PendingCall& call, int code, const std::string& message,
                    const std::string& hint, bool is_closing = false);
  void deliver(const PendingCall& call, std::string line, bool is_closing);
  void answer_pending(const Pending& pending, const Result<Json>& result);
  void reply(ClientId client, std::string line, bool is_closing);

  void on_import_progress(Time now, const transfer::ImportProgress& event);
  void on_imported(Time now, const transfer::Imported& event, const Node& node);
  void on_import_failed(Time now, const transfer::ImportFailed& event);
  void on_verify_progress(Time now, const transfer::VerifyProgress& event);
  void on_preview(Time now, const ShareId& id, const Node& node, const std::optional<Error>& error);
  void on_verified(Time now, const transfer::Verified& event);
  void on_file_read(const transfer::FileRead& event);
  void on_removed(Time now, const transfer::Removed& event);
  void on_probed(const transfer::Probed& event);
  void on_state_changed(Time now, const transfer::StateChanged& event, const Node& node);
  // To subscribers; `is_kept` puts it into the ring under the next number.
  void publish(Time now, EventKind kind, Json params, bool is_kept);
  bool is_followed(EventKind kind) const;
  void tell_progress(Time now, const Node& node);
  static void apply_limits(Time now, const std::optional<ShareId>& id,
                           const transfer::Limits& limits, bool is_kept, Node& node, Effects& out);
  void end_timed_limits(Time now, Node& node, Effects& out);
  WallTime wall_at(Time time) const;

  RpcContext context_;
  struct TimedLimit {
    std::optional<ShareId> share;  // nullopt: the node
    Time until{};
    transfer::Limits before;
  };
  std::vector<TimedLimit> timed_limits_;  // at most kTimedLimitsMax
  Time wall_set_{};
  WallTime wall_;

  std::map<ClientId, Client> clients_;
  std::map<std::uint64_t, Batch> batches_;  // those with calls that are not answered yet
  std::uint64_t batches_count_ = 0;
  std::map<transfer::ImportId, PendingImport> imports_;
  std::multimap<ShareId, Pending> removals_;
  std::map<std::uint64_t, Pending> probes_;
  std::vector<PendingPreview> previews_;  // at most one for each client
  std::map<ShareId, PendingVerify> verifications_;
  std::map<transfer::ReadId, PendingRead> reads_;  // at most one for each client
  DhtCalls dht_calls_;
  std::deque<KeptEvent> ring_;  // at most kEventRingMax
  std::uint64_t seq_ = 0;       // of the newest kept event
  std::map<ShareId, Told> told_;
  Time progress_at_ = kNever;
  std::vector<Reply> replies_;
  std::uint64_t answered_count_ = 0;
  std::uint64_t refused_count_ = 0;  // with an error of any kind
  bool is_shutdown_wanted_ = false;
};

}  // namespace peernet::daemon
