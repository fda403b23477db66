// Days of somebody who reads a file while it comes, and of damage that is put right.

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "test/sim/scenario.h"

namespace peernet::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

}  // namespace

// Two seeds, other leechers, and one who reads at half the rate at which it can fetch: after the
// first bytes it never waits, and its window is asked for in order.
void ordered_read(World& world, Report& report) {
  constexpr std::uint64_t size = 24 * kMiB;
  constexpr std::uint64_t rate = 500'000;
  begin(world);
  const Hosts seeds = join(world, 2, newcomer(2'000'000, 2'000'000), seconds(1));
  const Hosts leechers = join(world, 3, newcomer(1'000'000, 1'000'000), seconds(1));
  world.run_for(seconds(20));
  const Content& content = world.keep(make_file(world.rng.next(), "film", size, kPiece));
  if (!offer(world, seeds[0], content)) return;
  world.run_for(seconds(20));
  world.fetch(seeds[1], content);
  if (!demand(world, {seeds[1]}, content, minutes(5))) return;
  fetch_all(world, leechers, content);
  const HostIndex reader = leechers.front();
  Time due = kNever;  // when the reader has used what it has
  Duration longest{};
  for (std::uint64_t at = 0; at < size && !world.has_failed();) {
    world.read(reader, content, at, 256 * kKiB);
    if (!world.run_until([&] { return !world.host(reader).is_reading; }, minutes(10))) return;
    const std::uint64_t got = world.host(reader).read_bytes;
    if (got == 0) {
      world.fail("a read in the middle of a file gave nothing");
      return;
    }
    if (due != kNever) longest = std::max(longest, world.timeline.now() - due);
    at += got;
    // The first megabyte is used at once, as a player fills its buffer.
    if (at < kMiB) continue;
    due = std::max(due == kNever ? world.timeline.now() : due, world.timeline.now()) +
          Duration{static_cast<std::int64_t>(got * 1'000'000 / rate)};
    if (!world.run_for(due - world.timeline.now())) return;
  }
  if (longest > seconds(3)) {
    world.fail(
        fmt::format("the reader waited {:.1f} s", std::chrono::duration<double>(longest).count()));
  }
  if (!demand(world, leechers, content, minutes(10))) return;
  demand_rest(world);
  report.push_back(
      fmt::format("the longest wait was {:.2f} s", std::chrono::duration<double>(longest).count()));
}

// One file more is wanted each time, also while the last is still on its way; the machine fails in
// between. What is not wanted is not there, and in the end all of it is.
void some_files(World& world, Report& report) {
  begin(world);
  const Hosts hosts = join(world, 2, newcomer(1'000'000, 1'000'000), seconds(1));
  world.run_for(seconds(20));
  const Content& content = world.keep(make_tree(world.rng.next(), "tree", 12, 3 * kMiB, kPiece));
  if (!offer(world, hosts[0], content)) return;
  world.run_for(seconds(20));
  const HostIndex host = hosts[1];
  const auto is_done = [&] {
    if (!world.host(host).is_running()) return false;
    const auto status =
        world.host(host).node->share(world.timeline.now(), *world.share_id(content));
    return status && (status->state == transfer::ShareState::partial ||
                      status->state == transfer::ShareState::seeding);
  };
  std::vector<std::string> wanted;
  std::uint32_t crashes = 0;
  for (const ContentFile& file : content.files) {
    if (file.bytes.empty()) continue;
    wanted.push_back(file.path);
    world.fetch(host, content, {}, Selection{{file.path}, {}});
    if (wanted.size() % 3 == 0) continue;
    if (wanted.size() % 2 == 0) {
      world.run_for(std::chrono::milliseconds(world.rng.below(4000)));
      ++crashes;
      if (world.rng.below(2) == 0) {
        world.kill(host);
      } else {
        world.cut_power(host);
      }
      world.run_for(seconds(1));
      world.start(host);
    }
    if (!world.run_until(is_done, minutes(10))) {
      world.fail("what is wanted does not come");
      return;
    }
    for (const ContentFile& other : content.files) {
      const std::string path = std::string(kDownloads) + "/tree/" + other.path;
      const bool is_wanted = std::ranges::find(wanted, other.path) != wanted.end();
      if (world.host(host).disk.exists(path) != is_wanted) world.fail(other.path + " is wrong");
    }
  }
  world.fetch(host, content, {}, Selection{});
  const auto is_all = [&] { return is_done() && world.done(host, content) >= 1; };
  if (!world.run_until(is_all, minutes(10))) world.fail("the rest does not come");
  demand_rest(world);
  for (const std::string& path : world.host(host).disk.list_paths()) {
    if (path.ends_with(".part")) world.fail(path + " is left over");
  }
  report.push_back(std::to_string(wanted.size()) + " files one by one, " + std::to_string(crashes) +
                   " crashes");
}

// Both a fetched and an added share are damaged on their disks, found out, and repaired from each
// other; what nobody asked to repair is not claimed.
void repair(World& world, Report& report) {
  begin(world);
  const Hosts hosts = join(world, 2, newcomer(1'000'000, 1'000'000), seconds(1));
  world.run_for(seconds(20));
  const Content& content = world.keep(make_tree(world.rng.next(), "tree", 12, 3 * kMiB, kPiece));
  if (!offer(world, hosts[0], content)) return;
  world.run_for(seconds(20));
  world.fetch(hosts[1], content);
  if (!demand(world, {hosts[1]}, content, minutes(5))) return;
  std::uint32_t damaged = 0;
  for (const HostIndex host : {hosts[1], hosts[0]}) {
    const std::string top = std::string(host == hosts[0] ? kSharedDirectory : kDownloads) + "/tree";
    world.host(host).is_tampered = true;
    for (const ContentFile& file : content.files) {
      if (file.bytes.size() < 2 * kPiece) continue;
      world.host(host).disk.tamper(top + "/" + file.path, world.rng.below(file.bytes.size()));
      ++damaged;
      break;
    }
    world.verify(host, content, false);
    world.run_for(seconds(30));
    if (!world.has_failed() && world.done(host, content) >= 1) world.fail("damage is claimed");
    // Over a restart, too.
    world.kill(host);
    world.run_for(seconds(1));
    world.start(host);
    world.run_for(seconds(60));
    if (!world.has_failed() && world.done(host, content) >= 1) world.fail("damage is forgotten");
    world.verify(host, content, true);
    if (!world.run_until([&] { return world.done(host, content) >= 1; }, minutes(30))) {
      world.fail("it is not repaired");
      return;
    }
    world.run_for(seconds(30));
    for (const ContentFile& file : content.files) {
      const auto bytes = world.host(host).disk.bytes(top + "/" + file.path);
      if (!bytes || !std::ranges::equal(*bytes, file.bytes)) {
        world.fail(file.path + " is not what was shared");
      }
    }
  }
  report.push_back(fmt::format("{} damaged pieces put right", damaged));
}

}  // namespace peernet::sim
