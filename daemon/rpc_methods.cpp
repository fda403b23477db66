#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "core/identity.h"
#include "daemon/rpc.h"
#include "daemon/rpc_values.h"
#include "transfer/glob.h"
#include "transfer/link.h"

// What each method does. Parameters were checked against the table before.

namespace peernet::daemon {

// Names and paths of one answer, before escaping: so that a page stays far below what the socket
// may queue.
constexpr std::size_t kPageTextMax = 256U << 10U;

Rpc::Answer Rpc::dispatch(Call& call, MethodName method) {
  switch (method) {
    case MethodName::daemon_status: return daemon_status(call);
    case MethodName::daemon_config: return daemon_config(call);
    case MethodName::daemon_shutdown: {
      is_shutdown_wanted_ = true;
      return Result<Json>(Json::object());
    }
    case MethodName::share_add: return share_add(call);
    case MethodName::share_fetch: return share_fetch(call);
    case MethodName::share_list: return share_list(call);
    case MethodName::share_status: return share_status(call);
    case MethodName::share_files: return share_files(call);
    case MethodName::share_pause: return share_pause(call);
    case MethodName::share_resume: return share_resume(call);
    case MethodName::share_accept: return share_accept(call);
    case MethodName::share_remove: return share_remove(call);
    case MethodName::share_link: return share_link(call);
    case MethodName::share_preview: return share_preview(call);
    case MethodName::share_read: return share_read(call);
    case MethodName::share_verify: return share_verify(call);
    case MethodName::transfer_why: return transfer_why(call);
    case MethodName::config_check: return config_check(call);
    case MethodName::config_edit: return config_edit(call);
    case MethodName::config_reload: return config_reload(call);
    case MethodName::network_new: return network_new(call);
    case MethodName::limit_show: return limit_show(call);
    case MethodName::limit_set: return limit_set(call);
    case MethodName::metrics_get: return metrics_get(call);
    case MethodName::node_doctor: return node_doctor(call);
    case MethodName::peer_list: return peer_list(call);
    case MethodName::peer_connect: return peer_connect(call);
    case MethodName::peer_drop: return peer_drop(call);
    case MethodName::peer_ban: return peer_ban(call);
    case MethodName::peer_unban: return peer_unban(call);
    case MethodName::peer_bans: return peer_bans(call);
    case MethodName::dht_status: return dht_status(call);
    case MethodName::dht_stats: return dht_stats(call);
    case MethodName::dht_lookup: return dht_call(call, &DhtCalls::lookup);
    case MethodName::dht_announce: return dht_call(call, &DhtCalls::announce);
    case MethodName::dht_get: return dht_call(call, &DhtCalls::get);
    case MethodName::dht_put: return dht_call(call, &DhtCalls::put);
    case MethodName::dht_ping: return dht_call(call, &DhtCalls::ping);
    case MethodName::identity_show: return identity_show(call);
    case MethodName::events_subscribe: return events_subscribe(call);
    case MethodName::events_unsubscribe: return events_unsubscribe(call);
    case MethodName::rpc_discover: return Result<Json>(discover(context_.version));
  }
  return Result<Json>(Error{Errc::io, "this method is not there", {}});
}

Rpc::Answer Rpc::daemon_status(Call& call) {
  const NodeFacts facts{context_.version, wall_at(call.now), call.node.status(call.now),
                        call.node.limits()};
  return Result<Json>(node_json(facts, Fields(call.params)));
}

Rpc::Answer Rpc::daemon_config(Call& /*call*/) const {
  auto config = parse_json(context_.config_json, {});
  if (!config) return Result<Json>(config.error());
  return Result<Json>(
      Json::object({{"config", *std::move(config)}, {"paths", paths_json(context_.paths)}}));
}

Rpc::Answer Rpc::share_add(Call& call) {
  const auto path = clean_path(text_of(call.params, "path"));
  if (!path) return Result<Json>(path.error());
  if (*path == "/") {
    return Result<Json>(Error{Errc::malformed, "the root of the file system cannot be shared",
                              "give an absolute path, such as /srv/data"});
  }
  const auto piece_length = integer_of(call.params, "piece_length");
  if (piece_length && (*piece_length & (*piece_length - 1)) != 0) {
    return Result<Json>(Error{Errc::malformed, "the piece length is not a power of two",
                              "such as 65536, 1048576 or 16777216"});
  }
  auto exclude = globs_of(call.params, "exclude");
  if (!exclude) return Result<Json>(exclude.error());
  Client& client = clients_[call.client];
  if (client.pending_count >= kRpcPendingMax) return Result<Json>(too_many_pending());

  const std::size_t slash = path->rfind('/');
  transfer::AddRequest request;
  request.parent = slash == 0 ? "/" : path->substr(0, slash);
  request.name = path->substr(slash + 1);
  if (piece_length) request.piece_length = static_cast<std::uint32_t>(*piece_length);
  request.allow_unportable = flag_of(call.params, "allow_unportable");
  request.exclude = *std::move(exclude);
  const transfer::ImportId import = call.node.add(call.now, std::move(request), call.out);

  PendingImport pending;
  static_cast<Pending&>(pending) = call.pending();
  pending.path = text_of(call.params, "path");
  pending.started = call.now;
  pending.told = call.now - kImportProgressInterval;
  imports_.emplace(import, std::move(pending));
  ++client.pending_count;
  return std::nullopt;
}

Rpc::Answer Rpc::share_fetch(Call& call) const {
  auto link = transfer::parse_link(text_of(call.params, "link"));
  if (!link) {
    Error error = link.error();
    if (error.hint.empty())
      error.hint = "copy the whole link again, as it was printed where it is shared";
    return Result<Json>(std::move(error));
  }
  std::string directory = text_of(call.params, "directory");
  if (directory.empty()) directory = context_.paths.downloads;
  const auto clean = clean_path(directory);
  if (!clean) return Result<Json>(clean.error());
  transfer::FetchRequest request;
  request.link = *std::move(link);
  request.directory = *clean;
  request.allow_unportable = flag_of(call.params, "allow_unportable");
  if (json_find(call.params, "sequential") != nullptr) {
    request.is_sequential = flag_of(call.params, "sequential");
  }
  // A directory that was named is meant: it is not silently another one.
  if (const auto known = call.node.share(call.now, request.link.id);
      known && json_find(call.params, "directory") != nullptr) {
    const std::string stands_in = known->path.substr(0, known->path.rfind('/'));
    if ((stands_in.empty() ? "/" : stands_in) != request.directory) {
      return Result<Json>(Error{Errc::exists, "this share is here already, in " + known->path,
                                "without -o it goes on there; or first: peernet rm " +
                                    to_text(known->id).substr(0, kIdPrefixMin)});
    }
  }
  auto selection = selection_of(call.params);
  if (!selection) return Result<Json>(selection.error());
  request.selection = *std::move(selection);
  const auto id = call.node.fetch(call.now, request, call.out);
  if (!id) return Result<Json>(id.error());
  return Result<Json>(Json::object({{"id", to_text(*id)}}));
}

Rpc::Answer Rpc::share_list(Call& call) {
  const auto shares = call.node.shares(call.now);
  const Page page = page_of(call.params, shares.size());
  const Fields fields(call.params);
  Json list = Json::array();
  std::size_t text_size = 0;
  for (std::size_t i = page.begin; i < page.end && text_size < kPageTextMax; ++i) {
    const auto& share = shares[i];
    const auto ended = share.lookup ? std::optional(wall_at(share.lookup->at)) : std::nullopt;
    list.push_back(share_json(share, ended, fields));
    text_size += share.name.size() + share.path.size() + share.reason.size();
  }
  return Result<Json>(Json::object({{"shares", std::move(list)}, {"count", shares.size()}}));
}

Rpc::Answer Rpc::share_status(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  return status_of(call, *id);
}

Rpc::Answer Rpc::status_of(Call& call, const ShareId& id) {
  const auto share = call.node.share(call.now, id);
  if (!share) return Result<Json>(Error{Errc::not_found, "there is no such share", {}});
  const auto ended = share->lookup ? std::optional(wall_at(share->lookup->at)) : std::nullopt;
  return Result<Json>(share_json(*share, ended, Fields(call.params)));
}

Rpc::Answer Rpc::share_files(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  const auto files = call.node.files(*id);
  if (!files) {
    return Result<Json>(Error{Errc::unavailable, "it is not known yet what this share contains",
                              "its manifest comes from the first peer that has it"});
  }
  const Page page = page_of(call.params, files->files.size());
  const Fields fields(call.params);
  Json list = Json::array();
  std::size_t text_size = 0;
  for (std::size_t i = page.begin; i < page.end && text_size < kPageTextMax; ++i) {
    list.push_back(file_json(*files, i, fields));
    text_size += files->files[i].path.size();
  }
  return Result<Json>(Json::object({{"id", to_text(*id)},
                                    {"name", files->name},
                                    {"is_directory", !files->is_single_file},
                                    {"piece_length", files->piece_length},
                                    {"files", std::move(list)},
                                    {"count", files->files.size()}}));
}

Rpc::Answer Rpc::share_pause(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  if (auto done = call.node.pause(call.now, *id, call.out); !done) {
    return Result<Json>(done.error());
  }
  return status_of(call, *id);
}

Rpc::Answer Rpc::share_resume(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  if (auto done = call.node.resume(call.now, *id, call.out); !done) {
    return Result<Json>(done.error());
  }
  return status_of(call, *id);
}

Rpc::Answer Rpc::share_accept(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  if (auto done = call.node.accept(call.now, *id, call.out); !done) {
    return Result<Json>(done.error());
  }
  return status_of(call, *id);
}

Rpc::Answer Rpc::share_remove(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  Client& client = clients_[call.client];
  if (client.pending_count >= kRpcPendingMax) return Result<Json>(too_many_pending());
  const bool is_data_deleted = flag_of(call.params, "delete_data");
  if (auto done = call.node.remove(call.now, *id, is_data_deleted, call.out); !done) {
    return Result<Json>(done.error());
  }
  removals_.emplace(*id, call.pending());
  ++client.pending_count;
  return std::nullopt;
}

Rpc::Answer Rpc::share_link(Call& call) {
  const auto id = call.node.find_share(text_of(call.params, "id"));
  if (!id) return Result<Json>(id.error());
  const auto link = call.node.link(*id);
  if (!link) return Result<Json>(Error{Errc::not_found, "there is no such share", {}});
  return Result<Json>(Json::object({{"id", to_text(*id)}, {"link", *link}}));
}

Rpc::Answer Rpc::dht_status(Call& call) {
  return Result<Json>(dht_json(call.node.status(call.now)));
}

Rpc::Answer Rpc::dht_stats(Call& call) {
  return Result<Json>(dht_stats_json(call.node.status(call.now), call.node.dht_nodes()));
}

Rpc::Answer Rpc::dht_call(Call& call, DhtCommand command) {
  Client& client = clients_[call.client];
  if (client.pending_count >= kRpcPendingMax) return Result<Json>(too_many_pending());
  const DhtCalls::Place place{call.now, wall_at(call.now), call.node, call.out};
  const auto begun = (dht_calls_.*command)(place, call.pending(), call.params);
  if (!begun) return Result<Json>(begun.error());
  ++client.pending_count;
  return std::nullopt;
}

Rpc::Answer Rpc::identity_show(Call& call) {
  return Result<Json>(
      Json::object({{"id", to_text(call.node.id())}, {"name", call.node.status(call.now).name}}));
}

}  // namespace peernet::daemon
