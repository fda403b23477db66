#pragma once

// World is everything there is: time, the network, the hosts, the oracle, and one log. It is the
// second shell of the house (the first is daemon/uv): it gives a node one input at a time, carries
// out the effects by planning happenings, and asks the oracle. Nothing in it depends on anything
// but the seed and what the scenario asks for.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/rng.h"
#include "test/sim/content.h"
#include "test/sim/digest.h"
#include "test/sim/host.h"
#include "test/sim/log_ring.h"
#include "test/sim/network.h"
#include "test/sim/oracle.h"
#include "test/sim/timeline.h"

namespace peernet::sim {

struct Settings {
  std::uint64_t seed = 0;
  bool is_logging = false;  // keep the last lines; costs time
  bool is_loud = false;     // print them all
  bool has_digest = true;   // of all effects; costs a tenth of the time
};

class World : private Receiver {
 public:
  explicit World(const Settings& settings);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- Hosts. A host that was added does not run yet.
  HostIndex add_host(HostOptions options);
  void start(HostIndex host);
  void stop(HostIndex host);       // as SIGTERM does: says goodbye, saves, is gone within 5 s
  void kill(HostIndex host);       // as kill -9 does: the machine goes on
  void cut_power(HostIndex host);  // silence, and what was not synced may be gone
  Host& host(HostIndex index) { return *hosts_[index]; }
  std::size_t hosts_count() const { return hosts_.size(); }
  // A name that Resolve finds.
  void name(const std::string& name, HostIndex host) { names_[name] = host; }

  // ---- Shares. A content lives as long as the world.
  const Content& keep(Content content);
  // Writes the content to the host's disk and adds it. share_id() knows it once it was hashed.
  void add(HostIndex host, const Content& content);
  std::optional<ShareId> share_id(const Content& content) const;
  // Fetches by the bare link: no peer is named. `hints` name some.
  void fetch(HostIndex host, const Content& content, const std::vector<HostIndex>& hints = {},
             const std::optional<Selection>& selection = {});
  void remove(HostIndex host, const Content& content, bool is_data_deleted);
  void pause(HostIndex host, const Content& content, bool is_paused);
  void limit(HostIndex host, const Content& content, const transfer::Limits& limits);
  void limit_peers(HostIndex host, const transfer::PeerLimits& limits);
  // Reads the first file from there on, at most `size` bytes; the host says when it is answered.
  void read(HostIndex host, const Content& content, std::uint64_t offset, std::uint32_t size);
  void verify(HostIndex host, const Content& content, bool is_repair);
  bool is_complete(HostIndex host, const Content& content);
  // Share of the bytes verified; 0 when nothing is known.
  double done(HostIndex host, const Content& content);

  // ---- Time. All return false at once when the oracle has found a fault.
  bool run_for(Duration duration);
  // False too when `limit` has passed and it is still not so.
  bool run_until(const std::function<bool()>& is_so, Duration limit);
  Duration elapsed() const { return timeline.now() - kWorldStart; }

  void fail(const std::string& what) { oracle.fail(what); }
  bool has_failed() const { return oracle.failure().has_value(); }
  std::uint64_t digest() const { return digest_.value(); }
  std::uint64_t inputs_count() const { return inputs_count_; }
  void note(const std::string& line) { ring_->add(line); }  // into the log
  void print_log() const { ring_->print(stderr); }

  Timeline timeline;
  Rng rng;
  Network network;
  Oracle oracle;

 private:
  // Receiver.
  void datagram(HostIndex host, const Endpoint& from, BytesView bytes) override;
  std::optional<ConnId> accepted(HostIndex host, const Endpoint& from) override;
  void registered(HostIndex host) override;
  void connected(HostIndex host, ConnId conn) override;
  void received(HostIndex host, ConnId conn, BytesView bytes) override;
  void sent(HostIndex host, ConnId conn, std::size_t bytes_unsent) override;
  void closed(HostIndex host, ConnId conn, const Error& why) override;

  Host* turn(HostIndex host);  // null: the process does not run
  Host* commanded(HostIndex host);
  void settle(Host& host, bool was_on_time = false);
  void carry_out(Host& host, Effect& effect);
  void carry_out_disk(Host& host, Effect& effect);
  void digest(const Host& host, const Effect& effect);
  void take_events(Host& host);
  void plan_wake(Host& host);
  void wake(HostIndex host);
  void wall_clock(HostIndex host, std::uint64_t incarnation);
  void resolve(Host& host, const Resolve& job);
  void run_hook(Host& host, const RunHook& job);
  void end_process(Host& host, Down how);
  WallTime wall(const Host& host) const;
  Endpoint draw_address();
  bool step();

  std::shared_ptr<LogRing> ring_;
  std::unique_ptr<Log> log_;
  bool has_digest_;
  Digest digest_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::map<std::string, HostIndex> names_;
  std::map<std::string, std::unique_ptr<Content>> contents_;
  std::map<std::string, ShareId> share_ids_;
  std::uint64_t inputs_count_ = 0;
  std::uint64_t same_time_count_ = 0;
  Time look_over_at_ = kWorldStart;
};

}  // namespace peernet::sim
