// World as a shell: inputs to the nodes, and what their effects become.

#include <algorithm>
#include <utility>
#include <variant>

#include "core/check.h"
#include "test/sim/world.h"

namespace peernet::sim {
namespace {

constexpr Duration kHookDelay = std::chrono::milliseconds(300);
constexpr Duration kResolveDelay = std::chrono::milliseconds(30);

// Timers of the daemon count in milliseconds, and never fire early.
Time round_up(Time when) {
  const auto over = when.time_since_epoch().count() % 1000;
  return over == 0 ? when : when + Duration{1000 - over};
}

}  // namespace

Host* World::turn(HostIndex index) {
  Host& host = *hosts_[index];
  if (!host.is_running()) return nullptr;
  ring_->turn(timeline.now(), index);
  ++inputs_count_;
  ++host.inputs_count;
  return &host;
}

// ---- Inputs
// --------------------------------------------------------------------------------------

void World::datagram(HostIndex index, const Endpoint& from, BytesView bytes) {
  Host* host = turn(index);
  if (host == nullptr) return;
  host->node->on_datagram(timeline.now(), from, bytes, host->out);
  settle(*host);
}

std::optional<ConnId> World::accepted(HostIndex index, const Endpoint& from) {
  Host* host = turn(index);
  if (host == nullptr || host->is_stopping) return std::nullopt;
  return host->node->on_accepted(timeline.now(), from, host->out);
}

void World::registered(HostIndex index) {
  if (hosts_[index]->is_running()) settle(*hosts_[index]);
}

void World::connected(HostIndex index, ConnId conn) {
  Host* host = turn(index);
  if (host == nullptr) return;
  host->node->on_connected(timeline.now(), conn, host->out);
  settle(*host);
}

void World::received(HostIndex index, ConnId conn, BytesView bytes) {
  Host* host = turn(index);
  if (host == nullptr) return;
  host->node->on_bytes(timeline.now(), conn, bytes, host->out);
  settle(*host);
}

void World::sent(HostIndex index, ConnId conn, std::size_t bytes_unsent) {
  Host* host = turn(index);
  if (host == nullptr) return;
  host->node->on_sent(timeline.now(), conn, bytes_unsent, host->out);
  settle(*host);
}

void World::closed(HostIndex index, ConnId conn, const Error& why) {
  Host* host = turn(index);
  if (host == nullptr) return;
  host->node->on_closed(timeline.now(), conn, why, host->out);
  settle(*host);
}

// A timer that is moved to a later time stays planned where it was, looks, and is planned again: so
// that the heap holds one entry for each host and not one for each input.
void World::plan_wake(Host& host) {
  const Time deadline = host.node->deadline();
  if (deadline == kNever) return;
  const Time when = round_up(std::max(deadline, timeline.now()));
  if (when >= host.wake_planned) return;
  host.wake_planned = when;
  timeline.at(when, [this, index = host.index, incarnation = host.incarnation, when] {
    Host& later = *hosts_[index];
    if (later.incarnation != incarnation) return;
    if (later.wake_planned == when) later.wake_planned = kNever;
    wake(index);
  });
}

void World::wake(HostIndex index) {
  if (!hosts_[index]->is_running()) return;
  if (hosts_[index]->node->deadline() > timeline.now()) {
    plan_wake(*hosts_[index]);
    return;
  }
  Host* host = turn(index);
  host->node->on_time(timeline.now(), host->out);
  settle(*host, true);
}

// ---- Effects
// -------------------------------------------------------------------------------------

void World::settle(Host& host, bool was_on_time) {
  // Carrying out never gives an input, so that nothing is appended meanwhile.
  for (Effect& effect : host.out) {
    if (has_digest_) digest(host, effect);
    oracle.on_effect(host, effect);
    carry_out(host, effect);
  }
  host.out.clear();
  take_events(host);
  if (was_on_time) {
    oracle.on_time_given(host);
  } else {
    oracle.on_input(host);
  }
  plan_wake(host);
}

void World::carry_out(Host& host, Effect& effect) {
  const auto must = [&](bool is_known) {
    if (!is_known) oracle.fail(host, "an effect names a connection that is not open");
  };
  std::visit(Overloaded{
                 [&](SendDatagram& send) { network.send(host.index, send.to, send.bytes); },
                 [](SendMulticast&) {},  // every host is alone on its link
                 [&](Connect& connect) {
                   if (!network.connect(host.index, connect.conn, connect.to)) {
                     oracle.fail(host, "a connection number is used twice");
                   }
                 },
                 [&](Write& write) { must(network.write(host.index, write.conn, write.bytes)); },
                 [&](Close& close) { must(network.close(host.index, close.conn)); },
                 [&](PauseReading& pause) { must(network.pause(host.index, pause.conn)); },
                 [&](ResumeReading& resume) { must(network.resume(host.index, resume.conn)); },
                 [&](Resolve& job) { resolve(host, job); },
                 [&](const RunHook& job) { run_hook(host, job); },
                 [&](Save& job) { host.store.save(std::move(job)); },
                 [&](auto&) { carry_out_disk(host, effect); },
             },
             effect);
}

void World::carry_out_disk(Host& host, Effect& effect) {
  Disk& disk = host.disk;
  std::visit(Overloaded{
                 [&](OpenStorage& job) { disk.open(std::move(job)); },
                 [&](CloseStorage& job) { disk.close(job); },
                 [&](WriteBlocks& job) { disk.write(std::move(job)); },
                 [&](ReadBlocks& job) { disk.read(job); },
                 [&](ReadLeaves& job) { disk.read_leaves(job); },
                 [&](WriteLeaves& job) { disk.write_leaves(std::move(job)); },
                 [&](ListTree& job) { disk.list(std::move(job)); },
                 [&](HashRange& job) { disk.hash(std::move(job)); },
                 [&](Sync& job) { disk.sync(job); },
                 [&](FinishStorage& job) { disk.finish(std::move(job)); },
                 [&](DeleteStorage& job) { disk.remove(job); },
                 [](auto&) { PN_CHECK(false); },
             },
             effect);
}

void World::resolve(Host& host, const Resolve& job) {
  std::vector<Endpoint> found;
  if (const auto literal = Endpoint::parse(job.host + ":" + std::to_string(job.port))) {
    found.push_back(*literal);
  } else if (const auto known = names_.find(job.host); known != names_.end()) {
    Endpoint endpoint = network.address(known->second);
    endpoint.port = job.port;
    found.push_back(endpoint);
  }
  timeline.after(kResolveDelay, [this, index = host.index, incarnation = host.incarnation,
                                 id = job.job, endpoints = std::move(found)] {
    if (hosts_[index]->incarnation != incarnation) return;
    Host* later = turn(index);
    if (later == nullptr) return;
    later->node->on_resolved(timeline.now(), id, endpoints, later->out);
    settle(*later);
  });
}

// Every program lets everything pass.
void World::run_hook(Host& host, const RunHook& job) {
  timeline.after(kHookDelay,
                 [this, index = host.index, incarnation = host.incarnation, id = job.job] {
                   if (hosts_[index]->incarnation != incarnation) return;
                   Host* later = turn(index);
                   if (later == nullptr) return;
                   later->node->on_hook(timeline.now(), id, HookDone{}, later->out);
                   settle(*later);
                 });
}

// ---- Digest
// --------------------------------------------------------------------------------------

void World::digest(const Host& host, const Effect& effect) {
  digest_.number(static_cast<std::uint64_t>(timeline.now().time_since_epoch().count()));
  digest_.number(std::uint64_t{host.index} << 32U | effect.index());
  const auto number = [this](auto value) { digest_.number(static_cast<std::uint64_t>(value)); };
  const auto endpoint = [&](const Endpoint& value) {
    digest_.bytes(value.address_view());
    number(value.port);
  };
  std::visit(Overloaded{
                 [&](const SendDatagram& send) {
                   endpoint(send.to);
                   digest_.bytes(send.bytes);
                 },
                 [&](const SendMulticast& send) { digest_.bytes(send.bytes); },
                 [&](const Connect& connect) {
                   number(connect.conn);
                   endpoint(connect.to);
                 },
                 [&](const Write& write) {
                   number(write.conn);
                   digest_.bytes(write.bytes);
                 },
                 [&](const Resolve& job) {
                   number(job.job);
                   digest_.text(job.host);
                   number(job.port);
                 },
                 [&](const OpenStorage& job) {
                   number(job.job);
                   number(job.storage);
                   digest_.text(job.parent);
                   digest_.text(job.top);
                   number(job.files.size());
                   number(job.leaves_count);
                 },
                 [&](const WriteBlocks& job) {
                   number(job.job);
                   number(job.storage);
                   number(job.file_index);
                   for (const BlockToWrite& block : job.blocks) {
                     number(block.offset);
                     digest_.bytes(block.leaf.view());
                   }
                 },
                 [&](const ReadBlocks& job) {
                   number(job.job);
                   number(job.storage);
                   number(job.file_index);
                   number(job.offset);
                   number(job.size);
                   number(job.is_verified ? 1 : 0);
                 },
                 [&](const ReadLeaves& job) {
                   number(job.job);
                   number(job.first);
                   number(job.count);
                 },
                 [&](const WriteLeaves& job) {
                   number(job.job);
                   number(job.first);
                   for (const Hash& leaf : job.leaves) digest_.bytes(leaf.view());
                 },
                 [&](const HashRange& job) {
                   number(job.job);
                   for (const FilePart& part : job.parts) {
                     number(part.file_index);
                     number(part.offset);
                     number(part.size);
                   }
                 },
                 [&](const FinishStorage& job) {
                   number(job.job);
                   digest_.text(job.name);
                 },
                 [&](const Save& job) {
                   number(job.job);
                   number(job.record.index());
                   if (const auto* progress = std::get_if<ProgressRecord>(&job.record)) {
                     digest_.bytes(progress->durable);
                     digest_.bytes(progress->parts);
                     number(progress->downloaded);
                   }
                   if (const auto* share = std::get_if<ShareRecord>(&job.record)) {
                     digest_.bytes(share->id.view());
                     number(share->stage);
                   }
                 },
                 [&](const auto& other) {
                   if constexpr (requires { other.conn; }) number(other.conn);
                   if constexpr (requires { other.job; }) number(other.job);
                   if constexpr (requires { other.storage; }) number(other.storage);
                 },
             },
             effect);
}

// ---- Events
// --------------------------------------------------------------------------------------

void World::take_events(Host& host) {
  while (const auto event = host.node->next_event()) {
    std::visit(Overloaded{
                   [&](const transfer::Imported& imported) {
                     const auto found = host.imports.find(imported.import);
                     if (found == host.imports.end()) {
                       oracle.fail(host, "an import that nobody asked for");
                       return;
                     }
                     share_ids_[found->second] = imported.id;
                     oracle.learn(imported.id, *contents_.at(found->second));
                     host.shares[imported.id].is_complete = true;
                     host.imports.erase(found);
                   },
                   [&](const transfer::ImportFailed& failed) {
                     oracle.fail(host, "an import fails: " + failed.error.what);
                   },
                   [&](const transfer::Completed& completed) {
                     ShareFacts& facts = host.shares[completed.id];
                     facts.is_complete = true;
                     if (!facts.completed) facts.completed = timeline.now();
                   },
                   [&](const transfer::Durable& durable) {
                     host.shares[durable.id].durable = durable.bytes;
                   },
                   [&](const transfer::Removed& removed) {
                     host.shares.erase(removed.id);
                     if (!removed.result) {
                       oracle.fail(host, "remove fails: " + removed.result.error().what);
                     }
                   },
                   [&](const transfer::FileRead& read) {
                     host.is_reading = false;
                     if (!read.result) {
                       oracle.fail(host, "a read fails: " + read.result.error().what);
                       return;
                     }
                     const Bytes& got = read.result->bytes;
                     const Bytes& whole = contents_.at(host.read_content)->files.front().bytes;
                     host.read_bytes = got.size();
                     const auto begin =
                         whole.begin() + static_cast<std::ptrdiff_t>(host.read_offset);
                     if (!std::equal(got.begin(), got.end(), begin)) {
                       oracle.fail(host, "a reader was given wrong bytes");
                     }
                   },
                   [](const auto&) {},
               },
               *event);
    oracle.on_event(host, *event);
    if (host.node == nullptr) return;
  }
}

}  // namespace peernet::sim
