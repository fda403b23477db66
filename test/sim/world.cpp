#include "test/sim/world.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/crypto.h"

namespace peernet::sim {
namespace {

constexpr std::int64_t kWallStart = 1'800'000'000'000;  // some day in 2027
constexpr Duration kWallClockEvery = std::chrono::minutes(1);
constexpr Duration kStopTimeout = std::chrono::seconds(5);
constexpr Duration kLookOverEvery = std::chrono::seconds(5);
constexpr std::uint64_t kSameTimeMax = 2'000'000;  // happenings without time passing

}  // namespace

World::World(const Settings& settings)
    : rng(settings.seed),
      network(timeline, settings.seed, *this),
      oracle(timeline, network),
      ring_(std::make_shared<LogRing>()),
      log_(std::make_unique<Log>("sim", ring_)),
      has_digest_(settings.has_digest) {
  crypto_start();
  ring_->is_loud = settings.is_loud;
  log_->set_level(settings.is_logging || settings.is_loud ? spdlog::level::trace
                                                          : spdlog::level::off);
}

// ---- Hosts
// ---------------------------------------------------------------------------------------

Endpoint World::draw_address() {
  // Far apart, as strangers are, and none of a special use.
  for (;;) {
    const auto high = static_cast<std::uint32_t>(20 + rng.below(70));
    const Endpoint drawn = Endpoint::v4(
        high << 24U | static_cast<std::uint32_t>(1 + rng.below((1U << 24U) - 2)), kPort);
    const bool is_taken = std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& host) {
      return network.address(host->index).prefix(24) == drawn.prefix(24);
    });
    if (!is_taken && drawn.locality() == Locality::global && drawn.is_usable()) return drawn;
  }
}

HostIndex World::add_host(HostOptions options) {
  const Endpoint address = options.address.value_or(draw_address());
  const HostIndex index = network.add_host(address, options.link);
  network.down(index, Down::machine);
  options.transfer.name = options.name;
  options.transfer.listen_port = address.port;
  hosts_.push_back(std::make_unique<Host>(
      index, std::move(options), timeline, rng.fork(),
      [this, index](JobId job, FileResult result) {
        Host* host = turn(index);
        if (host == nullptr) return;
        oracle.on_report(*host, job, result);
        host->node->on_file(timeline.now(), job, std::move(result), host->out);
        settle(*host);
      },
      [this, index](JobId job, const Result<void>& result) {
        Host* host = turn(index);
        if (host == nullptr) return;
        host->node->on_saved(timeline.now(), job, result, host->out);
        settle(*host);
      }));
  return index;
}

WallTime World::wall(const Host& host) const {
  return {kWallStart + elapsed().count() / 1000 + host.options.clock_skew_ms};
}

void World::start(HostIndex index) {
  Host& host = *hosts_[index];
  PN_CHECK(!host.is_running());
  ++host.incarnation;
  host.is_stopping = false;
  host.wake_planned = kNever;
  network.up(index);
  daemon::NodeConfig config;
  config.transfer = host.options.transfer;
  for (const std::string& where : host.options.bootstrap) {
    config.dht.bootstrap.push_back({where, kPort});
  }
  host.node = std::make_unique<daemon::Node>(config, host.identity, host.rng.fork(), *log_);
  turn(index);
  const Saved saved = host.store.saved();
  for (const ShareRecord& share : saved.shares) {
    // The crash may have come between the commit and the event.
    if (share.stage == ShareStage::complete) host.shares[share.id].is_complete = true;
  }
  host.node->start(timeline.now(), wall(host), saved, host.out);
  settle(host);
  timeline.after(kWallClockEvery,
                 [this, index, incarnation = host.incarnation] { wall_clock(index, incarnation); });
}

void World::wall_clock(HostIndex index, std::uint64_t incarnation) {
  if (hosts_[index]->incarnation != incarnation) return;
  Host* host = turn(index);
  if (host == nullptr) return;
  host->node->on_wall_clock(timeline.now(), wall(*host));
  settle(*host);
  timeline.after(kWallClockEvery, [this, index, incarnation] { wall_clock(index, incarnation); });
}

void World::stop(HostIndex index) {
  Host* host = turn(index);
  if (host == nullptr || host->is_stopping) return;
  host->is_stopping = true;
  host->node->stop(timeline.now(), host->out);
  settle(*host);
  timeline.after(kStopTimeout, [this, index, incarnation = host->incarnation] {
    if (hosts_[index]->incarnation == incarnation && hosts_[index]->is_running()) kill(index);
  });
}

void World::kill(HostIndex index) {
  if (!hosts_[index]->is_running()) return;
  end_process(*hosts_[index], Down::process);
  hosts_[index]->disk.kill();
  oracle.on_crash(*hosts_[index]);
}

void World::cut_power(HostIndex index) {
  end_process(*hosts_[index], Down::machine);
  hosts_[index]->disk.cut_power();
  oracle.on_crash(*hosts_[index]);
}

void World::end_process(Host& host, Down how) {
  ring_->turn(timeline.now(), host.index);
  note(how == Down::process ? "--- killed" : "--- power cut");
  host.node.reset();
  ++host.incarnation;
  host.out.clear();
  host.imports.clear();
  network.down(host.index, how);
  host.store.crash();
}

// ---- Shares
// --------------------------------------------------------------------------------------

const Content& World::keep(Content content) {
  auto& kept = contents_[content.name];
  PN_CHECK(kept == nullptr);
  for (ContentFile& file : content.files) file.leaves = hash_blocks(file.bytes);
  kept = std::make_unique<Content>(std::move(content));
  return *kept;
}

// A node that is stopping takes no more commands.
Host* World::commanded(HostIndex index) {
  return hosts_[index]->is_stopping ? nullptr : turn(index);
}

