// What the user asks of shares, and the imports and fetches that begin with it. Single peers are in
// transfer_by_hand.cpp.

#include <utility>

#include "core/check.h"
#include "transfer/transfer.h"

namespace peernet::transfer {

// ---- Imports

ImportId Transfer::add(Time now, AddRequest request, Effects& out) {
  const ImportId id{++last_import_};
  if (importers_.size() >= kImportsMax) {
    events_.emplace_back(ImportFailed{
        id, Error{Errc::refused, "too many imports at a time", "wait until one has ended"}});
    return id;
  }
  const StorageId storage{rng_.next()};
  Importer& importer =
      importers_.emplace(id, Importer(id, std::move(request), storage, config_.manifest))
          .first->second;
  importer.start(now, jobs_, out);
  Turn t = turn(now, out);
  on_import(t, importer);
  sweep(t);
  return id;
}

void Transfer::cancel_add(Time now, ImportId import, Effects& out) {
  const auto found = importers_.find(import);
  if (found == importers_.end()) return;
  found->second.cancel(jobs_, out);
  Turn t = turn(now, out);
  sweep(t);
}

void Transfer::on_import(Turn& t, Importer& importer) {
  if (importer.stage() == Importer::Stage::hashing ||
      importer.stage() == Importer::Stage::syncing) {
    events_.emplace_back(
        ImportProgress{importer.id(), importer.bytes_done(), importer.bytes_total()});
  }
  if (importer.stage() != Importer::Stage::done) return;
  Importer::Outcome outcome = importer.take_outcome();
  const ShareId id = outcome.manifest.id();
  Imported event{importer.id(), id, false, std::move(outcome.left_out)};
  const AddRequest& request = importer.request();
  if (find_swarm(id) != nullptr) {
    const JobId job = jobs_.next();
    unowned_.insert(job);
    t.out.push_back(DeleteStorage{job, outcome.storage, false});
    event.was_known = true;
    events_.emplace_back(std::move(event));
  } else {
    ShareRecord record;
    record.id = id;
    record.storage = outcome.storage;
    record.stage = ShareStage::complete;
    record.parent = request.parent;
    record.name = request.name;
    record.added = t.wall;
    record.completed = t.wall;
    Swarm& swarm = add_swarm(std::move(record), kRulesOfKnown);
    imported_.emplace(id, std::move(event));
    swarm.start_imported(t, std::move(outcome.manifest), std::move(outcome.piece_layers));
    schedule_share(t.now, swarm);
  }
  importers_.erase(importer.id());
}

// ---- Fetches

Result<ShareId> Transfer::fetch(Time now, const FetchRequest& request, Effects& out) {
  Turn t = turn(now, out);
  const ShareId& id = request.link.id;
  if (Swarm* known = find_swarm(id)) {
    if (known->is_removing()) {
      return Error{Errc::refused, "this share is just being removed", "try again in a moment"};
    }
    if (known->is_listing()) {
      return Error{Errc::refused, "the files of this share are just being listed",
                   "try again in a moment"};
    }
    if (request.selection) {
      if (auto widened = known->widen(t, *request.selection); !widened) return widened.error();
    }
    known->resume(t);
    if (request.is_sequential) known->set_sequential(*request.is_sequential);
    if (known->wants_data()) add_hints(t, *known, request.link);
    schedule_share(now, *known);
    sweep(t);
    dial(t);
    return id;
  }
  auto begun = begin_fetch(t, request);
  if (!begun) return begun.error();
  Swarm& swarm = **begun;
  swarm.start_new(t);
  if (request.is_sequential) swarm.set_sequential(*request.is_sequential);
  add_hints(t, swarm, request.link);
  schedule_share(now, swarm);
  sweep(t);
  dial(t);
  return id;
}

Result<bool> Transfer::list(Time now, const FetchRequest& request, Effects& out) {
  Turn t = turn(now, out);
  if (const Swarm* known = find_swarm(request.link.id)) {
    if (!known->is_listing() && !known->is_removing()) return true;
    return Error{Errc::refused, "this share is just being listed or removed",
                 "try again in a moment"};
  }
  auto begun = begin_fetch(t, request);
  if (!begun) return begun.error();
  (*begun)->start_listing(t);
  add_hints(t, **begun, request.link);
  schedule_share(now, **begun);
  sweep(t);
  dial(t);
  return false;
}

// A share of which nothing is known but the link.
Result<Swarm*> Transfer::begin_fetch(Turn& t, const FetchRequest& request) {
  if (swarms_.size() >= kSharesMax) {
    return Error{Errc::too_large, "this node has as many shares as it can hold", "remove some"};
  }
  ShareRecord record;
  record.id = request.link.id;
  record.storage = StorageId{rng_.next()};
  record.parent = request.directory;
  // Only a hint until the manifest is known: a name that is no name is not shown.
  if (ValidatedPath::parse_name(request.link.name_hint, PathRules{.allow_unportable = true})) {
    record.name = request.link.name_hint;
  }
  if (request.selection && request.selection != Selection{}) {
    record.selections.push_back(*request.selection);
  }
  record.added = t.wall;
  for (const PeerHint& hint : request.link.peers) {
    const std::string host =
        hint.host.find(':') == std::string::npos ? hint.host : "[" + hint.host + "]";
    if (const auto literal = Endpoint::parse(host + ":" + std::to_string(hint.port))) {
      record.hints.push_back(*literal);
    }
  }
  return &add_swarm(std::move(record),
                    {{.allow_unportable = request.allow_unportable}, config_.manifest});
}

void Transfer::add_hints(Turn& t, Swarm& swarm, const Link& link) {
  for (const PeerHint& hint : link.peers) {
    const std::string host =
        hint.host.find(':') == std::string::npos ? hint.host : "[" + hint.host + "]";
    if (const auto literal = Endpoint::parse(host + ":" + std::to_string(hint.port))) {
      offer(t, swarm, *literal, Dialer::Source::link);
      continue;
    }
    const JobId job = jobs_.next();
    resolving_.emplace(job, swarm.id());
    t.out.push_back(Resolve{job, hint.host, hint.port});
  }
}

// ---- A share

Result<void> Transfer::pause(Time now, const ShareId& id, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  swarm->pause(t);
  schedule_share(now, *swarm);
  return {};
}

Result<void> Transfer::resume(Time now, const ShareId& id, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  swarm->resume(t);
  schedule_share(now, *swarm);
  sweep(t);
  return {};
}

Result<void> Transfer::accept(Time now, const ShareId& id, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  auto accepted = swarm->accept(t);
  schedule_share(now, *swarm);
  sweep(t);
  return accepted;
}

Result<void> Transfer::remove(Time now, const ShareId& id, bool is_data_deleted, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  swarm->remove(t, is_data_deleted);
  schedule_share(now, *swarm);
  sweep(t);
  return {};
}

Result<ReadId> Transfer::read(Time now, ReadRequest request, Effects& out) {
  PN_CHECK(request.size > 0 && request.size <= kReadSizeMax);
  Swarm* swarm = find_swarm(request.id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  const ReadId id{++last_read_};
  const bool is_taken = swarm->read_file(
      t, id, {request.reader, std::move(request.path), request.offset, request.size});
  if (!is_taken) {
    return Error{Errc::refused, "as many read this share as may at a time", "wait for one of them"};
  }
  if (swarm->wants_data()) {
    for (auto& [conn, peer] : peers_) fill(t, peer);
  }
  return id;
}

Result<void> Transfer::verify(Time now, const ShareId& id, bool is_repair, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  auto begun = swarm->verify(t, is_repair);
  schedule_share(now, *swarm);
  sweep(t);
  return begun;
}

void Transfer::cancel_verify(Time now, const ShareId& id, Effects& out) {
  Turn t = turn(now, out);
  if (Swarm* swarm = find_swarm(id)) swarm->cancel_verify(t);
}

void Transfer::end_reader(Time /*now*/, ReaderId reader, Effects& /*out*/) {
  for (auto& [id, swarm] : swarms_) swarm.forget_reader(reader);
}

void Transfer::set_limits(Time now, const Limits& limits) {
  limits_.change(now, limits);
  limit_wait_ = now;  // whoever waited looks again
}

void Transfer::set_peer_limits(Time now, const PeerLimits& limits) {
  config_.peer_limits = limits;
  for (auto& [conn, peer] : peers_) {
    peer.limits.change(now, is_exempt(peer) ? Limits{} : limits.each);
  }
  limit_wait_ = now;
}

Result<void> Transfer::set_share_limits(Time now, const ShareId& id, const Limits& limits,
                                        bool is_kept, Effects& out) {
  Swarm* swarm = find_swarm(id);
  if (swarm == nullptr) return Error{Errc::not_found, "no such share", "peernet ls"};
  Turn t = turn(now, out);
  swarm->set_limits(t, limits, is_kept);
  limit_wait_ = now;
  return {};
}

}  // namespace peernet::transfer