void World::add(HostIndex index, const Content& content) {
  Host* host = commanded(index);
  if (host == nullptr) return;
  for (const ContentFile& file : content.files) {
    host->disk.put(Disk::join(kSharedDirectory, content.name, file.path), file.bytes,
                   file.is_executable);
  }
  transfer::AddRequest request;
  request.parent = kSharedDirectory;
  request.name = content.name;
  request.piece_length = content.piece_length;
  const auto import = host->node->add(timeline.now(), request, host->out);
  host->imports[import] = content.name;
  settle(*host);
}

std::optional<ShareId> World::share_id(const Content& content) const {
  const auto found = share_ids_.find(content.name);
  if (found == share_ids_.end()) return std::nullopt;
  return found->second;
}

void World::fetch(HostIndex index, const Content& content, const std::vector<HostIndex>& hints,
                  const std::optional<Selection>& selection) {
  Host* host = commanded(index);
  const auto id = share_id(content);
  if (host == nullptr || !id) return;
  transfer::FetchRequest request;
  request.link.id = *id;
  for (const HostIndex hint : hints) {
    const Endpoint& there = network.address(hint);
    request.link.peers.push_back({there.address_to_string(), there.port});
  }
  request.directory = kDownloads;
  request.selection = selection;
  ShareFacts& facts = host->shares[*id];
  facts.fetched = timeline.now();
  const auto result = host->node->fetch(timeline.now(), request, host->out);
  if (!result) oracle.fail(*host, "fetch is refused: " + result.error().what);
  settle(*host);
}

void World::remove(HostIndex index, const Content& content, bool is_data_deleted) {
  Host* host = commanded(index);
  if (host == nullptr) return;
  const auto result =
      host->node->remove(timeline.now(), share_id(content).value(), is_data_deleted, host->out);
  if (!result) oracle.fail(*host, "remove is refused: " + result.error().what);
  settle(*host);
}

void World::pause(HostIndex index, const Content& content, bool is_paused) {
  Host* host = commanded(index);
  if (host == nullptr) return;
  const ShareId id = share_id(content).value();
  const auto result = is_paused ? host->node->pause(timeline.now(), id, host->out)
                                : host->node->resume(timeline.now(), id, host->out);
  if (!result) oracle.fail(*host, "pause or resume is refused: " + result.error().what);
  settle(*host);
}

void World::limit(HostIndex index, const Content& content, const transfer::Limits& limits) {
  Host* host = commanded(index);
  if (host == nullptr) return;
  const auto result = host->node->set_share_limits(timeline.now(), share_id(content).value(),
                                                   limits, false, host->out);
  if (!result) oracle.fail(*host, "a limit is refused: " + result.error().what);
  settle(*host);
}

void World::limit_peers(HostIndex index, const transfer::PeerLimits& limits) {
  Host* host = commanded(index);
  if (host == nullptr) return;
  host->node->set_peer_limits(timeline.now(), limits, host->out);
  settle(*host);
}

void World::read(HostIndex index, const Content& content, std::uint64_t offset,
                 std::uint32_t size) {
  Host* host = commanded(index);
  if (host == nullptr) return;
  transfer::ReadRequest request;
  request.id = share_id(content).value();
  request.path = content.files.front().path;
  request.offset = offset;
  request.size = size;
  host->is_reading = true;
  host->read_offset = offset;
  host->read_content = content.name;
  const auto read = host->node->read(timeline.now(), std::move(request), host->out);
  if (!read) oracle.fail(*host, "a read is refused: " + read.error().what);
  settle(*host);
}

void World::verify(HostIndex index, const Content& content, bool is_repair) {
  Host* host = commanded(index);
  if (host == nullptr) return;
  const auto begun =
      host->node->verify(timeline.now(), share_id(content).value(), is_repair, host->out);
  if (!begun) oracle.fail(*host, "verify is refused: " + begun.error().what);
  settle(*host);
}

bool World::is_complete(HostIndex index, const Content& content) {
  const auto id = share_id(content);
  return id && hosts_[index]->shares[*id].is_complete;
}

double World::done(HostIndex index, const Content& content) {
  const auto id = share_id(content);
  const Host& host = *hosts_[index];
  if (!id || !host.is_running()) return 0;
  const auto status = host.node->share(timeline.now(), *id);
  if (!status || status->size == 0) return 0;
  return static_cast<double>(status->done) / static_cast<double>(status->size);
}

// ---- Time
// ----------------------------------------------------------------------------------------

bool World::step() {
  const Time before = timeline.now();
  if (!timeline.step()) return false;
  same_time_count_ = timeline.now() == before ? same_time_count_ + 1 : 0;
  if (same_time_count_ > kSameTimeMax) oracle.fail("time stands still");
  if (timeline.now() >= look_over_at_) {
    look_over_at_ = timeline.now() + kLookOverEvery;
    for (const auto& host : hosts_) oracle.look_over(*host);
  }
  return true;
}

bool World::run_for(Duration duration) {
  const Time until = timeline.now() + duration;
  while (!has_failed() && timeline.next() <= until) step();
  if (has_failed()) return false;
  timeline.advance(until);
  return true;
}

bool World::run_until(const std::function<bool()>& is_so, Duration limit) {
  constexpr Duration look_every = std::chrono::milliseconds(50);
  const Time until = timeline.now() + limit;
  Time look_at = timeline.now();
  while (!has_failed()) {
    if (timeline.now() >= look_at) {
      if (is_so()) return true;
      look_at = timeline.now() + look_every;
    }
    if (timeline.next() > until) {
      timeline.advance(until);
      return is_so();
    }
    step();
  }
  return false;
}

}  // namespace peernet::sim
